/** Metrics of this room. */
export const SYNC_METRICS = {
  verified: 'millrace_sync_blocks_verified_total',
  rejected: 'millrace_sync_ranges_rejected_total',
} as const
