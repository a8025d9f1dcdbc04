/** Reads for status, members and pages: where every satoshi is (protocol §4.7, design §7). */
import { toDisplayHash, toHex } from '../../crypto/index.ts'
import {
  type BatchRow,
  causeReference,
  DEFICIT_CAUSE,
  type Entry,
  type Ledger,
  type OutputRow,
  outpointKey,
  type RequestRow,
  rowOf,
  type SpendRow,
  splitOutpoint,
} from '../ledger/index.ts'
import { inFlightSat, supplySat } from './identity.ts'

/** The terms of what is in flight (4.7). */
export type InFlightKind = 'creditedNotMinted' | 'burnedNotPaid' | 'refundOwed' | 'fund' | 'deficit'

/** A row of what is in flight; the rows add up to it. */
export interface InFlight {
  /** `txid:vout` in display form, a request id in hex, `fund`, or what a deficit is of: an outpoint, a txid, `advance`. */
  readonly id: string
  readonly kind: InFlightKind
  /** Below zero for a deficit. */
  readonly amountSat: bigint
}

export interface ReserveReport {
  readonly reserveSat: bigint
  readonly supplySat: bigint
  /** reserve = supply + inFlight. */
  readonly inFlightSat: bigint
  readonly inFlight: readonly InFlight[]
  readonly fundSat: bigint
  readonly deficitSat: bigint
  readonly mintedSat: bigint
  readonly burnedSat: bigint
  readonly feePoolWei: bigint
  readonly pegInsPaused: boolean
  readonly pegOutsPaused: boolean
}

export function describeReserve(ledger: Ledger): ReserveReport {
  const { state } = ledger
  return {
    reserveSat: state.reserveSat,
    supplySat: supplySat(ledger),
    inFlightSat: inFlightSat(ledger),
    inFlight: inFlightRows(ledger),
    fundSat: state.fundSat,
    deficitSat: state.deficitSat,
    mintedSat: state.mintedSat,
    burnedSat: state.burnedSat,
    feePoolWei: state.feePoolWei,
    pegInsPaused: state.pegInStops > 0,
    pegOutsPaused: state.pegOutStops > 0,
  }
}

function inFlightRows({ open, state }: Ledger): InFlight[] {
  const rows: InFlight[] = []
  const add = (id: string, kind: InFlightKind, amountSat: bigint) => {
    if (amountSat !== 0n) rows.push({ id, kind, amountSat })
  }
  for (const { key, row } of open.mints.values()) {
    add(outpointName(key), 'creditedNotMinted', row.amountSat)
  }
  for (const { key, row } of open.requests.values()) add(toHex(key), 'burnedNotPaid', row.amountSat)
  for (const { key, row } of open.refundables.values()) {
    add(outpointName(key), 'refundOwed', row.amountSat)
  }
  add('fund', 'fund', state.fundSat)
  for (const { key, row } of open.deficits.values()) add(lossName(key), 'deficit', -row.amountSat)
  return rows
}

/** The deposit or the transaction that a deficit is of, as `millrace order loss` takes it. */
export function lossName(key: Uint8Array): string {
  const reference = causeReference(key)
  switch (key[0]) {
    case DEFICIT_CAUSE.reorg:
      return outpointName(reference)
    case DEFICIT_CAUSE.stray:
      return toDisplayHash(reference)
    default:
      return 'advance'
  }
}

/** `txid:vout` in display form. */
export function outpointName(key: Uint8Array): string {
  const { txid, vout } = splitOutpoint(key)
  return `${toDisplayHash(txid)}:${vout}`
}

export interface OpenBatch {
  readonly batchId: Uint8Array
  readonly row: BatchRow
  /** Rows that its transactions spend; [0] is the conflict input. */
  readonly inputs: readonly Entry<OutputRow>[]
  readonly requests: readonly Entry<RequestRow>[]
  /** Unsigned transactions to sign, oldest first. */
  readonly versions: readonly Entry<SpendRow>[]
}

/** Batches that wait for signatures, for a confirmation or for their booking, oldest first. */
export function openBatches(ledger: Ledger): OpenBatch[] {
  return [...ledger.open.batches.values()]
    .sort((left, right) => left.row.height - right.row.height)
    .map(({ key, row }) => describeBatch(ledger, key, row))
}

function describeBatch(ledger: Ledger, batchId: Uint8Array, row: BatchRow): OpenBatch {
  const rows = <S extends 'outputs' | 'requests' | 'spends'>(set: S, keys: readonly Uint8Array[]) =>
    keys.flatMap((key) => {
      const found = rowOf(ledger, set, key)
      return found === undefined ? [] : [{ key, row: found }]
    })
  return {
    batchId,
    row,
    inputs: rows('outputs', row.inputs),
    requests: rows('requests', row.requests),
    versions: rows('spends', row.versions),
  }
}

/** A batch, open or booked. */
export function findBatch(ledger: Ledger, batchId: Uint8Array): OpenBatch | undefined {
  const row = rowOf(ledger, 'batches', batchId)
  return row === undefined ? undefined : describeBatch(ledger, batchId, row)
}

export function findRequest(ledger: Ledger, id: Uint8Array): RequestRow | undefined {
  return rowOf(ledger, 'requests', id)
}

/** The row of an outpoint: a deposit or change. */
export function findDeposit(ledger: Ledger, txid: Uint8Array, vout: number): OutputRow | undefined {
  return rowOf(ledger, 'outputs', outpointKey(txid, vout))
}
