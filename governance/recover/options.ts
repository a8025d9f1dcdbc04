/** The flags of `millrace recover`, all of them; each command says which it needs. */
import { parseArgs } from 'node:util'

const FLAGS = {
  genesis: { type: 'string' },
  rows: { type: 'string' },
  row: { type: 'string', multiple: true },
  output: { type: 'string', multiple: true },
  held: { type: 'boolean' },
  part: { type: 'string' },
  leaf: { type: 'string' },
  to: { type: 'string' },
  pay: { type: 'string', multiple: true },
  'fee-rate': { type: 'string' },
  bitcoin: { type: 'string' },
  url: { type: 'string' },
  'data-dir': { type: 'string' },
  psbt: { type: 'string', multiple: true },
  keys: { type: 'string' },
  'password-file': { type: 'string' },
  label: { type: 'string' },
  epoch: { type: 'string' },
  helper: { type: 'string', multiple: true },
  ask: { type: 'string' },
  from: { type: 'string', multiple: true },
  out: { type: 'string' },
  yes: { type: 'boolean' },
  send: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: true })
}

export type RecoverOptions = ReturnType<typeof parse>['values']

/** Throws with one line for what is no flag. */
export function readOptions(args: readonly string[]): {
  readonly words: readonly string[]
  readonly options: RecoverOptions
} {
  const { positionals, values } = parse(args)
  return { words: positionals, options: values }
}
