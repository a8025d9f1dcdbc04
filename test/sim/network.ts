/**
 * The network port in a hostile world: gossip is delayed, lost, doubled and reordered; a stream is delayed, and once it lost a
 * frame it is reset; links are cut in one direction or both; a dead node's connections end a while later.
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
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

/** How a link treats what passes over it. */
export interface Weather {
  loss: number
  doubled: number
  /** Delays are spread from 1 to this. */
  delayMs: number
  /** Now and then something takes this long. */
  slowMs: number
}

export const CALM: Weather = { loss: 0, doubled: 0, delayMs: 40, slowMs: 0 }

/** Sees all that passes between two nodes; what it refuses never arrives, and no stream notices. */
export interface Tap {
  message(from: string, to: string, bytes: Uint8Array): 'pass' | 'drop'
  request(from: string, to: string, protocol: string): void
}

const MAX_UNREAD_BYTES = 24 * 1024 * 1024
const SERVE_MS = 15_000
const SEEN_MS = 120_000

interface Link {
  readonly inbound: boolean
  readonly unread: Uint8Array[]
  unreadBytes: number
  outstanding: boolean
  closing: PeerCode | undefined
}

/** Names are of base58 letters, as peer ids are. */
export function addressOf(name: string): string {
  return `/sim/${name}/p2p/${name}`
}

export class Network {
  readonly world: World
  readonly chance: Chance
  weather: Weather = CALM
  tap: Tap | undefined
  readonly #ports = new Map<string, Port>()
  readonly #spells = new Set<Partial<Weather>>()
  /** How many faults cut a link. */
  readonly #cuts = new Map<string, number>()
  readonly #clogs = new Map<string, number>()
  /** Links that deliver nothing for a while, and then everything that streams carry, in its order. */
  readonly #held = new Map<string, (() => void)[]>()
  readonly #lastAtMs = new Map<string, number>()
  /** Every message that leaves a node. */
  readonly onSent: (from: string, bytes: Uint8Array, topic: string | undefined) => void

  readonly onBan: (by: string, peer: string) => void
  readonly #digests = new WeakMap<Uint8Array, string>()

  constructor(world: World, onSent: Network['onSent'], onBan: Network['onBan']) {
    this.world = world
    this.onBan = onBan
    this.chance = world.chance('network')
    this.onSent = onSent
  }

  /** Computed once for all that a message passes through. */
  digest(bytes: Uint8Array): string {
    const known = this.#digests.get(bytes)
    if (known !== undefined) return known
    const digest = toHex(sha256(bytes))
    this.#digests.set(bytes, digest)
    return digest
  }

  /** The port of one incarnation; the one before is gone. */
  create(name: string, life: Life, fanOut: number): NetworkPort {
    const port = new Port(name, this, life, fanOut)
    this.#ports.set(name, port)
    return port
  }

  port(name: string): Port | undefined {
    const port = this.#ports.get(name)
    return port?.life.alive ? port : undefined
  }

  /** The others notice after a while that a node is dead. */
  crashed(name: string): void {
    const port = this.#ports.get(name)
    for (const peer of port?.links.keys() ?? []) {
      const other = this.#ports.get(peer)
      const link = other?.links.get(name)
      this.world.at(this.chance.untilNext(400), `${peer} loses ${name}`, () => {
        if (other?.links.get(name) === link) other?.gone(name)
      })
    }
  }

  /** The worst of all spells holds; returns what ends this one. */
  spell(spell: Partial<Weather>): () => void {
    this.#spells.add(spell)
    this.#turnWeather()
    return () => {
      this.#spells.delete(spell)
      this.#turnWeather()
    }
  }

  #turnWeather(): void {
    const worst = (name: keyof Weather) =>
      Math.max(CALM[name], ...[...this.#spells].map((spell) => spell[name] ?? 0))
    this.weather = {
      loss: worst('loss'),
      doubled: worst('doubled'),
      delayMs: worst('delayMs'),
      slowMs: worst('slowMs'),
    }
  }

  /** Returns what mends these links again, as far as nothing else cuts them. */
  cutAll(links: readonly (readonly [from: string, to: string])[]): () => void {
    const add = (change: number) => {
      for (const [from, to] of links) {
        const key = `${from}>${to}`
        this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + change)
      }
    }
    add(1)
    return () => add(-1)
  }

