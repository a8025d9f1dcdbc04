/** Coming, going and judging of peers. Pure. */
import { after, type KernelEffect, tell } from '../../supervisor/index.ts'
import { pointsOf, punished, take } from './conduct.ts'
import {
  type Effects,
  type NetworkContext,
  type NetworkEffect,
  type Outcome,
  outcome,
  type Peer,
} from './context.ts'
import { dialBackoffMs } from './dialing.ts'
import { PENALTIES, type PenaltyCode } from './errors.ts'
import { BEHIND_HEIGHTS, type RateClass, STATUS_TIMEOUT_MS } from './limits.ts'
import { decodeStatus, encodeStatus, type Point, type Status } from './wire.ts'

export function withPeer(context: NetworkContext, peer: Peer): NetworkContext {
  return { ...context, peers: new Map(context.peers).set(peer.peer, peer) }
}

export function readyPeers(context: NetworkContext): Peer[] {
  return [...context.peers.values()].filter((peer) => peer.ready)
}

export function ownStatus({ settings, head }: NetworkContext): Uint8Array {
  return encodeStatus({ genesisHash: settings.genesisHash, ...head })
}

const isStatic = (context: NetworkContext, peer: string): boolean =>
  context.settings.staticPeers.has(peer)

/** A connection stands: room is checked, then its status is asked for by the side that dialled. */
export function appeared(
  context: NetworkContext,
  { peer, inbound }: { readonly peer: string; readonly inbound: boolean },
  nowMs: number,
): Outcome {
  const { limits } = context.settings
  if ((context.bannedUntilMs.get(peer) ?? 0) > nowMs) {
    return outcome(context, { kind: 'disconnect', peer, code: 'Banned' })
  }
  const others = [...context.peers.values()].filter((other) => other.peer !== peer)
  const strangers = others.filter((other) => other.inbound && !isStatic(context, other.peer))
  const full =
    others.length >= limits.maxPeers || (inbound && strangers.length >= limits.maxInbound)
  if (full && !isStatic(context, peer)) {
    return outcome(context, { kind: 'disconnect', peer, code: 'TooManyPeers' })
  }
  const known = context.peers.get(peer)
  const next = withPeer(context, {
    peer,
    inbound,
    sinceMs: nowMs,
    ready: false,
    foreign: false,
    height: 0,
    allowance: known?.allowance ?? {},
  })
  if (inbound) return outcome(next)
  const protocol = context.settings.names.status
  return outcome(next, { kind: 'askStatus', peer, protocol, status: ownStatus(next) })
}

export function vanished(context: NetworkContext, peer: string, chance: number): Outcome {
  const peers = new Map(context.peers)
  peers.delete(peer)
  const next = { ...context, peers }
  const address = context.settings.staticPeers.get(peer)
  return address === undefined ? outcome(next) : retryLater(next, address, chance)
}

/** What a peer says about its chain, in its request or its answer. */
export function statusSeen(
  context: NetworkContext,
  peer: string,
  bytes: Uint8Array,
  nowMs: number,
): Outcome {
  const status = decodeStatus(bytes)
  if (status === undefined) return punish(context, peer, 'Malformed', nowMs)
  const known = context.peers.get(peer)
  if (known === undefined) return outcome(context)
  if (!isOwnChain(context, status)) {
    // The side that asked goes at once; the other waits, so that its answer arrives and names the reason there too.
    const marked = withPeer(context, { ...known, foreign: true })
    return known.inbound
      ? outcome(marked)
      : outcome(marked, { kind: 'disconnect', peer, code: 'ForeignGenesis' })
  }
  const ready = { ...known, ready: true, height: status.height }
  const address = context.settings.staticPeers.get(peer)
  const dialFailures = new Map(context.dialFailures)
  if (address !== undefined) dialFailures.delete(address)
  const next = withPeer({ ...context, dialFailures }, ready)
  const greeting: Effects = known.ready
    ? []
    : [tell('chain', { type: 'chain.PeerConnected', payload: { peer } })]
  return outcome(next, ...greeting, ...behind(next, ready))
}

