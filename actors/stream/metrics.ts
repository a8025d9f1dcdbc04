/** Metrics of this room. */
export const STREAM_METRICS = {
  /** Requests and answers sent to members, by kind and outcome. */
  sent: 'stream_sent_total',
  /** Queries of members that were answered, by kind. */
  queries: 'stream_queries_total',
  /** Connections that were not let in, by code. */
  refused: 'stream_refused_total',
} as const
