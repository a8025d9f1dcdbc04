/**
 * The network port on libp2p 3: TCP, noise, yamux, identify, gossipsub, and our own frames on two kinds of
 * streams (one ordered stream to each peer, one short stream per request). Follows design §9 and protocol §2.10.
 * Invariants: nothing is relayed before the actor accepted it; every queue is bounded; every wait has a deadline;
 * a peer that is not read from slows its own socket only.
 */
import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub'
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type {
  GossipVerdict,
  NetworkIdentity,
  NetworkPort,
  NetworkStart,
  PeerCode,
  PortResult,
  RequestLimits,
} from '../../../actors/network/index.ts'
import { DirectReader, DirectWriter } from './direct.ts'
import { createHost, type Host } from './host.ts'
import { networkKey } from './identity.ts'
import { CLOSE_MS, MAX_INBOUND_REQUESTS, MAX_UNJUDGED, PAUSE_SWEEP_MS } from './limits.ts'
import { RequestServer, requestFrom } from './requests.ts'

export { NETWORK_SEED_BYTES, networkPeerId } from './identity.ts'

export interface Libp2pNetworkOptions {
  /** 32 random bytes that the caller keeps for the life of the node: its Ed25519 identity. */
  readonly keySeed: Uint8Array
}

interface Peer {
  readonly id: PeerId
  readonly writer: DirectWriter
  readonly reader: DirectReader
  /** Why this side ends the connection. */
  closing: PeerCode | undefined
}

const GOSSIP_PROTOCOL = '/meshsub/'

const RESULTS = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
} as const

/** A port that is not started yet; it may be stopped and started again. */
export function createLibp2pNetwork(options: Libp2pNetworkOptions): NetworkPort {
  return new Libp2pNetwork(options)
}

class Libp2pNetwork implements NetworkPort {
  private readonly keySeed: Uint8Array
  private host: Host | undefined
  private settings: NetworkStart | undefined
  private peers = new Map<string, Peer>()
  private readonly bannedUntilMs = new Map<string, number>()
  private readonly unjudged = new Map<number, (verdict: GossipVerdict) => void>()
  private server = new RequestServer()
  private paused = false
  private sweep: NodeJS.Timeout | undefined
  private nextGossipId = 1

  constructor(options: Libp2pNetworkOptions) {
    this.keySeed = options.keySeed
  }

  async start(start: NetworkStart): Promise<NetworkIdentity> {
    await this.stop()
    this.settings = start
    const host = await createHost(await networkKey(this.keySeed), start, (peer) =>
      this.isBanned(peer.toString()),
    )
    this.host = host
    host.addEventListener('peer:connect', (event) => this.connected(event.detail))
    host.addEventListener('peer:disconnect', (event) => this.disconnected(event.detail))
    await this.handleStreams(host, start)
    for (const { name, maxBytes } of start.topics) {
      host.services.gossip.topicValidators.set(name, (peer, { data }) =>
        data.length > maxBytes ? RESULTS.reject : this.offerGossip(name, peer.toString(), data),
      )
    }
    await host.start()
    for (const { name } of start.topics) host.services.gossip.subscribe(name)
    return {
      peer: host.peerId.toString(),
      addresses: host.getMultiaddrs().map((address) => address.toString()),
    }
  }

  async stop(): Promise<void> {
    const host = this.host
    this.host = undefined
    this.settings = undefined
    clearInterval(this.sweep)
    this.paused = false
    this.server.release()
    for (const settle of [...this.unjudged.values()]) settle('ignore')
    this.server.close()
    for (const peer of this.peers.values()) closeStreams(peer)
    this.peers = new Map()
    await host?.stop()
  }

  async dial(address: string, timeoutMs: number): Promise<PortResult<string>> {
    const host = this.host
    if (host === undefined) return { ok: false, code: 'Stopping' }
    try {
      const connection = await host.dial(multiaddr(address), {
        signal: AbortSignal.timeout(timeoutMs),
      })
      const peer = connection.remotePeer.toString()
      // A connection that is being ended is none.
      if (this.isBanned(peer) || this.peers.get(peer)?.closing !== undefined) {
        return { ok: false, code: 'DialFailed' }
      }
      return { ok: true, value: peer }
    } catch {
      return { ok: false, code: 'DialFailed' }
    }
  }

  disconnect(peer: string, code: PeerCode): void {
    const entry = this.peers.get(peer)
    if (entry === undefined || this.host === undefined) return
    entry.closing ??= code
    closeStreams(entry)
    void this.host.hangUp(entry.id, { signal: AbortSignal.timeout(CLOSE_MS) }).catch(() => {
      for (const connection of this.host?.getConnections(entry.id) ?? []) {
        connection.abort(new Error(code))
      }
    })
  }

  ban(peer: string, forMs: number): void {
    const nowMs = performance.now()
    for (const [banned, untilMs] of this.bannedUntilMs) {
      if (untilMs <= nowMs) this.bannedUntilMs.delete(banned)
    }
    this.bannedUntilMs.set(peer, nowMs + forMs)
    this.disconnect(peer, 'Banned')
  }

