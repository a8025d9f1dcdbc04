/**
 * `millrace recover`: what holders of keys do when the federation cannot do it for them (protocol §5.3, PO-19, PO-22, N6;
 * docs/guides/recover-coins.md). Offline: files go from one holder to the next, each command opens the keys of one holder only, and
 * nothing is done before a person has seen what.
 */
import { EXIT } from '../../node/adapters/system/index.ts'
import { Refusal } from './files.ts'
import { type RecoverOptions, readOptions } from './options.ts'
import { ask, help, sum, take } from './share.ts'
import { combine, exportRows, finish, makeKey, plan, type Said, show, sign } from './spend.ts'

const USAGE = `usage: millrace recover key      --label NAME --password-file FILE --out FILE
       millrace recover rows     --genesis FILE (--url URL | --data-dir DIR) --out FILE
       millrace recover plan     --genesis FILE --rows FILE --leaf members|recovery --to ADDRESS --fee-rate N --out FILE
       millrace recover show     --genesis FILE --psbt FILE
       millrace recover sign     --genesis FILE --psbt FILE --keys FILE --password-file FILE --out FILE
       millrace recover combine  --genesis FILE --psbt FILE... --out FILE
       millrace recover finish   --genesis FILE --psbt FILE... [--out FILE] [--bitcoin URL [--send]]
       millrace recover share ask   --genesis FILE --rows FILE --helper N... --keys FILE --password-file FILE --out FILE
       millrace recover share help  --genesis FILE --ask FILE --data-dir DIR --keys FILE --password-file FILE --out FILE
       millrace recover share sum   --genesis FILE --ask FILE --from FILE... --keys FILE --password-file FILE --out FILE
       millrace recover share take  --genesis FILE --ask FILE --from FILE... --rows FILE --data-dir DIR --keys FILE --password-file FILE
       millrace recover drill    everything here, once, on a federation of its own (--help tells more)

  Spending the reserve without the chain, by one of the two leaves that every output has: the members' own
  keys (t of n), or the cold recovery keys after the delay of the genesis file.

  key         a new cold key: its public part goes into the genesis file of a new chain
  rows        the outputs of the reserve and the members' keys, from any node or from a node's data
  plan        a PSBT that spends all rows that no open batch holds, or those named by --output; nothing is signed
  show        what a PSBT spends and pays, and who has signed
  sign        adds one holder's signature; asks before it does, unless --yes
  combine     one PSBT of several signed copies
  finish      the transaction, once enough have signed; --bitcoin asks whether it would be taken

  A member whose share of the federation's key is gone, and whose own keys are not, gets it from t others:

  share ask   the member asks t others by name (--helper: places in the genesis file, from 0)
  share help  each of them, from its own share: a part; asks before it does, unless --yes
  share sum   each of them, from the parts of all: a sum
  share take  the member, stopped, from parts and sums: its share, checked against the key

  --output TXID:VOUT    spend this row (may be given again)
  --held                what an open batch holds, too: a payout that is signed already may spend it first
  --row JSON            a row that no ledger has: {"outpoint","amountSat","epoch","evmAddress","refundScript"}
  --pay ADDRESS=SAT     pay this first (may be given again); --to gets the rest
  --epoch N             of that key's share [the last key's]
  --part N              of more outputs than one transaction can spend, the Nth lot
  --bitcoin URL         http://user:password@host:port; plan leaves out what Bitcoin would not take now
  --yes                 somebody has looked at it
  --json                one line of JSON
  --help                this text
`

const COMMANDS: Readonly<Record<string, (options: RecoverOptions) => Promise<Said>>> = {
  key: makeKey,
  rows: exportRows,
  plan,
  show,
  sign,
  combine,
  finish,
  'share ask': ask,
  'share help': help,
  'share sum': sum,
  'share take': take,
}

/** Exit codes: 0 ok, 1 refused, 2 usage, 3 files, 4 what is in them, 5 unreachable. */
export async function main(args: readonly string[]): Promise<number> {
  let isJson = false
  try {
    const { options, words } = readOptions(args)
    if (options.help === true) {
      process.stdout.write(USAGE)
      return EXIT.ok
    }
    isJson = options.json === true
    const name = words.join(' ')
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (command === undefined) {
      process.stderr.write(USAGE)
      return EXIT.usage
    }
    const { figures, text } = await command(options)
    process.stdout.write(isJson ? `${JSON.stringify(figures)}\n` : text)
    return EXIT.ok
  } catch (error) {
    const { message } = error as Error
    const { code, exitCode } =
      error instanceof Refusal ? error : { code: 'Usage', exitCode: EXIT.usage }
    if (isJson) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`)
    else process.stderr.write(`millrace recover: ${code}: ${message}\n`)
    return exitCode
  }
}
