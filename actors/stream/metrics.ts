/** Metrics of this room. */
export const STREAM_METRICS = {
  /** Members with an open stream. */
  connectedMembers: 'millrace_stream_connected_members',
  /** Answers of members by kind and decision. */
  answers: 'millrace_stream_answers_total',
  /** Connections that were not let in, by code. */
  refused: 'millrace_stream_refused_total',
} as const