  async publish(topic: string, bytes: Uint8Array): Promise<void> {
    await this.host?.services.gossip.publish(topic, bytes)
  }

  judge(id: number, verdict: GossipVerdict): void {
    this.unjudged.get(id)?.(verdict)
  }

  send(peer: string, bytes: Uint8Array): boolean {
    return this.peers.get(peer)?.writer.push(bytes) ?? false
  }

  takeFrame(peer: string): void {
    this.peers.get(peer)?.reader.take()
  }

  pauseReading(paused: boolean): void {
    this.paused = paused
    clearInterval(this.sweep)
    for (const { reader } of this.peers.values()) {
      if (paused) reader.hold()
      else reader.release()
    }
    if (paused) this.server.hold()
    else this.server.release()
    this.turnGossip()
    // Peers may open new streams of gossip meanwhile; they belong to gossipsub, which tells of none.
    if (paused) this.sweep = setInterval(() => this.turnGossip(), PAUSE_SWEEP_MS).unref()
  }

  /** Lets the streams of gossip flow, or not; while one is paused yamux gives its sender no more window. */
  private turnGossip(): void {
    const connections = this.host?.getConnections() ?? []
    for (const stream of connections.flatMap(({ streams }) => streams)) {
      if (stream.direction !== 'inbound' || !stream.protocol.startsWith(GOSSIP_PROTOCOL)) continue
      if (this.paused && stream.readStatus === 'readable') stream.pause()
      if (!this.paused && stream.readStatus === 'paused') stream.resume()
    }
  }

  request(
    peer: string,
    protocol: string,
    bytes: Uint8Array,
    limits: RequestLimits,
  ): Promise<PortResult<Uint8Array>> {
    const entry = this.peers.get(peer)
    if (entry === undefined) return Promise.resolve({ ok: false, code: 'NotConnected' })
    return requestFrom(() => this.connectionOf(entry.id), protocol, bytes, limits)
  }

  respond(id: number, bytes: Uint8Array | undefined): void {
    void this.server.respond(id, bytes)
  }

  private async handleStreams(host: Host, { direct, protocols, events }: NetworkStart) {
    await host.handle(
      direct.name,
      (stream, connection) => {
        const peer = this.connected(connection.remotePeer)
        if (peer === undefined) return stream.abort(new Error('not connected'))
        peer.reader.attach(stream, direct.maxFrameBytes, () =>
          this.disconnect(peer.id.toString(), 'FrameTooLarge'),
        )
      },
      { maxInboundStreams: 4, maxOutboundStreams: 4 },
    )
    for (const { name, maxRequestBytes } of protocols) {
      const serve = (stream: Stream, { remotePeer }: Connection) => {
        if (this.connected(remotePeer) === undefined)
          return stream.abort(new Error('not connected'))
        this.server.accept(stream, maxRequestBytes, (id, bytes) =>
          events.request({ id, peer: remotePeer.toString(), protocol: name, bytes }),
        )
      }
      await host.handle(name, serve, { maxInboundStreams: MAX_INBOUND_REQUESTS })
    }
  }

  /** Notes a peer once, whichever comes first: the event of its connection or its first stream. */
  private connected(id: PeerId): Peer | undefined {
    const name = id.toString()
    const known = this.peers.get(name)
    if (known !== undefined) return known
    const connection = this.connectionOf(id)
    const { settings } = this
    if (connection === undefined || settings === undefined) return undefined
    const peer: Peer = {
      id,
      writer: new DirectWriter(
        () => this.connectionOf(id),
        settings.direct.name,
        (code) => this.disconnect(name, code),
      ),
      reader: new DirectReader((bytes) => settings.events.frame({ peer: name, bytes })),
      closing: undefined,
    }
    if (this.paused) peer.reader.hold()
    this.peers.set(name, peer)
    settings.events.peerConnected({
      peer: name,
      address: connection.remoteAddr.toString(),
      inbound: connection.direction === 'inbound',
    })
    return peer
  }

  private disconnected(id: PeerId): void {
    const name = id.toString()
    const peer = this.peers.get(name)
    if (peer === undefined) return
    this.peers.delete(name)
    closeStreams(peer)
    this.settings?.events.peerDisconnected({
      peer: name,
      code: peer.closing ?? 'ConnectionClosed',
    })
  }

  private connectionOf(id: PeerId): Connection | undefined {
    return this.host?.getConnections(id).find((connection) => connection.status === 'open')
  }

  private isBanned(peer: string): boolean {
    return (this.bannedUntilMs.get(peer) ?? 0) > performance.now()
  }

  private offerGossip(
    topic: string,
    peer: string,
    bytes: Uint8Array,
  ): TopicValidatorResult | Promise<TopicValidatorResult> {
    const { settings } = this
    if (settings === undefined || this.unjudged.size >= MAX_UNJUDGED) return RESULTS.ignore
    const id = this.nextGossipId++
    return new Promise((resolve) => {
      this.unjudged.set(id, (verdict) => {
        this.unjudged.delete(id)
        resolve(RESULTS[verdict])
      })
      settings.events.gossip({ id, topic, peer, bytes })
    })
  }
}

function closeStreams(peer: Peer): void {
  peer.writer.close()
  peer.reader.close()
}
