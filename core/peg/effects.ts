/** Notes of what a Bitcoin block brought, for the undo of a switch. */
import type { EffectsRow, LedgerDraft } from '../ledger/index.ts'

const NONE: EffectsRow = { outputs: [], transactions: [], conflicts: [], creditedSat: 0n }

/** A deposit of the block entered the ledger; `creditedSat` is zero for what is no credit. */
export function noteDeposit(
  draft: LedgerDraft,
  blockHash: Uint8Array,
  key: Uint8Array,
  creditedSat: bigint,
): void {
  const before = draft.get('effects', blockHash) ?? NONE
  draft.put('effects', blockHash, {
    ...before,
    outputs: [...before.outputs, key],
    creditedSat: before.creditedSat + creditedSat,
  })
}

/** A transaction of the block was booked. */
export function noteBooking(draft: LedgerDraft, blockHash: Uint8Array, txid: Uint8Array): void {
  const before = draft.get('effects', blockHash) ?? NONE
  draft.put('effects', blockHash, { ...before, transactions: [...before.transactions, txid] })
}

/** A transaction of the block keeps a deposit from coming back. */
export function noteConflict(draft: LedgerDraft, blockHash: Uint8Array, key: Uint8Array): void {
  const before = draft.get('effects', blockHash) ?? NONE
  draft.put('effects', blockHash, { ...before, conflicts: [...before.conflicts, key] })
}
