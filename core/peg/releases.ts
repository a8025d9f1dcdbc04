/**
 * Releases (protocol §4.5): a batch ends unpaid when no version of it can ever confirm, because a transaction that is buried deep spent
 * its conflict input, or what that descends from. Its requests wait for a new batch, which has another conflict input.
 */
import { compareBytes, equalBytes, toHex } from '../../crypto/index.ts'
import { parseTransaction } from '../bitcoin/index.ts'
import {
  BATCH_STATE,
  type BatchRow,
  type ConflictRow,
  type Entry,
  isZero,
  type Ledger,
  LedgerDraft,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  REQUEST_STATE,
  type RequestRow,
  SPEND_KIND,
  SPEND_STATE,
  type SpendRow,
  splitOutpoint,
  ZERO_HASH,
} from '../ledger/index.ts'
import type { PegContext } from './context.ts'
import { freeBatchInputs, holdAgain } from './holds.ts'

/** How many transactions that are gone a conflict is looked for behind. */
const MAX_ANCESTORS = 32

/** The row that keeps an outpoint from ever being spent by another transaction: a booked spend, or a conflict of a lost deposit. */
type Obstacle =
  | { readonly set: 'spends'; readonly key: Uint8Array; readonly row: SpendRow }
  | { readonly set: 'conflicts'; readonly key: Uint8Array; readonly row: ConflictRow }

/** Releases what is dead. After a block's headers, bookings and conflicts. */
export function applyReleases(draft: LedgerDraft, context: PegContext): void {
  // In the order of their keys: that of a ledger's maps depends on how a node came to it, and what is released is listed.
  const open = [...draft.open('batches').values()].sort((left, right) =>
    compareBytes(left.key, right.key),
  )
  for (const { key: batchId, row } of open) {
    const obstacle = obstacleOf(draft, context, row.inputs[0] as Uint8Array)
    if (obstacle === undefined || mayPay(draft, obstacle, row)) continue
    release(draft, batchId, row)
    const released = [...obstacle.row.released, batchId]
    if (obstacle.set === 'spends') draft.put('spends', obstacle.key, { ...obstacle.row, released })
    else draft.put('conflicts', obstacle.key, { ...obstacle.row, released })
  }
}

/**
 * What keeps an outpoint from ever being spent by another transaction, conflictDepth deep: it was spent, or its deposit was lost, or the
 * transaction that made it spends such an outpoint itself.
 */
function obstacleOf(
  draft: LedgerDraft,
  context: PegContext,
  outpoint: Uint8Array,
): Obstacle | undefined {
  for (const { key, maker, row } of rootsOf(draft, outpoint)) {
    if (row.state === OUTPUT_STATE.absent) {
      const conflict = conflictOf(draft, key)
      if (conflict && isDeep(draft, context, conflict)) {
        return { set: 'conflicts', key, row: conflict }
      }
      continue
    }
    const spend = draft.get('spends', row.spentBy)
    const isOther = maker === undefined || !equalBytes(row.spentBy, maker)
    const isBooked = spend?.state === SPEND_STATE.booked
    if (isOther && isBooked && isDeep(draft, context, spend)) {
      return { set: 'spends', key: row.spentBy, row: spend }
    }
  }
  return undefined
}

/** Deposits that a reorg took away and that open batches wait for, of which nobody has shown that they are lost. */
export function missingDeposits(ledger: Ledger): readonly Entry<OutputRow>[] {
  const draft = new LedgerDraft(ledger)
  const found = new Map<string, Entry<OutputRow>>()
  for (const { row } of ledger.open.batches.values()) {
    for (const root of rootsOf(draft, row.inputs[0] as Uint8Array)) {
      const isOpen =
        root.row.state === OUTPUT_STATE.absent && conflictOf(draft, root.key) === undefined
      if (isOpen) found.set(toHex(root.key), { key: root.key, row: root.row })
    }
  }
  return [...found.values()]
}

/** Whether it is a deposit that a reorg took away. */
export function isMissing(row: OutputRow | undefined): boolean {
  return row?.state === OUTPUT_STATE.absent && row.kind !== OUTPUT_KIND.change
}

/** What keeps a deposit from coming back, if that is in the header chain. */
export function conflictOf(
  draft: Pick<LedgerDraft, 'get'>,
  key: Uint8Array,
): ConflictRow | undefined {
  const conflict = draft.get('conflicts', key)
  return conflict === undefined || isZero(conflict.txid) ? undefined : conflict
}

