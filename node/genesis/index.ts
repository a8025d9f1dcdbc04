/** `millrace genesis`: block 0 of the EVM chain as the file that other execution clients read. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseGenesis } from '../../core/params/index.ts'
import { blsSuite, equalBytes } from '../../crypto/index.ts'
import { evmGenesisOf, genesisBlock, gethGenesis } from '../../vm/evm/index.ts'
import { wrongUse } from '../adapters/command-line/index.ts'
import { EXIT } from '../adapters/system/index.ts'

const USAGE = `usage: millrace genesis --genesis-file FILE

  Writes block 0 of the EVM chain to the standard output, in the form that Geth, Reth, Besu, Nethermind
  and EthereumJS read: for a node with engine.mode engine-api. See docs/guides/external-engine.md.

  --genesis-file FILE     the genesis file of the chain
  --help                  this text
`

export async function main(args: readonly string[]): Promise<number> {
  let file: string | undefined
  try {
    const options = { 'genesis-file': { type: 'string' }, help: { type: 'boolean' } } as const
    const { values } = parseArgs({ args: [...args], options, allowPositionals: false })
    if (values.help === true) {
      process.stdout.write(USAGE)
      return EXIT.ok
    }
    file = values['genesis-file']
  } catch (error) {
    return refuse(`${wrongUse(error)}\n\n${USAGE}`, EXIT.usage)
  }
  if (file === undefined) return refuse(`--genesis-file is missing\n\n${USAGE}`, EXIT.usage)
  const written = clientGenesis(file)
  if (!written.ok) return refuse(written.reason, EXIT.configuration)
  process.stdout.write(`${written.text}\n`)
  return EXIT.ok
}

/** The text of a client's genesis file; or why there is none. */
export function clientGenesis(
  path: string,
): { readonly ok: true; readonly text: string } | { readonly ok: false; readonly reason: string } {
  try {
    const parsed = parseGenesis(JSON.parse(readFileSync(path, 'utf8')), blsSuite)
    if (!parsed.ok) return { ok: false, reason: `${path}: ${parsed.error.reason}` }
    const genesis = evmGenesisOf(parsed.value)
    const { blockHash } = genesisBlock(genesis).payload
    if (!equalBytes(blockHash, parsed.value.execution.blockHash)) {
      return {
        ok: false,
        reason: `${path}: its block 0 is not the one that this program makes of it`,
      }
    }
    return { ok: true, text: JSON.stringify(gethGenesis(genesis), null, 2) }
  } catch (error) {
    return { ok: false, reason: `${path}: ${(error as Error).message}` }
  }
}

function refuse(message: string, exitCode: number): number {
  process.stderr.write(`millrace genesis: ${message}\n`)
  return exitCode
}
