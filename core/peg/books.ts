/**
 * The books: every row that enters a sum of the ledger identity (protocol §4.7), with what it adds to which, and every transaction that
 * left the reserve with its fee. Each sum of the ledger's state is the sum of its column here, and nothing else is in it.
 */
import { toDisplayHash, toHex } from '../../crypto/index.ts'
import { parseTransaction } from '../bitcoin/index.ts'
import { REFUND_REASONS } from '../block/index.ts'
import {
  BATCH_KIND,
  causeReference,
  DEFICIT_CAUSE,
  FUND_CAUSE,
  isZero,
  type Ledger,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  partsOf,
  REQUEST_REASON,
  REQUEST_STATE,
  type RequestRow,
  rowOf,
  type SetName,
  type SetRows,
  SPEND_KIND,
  SPEND_STATE,
  type SpendRow,
  SWEEP_REASON,
  TOTALS,
  type TotalName,
} from '../ledger/index.ts'
import { lossName, outpointName } from './describe.ts'

/** Amounts are in satoshi; hashes in display form, keys and scripts in hex. */
export interface BookRow {
  readonly set: 'outputs' | 'requests' | 'spends' | 'fund' | 'deficits'
  /** `txid:vout`, a request's id, a txid, or what a fund or deficit row refers to. */
  readonly id: string
  readonly cause: string
  readonly state: string
  /** Millrace block that made the row, and its time in seconds. Fund rows have neither: those that they refer to do. */
  readonly height?: number
  readonly timestamp?: number
  /** Where Bitcoin has it. */
  readonly bitcoinHeight?: number
  /** The booked transaction that spent it or paid it. */
  readonly settledBy?: string
  readonly evmAddress?: string
  readonly scriptPubKey?: string
  readonly amountSat: bigint
  /** What the fund kept of it; of a transaction, what its miner got. */
  readonly feeSat: bigint
  readonly adds: Readonly<Record<TotalName, bigint>>
}

/** In the order of sets and, within one, of keys. */
export function* bookRows(ledger: Ledger): Iterable<BookRow> {
  for (const [key, row] of ledger.sets.outputs.entries()) yield outputBook(key, row)
  for (const [key, row] of ledger.sets.requests.entries()) yield requestBook(key, row)
  for (const [key, row] of ledger.sets.spends.entries()) {
    if (row.state === SPEND_STATE.booked) yield spendBook(ledger, key, row)
  }
  for (const [key, row] of ledger.sets.fund.entries()) {
    const { cause, incomeSat, spentSat } = row
    yield {
      set: 'fund',
      id: fundName(key, cause),
      cause: nameOf(FUND_CAUSE, cause),
      state: incomeSat === spentSat ? 'closed' : incomeSat > spentSat ? 'income' : 'expense',
      amountSat: incomeSat - spentSat,
      feeSat: 0n,
      adds: addsOf('fund', row),
    }
  }
  for (const [key, row] of ledger.sets.deficits.entries()) {
    const { accepted, amountSat, cause, height } = row
    yield {
      set: 'deficits',
      id: lossName(key),
      cause: nameOf(DEFICIT_CAUSE, cause),
      state: accepted ? 'accepted' : amountSat === 0n ? 'closed' : 'open',
      height,
      amountSat,
      feeSat: 0n,
      adds: addsOf('deficits', row),
    }
  }
}

/** The sums of all columns: those of `ledger.state`, if nothing is missing. */
export function bookTotals(rows: Iterable<BookRow>): Readonly<Record<TotalName, bigint>> {
  const totals = noAdds()
  for (const { adds } of rows) for (const name of TOTALS) totals[name] += adds[name]
  return totals
}

