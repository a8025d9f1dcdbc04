/** Metrics of this room. */
export const NETWORK_METRICS = {
  judged: 'millrace_network_gossip_judged_total',
  bans: 'millrace_network_bans_total',
  disconnects: 'millrace_network_disconnects_total',
  readPauses: 'millrace_network_read_pauses_total',
} as const
