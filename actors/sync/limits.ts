/** Bounds of this room (SY-1, SY-3, SY-5). */

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = 256

export interface SyncLimits {
  /** Blocks of a range; the first one of a plan holds one more. At most 127. */
  readonly rangeLength: number
  readonly requestsPerPeer: number
  readonly requests: number
  /** Ranges that are planned ahead of the imported height. */
  readonly rangesAhead: number
  /** Bytes of blocks that wait for import, of all ranges but the lowest. */
  readonly lookAheadBytes: number
}

export const DEFAULT_LIMITS: SyncLimits = {
  rangeLength: 100,
  requestsPerPeer: 4,
  requests: 16,
  rangesAhead: 32,
  lookAheadBytes: 64 * 1024 * 1024,
}

/** Blocks in one answer and in one batch for Chain. */
export const MAX_BATCH_BLOCKS = 128
export const MAX_BATCH_BYTES = 16 * 1024 * 1024

/** A range without an answer goes to another peer. */
export const REASSIGN_MS = 10_000
export const RANGE_ASK_MS = 12_000
export const PEERS_ASK_MS = 5_000
/** For importing one batch: execution of full blocks takes long. */
export const IMPORT_ASK_MS = 120_000

export const PROGRESS_PERIOD_MS = 1_000
/** Rest before a stalled episode is tried again. */
export const STALL_MS = 3_000

/** A peer that did not answer is left alone for so long, doubled by each further failure. */
export const REST_FIRST_MS = 1_000
export const REST_MAX_MS = 30_000
/** Failures in a row after which a peer's claim counts for nothing in this episode. */
export const MAX_FAILURES = 3

/** Blocks that are verified before others have their turn. */
export const VERIFY_SLICE = 4
