/** Metrics of this room; `alys_` names where they mean what Alys' do (OP-4). */
export const BRIDGE_METRICS = {
  pegIns: 'alys_chain_pegin_totals',
  bitcoinBlocks: 'alys_chain_btc_block_monitor_totals',
  approvalsRefused: 'millrace_approvals_refused_total',
  signaturesRefused: 'millrace_signatures_refused_total',
  broadcasts: 'millrace_broadcasts_total',
} as const
