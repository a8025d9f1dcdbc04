/** The options of `millrace recover`, all of them; each command says which it takes. */
import type { Flags, OptionsOf } from '../../node/adapters/command-line/index.ts'

export const FLAGS = {
  genesis: { value: 'FILE', about: 'the genesis file of the chain' },
  rows: { value: 'FILE', about: 'what millrace recover rows wrote' },
  row: {
    value: 'JSON',
    about: 'a row that no ledger has: {"outpoint","amountSat","epoch","evmAddress","refundScript"}',
    isMany: true,
  },
  leaf: {
    value: 'members|recovery',
    about: "t of the members' own keys, or the cold keys after the delay",
  },
  output: { value: 'TXID:VOUT', about: 'spend this row', isMany: true },
  held: {
    about: 'what an open batch holds, too: a payout that is signed already may spend it first',
  },
  part: { value: 'N', about: 'of more outputs than one transaction can spend, the Nth lot' },
  pay: { value: 'ADDRESS=SAT', about: 'pay this first; --to gets the rest', isMany: true },
  to: { value: 'ADDRESS', about: 'who gets what is left' },
  'fee-rate': { value: 'N', about: 'sat/vB' },
  bitcoin: {
    value: 'URL',
    about: 'http://user:password@host:port; plan leaves out what Bitcoin would not take now',
  },
  send: { about: 'send the transaction' },
  url: { value: 'URL', about: 'JSON-RPC of any node' },
  'data-dir': { value: 'DIR', about: 'data directory of a node, or of the member' },
  psbt: { value: 'FILE', about: 'a plan, or a copy of it that somebody has signed', isMany: true },
  keys: { value: 'FILE', about: 'key file of one holder' },
  'password-file': { value: 'FILE', about: 'its password' },
  label: { value: 'NAME', about: 'name of the key' },
  helper: { value: 'N', about: 'a member, by its place in the genesis file, from 0', isMany: true },
  epoch: { value: 'N', about: "of that key's share [the last key's]" },
  ask: { value: 'FILE', about: 'what the member that asks wrote' },
  from: { value: 'FILE', about: 'a part or a sum that a helper wrote', isMany: true },
  out: { value: 'FILE', about: 'where the answer goes; nothing is overwritten' },
  yes: { about: 'somebody has looked at it' },
  json: { about: 'one line of JSON' },
  help: { about: 'this text' },
} as const satisfies Flags

export type RecoverOptions = OptionsOf<typeof FLAGS>
