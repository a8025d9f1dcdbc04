/**
 * Releases (protocol §4.5): a batch ends unpaid when no version of it can ever confirm, because another booked transaction spent its
 * conflict input and is buried deep. Its requests wait for a new batch, which has another conflict input.
 */
import { compareBytes, equalBytes } from '../../crypto/index.ts'
import { parseTransaction } from '../bitcoin/index.ts'
import {
  BATCH_STATE,
  type BatchRow,
  type LedgerDraft,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  REQUEST_STATE,
  type RequestRow,
  SPEND_STATE,
  type SpendRow,
  splitOutpoint,
  ZERO_HASH,
} from '../ledger/index.ts'
import type { PegContext } from './context.ts'
import { freeBatchInputs, holdAgain } from './holds.ts'

/** How many transactions back a conflict is looked for. */
const MAX_ANCESTORS = 32

/** Releases what is dead. After a block's headers and bookings. */
export function applyReleases(draft: LedgerDraft, context: PegContext): void {
  // In the order of their keys: that of a ledger's maps depends on how a node came to it, and what is released is listed.
  const open = [...draft.open('batches').values()].sort((left, right) =>
    compareBytes(left.key, right.key),
  )
  for (const { key: batchId, row } of open) {
    const conflict = conflictOf(draft, context, row.inputs[0] as Uint8Array)
    const spend = conflict && draft.get('spends', conflict)
    if (conflict === undefined || spend === undefined) continue
    // Its own version that spent it and left it open is one that cancels.
    const isCancel = equalBytes(spend.batchId, batchId)
    if (!isCancel && paysAny(draft, spend, row)) continue
    release(draft, batchId, row)
    draft.put('spends', conflict, { ...spend, released: [...spend.released, batchId] })
  }
}

/**
 * The booked transaction, conflictDepth deep, that keeps an outpoint from ever being spent by another: it spent it, or it spent what
 * the transaction that made the outpoint would spend.
 */
function conflictOf(
  draft: LedgerDraft,
  context: PegContext,
  outpoint: Uint8Array,
  depth = 0,
): Uint8Array | undefined {
  const row = draft.get('outputs', outpoint)
  if (row === undefined || depth > MAX_ANCESTORS) return undefined
  if (row.state === OUTPUT_STATE.spent || row.state === OUTPUT_STATE.refunded) {
    return isDeep(draft, context, row.spentBy) ? row.spentBy : undefined
  }
  // A deposit that a reorg took away may come back; change comes back with the transaction that made it, or never.
  if (row.state !== OUTPUT_STATE.absent || row.kind !== OUTPUT_KIND.change) return undefined
  const { txid } = splitOutpoint(outpoint)
  const maker = draft.get('spends', txid)
  const parsed = maker && parseTransaction(maker.transaction)
  if (maker?.state !== SPEND_STATE.recorded || !parsed?.ok) return undefined
  for (const input of parsed.value.inputs) {
    const key = outpointKey(input.txid, input.vout)
    const found = conflictOf(draft, context, key, depth + 1)
    if (found !== undefined && !equalBytes(found, txid)) return found
  }
  return undefined
}

function isDeep(draft: LedgerDraft, { params }: PegContext, txid: Uint8Array): boolean {
  const spend = draft.get('spends', txid)
  if (spend?.state !== SPEND_STATE.booked) return false
  return draft.state.tipHeight - spend.bitcoinHeight + 1 >= params.conflictDepth
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
