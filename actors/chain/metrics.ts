/** Metrics of this room; `alys_` names where they mean what Alys' do (OP-4). */
export const CHAIN_METRICS = {
  blocksProduced: 'alys_aura_produced_blocks_total',
  blocksCommitted: 'millrace_blocks_committed_total',
  viewChanges: 'millrace_view_changes_total',
  /** By why the view was left without a decision. */
  viewFailures: 'millrace_view_failures_total',
  /** Of failed views, from their start: when the proposal and the prepare quorum were here, and when the view was left. */
  viewLateness: 'millrace_view_lateness_seconds',
  slotsSkipped: 'millrace_slots_skipped_total',
  /** Blocks built anew without peg operations, by what was wrong with them. */
  pegPlansFailed: 'millrace_peg_plans_failed_total',
  halts: 'millrace_halts_total',
  /** Convictions, by phase and source: found here, told by a peer, carried by a block. */
  evidence: 'millrace_evidence_total',
  commitSeconds: 'millrace_commit_seconds',
} as const
