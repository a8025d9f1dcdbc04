/** Bounds of the libp2p adapter. */

/** Bytes and frames that wait for one peer; a block of 8 MiB must fit beside the votes. */
export const MAX_QUEUE_BYTES = 24 * 1024 * 1024
export const MAX_QUEUE_FRAMES = 4_096

/** Frames that arrived from one peer and were not taken yet: reading pauses above it. */
export const MAX_UNREAD_FRAMES = 64

/** For opening a stream to a peer, and for the peer to take one frame. */
export const STREAM_OPEN_MS = 10_000
export const FRAME_WRITE_MS = 30_000

/** Requests of one connection that are served at once, and the time for serving one. */
export const MAX_INBOUND_REQUESTS = 8
export const MAX_OUTBOUND_REQUESTS = 16
export const SERVE_MS = 15_000

/** Gossip that waits for judgement, of all peers; more is ignored. */
export const MAX_UNJUDGED = 2_048

/** While peers are not read: how soon a stream of gossip that was opened meanwhile is paused as well. */
export const PAUSE_SWEEP_MS = 100

/** Content seen is not relayed again for so long; consensus repeats itself later on purpose (protocol §2.6). */
export const GOSSIP_SEEN_MS = 20_000
export const GOSSIP_HEARTBEAT_MS = 1_000
export const GOSSIP_WRITE_BUFFER_BYTES = 24 * 1024 * 1024

export const STREAM_WINDOW_BYTES = 256 * 1024
export const MAX_STREAM_WINDOW_BYTES = 1024 * 1024
export const STREAM_READ_BUFFER_BYTES = 4 * 1024 * 1024

export const DIAL_MS = 10_000
export const PING_INTERVAL_MS = 15_000
export const MIN_PING_TIMEOUT_MS = 15_000
/** New connections a second from one host: a whole federation may run on one. */
export const INBOUND_PER_HOST_PER_SECOND = 50
export const MAX_PENDING_INBOUND = 32
export const CLOSE_MS = 1_000
