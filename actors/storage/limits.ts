/** Bounds of this room. */

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = 2_048

/** Blocks in one answer or one batch (design §9). */
export const MAX_BLOCKS_PER_READ = 128

/** Bytes in one answer (design §9). */
export const MAX_BYTES_PER_READ = 16 * 1024 * 1024

/** A write of blocks that takes so long leaves no time for consensus within a slot. */
export const SLOW_WRITE_MS = 1_000