  isCut(from: string, to: string): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0
  }

  /** Nothing that is no stream yet gets through. */
  isShut(from: string, to: string): boolean {
    return this.isCut(from, to) || this.#held.has(`${from}>${to}`)
  }

  /** As a cut that no stream notices: what was sent meanwhile is sent again below it. Returns what lets go. */
  holdAll(links: readonly (readonly [from: string, to: string])[]): () => void {
    const keys = links.map(([from, to]) => `${from}>${to}`)
    for (const key of keys) this.#held.set(key, [])
    return () => {
      for (const key of keys) {
        const waiting = this.#held.get(key) ?? []
        this.#held.delete(key)
        for (const send of waiting) send()
      }
    }
  }

  /** Whether it waits for the link to be let go of. */
  #holds(from: string, to: string, send: () => void): boolean {
    const waiting = this.#held.get(`${from}>${to}`)
    waiting?.push(send)
    return waiting !== undefined
  }

  isLinked(one: string, other: string): boolean {
    return this.port(one)?.links.has(other) === true && this.port(other)?.links.has(one) === true
  }

  /** Everything over this link takes so much longer; returns what ends it. */
  clog(from: string, to: string, delayMs: number): () => void {
    const key = `${from}>${to}`
    this.#clogs.set(key, delayMs)
    return () => void this.#clogs.delete(key)
  }

  delay(from: string, to: string): number {
    const { delayMs, slowMs } = this.weather
    const clogMs = this.#clogs.get(`${from}>${to}`) ?? 0
    const slow = slowMs > 0 && this.chance.happens(0.03)
    if (slow || clogMs > 0) this.world.fault('messageSlow')
    return clogMs + this.chance.between(1, slow ? slowMs : delayMs)
  }

  /** Whether something that is sent now is lost. */
  loses(from: string, to: string): boolean {
    if (this.isCut(from, to)) {
      this.world.fault('messageCut')
      return true
    }
    if (!this.chance.happens(this.weather.loss)) return false
    this.world.fault('messageLost')
    return true
  }

  /** Unordered. */
  datagram(from: string, to: string, label: string, run: () => void): void {
    if (this.#held.has(`${from}>${to}`)) {
      this.world.fault('messageCut')
      return
    }
    const doubled = this.chance.happens(this.weather.doubled)
    if (doubled) this.world.fault('messageDoubled')
    for (let copy = 0; copy < (doubled ? 2 : 1); copy++) {
      if (this.loses(from, to)) continue
      this.world.at(this.delay(from, to), `${from}>${to} ${label}`, () => this.awake(to, run))
    }
  }

  /** In the order of sending. */
  frame(from: string, to: string, run: () => void): void {
    if (this.#holds(from, to, () => this.frame(from, to, run))) return
    const key = `${from}>${to}`
    const { nowMs } = this.world
    const atMs = Math.max(this.#lastAtMs.get(key) ?? 0, nowMs + this.delay(from, to))
    this.#lastAtMs.set(key, atMs)
    this.world.at(atMs - nowMs, `${key} frame`, () => this.awake(to, run))
  }

  /** A question or an answer. */
  word(from: string, to: string, label: string, run: () => void): void {
    if (this.#holds(from, to, () => this.word(from, to, label, run))) return
    this.world.at(this.delay(from, to), `${from}>${to} ${label}`, run)
  }

  /** What arrives at a process that stands still waits. */
  awake(name: string, run: () => void): void {
    this.#ports.get(name)?.life.awake(run)
  }

  /** A stream never has a hole: what lost a frame ends, at both ends. */
  reset(from: string, to: string): void {
    const ends = [
      [from, to],
      [to, from],
    ] as const
    for (const [one, other] of ends) {
      const port = this.#ports.get(one)
      const link = port?.links.get(other)
      if (port === undefined || link === undefined || link.closing !== undefined) continue
      link.closing = 'ConnectionClosed'
      this.world.at(this.chance.between(20, 2_000), `${one} resets ${other}`, () => {
        if (port.links.get(other) === link) port.gone(other)
      })
    }
  }
}

class Port implements NetworkPort {
  readonly life: Life
  readonly links = new Map<string, Link>()
  readonly #name: string
  readonly #network: Network
  readonly #bannedUntilMs = new Map<string, number>()
  readonly #seen = new Map<string, number>()
  /** What the cache let go of once: if it could again and again, a message among many peers would grow for ever. */
  readonly #forgotten = new Set<string>()
  readonly #unjudged = new Map<number, (verdict: GossipVerdict) => void>()
  readonly #waiting = new Map<number, (bytes: Uint8Array | undefined) => void>()
  #settings: NetworkStart | undefined
  /** To how many peers gossip goes from here. */
  readonly #fanOut: number
  #nextId = 1

  constructor(name: string, network: Network, life: Life, fanOut: number) {
    this.#name = name
    this.#fanOut = fanOut
    this.#network = network
    this.life = life
  }

  start(start: NetworkStart): Promise<NetworkIdentity> {
    return this.life.io(this.#network.chance.between(1, 30), 'listen', () => {
      this.#settings = start
      return { peer: this.#name, addresses: [addressOf(this.#name)] }
    })
  }

  /** No sockets here: what was sent arrives. */
  pauseReading(): void {}

  async stop(): Promise<void> {
    for (const peer of [...this.links.keys()]) this.disconnect(peer, 'Stopping')
    this.#settings = undefined
  }

  dial(address: string, timeoutMs: number): Promise<PortResult<string>> {
    const peer = address.split('/').at(-1) as string
    const network = this.#network
    if (this.links.has(peer)) return Promise.resolve({ ok: true, value: peer })
    const cut = network.isShut(this.#name, peer) || network.isShut(peer, this.#name)
    const delayMs = cut
      ? timeoutMs
      : network.delay(this.#name, peer) + network.delay(peer, this.#name)
    return this.life.io(delayMs, `dial ${peer}`, (): PortResult<string> => {
      if (this.links.has(peer)) return { ok: true, value: peer }
      const other = network.port(peer)
      const isCut = network.isShut(this.#name, peer) || network.isShut(peer, this.#name)
      const refused = isCut || other === undefined || !other.listensTo(this.#name)
      if (refused || this.#isBanned(peer)) return { ok: false, code: 'DialFailed' }
      // An old connection of the same peer, whose end was not noticed, gives way.
      if (other.links.has(this.#name)) other.gone(this.#name)
      this.linked(peer, false)
      other.linked(this.#name, true)
      return { ok: true, value: peer }
    })
  }

  disconnect(peer: string, code: PeerCode): void {
    this.life.call('disconnect', () => {
      const link = this.links.get(peer)
      if (link === undefined) return
      link.closing = code
      this.gone(peer)
      const other = this.#network.port(peer)
      const theirs = other?.links.get(this.#name)
      this.#network.world.at(
        this.#network.delay(this.#name, peer),
        `${peer} is left by ${this.#name}`,
        () => {
          if (theirs !== undefined && other?.links.get(this.#name) === theirs)
            other.gone(this.#name)
        },
      )
    })
  }

  ban(peer: string, forMs: number): void {
    this.#network.onBan(this.#name, peer)
    this.#bannedUntilMs.set(peer, this.#network.world.nowMs + forMs)
    this.disconnect(peer, 'Banned')
  }

  async publish(topic: string, bytes: Uint8Array): Promise<void> {
    this.life.call('publish', () => {
      this.#network.onSent(this.#name, bytes, topic)
      if (this.#note(topic, bytes)) this.#flood(topic, bytes, undefined)
    })
  }

  judge(id: number, verdict: GossipVerdict): void {
    const settle = this.#unjudged.get(id)
    this.#unjudged.delete(id)
    if (this.life.alive) settle?.(verdict)
  }

  send(peer: string, bytes: Uint8Array): boolean {
    let sent = false
    this.life.call('send', () => {
      sent = this.#send(peer, bytes)
    })
    return sent
  }

  #send(peer: string, bytes: Uint8Array): boolean {
    const link = this.links.get(peer)
    if (link === undefined) return false
    this.#network.onSent(this.#name, bytes, undefined)
    const other = this.#network.port(peer)
    const theirs = other?.links.get(this.#name)
    if (this.#network.tap?.message(this.#name, peer, bytes) === 'drop') return true
    if (theirs === undefined || link.closing !== undefined) return true
    if (theirs.unreadBytes + bytes.length > MAX_UNREAD_BYTES) {
      this.disconnect(peer, 'SlowPeer')
      return false
    }
    if (this.#network.loses(this.#name, peer)) {
      this.#network.reset(this.#name, peer)
      return true
    }
    theirs.unreadBytes += bytes.length
    this.#network.frame(this.#name, peer, () => other?.frameArrived(this.#name, theirs, bytes))
    return true
  }

  takeFrame(peer: string): void {
    const link = this.links.get(peer)
    if (link === undefined || !this.life.alive) return
    link.outstanding = false
    this.#nextFrame(peer, link)
  }

  request(
    peer: string,
    protocol: string,
    bytes: Uint8Array,
    { timeoutMs, maxBytes }: RequestLimits,
  ): Promise<PortResult<Uint8Array>> {
    return new Promise((resolve) => {
      if (!this.life.alive) return
      const timer = this.life.later(timeoutMs, 'request timeout', () => fail('Timeout'))
      const settle = (result: PortResult<Uint8Array>) => {
        timer.cancel()
        if (this.life.alive) resolve(result)
      }
      const fail = (code: PeerCode) => settle({ ok: false, code })
      if (!this.links.has(peer)) return fail('NotConnected')
      const network = this.#network
      network.tap?.request(this.#name, peer, protocol)
      const answered = (answer: Uint8Array | undefined) => {
        if (network.loses(peer, this.#name)) return network.reset(peer, this.#name)
        network.word(peer, this.#name, 'answer', () => {
          if (!this.life.alive) return
          if (answer === undefined) return fail('Refused')
          settle(
            answer.length > maxBytes
              ? { ok: false, code: 'TooLarge' }
              : { ok: true, value: answer },
          )
        })
      }
      if (network.loses(this.#name, peer)) return network.reset(this.#name, peer)
      network.word(this.#name, peer, 'request', () =>
        network.awake(peer, () => {
          const other = network.port(peer)
          if (other === undefined) return
          if (!other.asked(this.#name, protocol, bytes, answered)) fail('Unsupported')
        }),
      )
    })
  }

  respond(id: number, bytes: Uint8Array | undefined): void {
    const settle = this.#waiting.get(id)
    this.#waiting.delete(id)
    this.life.call('respond', () => settle?.(bytes))
  }

  /** The connection is over at this end. */
  gone(peer: string): void {
    const link = this.links.get(peer)
    if (link === undefined) return
    this.links.delete(peer)
    if (!this.life.alive) return
    const code = link.closing ?? 'ConnectionClosed'
    this.#settings?.events.peerDisconnected({ peer, code })
  }

  #isBanned(peer: string): boolean {
    return (this.#bannedUntilMs.get(peer) ?? 0) > this.#network.world.nowMs
  }

  listensTo(peer: string): boolean {
    return this.#settings !== undefined && !this.#isBanned(peer)
  }

  linked(peer: string, inbound: boolean): void {
    this.links.set(peer, {
      inbound,
      unread: [],
      unreadBytes: 0,
      outstanding: false,
      closing: undefined,
    })
    this.#settings?.events.peerConnected({ peer, inbound, address: `/sim/${peer}` })
  }

  frameArrived(peer: string, link: Link, bytes: Uint8Array): void {
    if (this.links.get(peer) !== link || this.#settings === undefined || !this.life.alive) return
    if (bytes.length > this.#settings.direct.maxFrameBytes) {
      this.disconnect(peer, 'FrameTooLarge')
      return
    }
    link.unread.push(bytes)
    this.#nextFrame(peer, link)
  }

  #nextFrame(peer: string, link: Link): void {
    const bytes = link.outstanding ? undefined : link.unread.shift()
    if (bytes === undefined) return
    link.outstanding = true
    link.unreadBytes -= bytes.length
    this.#settings?.events.frame({ peer, bytes })
  }

  asked(
    peer: string,
    protocol: string,
    bytes: Uint8Array,
    answered: (answer: Uint8Array | undefined) => void,
  ): boolean {
    const known = this.#settings?.protocols.find(({ name }) => name === protocol)
    if (known === undefined) return false
    if (bytes.length > known.maxRequestBytes) {
      answered(undefined)
      return true
    }
    const id = this.#nextId++
    const timer = this.life.later(SERVE_MS, 'serve timeout', () => this.respond(id, undefined))
    this.#waiting.set(id, (answer) => {
      timer.cancel()
      answered(answer)
    })
    this.#settings?.events.request({ id, peer, protocol, bytes })
    return true
  }

  /** Whether content was not seen a short while ago. */
  #note(topic: string, bytes: Uint8Array): boolean {
    const { nowMs } = this.#network.world
    const key = `${topic}:${this.#network.digest(bytes)}`
    const seenAtMs = this.#seen.get(key)
    this.#seen.set(key, nowMs)
    return seenAtMs === undefined || nowMs - seenAtMs > SEEN_MS
  }

  /** Whether the cache of what was seen may have let go of it. */
  #forget(topic: string, bytes: Uint8Array): boolean {
    const key = `${topic}:${this.#network.digest(bytes)}`
    if (this.#forgotten.has(key)) return false
    this.#forgotten.add(key)
    return true
  }

  #flood(topic: string, bytes: Uint8Array, except: string | undefined): void {
    const peers = [...this.links.keys()].filter((peer) => peer !== except)
    while (peers.length > this.#fanOut)
      peers.splice(this.#network.chance.between(0, peers.length - 1), 1)
    for (const peer of peers) {
      if (this.#network.tap?.message(this.#name, peer, bytes) === 'drop') continue
      this.#network.datagram(this.#name, peer, 'gossip', () =>
        this.#network.port(peer)?.gossipArrived(this.#name, topic, bytes),
      )
    }
  }

  gossipArrived(peer: string, topic: string, bytes: Uint8Array): void {
    const known = this.#settings?.topics.find(({ name }) => name === topic)
    if (known === undefined || !this.links.has(peer) || bytes.length > known.maxBytes) return
    const again = this.#network.chance.happens(this.#network.weather.doubled)
    if (!this.#note(topic, bytes) && !(again && this.#forget(topic, bytes))) return
    const id = this.#nextId++
    this.#unjudged.set(id, (verdict) => {
      if (verdict === 'accept' && this.life.alive) this.#flood(topic, bytes, peer)
    })
    this.#settings?.events.gossip({ id, topic, peer, bytes })
  }
}
