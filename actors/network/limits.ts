/** Bounds of this room. What an operator may want to change is an option, see `NetworkLimits`. */
import { MAX_BLOCK_BYTES, MAX_TRANSACTION_BYTES } from '../../core/block/index.ts'

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = { default: 2_048, gossip: 4_096 } as const

/** One consensus message: the largest is a proposal, a block with a certificate and a signature around it. */
export const MAX_CONSENSUS_BYTES = MAX_BLOCK_BYTES + 16 * 1024
export const MAX_APPROVAL_BYTES = 512 * 1024
export { MAX_TRANSACTION_BYTES }

/** Blocks and bytes in one answer (design §9, SY-5). */
export const MAX_RANGE_BLOCKS = 128
export const MAX_RANGE_BYTES = 16 * 1024 * 1024
/** Answers that are read and encoded at once, of all peers; more are refused. */
export const MAX_SERVING = 2

export const DIAL_TIMEOUT_MS = 10_000
export const STATUS_TIMEOUT_MS = 10_000
export const RANGE_TIMEOUT_MS = 10_000
export const BLOCK_TIMEOUT_MS = 5_000
export const STORAGE_TIMEOUT_MS = 10_000

export const TEND_PERIOD_MS = 5_000

/** Reconnection to static peers. */
export const BACKOFF_FIRST_MS = 1_000
export const BACKOFF_MAX_MS = 60_000
export const BACKOFF_JITTER = 0.1

/** The same consensus message is told to Chain once in this time: it comes over several paths, and again per slot. */
export const REPEAT_MS = 500
/** Verified messages that are remembered: buckets, and entries of one. */
export const RECENT_BUCKETS = 256
export const RECENT_PER_BUCKET = 16

/** Above this size a copy that gossip carries does not go directly as well, unless it is repeated. */
export const DIRECT_COPY_BYTES = 64 * 1024
/** A message that went to all static peers directly is gossiped so much later, if its height is still open; so many wait. */
export const LATE_GOSSIP_MS = 250
export const MAX_LATE_GOSSIP = 64
/** Prepare certificates of so many statements are known; another one of the same says nothing new. */
export const MAX_PREPARED = 64

/** Peers that are asked for one such block, one after another. */
export const MAX_FETCH_PEERS = 4

/** Gossip about heights this far below ours is not relayed. */
export const STALE_HEIGHTS = 2
/** A peer this far ahead means that something is missing here. */
export const BEHIND_HEIGHTS = 2

/** Gossiped transactions and evidence that a pool looks at, and how long one may take: it is ignored then, at the next tending. */
export const MAX_WEIGHED = 1_024
export const WEIGH_TIMEOUT_MS = 2_000

/** Penalties of peers that are remembered, those of connected peers first. */
export const MAX_PENALTIES = 1_024

/** A bucket: refilled per second up to the burst. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export type RateClass =
  | 'consensus'
  | 'consensusBytes'
  | 'relayed'
  | 'relayedBytes'
  | 'signer'
  | 'stale'
  | 'gossip'
  | 'gossipBytes'
  | 'transactions'
  | 'transactionBytes'
  | 'evidence'
  | 'request'

export interface NetworkLimits {
  readonly maxPeers: number
  /** Of them, how many may have come to us; static peers do not count. */
  readonly maxInbound: number
  readonly rates: Readonly<Record<RateClass, Rate>>
  /** Penalty points at which a peer is banned, how many it loses per minute, and the ban's length. */
  readonly banPoints: number
  readonly forgivenPerMinute: number
  readonly banMs: number
}

export const DEFAULT_LIMITS: NetworkLimits = {
  maxPeers: 50,
  maxInbound: 40,
  rates: {
    consensus: { perSecond: 500, burst: 2_000 },
    consensusBytes: { perSecond: 16 * 1024 * 1024, burst: 64 * 1024 * 1024 },
    // What a peer passes on for others: above it nothing is read, but the peer is not to blame.
    relayed: { perSecond: 500, burst: 2_000 },
    relayedBytes: { perSecond: 16 * 1024 * 1024, burst: 64 * 1024 * 1024 },
    // Different genuine messages of one validator, over all peers: an honest one sends a handful per view.
    signer: { perSecond: 20, burst: 200 },
    // Messages about decided heights: who is behind says so a few times per slot, and each is verified.
    stale: { perSecond: 4, burst: 16 },
    gossip: { perSecond: 1_000, burst: 4_000 },
    gossipBytes: { perSecond: 2 * 1024 * 1024, burst: 16 * 1024 * 1024 },
    // MP-8: transactions of one peer, unless the operator named it: what the federation's own nodes were given they all pass on.
    transactions: { perSecond: 100, burst: 1_000 },
    transactionBytes: { perSecond: 1024 * 1024, burst: 1024 * 1024 },
    // Two signatures are verified for each that is news: an offence is rare, and one peer tells of it once.
    evidence: { perSecond: 2, burst: 32 },
    request: { perSecond: 20, burst: 60 },
  },
  banPoints: 100,
  forgivenPerMinute: 10,
  banMs: 600_000,
}
