/** Metrics of this room. */
export const STORAGE_METRICS = {
  commitSeconds: 'millrace_storage_commit_seconds',
  blocksWritten: 'millrace_storage_blocks_written_total',
} as const
