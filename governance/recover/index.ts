/**
 * `millrace recover`: what holders of keys do when the federation cannot do it for them (protocol §5.3, PO-19, PO-22, N6;
 * docs/guides/recover-coins.md). Offline: files go from one holder to the next, each command opens the keys of one holder only, and
 * nothing is done before a person has seen what.
 */
import { type Program, runCommand } from '../../node/adapters/command-line/index.ts'
import { FLAGS } from './options.ts'
import { ask, help, sum, take } from './share.ts'
import { combine, exportRows, finish, makeKey, plan, show, sign } from './spend.ts'

const SIGNER = '--keys FILE --password-file FILE'

export const PROGRAM: Program<typeof FLAGS> = {
  name: 'recover',
  about:
    "Spending the reserve without the chain, by one of the two leaves that every output has: the members' own keys (t of n), or the cold recovery keys after the delay of the genesis file. And a member whose share of the federation's key is gone, and whose own keys are not, gets it from t others: share ask, help, sum, take. millrace recover drill does everything here, once, on a federation of its own (millrace recover drill --help tells more).",
  commands: {
    key: {
      form: '--label NAME --password-file FILE --out FILE',
      about: 'a new cold key: its public part goes into the genesis file of a new chain',
      run: makeKey,
    },
    rows: {
      form: '--genesis FILE (--url URL | --data-dir DIR) --out FILE',
      about:
        "the outputs of the reserve and the members' keys, from any node or from a node's data",
      run: exportRows,
    },
    plan: {
      form: '--genesis FILE --leaf members|recovery [--rows FILE] [--row JSON...] [--output TXID:VOUT...] [--held] [--part N] [--pay ADDRESS=SAT...] --to ADDRESS --fee-rate N [--bitcoin URL] --out FILE',
      about:
        'a PSBT that spends all rows that no open batch holds, or those named by --output; nothing is signed',
      run: plan,
    },
    show: {
      form: '--genesis FILE --psbt FILE',
      about: 'what a PSBT spends and pays, and who has signed',
      run: show,
    },
    sign: {
      form: `--genesis FILE --psbt FILE ${SIGNER} --out FILE [--yes]`,
      about: "adds one holder's signature; asks before it does, unless --yes",
      run: sign,
    },
    combine: {
      form: '--genesis FILE --psbt FILE... --out FILE',
      about: 'one PSBT of several signed copies',
      run: combine,
    },
    finish: {
      form: '--genesis FILE --psbt FILE... [--out FILE] [--bitcoin URL [--send]]',
      about: 'the transaction, once enough have signed; --bitcoin asks whether it would be taken',
      run: finish,
    },
    'share ask': {
      form: `--genesis FILE --rows FILE --helper N... [--epoch N] ${SIGNER} --out FILE`,
      about: 'the member asks t others by name',
      run: ask,
    },
    'share help': {
      form: `--genesis FILE --ask FILE --data-dir DIR ${SIGNER} --out FILE [--yes]`,
      about: 'each of them, from its own share: a part; asks before it does, unless --yes',
      run: help,
    },
    'share sum': {
      form: `--genesis FILE --ask FILE --from FILE... ${SIGNER} --out FILE`,
      about: 'each of them, from the parts of all: a sum',
      run: sum,
    },
    'share take': {
      form: `--genesis FILE --ask FILE --from FILE... --rows FILE --data-dir DIR ${SIGNER}`,
      about: 'the member, stopped, from parts and sums: its share, checked against the key',
      run: take,
    },
  },
  flags: FLAGS,
}

/** Exit codes: 0 ok, 1 refused, 2 usage, 3 files, 4 what is in them, 5 unreachable. */
export const main = (args: readonly string[]): Promise<number> => runCommand(PROGRAM, args)
