/**
 * `millrace signer`: holds one member's secrets in a process of their own (docs/adr/0015, docs/guides/remote-signer.md). It asks nobody: its
 * member asks, over mutual TLS with both certificates pinned, and shows what the decision follows from. Kept invariant: what it signs it
 * has computed itself, from rows that the validators certified or from a claim, and its journal has it first.
 */
import { parseArgs } from 'node:util'
import { wrongUse } from '../../node/adapters/command-line/index.ts'
import { createSystemClock, EXIT } from '../../node/adapters/system/index.ts'
import { runProgram } from '../run.ts'
import { readSignerConfig } from './config.ts'
import { makePair } from './pair.ts'
import { startSigner } from './program.ts'

export { parseSignerConfig, type SignerConfigFile } from './config.ts'
export { openSigner } from './open.ts'
export { type RunningSigner, startSigner } from './program.ts'

export const USAGE = `usage: millrace signer --config FILE
       millrace signer pair --out DIR

  Holds a member's keys, shares and nonces, and signs what it has checked itself. The member (millrace
  governance) has "signer" in its configuration instead of "keyFile" and "passwordFile", and asks.

  --config FILE   configuration of this signer (JSON)
  --trusted-block HEIGHT:HASH   a block that f+1 validators confirmed, to go on from after a long time away

  pair            makes the certificates of a signer and its member, and prints the fingerprints by which
                  each knows the other
  --out DIR       where to: DIR/signer and DIR/member
  --json          one line of JSON
  --help          this text

  Exit codes: 0 stopped, 2 usage, 3 configuration, 4 data in use or damaged
`

export async function main(args: readonly string[]): Promise<number> {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const named = { 'trusted-block': text } as const
  const options = { config: text, out: text, json: flag, help: flag, ...named }
  let words: readonly string[]
  let flags: {
    config?: string
    out?: string
    json?: boolean
    help?: boolean
    'trusted-block'?: string
  }
  try {
    const parsed = parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
    words = parsed.positionals
    flags = parsed.values
  } catch (error) {
    return fault(wrongUse(error), EXIT.usage)
  }
  if (flags.help === true) {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  if (words.join(' ') === 'pair') return await pair(flags.out, flags.json === true)
  if (words.length > 0) return fault(`unknown word ${words[0]}`, EXIT.usage)
  if (flags.config === undefined) return fault('--config FILE is missing', EXIT.configuration)
  const config = readSignerConfig(flags.config, flags['trusted-block'])
  if ('code' in config) return fault(config.message, EXIT.configuration)
  return await runProgram('signer', () => startSigner(config))
}

async function pair(out: string | undefined, isJson: boolean): Promise<number> {
  if (out === undefined) return fault('--out DIR is missing', EXIT.usage)
  try {
    const { member, signer } = await makePair(out, createSystemClock().nowMs())
    process.stdout.write(
      isJson
        ? `${JSON.stringify({ member, signer })}\n`
        : `${out}/signer: for the signer, whose configuration has\n  "member": { "fingerprint": "${member}" }\n${out}/member: for the member, whose configuration has\n  "signer": { "fingerprint": "${signer}", … }\n`,
    )
    return EXIT.ok
  } catch (error) {
    return fault((error as Error).message, EXIT.error)
  }
}

function fault(message: string, exitCode: number): number {
  process.stderr.write(`millrace signer: ${message}\n`)
  return exitCode
}
