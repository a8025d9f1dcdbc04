/** Metrics of this room. */
export const STORAGE_METRICS = {
  commitSeconds: 'millrace_storage_commit_seconds',
  /** Asked for, and not what was written. */
  damagedBlocks: 'millrace_storage_damaged_blocks_total',
  blocksPruned: 'millrace_storage_blocks_pruned_total',
  blocksWritten: 'millrace_storage_blocks_written_total',
} as const
