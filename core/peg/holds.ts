/** The outputs that a batch holds, so that nothing else spends them (PO-10). */
import { equalBytes } from '../../crypto/index.ts'
import {
  type BatchRow,
  isZero,
  type LedgerDraft,
  OUTPUT_STATE,
  type OutputRow,
  ZERO_HASH,
} from '../ledger/index.ts'

/** What only other versions of the batch would have spent is free again. */
export function freeBatchInputs(
  draft: LedgerDraft,
  batchId: Uint8Array,
  { inputs }: BatchRow,
): void {
  for (const key of inputs) {
    const row = draft.get('outputs', key) as OutputRow
    if (!equalBytes(row.batchId, batchId)) continue
    draft.put('outputs', key, { ...row, batchId: ZERO_HASH })
  }
}

/** What an open batch would spend is locked for it again, unless it went elsewhere meanwhile. */
export function holdAgain(draft: LedgerDraft, batchId: Uint8Array, key: Uint8Array): boolean {
  const row = draft.get('outputs', key) as OutputRow
  if (equalBytes(row.batchId, batchId)) return true
  const isGone = row.state === OUTPUT_STATE.spent || row.state === OUTPUT_STATE.refunded
  if (isGone || !isZero(row.batchId)) return false
  draft.put('outputs', key, { ...row, batchId })
  return true
}
