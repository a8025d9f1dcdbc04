/**
 * What the NetworkActor needs from outside: peers that can be dialled, framed direct streams, gossip, and
 * requests with answers. Peers are named by their peer id, which their connection proved. Sizes are checked
 * here before anything is decoded; what the bytes mean is the actor's affair.
 */

/** Why a connection ended or a request failed. The first ones are this side's decision. */
export type PeerCode =
  | 'ForeignGenesis'
  | 'NoStatus'
  | 'TooManyPeers'
  | 'Banned'
  | 'Stopping'
  /** It did not take what was sent to it in time, or the queue to it was full. */
  | 'SlowPeer'
  | 'FrameTooLarge'
  | 'ConnectionClosed'
  | 'DialFailed'
  | 'NotConnected'
  | 'Timeout'
  | 'TooLarge'
  | 'Refused'
  | 'Unsupported'

export interface Topic {
  readonly name: string
  /** Larger messages are neither decoded nor relayed. */
  readonly maxBytes: number
}

export interface Protocol {
  readonly name: string
  /** Of a request; answers are bounded by whoever asks. */
  readonly maxRequestBytes: number
}

export interface NetworkStart {
  /** Multiaddrs. */
  readonly listen: readonly string[]
  readonly topics: readonly Topic[]
  readonly protocols: readonly Protocol[]
  /** Of the ordered stream of frames to each peer. */
  readonly direct: { readonly name: string; readonly maxFrameBytes: number }
  readonly maxPeers: number
  readonly events: NetworkEvents
}

export interface NetworkIdentity {
  readonly peer: string
  /** Multiaddrs with the peer id at their end. */
  readonly addresses: readonly string[]
}

/** What the port tells. None of these may throw. */
export interface NetworkEvents {
  peerConnected(peer: {
    readonly peer: string
    readonly address: string
    readonly inbound: boolean
  }): void
  peerDisconnected(peer: { readonly peer: string; readonly code: PeerCode }): void
  /** The next frame of this peer is read after `takeFrame(peer)`: a slow actor slows the peer's socket (SU-9). */
  frame(frame: { readonly peer: string; readonly bytes: Uint8Array }): void
  /** Relayed only after `judge(id, 'accept')`. Few wait for judgement at once; the rest is ignored. */
  gossip(message: {
    readonly id: number
    readonly topic: string
    readonly peer: string
    readonly bytes: Uint8Array
  }): void
  /** To be answered by `respond(id, …)` within the adapter's deadline. */
  request(request: {
    readonly id: number
    readonly peer: string
    readonly protocol: string
    readonly bytes: Uint8Array
  }): void
}

export type GossipVerdict = 'accept' | 'ignore' | 'reject'

export interface RequestLimits {
  readonly timeoutMs: number
  readonly maxBytes: number
}

export type PortResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: PeerCode }

export interface NetworkPort {
  /** Rejects when it cannot listen. */
  start(start: NetworkStart): Promise<NetworkIdentity>
  stop(): Promise<void>
  /** Connects to a multiaddr that names its peer. Resolves also when it is connected already. */
  dial(address: string, timeoutMs: number): Promise<PortResult<string>>
  disconnect(peer: string, code: PeerCode): void
  /** Disconnects and refuses connections from and to this peer for so long. */
  ban(peer: string, forMs: number): void
  /** To the topic's subscribers. Content that was published or seen a short while ago is not sent again. */
  publish(topic: string, bytes: Uint8Array): Promise<void>
  judge(id: number, verdict: GossipVerdict): void
  /** Queues a frame; false when the peer is not connected or its queue is full, which ends the connection. */
  send(peer: string, bytes: Uint8Array): boolean
  takeFrame(peer: string): void
  /**
   * While paused nothing more is read from any peer: direct streams, gossip and requests. What they send stays with them (SU-9);
   * answers to our own requests are read. What was read before is still told. A start ends the pause.
   */
  pauseReading(paused: boolean): void
  request(
    peer: string,
    protocol: string,
    bytes: Uint8Array,
    limits: RequestLimits,
  ): Promise<PortResult<Uint8Array>>
  /** Undefined refuses the request. */
  respond(id: number, bytes: Uint8Array | undefined): void
}
