/** Metrics of this room. */
export const CHECKPOINT_METRICS = {
  /** `kind`: the difference to the last one, or all of the state. */
  made: 'millrace_checkpoints_made_total',
  failed: 'millrace_checkpoints_failed_total',
  seconds: 'millrace_checkpoint_seconds',
  restored: 'millrace_checkpoint_states_restored_total',
  ledgersRepaired: 'millrace_checkpoint_ledgers_repaired_total',
} as const
