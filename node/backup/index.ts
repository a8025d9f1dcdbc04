/**
 * `millrace backup` and `millrace restore` (OP-6): all that makes a node this node, in one encrypted file. A backup may be made while the
 * node runs. A restored validator signs nothing that the lost one may have signed.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { createSystemClock, EXIT } from '../adapters/system/index.ts'
import { readNodeOptions } from '../config/index.ts'
import { ArchiveFault } from './archive.ts'
import { createBackup } from './create.ts'
import { restoreBackup } from './restore.ts'

export { createBackup } from './create.ts'
export { restoreBackup } from './restore.ts'

const BACKUP_USAGE = `usage: millrace backup --out FILE --password-file FILE [settings of the node]

  Chain, EVM state, ledger, sign guard, keys and the other files that the configuration names, in one
  encrypted file (scrypt, AES-256-GCM). The node may run meanwhile.

  --out FILE              the backup; it must not exist
  --password-file FILE    one line, at least 12 characters
  --json                  one line of JSON
  --help                  this text
`
const RESTORE_USAGE = `usage: millrace restore --from FILE --password-file FILE [settings of the node]

  Makes the data directory, which must be empty or missing, from a backup. Configured files that are
  missing are written, nothing is overwritten. See that the node the backup was made of never runs
  again: a validator's key belongs to one process.

  --from FILE             the backup
  --password-file FILE    its password
  --floor HEIGHT          the lowest height to sign, for who knows that this key signed nothing there or
                          above; otherwise as many heights are left out as slots have passed
  --json                  one line of JSON
  --help                  this text
`
const LEAST_PASSWORD = 12

const OWN = {
  out: { type: 'string' },
  from: { type: 'string' },
  'password-file': { type: 'string' },
  floor: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

type Own = { readonly [name in keyof typeof OWN]?: string | boolean | undefined }

export async function backup(args: readonly string[]): Promise<number> {
  return run('backup', args, BACKUP_USAGE, ['out'], async ({ out }, config, password) => {
    const path = resolve(String(out))
    const { header, sizeBytes } = await createBackup(config, path, password, now())
    const { chain, headHeight } = header
    return {
      figures: { path, sizeBytes, chain, headHeight },
      text: `${path}: ${chain} up to block ${headHeight}, ${sizeBytes} bytes`,
    }
  })
}

export async function restore(args: readonly string[]): Promise<number> {
  return run('restore', args, RESTORE_USAGE, ['from'], async (own, config, password) => {
    const given = own.floor === undefined ? undefined : Number(own.floor)
    if (given !== undefined && !(Number.isSafeInteger(given) && given > 0)) {
      throw new Error(`--floor: expected a height, got ${own.floor}`)
    }
    const from = resolve(String(own.from))
    const restored = await restoreBackup(config, from, password, now(), given)
    const { header, floor, filesWritten } = restored
    const { chain, headHeight } = header
    const lines = [
      `${config.dataDir}: ${chain} up to block ${headHeight}`,
      ...filesWritten.map((path) => `written: ${path}`),
      ...(floor === undefined ? [] : [`the validator signs at height ${floor} and above`]),
    ]
    const figures = {
      dataDir: config.dataDir,
      chain,
      headHeight,
      filesWritten,
      floor: floor ?? null,
    }
    return { figures, text: lines.join('\n') }
  })
}

function now(): number {
  return createSystemClock().nowMs()
}

async function run(
  name: string,
  args: readonly string[],
  usage: string,
  needed: readonly (keyof typeof OWN)[],
  work: (
    own: Own,
    config: Extract<ReturnType<typeof readNodeOptions>, { program: unknown }>['program'],
    password: string,
  ) => Promise<{ readonly figures: object; readonly text: string }>,
): Promise<number> {
  const { own, rest } = split(args)
  if (own.help === true) {
    process.stdout.write(usage)
    return EXIT.ok
  }
  const missing = [...needed, 'password-file' as const].find((flag) => own[flag] === undefined)
  if (missing !== undefined) {
    process.stderr.write(`millrace ${name}: --${missing} is missing (--help tells more)\n`)
    return EXIT.usage
  }
  const options = readNodeOptions(rest, name)
  if ('text' in options) {
    process.stderr.write(`${options.text}\n`)
    return options.exitCode
  }
  try {
    const password = readFileSync(String(own['password-file']), 'utf8').trim()
    if (password.length < LEAST_PASSWORD) {
      throw new Error(
        `${own['password-file']}: a password has at least ${LEAST_PASSWORD} characters`,
      )
    }
    const { figures, text } = await work(own, options.program, password)
    process.stdout.write(own.json === true ? `${JSON.stringify(figures)}\n` : `${text}\n`)
    return EXIT.ok
  } catch (error) {
    const isData = error instanceof ArchiveFault
    const code = isData ? `${error.code}: ` : ''
    process.stderr.write(`millrace ${name}: ${code}${(error as Error).message}\n`)
    return isData ? EXIT.data : EXIT.error
  }
}

/** Our flags, and what is the configuration's. */
function split(args: readonly string[]): { readonly own: Own; readonly rest: readonly string[] } {
  const { tokens, values } = parseArgs({
    args: [...args],
    options: OWN,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const ours = new Set<number>()
  for (const token of tokens) {
    if (token.kind !== 'option' || !Object.hasOwn(OWN, token.name)) continue
    ours.add(token.index)
    if (token.value !== undefined && token.inlineValue === false) ours.add(token.index + 1)
  }
  return { own: values as Own, rest: args.filter((_, index) => !ours.has(index)) }
}
