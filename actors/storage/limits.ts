/** Bounds of this room. */

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = 2_048

/** Blocks in one answer or one batch (design §9). */
export const MAX_BLOCKS_PER_READ = 128

/** Bytes in one answer (design §9). */
export const MAX_BYTES_PER_READ = 16 * 1024 * 1024

/** Blocks that one step of pruning takes, and their bytes: some milliseconds of the writer's time. */
export const PRUNE_BLOCKS = 64
export const PRUNE_BYTES = 4 * 1024 * 1024

/** Pruning takes at most a tenth of the writer's time: a step rests for so many times as long as it took, and at least so long. */
export const PRUNE_REST = 9
export const PRUNE_REST_MS = 250

/** A write of blocks that takes so long leaves no time for consensus within a slot. */
export const SLOW_WRITE_MS = 1_000
