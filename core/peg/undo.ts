/** Taking back what a Bitcoin block did to the ledger, newest first, when a switch removes it (protocol §4.1, §4.9). */
import { equalBytes } from '../../crypto/index.ts'
import {
  BATCH_STATE,
  type BatchRow,
  type ConflictRow,
  DEFICIT_CAUSE,
  FUND_CAUSE,
  isZero,
  type LedgerDraft,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  REQUEST_STATE,
  type RequestRow,
  SPEND_KIND,
  SPEND_STATE,
  type SpendRow,
  ZERO_HASH,
} from '../ledger/index.ts'
import type { PegContext } from './context.ts'
import { setDeficit, setFund } from './fund.ts'
import { holdAgain } from './holds.ts'
import { undoRelease } from './releases.ts'

/**
 * Bookings, then deposits: within a block a deposit can be spent by a booking but not the other way round. The order among bookings is the
 * reverse of theirs, so a spender is undone before what it spent. Conflicts after bookings: a batch that opens again holds what they spent.
 */
export function undoBitcoinBlock(draft: LedgerDraft, context: PegContext, hash: Uint8Array): void {
  const effects = draft.get('effects', hash)
  if (effects === undefined) return
  for (const txid of effects.transactions.toReversed()) undoBooking(draft, context, txid)
  for (const key of effects.conflicts.toReversed()) undoConflict(draft, key)
  for (const key of effects.outputs.toReversed()) removeDeposit(draft, context, key)
  draft.put('effects', hash, { outputs: [], transactions: [], conflicts: [], creditedSat: 0n })
}

/** The deposit may come back after all, and what was released for its loss waits for it again. */
function undoConflict(draft: LedgerDraft, key: Uint8Array): void {
  const { released } = draft.get('conflicts', key) as ConflictRow
  const place = { bitcoinHash: ZERO_HASH, bitcoinHeight: 0 }
  draft.put('conflicts', key, { txid: ZERO_HASH, ...place, released: [] })
  for (const batchId of released) undoRelease(draft, batchId)
}

/** The coin leaves the reserve; what was credited for it stays and is missing from now on (4.9). */
function removeDeposit(draft: LedgerDraft, context: PegContext, key: Uint8Array): void {
  const row = draft.get('outputs', key) as OutputRow
  draft.put('outputs', key, { ...row, state: OUTPUT_STATE.absent })
  if (row.kind !== OUTPUT_KIND.refundable) {
    setDeficit(draft, DEFICIT_CAUSE.reorg, key, row.amountSat, context.height)
  }
}

function undoBooking(draft: LedgerDraft, context: PegContext, txid: Uint8Array): void {
  const spend = draft.get('spends', txid) as SpendRow
  for (const vout of spend.entered) {
    const key = outpointKey(txid, vout)
    const row = draft.get('outputs', key) as OutputRow
    draft.put('outputs', key, { ...row, state: OUTPUT_STATE.absent })
  }
  // A cancel may have released its batch: then nobody holds its inputs, unless the batch opens again.
  const isHolder =
    spend.kind === SPEND_KIND.version &&
    draft.get('batches', spend.batchId)?.state !== BATCH_STATE.released
  for (const key of spend.spent) {
    const row = draft.get('outputs', key) as OutputRow
    const batchId = isHolder ? spend.batchId : holderOf(draft, key)
    draft.put('outputs', key, { ...row, state: OUTPUT_STATE.live, spentBy: ZERO_HASH, batchId })
  }
  for (const batchId of spend.released) undoRelease(draft, batchId)
  const wasRecorded = !isZero(spend.batchId)
  draft.put('spends', txid, {
    ...spend,
    kind: wasRecorded ? SPEND_KIND.version : spend.kind,
    state: SPEND_STATE.recorded,
    bitcoinHash: ZERO_HASH,
    bitcoinHeight: 0,
    transactionIndex: 0,
    spent: [],
    entered: [],
    released: [],
    accepted: false,
  })
  if (spend.kind === SPEND_KIND.stray) {
    setDeficit(draft, DEFICIT_CAUSE.stray, txid, 0n, context.height)
    setFund(draft, FUND_CAUSE.surplus, txid, 0n, context.height)
    return
  }
  reopenBatch(draft, spend.batchId)
  setFund(draft, FUND_CAUSE.payout, spend.batchId, 0n, context.height)
}

function reopenBatch(draft: LedgerDraft, batchId: Uint8Array): void {
  const batch = draft.get('batches', batchId) as BatchRow
  if (batch.state === BATCH_STATE.released) return
  for (const id of batch.requests) {
    const request = draft.get('requests', id) as RequestRow
    draft.put('requests', id, {
      ...request,
      state: REQUEST_STATE.batched,
      paidSat: 0n,
      paidBy: ZERO_HASH,
    })
  }
  const inputs = batch.inputs.filter((key) => holdAgain(draft, batchId, key))
  draft.put('batches', batchId, {
    ...batch,
    state: BATCH_STATE.open,
    bookedTxid: ZERO_HASH,
    inputs,
  })
}

/** The open batch that has the outpoint among its inputs; zero when there is none. */
function holderOf(draft: LedgerDraft, key: Uint8Array): Uint8Array {
  for (const { key: batchId, row } of draft.open('batches').values()) {
    if (row.inputs.some((input) => equalBytes(input, key))) return batchId
  }
  return ZERO_HASH
}
