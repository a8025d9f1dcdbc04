/**
 * `millrace keys`: what this machine's keys have done. `keys guard` shows the sign guard of a validator: its floors, its lock, what it signed
 * last, and whether its file can be believed. It only reads, so it may run beside the node; a record that is being written shows as a torn tail.
 */
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import {
  decodeGuardFile,
  type GuardFileError,
  guardFileOwner,
  guardOwner,
  summarizeGuard,
} from '../../core/guard/index.ts'
import { parseGenesis } from '../../core/params/index.ts'
import { blsSuite, equalBytes, toHex } from '../../crypto/index.ts'
import { wrongUse } from '../adapters/command-line/index.ts'
import { directoryHolder } from '../adapters/data-directory/index.ts'
import { readGuardFile } from '../adapters/sign-guard/index.ts'
import { EXIT } from '../adapters/system/index.ts'
import { type GuardAnswer, guardText } from './text.ts'

export { type GuardAnswer, guardText } from './text.ts'

const DEFAULT_DIRECTORY = '.millrace/node'
const DEFAULT_RECORDS = 6
const MAX_RECORDS = 1_000

const USAGE = `usage: millrace keys guard [options]

  guard             the sign guard of a validator: floors, lock, what was signed last. It only reads

  --data-dir DIR    data directory of the node [${DEFAULT_DIRECTORY}]
  --file FILE       the guard's file itself, instead of a data directory
  --genesis FILE    genesis file: says which validator's guard it is, and refuses another chain's
  --records N       how many of the last records [${DEFAULT_RECORDS}]
  --json            one line of JSON
  --help            this text
`

interface Wanted {
  readonly path: string
  readonly genesisFile?: string
  readonly records: number
  readonly json: boolean
}

interface Fault {
  readonly code: string
  readonly message: string
  readonly exitCode: number
}

export async function main(args: readonly string[]): Promise<number> {
  const wanted = readOptions(args)
  if (wanted === 'help') {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  if (typeof wanted === 'string') {
    process.stderr.write(`millrace keys: ${wanted}\n`)
    return EXIT.usage
  }
  const answer = await inspectGuard(wanted)
  if ('exitCode' in answer) {
    const { code, message, exitCode } = answer
    if (wanted.json) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`)
    else process.stderr.write(`millrace keys: ${code}: ${message}\n`)
    return exitCode
  }
  process.stdout.write(wanted.json ? `${JSON.stringify(answer)}\n` : guardText(answer))
  return EXIT.ok
}

/** The file at `path` as it stands, or why it cannot be believed. Changes nothing. */
export async function inspectGuard(wanted: Omit<Wanted, 'json'>): Promise<GuardAnswer | Fault> {
  const { path, genesisFile, records } = wanted
  const fault = (code: string, message: string, exitCode: number = EXIT.data): Fault => ({
    code,
    message: `${path}: ${message}`,
    exitCode,
  })
  let bytes: Uint8Array | undefined
  try {
    bytes = await readGuardFile(path)
  } catch (error) {
    return fault('GuardIo', (error as Error).message)
  }
  if (bytes === undefined) return fault('GuardMissing', 'there is no such file')
  if (bytes.length === 0) return fault('GuardUnreadable', 'the file is empty')
  const owner = guardFileOwner(bytes)
  if (!owner.ok) return fault(owner.error.code, explain(owner.error))
  const decoded = decodeGuardFile(owner.value, bytes)
  if (!decoded.ok) return fault(decoded.error.code, explain(decoded.error))
  const summary = summarizeGuard(decoded.value, bytes.length, records)
  const pid = directoryHolder(dirname(path))
  const shown = { path, owner: toHex(owner.value), runningPid: pid ?? null, ...summary }
  if (genesisFile === undefined) return shown
  const validator = await validatorOf(genesisFile, owner.value)
  if (typeof validator === 'string') return { ...shown, validator }
  return { ...validator, message: `${path}: ${validator.message}` }
}

/** Key, in hex, of the genesis file's validator whose guard it is. */
async function validatorOf(genesisFile: string, owner: Uint8Array): Promise<string | Fault> {
  const exitCode = EXIT.configuration
  let json: unknown
  try {
    json = JSON.parse(await readFile(genesisFile, 'utf8'))
  } catch (error) {
    return { code: 'FileUnreadable', message: (error as Error).message, exitCode }
  }
  const genesis = parseGenesis(json, blsSuite)
  if (!genesis.ok) {
    return { code: 'GenesisInvalid', message: `${genesisFile}: ${genesis.error.reason}`, exitCode }
  }
  const { hash, validators } = genesis.value
  const found = validators.find(({ blsKey }) => equalBytes(guardOwner(hash, blsKey), owner))
  if (found !== undefined) return toHex(found.blsKey)
  const message = `the guard of no genesis validator of ${genesisFile}`
  return { code: 'GuardForeign', message, exitCode }
}

function explain(error: GuardFileError): string {
  switch (error.code) {
    case 'GuardUnreadable':
      return error.reason
    case 'GuardDamaged':
      return `a record that was signed on cannot be read (offset ${error.offset}): nothing may be signed on this file`
    case 'GuardForeign':
      return 'of another chain or key'
  }
}

const FLAGS = {
  'data-dir': { type: 'string' },
  file: { type: 'string' },
  genesis: { type: 'string' },
  records: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: true })
}

function readOptions(args: readonly string[]): Wanted | 'help' | string {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    return wrongUse(error)
  }
  const { values, positionals } = parsed
  if (values.help === true) return 'help'
  if (positionals.length !== 1 || positionals[0] !== 'guard') {
    return 'say what: guard (--help tells more)'
  }
  if (values.file !== undefined && values['data-dir'] !== undefined) {
    return '--file and --data-dir exclude each other'
  }
  const records = Number(values.records ?? DEFAULT_RECORDS)
  if (!Number.isInteger(records) || records < 1 || records > MAX_RECORDS) {
    return `--records: a whole number from 1 to ${MAX_RECORDS}`
  }
  const path = values.file ?? join(values['data-dir'] ?? DEFAULT_DIRECTORY, 'sign-guard')
  return {
    path: resolve(path),
    records,
    json: values.json === true,
    ...(values.genesis !== undefined && { genesisFile: values.genesis }),
  }
}
