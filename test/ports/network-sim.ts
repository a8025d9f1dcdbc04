/**
 * The network port without sockets: nodes of one world, joined by links that deliver in order after a delay of the
 * world's clock. Links can be cut and made silent. Gossip floods; content is passed on once.
 */
import type {
  GossipVerdict,
  NetworkIdentity,
  NetworkPort,
  NetworkStart,
  PeerCode,
  PortResult,
  RequestLimits,
} from '../../actors/network/index.ts'
import { sha256, toHex } from '../../crypto/index.ts'
import type { Clock } from '../../supervisor/index.ts'

const MAX_QUEUE_BYTES = 24 * 1024 * 1024
const SERVE_MS = 15_000

export interface SimulatedWorld {
  /** A node that listens as `/sim/<name>/p2p/<name>`; names are of base58 letters. */
  create(name: string): NetworkPort
  /** From now on nothing arrives from `from` at `to`, without either being told. */
  mute(from: string, to: string): void
  unmute(from: string, to: string): void
  /** What a node's actor asked of reading, in order. */
  pausesOf(name: string): readonly boolean[]
}

interface Link {
  readonly inbound: boolean
  closing: PeerCode | undefined
  readonly unread: Uint8Array[]
  unreadBytes: number
  outstanding: boolean
}

export function createSimulatedWorld(clock: Clock, delayMs = 1): SimulatedWorld {
  const nodes = new Map<string, SimulatedPort>()
  const muted = new Set<string>()
  const world: World = {
    clock,
    nodes,
    deliver: (from, to, run) =>
      void clock.setTimer(delayMs, () => {
        if (!muted.has(`${from}>${to}`)) run()
      }),
  }
  return {
    create: (name) => {
      const port = new SimulatedPort(name, world)
      nodes.set(name, port)
      return port
    },
    pausesOf: (name) => nodes.get(name)?.pauses ?? [],
    mute: (from, to) => void muted.add(`${from}>${to}`),
    unmute: (from, to) => void muted.delete(`${from}>${to}`),
  }
}

interface World {
  readonly clock: Clock
  readonly nodes: ReadonlyMap<string, SimulatedPort>
  deliver(from: string, to: string, run: () => void): void
}

class SimulatedPort implements NetworkPort {
  private readonly name: string
  private readonly world: World
  private settings: NetworkStart | undefined
  private links = new Map<string, Link>()
  private readonly bannedUntilMs = new Map<string, number>()
  private seen = new Set<string>()
  private unjudged = new Map<number, (verdict: GossipVerdict) => void>()
  private waiting = new Map<number, (bytes: Uint8Array | undefined) => void>()
  private nextId = 1
  readonly pauses: boolean[] = []

  constructor(name: string, world: World) {
    this.name = name
    this.world = world
  }

  async start(start: NetworkStart): Promise<NetworkIdentity> {
    this.settings = start
    return { peer: this.name, addresses: [`/sim/${this.name}/p2p/${this.name}`] }
  }

  /** A simulated wire has no sockets: what was sent arrives. What was asked of it is written down. */
  pauseReading(paused: boolean): void {
    this.pauses.push(paused)
  }

  async stop(): Promise<void> {
    for (const peer of [...this.links.keys()]) this.unlink(peer)
    this.settings = undefined
    this.seen = new Set()
    this.unjudged = new Map()
    this.waiting = new Map()
  }

  async dial(address: string, _timeoutMs: number): Promise<PortResult<string>> {
    const peer = address.split('/').at(-1) as string
    const other = this.world.nodes.get(peer)
    if (this.links.has(peer)) return { ok: true, value: peer }
    const refused =
      this.isBanned(peer) || other?.settings === undefined || other.isBanned(this.name)
    if (refused || this.settings === undefined) return { ok: false, code: 'DialFailed' }
    this.linked(peer, false)
    other.linked(this.name, true)
    return { ok: true, value: peer }
  }

  disconnect(peer: string, code: PeerCode): void {
    const link = this.links.get(peer)
    if (link === undefined) return
    link.closing ??= code
    this.unlink(peer)
  }

  ban(peer: string, forMs: number): void {
    this.bannedUntilMs.set(peer, this.world.clock.nowMs() + forMs)
    this.disconnect(peer, 'Banned')
  }

  async publish(topic: string, bytes: Uint8Array): Promise<void> {
    if (this.note(topic, bytes)) this.flood(topic, bytes, undefined)
  }

  judge(id: number, verdict: GossipVerdict): void {
    const settle = this.unjudged.get(id)
    this.unjudged.delete(id)
    settle?.(verdict)
  }

