/** Every bound of the API (OP-2). */
export interface ApiLimits {
  readonly bodyBytes: number
  /** Bytes of the bodies of all requests that are under way; more are told to come back. */
  readonly allBodyBytes: number
  readonly batchItems: number
  readonly responseBytes: number
  /** Items of one batch under way at the same time. */
  readonly batchConcurrency: number
  /** Requests under way at the same time; more are told to come back. */
  readonly inFlight: number
  readonly logBlocks: number
  /** How long a log query looks at blocks before others have the thread, queries at once, and those that wait. */
  readonly logSliceMs: number
  readonly logQueries: number
  readonly logQueriesWaiting: number
  readonly logResults: number
  /** Addresses, and alternatives of one topic, in a log query. */
  readonly logAlternatives: number
  readonly feeHistoryBlocks: number
  readonly filters: number
  /** A filter that nobody polled for so long is removed. */
  readonly filterIdleMs: number
  /** Transactions that txpool_content tells. */
  readonly poolContent: number
  readonly eventClients: number
  /** WebSocket clients at once; requests of one under way, and notices that wait for it. */
  readonly sockets: number
  readonly socketRequests: number
  readonly socketNotices: number
  readonly socketHeartbeatMs: number
  /** Subscriptions of one WebSocket client, and of all. */
  readonly subscriptionsPerSocket: number
  readonly subscriptions: number
  /** New blocks that are told one by one after a gap; of a longer one the last. */
  readonly subscriptionBlocks: number
  /** Bytes that wait for a slow reader of /events; beyond it the connection is closed and it comes back. */
  readonly eventBufferBytes: number
  readonly eventHeartbeatMs: number
  /** Views are compared at most so often, and at least so often while somebody looks. */
  readonly eventMinMs: number
  readonly eventMaxMs: number
  readonly statusBlocks: number
  readonly statusOperations: number
  /** Rows of each list in a page of `millrace_evidence`. */
  readonly evidenceRows: number
  /** Entries in a page of `millrace_addressHistory`. */
  readonly historyEntries: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  /** When the node stops: how long requests that are under way may take. */
  readonly closeMs: number
  /** Clients whose rates are remembered. */
  readonly rateClients: number
  readonly rates: Readonly<Record<RateClass, Rate>>
}

/** Methods of one class share the numbers; each method of a client has a bucket of its own. */
export type RateClass = 'light' | 'state' | 'heavy' | 'send' | 'rare' | 'claim' | 'admin'

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

const UNLIMITED: Rate = { perSecond: 1_000_000_000, burst: 1_000_000_000 }

/** For a node whose one client is trusted; admin methods keep theirs. */
export const UNLIMITED_RATES: ApiLimits['rates'] = {
  light: UNLIMITED,
  state: UNLIMITED,
  heavy: UNLIMITED,
  send: UNLIMITED,
  rare: UNLIMITED,
  claim: UNLIMITED,
  admin: { perSecond: 5, burst: 20 },
}

export const DEFAULT_API_LIMITS: ApiLimits = {
  bodyBytes: 5 * 1024 * 1024,
  allBodyBytes: 64 * 1024 * 1024,
  batchItems: 1_000,
  responseBytes: 25 * 1024 * 1024,
  batchConcurrency: 16,
  inFlight: 1_000,
  logBlocks: 5_000,
  logSliceMs: 5,
  logQueries: 2,
  logQueriesWaiting: 64,
  logResults: 20_000,
  logAlternatives: 1_000,
  feeHistoryBlocks: 1_024,
  filters: 1_000,
  filterIdleMs: 5 * 60_000,
  poolContent: 5_000,
  eventClients: 100,
  sockets: 500,
  socketRequests: 100,
  socketNotices: 1_000,
  socketHeartbeatMs: 30_000,
  subscriptionsPerSocket: 64,
  subscriptions: 2_000,
  subscriptionBlocks: 64,
  eventBufferBytes: 1024 * 1024,
  eventHeartbeatMs: 15_000,
  eventMinMs: 100,
  eventMaxMs: 1_000,
  statusBlocks: 24,
  statusOperations: 40,
  evidenceRows: 100,
  historyEntries: 100,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  closeMs: 3_000,
  rateClients: 4_096,
  rates: {
    light: { perSecond: 2_000, burst: 4_000 },
    state: { perSecond: 2_000, burst: 4_000 },
    heavy: { perSecond: 200, burst: 400 },
    send: { perSecond: 2_000, burst: 10_000 },
    rare: { perSecond: 2, burst: 50 },
    // The bridge looks at one block in two seconds for all: no client takes more than a fifth of that.
    claim: { perSecond: 0.1, burst: 5 },
    admin: { perSecond: 5, burst: 20 },
  },
}
