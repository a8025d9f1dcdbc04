import { type FaultClass, faultError } from '../../supervisor/index.ts'

/** Faults of this room; the class decides what the supervisor does. */
export const STORAGE_FAULTS = {
  /** What is read is not what was written (checksum, decoding, LMDB's own pages): the ledger is made again from a checkpoint, anything else is an operator's. */
  StoreDamaged: 'corruption',
  /** The ledger's rows do not give the root that the head commits to, as Chain says. */
  LedgerDamaged: 'corruption',
  /** All of history is wanted, and a part of it was pruned: only a new synchronization brings it back (PR-5). */
  HistoryPruned: 'configuration',
  /** The store was written by a program with other rows: an older or a newer one. */
  LayoutUnknown: 'configuration',
  /** A write failed: the actor restarts and the writer's ask fails. */
  WriteFailed: 'service',
  /** A write beside the chain failed: the actor restarts, and its writer, who goes on, writes it again. */
  JournalWriteFailed: 'service',
  /** The disk is full, broken or read-only: no restart helps, so the node stops cleanly and says why. */
  DiskUnusable: 'configuration',
} as const satisfies Record<string, FaultClass>

/** What a write's rejection means; the store itself knows when the disk is to blame. */
export function writeFault(
  cause: unknown,
  failed: 'WriteFailed' | 'JournalWriteFailed' = 'WriteFailed',
): Error {
  if (cause instanceof Error && (cause as { code?: unknown }).code === 'DiskUnusable') return cause
  return faultError(failed, STORAGE_FAULTS[failed], String(cause))
}