interface Root extends Entry<OutputRow> {
  /** The transaction that would spend it, on the way to the outpoint that was asked for. */
  readonly maker?: Uint8Array
}

/**
 * The outpoint where it is spent or a deposit that is gone; of change that is gone, what the transaction that made it spends, since change
 * comes back with that one or never. Nothing where it is there.
 */
function* rootsOf(
  draft: LedgerDraft,
  outpoint: Uint8Array,
  maker?: Uint8Array,
  makers = new Set<string>(),
): Generator<Root> {
  const row = draft.get('outputs', outpoint)
  if (row === undefined || row.state === OUTPUT_STATE.live) return
  if (row.state !== OUTPUT_STATE.absent || row.kind !== OUTPUT_KIND.change) {
    yield { key: outpoint, row, ...(maker && { maker }) }
    return
  }
  const { txid } = splitOutpoint(outpoint)
  const made = draft.get('spends', txid)
  const parsed = made && parseTransaction(made.transaction)
  if (made?.state !== SPEND_STATE.recorded || !parsed?.ok) return
  // Each once: parts of a split that are spent together lead to it by many ways.
  const name = toHex(txid)
  if (makers.has(name) || makers.size === MAX_ANCESTORS) return
  makers.add(name)
  for (const input of parsed.value.inputs) {
    yield* rootsOf(draft, outpointKey(input.txid, input.vout), txid, makers)
  }
}

function isDeep(
  { state }: LedgerDraft,
  { params }: PegContext,
  { bitcoinHeight }: Pick<SpendRow, 'bitcoinHeight'>,
): boolean {
  return state.tipHeight - bitcoinHeight + 1 >= params.conflictDepth
}

/**
 * Whether the transaction pays a request of the batch from the reserve; then the batch is nobody's to release by rule. A stranger's
 * transaction pays nothing of ours, whatever it sends to whom.
 */
function mayPay(draft: LedgerDraft, obstacle: Obstacle, batch: BatchRow): boolean {
  const spend = obstacle.set === 'spends' ? obstacle.row : draft.get('spends', obstacle.row.txid)
  if (spend?.state !== SPEND_STATE.booked) return false
  // A version pays the requests of its own batch, which no other has, whoever they go to; its own that left the batch open cancels it.
  return spend.kind === SPEND_KIND.stray && paysAny(draft, spend, batch)
}

/** Whether a transaction has an output to a script that the batch pays: then the batch is nobody's to release by rule. */
function paysAny(draft: LedgerDraft, { transaction }: SpendRow, { requests }: BatchRow): boolean {
  const parsed = parseTransaction(transaction)
  if (!parsed.ok) throw new Error('a booked transaction does not parse')
  const scripts = requests.map((id) => (draft.get('requests', id) as RequestRow).scriptPubKey)
  return parsed.value.outputs.some(({ scriptPubKey }) =>
    scripts.some((script) => equalBytes(script, scriptPubKey)),
  )
}

function release(draft: LedgerDraft, batchId: Uint8Array, batch: BatchRow): void {
  for (const id of batch.requests) {
    const request = draft.get('requests', id) as RequestRow
    draft.put('requests', id, { ...request, state: REQUEST_STATE.open, batchId: ZERO_HASH })
  }
  freeBatchInputs(draft, batchId, batch)
  draft.put('batches', batchId, { ...batch, state: BATCH_STATE.released })
}

/**
 * A reorg took the conflict away: a batch whose requests nobody took meanwhile is open again. Of any other the requests are paid
 * or minted back elsewhere; should a version of it confirm now, it is a spend without a record.
 */
export function undoRelease(draft: LedgerDraft, batchId: Uint8Array): void {
  const batch = draft.get('batches', batchId) as BatchRow
  const requests = batch.requests.map((id) => draft.get('requests', id) as RequestRow)
  const isWhole = requests.every(({ state }) => state === REQUEST_STATE.open)
  const conflict = draft.get('outputs', batch.inputs[0] as Uint8Array) as OutputRow
  const isFree = equalBytes(conflict.batchId, ZERO_HASH)
  if (batch.state !== BATCH_STATE.released || !isWhole || !isFree) return
  for (const [index, id] of batch.requests.entries()) {
    const request = requests[index] as RequestRow
    draft.put('requests', id, { ...request, state: REQUEST_STATE.batched, batchId })
  }
  const inputs = batch.inputs.filter((key) => holdAgain(draft, batchId, key))
  draft.put('batches', batchId, { ...batch, state: BATCH_STATE.open, inputs })
}