function isOwnChain({ settings }: NetworkContext, status: Status): boolean {
  return Buffer.compare(status.genesisHash, settings.genesisHash) === 0
}

/** A connected peer's committed height as it claims it. */
export function headSeen(context: NetworkContext, peer: string, head: Point): Outcome {
  const known = context.peers.get(peer)
  if (known === undefined || !known.ready) return outcome(context)
  const next = { ...known, height: head.height }
  return outcome(withPeer(context, next), ...behind(context, next))
}

/** Tells Sync when a peer claims to be ahead by more than the race of commits explains. */
function behind({ head }: NetworkContext, { peer, height }: Peer): KernelEffect[] {
  if (height < head.height + BEHIND_HEIGHTS) return []
  const payload = { height: head.height, targetHeight: height, peer }
  return [tell('sync', { type: 'sync.SyncRequiredNotification', payload })]
}

export function punish(
  context: NetworkContext,
  peer: string,
  code: PenaltyCode,
  nowMs: number,
): Outcome {
  return punishBy(context, peer, code, PENALTIES[code], nowMs)
}

/** Adds points; at the threshold the peer is banned, whatever its address. */
export function punishBy(
  context: NetworkContext,
  peer: string,
  code: string,
  points: number,
  nowMs: number,
): Outcome {
  const { limits } = context.settings
  const penalties = punished(context.penalties, peer, points, limits, nowMs)
  const next = { ...context, penalties }
  const banned = (context.bannedUntilMs.get(peer) ?? 0) > nowMs
  if (banned || pointsOf(penalties, peer, limits, nowMs) < limits.banPoints) return outcome(next)
  const bannedUntilMs = new Map(context.bannedUntilMs).set(peer, nowMs + limits.banMs)
  return outcome({ ...next, bannedUntilMs }, { kind: 'ban', peer, code, forMs: limits.banMs })
}

/** Takes from a peer's allowance; undefined when it sent too much. Peers that just left have none. */
export function spend(
  context: NetworkContext,
  peer: string,
  nowMs: number,
  ...costs: readonly (readonly [RateClass, number])[]
): NetworkContext | undefined {
  const known = context.peers.get(peer)
  if (known === undefined) return context
  let allowance = known.allowance
  for (const [rateClass, amount] of costs) {
    const rate = context.settings.limits.rates[rateClass]
    const left = take(allowance, rateClass, rate, amount, nowMs)
    if (left === undefined) return undefined
    allowance = left
  }
  return withPeer(context, { ...known, allowance })
}

/** One more failure of a static address: the next try comes later than the last. */
export function retryLater(context: NetworkContext, address: string, chance: number): Outcome {
  const failures = (context.dialFailures.get(address) ?? 0) + 1
  const dialFailures = new Map(context.dialFailures).set(address, failures)
  return outcome(
    { ...context, dialFailures },
    after(dialBackoffMs(failures, chance), `dial ${address}`, {
      type: 'network.DialPeer',
      payload: { address },
    }),
  )
}

/** Ends connections that never told their status; forgets bans, penalties and judgements whose time is over. */
export function tended(context: NetworkContext, nowMs: number): Outcome {
  const { limits } = context.settings
  const silent = [...context.peers.values()].filter(
    (peer) => !peer.ready && nowMs - peer.sinceMs > STATUS_TIMEOUT_MS,
  )
  const bannedUntilMs = new Map([...context.bannedUntilMs].filter(([, untilMs]) => untilMs > nowMs))
  const penalties = new Map(
    [...context.penalties].filter(([peer]) => pointsOf(context.penalties, peer, limits, nowMs) > 0),
  )
  const effects: Effects = silent.map(({ peer, foreign }) => ({
    kind: 'disconnect',
    peer,
    code: foreign ? 'ForeignGenesis' : 'NoStatus',
  }))
  const weighed = new Map(context.weighed)
  const forgotten: NetworkEffect[] = []
  for (const [id, { untilMs }] of context.weighed) {
    if (untilMs > nowMs) continue
    weighed.delete(id)
    forgotten.push({ kind: 'judge', id, verdict: 'ignore' })
  }
  return outcome({ ...context, bannedUntilMs, penalties, weighed }, ...effects, ...forgotten)
}
