/** Metrics of this room; `alys_` names where they mean what Alys' do (OP-4). */
export const ENGINE_METRICS = {
  /** Transactions of blocks of this node that were executed before the block's slot. */
  prepared: 'millrace_engine_prepared_transactions_total',
  builds: 'alys_engine_build_block_calls_total',
  commits: 'alys_engine_commit_block_calls_total',
} as const
