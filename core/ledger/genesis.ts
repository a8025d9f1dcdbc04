/** The ledger of block 0, which every node computes from the genesis file, and how a stored ledger is read back. */
import { headerHash, parseHeader, RETARGET_BLOCKS } from '../bitcoin/index.ts'
import { err, type Genesis, ok, type Result } from '../params/index.ts'
import {
  applyRows,
  emptyLedger,
  type Ledger,
  type LedgerChange,
  LedgerDraft,
  type RowsError,
} from './ledger.ts'
import { heightKey } from './rows.ts'

/** The ledger with the Bitcoin checkpoint as its only header, the genesis file's validators, and nothing in the peg. */
export function genesisLedger(genesis: Genesis): Ledger {
  const { checkpoint } = genesis.bitcoin
  const hash = headerHash(checkpoint.header)
  const empty = emptyLedger({
    height: 0,
    tipHash: hash,
    tipHeight: checkpoint.height,
    epoch: 0,
    membersEpoch: 0,
    nextWithdrawalIndex: 0,
    feePoolWei: 0n,
    reserveSat: 0n,
    mintedSat: 0n,
    burnedSat: 0n,
    creditedSat: 0n,
    unpaidSat: 0n,
    refundsSat: 0n,
    fundSat: 0n,
    deficitSat: 0n,
    pegInStops: 0,
    pegOutStops: 0,
    validatorsHeight: 0,
  })
  const startsPeriod = checkpoint.height % RETARGET_BLOCKS === 0
  const first = parseHeader(startsPeriod ? checkpoint.header : checkpoint.periodStart)
  if (!first.ok) throw new Error('the genesis file was not checked')
  const draft = new LedgerDraft(empty)
  draft.put('headers', hash, {
    header: checkpoint.header,
    height: checkpoint.height,
    chainWork: checkpoint.chainWork,
    periodTime: first.value.time,
    periodBits: first.value.bits,
  })
  draft.put('chain', heightKey(checkpoint.height), { hash })
  draft.put('validators', heightKey(0), {
    sequence: 0,
    previous: 0,
    next: 0,
    validators: [...genesis.validators],
  })
  return { ...draft.finish(), changes: new Map() }
}

/** The ledger that stored rows make; the order of rows does not matter. Genesis rows need not be stored. */
export function ledgerFromRows(
  genesis: Genesis,
  rows: Iterable<LedgerChange>,
): Result<Ledger, RowsError> {
  const ledger = applyRows(genesisLedger(genesis), rows)
  return 'code' in ledger ? err(ledger) : ok(ledger)
}