function outputBook(key: Uint8Array, row: OutputRow): BookRow {
  const kind = nameOf(OUTPUT_KIND, row.kind)
  const isRefundable = row.kind === OUTPUT_KIND.refundable
  return {
    set: 'outputs',
    id: outpointName(key),
    cause: isRefundable ? `${kind}: ${REFUND_REASONS[row.reason] ?? row.reason}` : kind,
    state: nameOf(OUTPUT_STATE, row.state) + (row.minted ? ' (minted)' : ''),
    height: row.height,
    timestamp: row.timestamp,
    bitcoinHeight: row.bitcoinHeight,
    ...settledBy(row.spentBy),
    ...(row.kind === OUTPUT_KIND.credit && { evmAddress: `0x${toHex(row.evmAddress)}` }),
    scriptPubKey: toHex(row.scriptPubKey),
    amountSat: row.amountSat,
    feeSat: row.feeSat,
    adds: addsOf('outputs', row),
  }
}

function requestBook(id: Uint8Array, row: RequestRow): BookRow {
  const isPaid = row.state === REQUEST_STATE.paid
  const reason = nameOf(REQUEST_REASON, row.reason)
  return {
    set: 'requests',
    id: toHex(id),
    cause: row.reason === REQUEST_REASON.none ? 'burn' : `burn: ${reason}`,
    state: nameOf(REQUEST_STATE, row.state),
    height: row.height,
    timestamp: row.timestamp,
    ...settledBy(row.paidBy),
    evmAddress: `0x${toHex(row.burner)}`,
    ...(row.scriptPubKey.length > 0 && { scriptPubKey: toHex(row.scriptPubKey) }),
    amountSat: row.amountSat,
    feeSat: isPaid ? row.amountSat - row.paidSat : row.feeSat,
    adds: addsOf('requests', row),
  }
}

/** What it spent of the reserve; its fee is what of that no output has. */
function spendBook(ledger: Ledger, txid: Uint8Array, row: SpendRow): BookRow {
  const spentSat = row.spent
    .map((key) => rowOf(ledger, 'outputs', key)?.amountSat ?? 0n)
    .reduce((sum, amountSat) => sum + amountSat, 0n)
  const parsed = parseTransaction(row.transaction)
  const outSat = parsed.ok
    ? parsed.value.outputs.reduce((sum, { amountSat }) => sum + amountSat, 0n)
    : spentSat
  return {
    set: 'spends',
    id: toDisplayHash(txid),
    cause: spendCause(ledger, row),
    state: 'booked',
    height: row.height,
    timestamp: row.timestamp,
    bitcoinHeight: row.bitcoinHeight,
    amountSat: spentSat,
    // A stray one may have spent coins of others beside ours.
    feeSat: row.kind === SPEND_KIND.version ? spentSat - outSat : 0n,
    adds: addsOf('spends', row),
  }
}

function spendCause(ledger: Ledger, { batchId, kind }: SpendRow): string {
  if (kind === SPEND_KIND.stray) return 'stray'
  const batch = rowOf(ledger, 'batches', batchId)
  if (batch === undefined) return 'unknown'
  const name = nameOf(BATCH_KIND, batch.kind)
  return batch.kind === BATCH_KIND.sweep ? `${name}: ${nameOf(SWEEP_REASON, batch.reason)}` : name
}

function settledBy(txid: Uint8Array): { readonly settledBy?: string } {
  return isZero(txid) ? {} : { settledBy: toDisplayHash(txid) }
}

/** What a fund row is about: a loss, an outpoint, or the hex of an id; of the advance nothing. */
function fundName(key: Uint8Array, cause: number): string {
  const reference = causeReference(key)
  if (cause === FUND_CAUSE.loss) return lossName(reference)
  return reference.length === outpointKey(new Uint8Array(32), 0).length
    ? outpointName(reference)
    : toHex(reference)
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(names).find(([, known]) => known === value)?.[0] ?? String(value)
}

function noAdds(): Record<TotalName, bigint> {
  return Object.fromEntries(TOTALS.map((name) => [name, 0n])) as Record<TotalName, bigint>
}

function addsOf<S extends SetName>(set: S, row: SetRows[S]): Record<TotalName, bigint> {
  const adds = noAdds()
  for (const [name, amount] of partsOf(set, row)) {
    if (name in adds) adds[name as TotalName] += amount
  }
  return adds
}
