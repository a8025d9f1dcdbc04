/** Metrics of this room; `alys_` names where they mean what Alys' do (OP-4). What the ledger knows is read from it. */
export const BRIDGE_METRICS = {
  bitcoinBlocks: 'alys_chain_btc_block_monitor_totals',
  depositsSeen: 'millrace_deposits_seen_total',
  broadcasts: 'millrace_broadcasts_total',
} as const