  send(peer: string, bytes: Uint8Array): boolean {
    if (!this.links.has(peer)) return false
    const other = this.world.nodes.get(peer)
    const theirs = other?.links.get(this.name)
    if (theirs === undefined || theirs.unreadBytes + bytes.length > MAX_QUEUE_BYTES) {
      this.disconnect(peer, 'SlowPeer')
      return false
    }
    theirs.unreadBytes += bytes.length
    this.world.deliver(this.name, peer, () => other?.frameArrived(this.name, theirs, bytes))
    return true
  }

  takeFrame(peer: string): void {
    const link = this.links.get(peer)
    if (link === undefined) return
    link.outstanding = false
    this.nextFrame(peer, link)
  }

  request(
    peer: string,
    protocol: string,
    bytes: Uint8Array,
    { timeoutMs, maxBytes }: RequestLimits,
  ): Promise<PortResult<Uint8Array>> {
    return new Promise((resolve) => {
      const fail = (code: PeerCode) => settle({ ok: false, code })
      const timer = this.world.clock.setTimer(timeoutMs, () => fail('Timeout'))
      const settle = (result: PortResult<Uint8Array>) => {
        timer.cancel()
        resolve(result)
      }
      const other = this.world.nodes.get(peer)
      if (!this.links.has(peer) || other === undefined) return fail('NotConnected')
      const answered = (answer: Uint8Array | undefined) =>
        this.world.deliver(peer, this.name, () => {
          if (answer === undefined) return fail('Refused')
          if (answer.length > maxBytes) return fail('TooLarge')
          settle({ ok: true, value: answer })
        })
      this.world.deliver(this.name, peer, () => {
        if (!other.asked(this.name, protocol, bytes, answered)) fail('Unsupported')
      })
    })
  }

  respond(id: number, bytes: Uint8Array | undefined): void {
    const settle = this.waiting.get(id)
    this.waiting.delete(id)
    settle?.(bytes)
  }

  isBanned(peer: string): boolean {
    return (this.bannedUntilMs.get(peer) ?? 0) > this.world.clock.nowMs()
  }

  private linked(peer: string, inbound: boolean): void {
    const link = { inbound, closing: undefined, unread: [], unreadBytes: 0, outstanding: false }
    this.links.set(peer, link)
    this.settings?.events.peerConnected({ peer, inbound, address: `/sim/${peer}` })
  }

  private unlink(peer: string): void {
    this.gone(peer)
    this.world.nodes.get(peer)?.gone(this.name)
  }

  private gone(peer: string): void {
    const link = this.links.get(peer)
    if (link === undefined) return
    this.links.delete(peer)
    const code = link.closing ?? 'ConnectionClosed'
    this.settings?.events.peerDisconnected({ peer, code })
  }

  private frameArrived(peer: string, link: Link, bytes: Uint8Array): void {
    if (this.links.get(peer) !== link || this.settings === undefined) return
    if (bytes.length > this.settings.direct.maxFrameBytes) {
      this.disconnect(peer, 'FrameTooLarge')
      return
    }
    link.unread.push(bytes)
    this.nextFrame(peer, link)
  }

  private nextFrame(peer: string, link: Link): void {
    const bytes = link.outstanding ? undefined : link.unread.shift()
    if (bytes === undefined) return
    link.outstanding = true
    link.unreadBytes -= bytes.length
    this.settings?.events.frame({ peer, bytes })
  }

  private asked(
    peer: string,
    protocol: string,
    bytes: Uint8Array,
    answered: (answer: Uint8Array | undefined) => void,
  ): boolean {
    const known = this.settings?.protocols.find(({ name }) => name === protocol)
    if (known === undefined) return false
    if (bytes.length > known.maxRequestBytes) {
      answered(undefined)
      return true
    }
    const id = this.nextId++
    const timer = this.world.clock.setTimer(SERVE_MS, () => this.respond(id, undefined))
    this.waiting.set(id, (answer) => {
      timer.cancel()
      answered(answer)
    })
    this.settings?.events.request({ id, peer, protocol, bytes })
    return true
  }

  private note(topic: string, bytes: Uint8Array): boolean {
    const key = `${topic}:${toHex(sha256(bytes))}`
    if (this.seen.has(key)) return false
    this.seen.add(key)
    return true
  }

  private flood(topic: string, bytes: Uint8Array, except: string | undefined): void {
    for (const peer of this.links.keys()) {
      if (peer === except) continue
      const other = this.world.nodes.get(peer)
      this.world.deliver(this.name, peer, () => other?.gossipArrived(this.name, topic, bytes))
    }
  }

  private gossipArrived(peer: string, topic: string, bytes: Uint8Array): void {
    const known = this.settings?.topics.find(({ name }) => name === topic)
    if (known === undefined || !this.links.has(peer) || bytes.length > known.maxBytes) return
    if (!this.note(topic, bytes)) return
    const id = this.nextId++
    this.unjudged.set(id, (verdict) => {
      if (verdict === 'accept') this.flood(topic, bytes, peer)
    })
    this.settings?.events.gossip({ id, topic, peer, bytes })
  }
}
