/**
 * What goes wrong in one world, as a list of data that is drawn from the seed before anything runs: any part of it can be
 * played again, which is how a failure is reduced to the faults that it needs.
 */
import { Chance } from './chance.ts'
import type { KnobKind, PlannedKind, TreasonKind } from './coverage.ts'
import type { FaultRate, Profile } from './profiles.ts'

/** `atMs` is counted from the world's start; what lasts ends `forMs` later, or with the healing. */
export type Fault = { readonly atMs: number } /** For the whole world, beyond the healing. */ & (
  | { readonly kind: TreasonKind | KnobKind; readonly node: number }
  | { readonly kind: 'crash' | 'stop'; readonly node: number; readonly forMs: number }
  | {
      readonly kind: 'crashBeforeCall' | 'crashAfterCall'
      readonly node: number
      readonly calls: number
      readonly forMs: number
    }
  | { readonly kind: 'freeze'; readonly node: number; readonly forMs: number }
  | {
      readonly kind: 'writesFail' | 'syncsFail' | 'engineFails'
      readonly node: number
      readonly share: number
      readonly forMs: number
    }
  | { readonly kind: 'memberCrash'; readonly member: number; readonly forMs: number }
  /** For the whole world, beyond the healing. */
  | { readonly kind: 'memberSlow' | 'memberSilent' | 'memberLies'; readonly member: number }
  | { readonly kind: 'streamBreak'; readonly node: number; readonly member: number }
  | {
      readonly kind: 'partition' | 'partitionOneWay'
      /** These against all others. */
      readonly side: readonly number[]
      readonly forMs: number
    }
  | {
      readonly kind: 'linkFlaps'
      readonly from: number
      readonly to: number
      readonly periodMs: number
      readonly forMs: number
    }
  | {
      readonly kind: 'linkClogs'
      readonly from: number
      readonly to: number
      readonly delayMs: number
      readonly forMs: number
    }
  | { readonly kind: 'loss' | 'doubling'; readonly share: number; readonly forMs: number }
  | { readonly kind: 'delay' | 'reordering'; readonly delayMs: number; readonly forMs: number }
  | { readonly kind: 'clockSkew'; readonly node: number; readonly byMs: number }
  | {
      readonly kind: 'clockJump'
      readonly node: number
      readonly byMs: number
      readonly forMs: number
    }
  | { readonly kind: 'reorg'; readonly depth: number }
  | { readonly kind: 'feeSpike'; readonly satPerKvb: number; readonly forMs: number }
  | { readonly kind: 'staleTip'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'bitcoinOutage'; readonly forMs: number }
)

const DOWN_MS = 4_000

export interface Places {
  readonly nodes: number
  readonly members: number
}

/** Members that may be slow, silent or lie: the threshold can be reached without them. */
export function faultyMembers(members: number): number {
  return members - (Math.floor((2 * members) / 3) + 1)
}

export function drawPlan(seed: number, profile: Profile, places: Places): Fault[] {
  const plan: Fault[] = []
  const seats = drawSeats(new Chance(seed, 'seats'), places)
  for (const [name, rate] of Object.entries(profile.faults)) {
    const kind = name as PlannedKind
    const chance = new Chance(seed, `plan ${kind}`)
    for (const atMs of drawTimes(chance, rate, profile.faultsMs)) {
      const fault = drawFault(chance, kind, atMs, places, seats, profile.downMs ?? DOWN_MS)
      if (fault !== undefined) plan.push(fault)
    }
  }
  return plan.sort((left, right) => left.atMs - right.atMs)
}

/** Validators that may break the rules. */
export function faultyNodes(nodes: number): number {
  return Math.floor((nodes - 1) / 3)
}

interface Seats {
  readonly nodes: readonly number[]
  /** Of the members that are not to be trusted in this world. */
  readonly members: readonly number[]
}

function drawSeats(chance: Chance, { nodes, members }: Places): Seats {
  const draw = (of: number, count: number) =>
    Array.from({ length: of }, (_, at) => ({ at, key: chance.next() }))
      .sort((left, right) => left.key - right.key)
      .map(({ at }) => at)
      .slice(0, count)
  return {
    members: draw(members, faultyMembers(members)),
    nodes: draw(nodes, faultyNodes(nodes)),
  }
}

function drawTimes(chance: Chance, rate: FaultRate, endMs: number): number[] {
  if ('inWorlds' in rate) return chance.happens(rate.inWorlds) ? [0] : []
  // Each world has its own mixture: some faults are rare in it, some frequent.
  const meanMs = rate.everyMs * (0.4 + 2 * chance.fraction())
  const times: number[] = []
  for (let at = chance.untilNext(meanMs); at < endMs; at += chance.untilNext(meanMs)) times.push(at)
  return times
}

function drawFault(
  chance: Chance,
  kind: PlannedKind,
  atMs: number,
  { nodes, members }: Places,
  seats: Seats,
  downMs: number,
): Fault | undefined {
  const node = () => chance.between(0, nodes - 1)
  const link = () => {
    const from = node()
    return { from, to: (from + chance.between(1, nodes - 1)) % nodes }
  }
  const one = <T>(...items: T[]): T => chance.pick(items) as T
  switch (kind) {
    case 'equivocatesVotes':
    case 'equivocatesProposals':
    case 'withholds':
    case 'staleViews':
    case 'badBlocks':
    case 'forgesPegIns':
    case 'votesUnknown':
    case 'replays':
    case 'badAnswers': {
      const traitor = chance.pick(seats.nodes)
      return traitor === undefined ? undefined : { atMs, kind, node: traitor }
    }
    case 'smallMailboxes':
    case 'shortDeadlines':
    case 'smallBatches':
    case 'smallFanOut':
      return { atMs, kind, node: node() }
    case 'crash':
    case 'stop':
      return { atMs, kind, node: node(), forMs: chance.between(20, downMs) }
    case 'crashBeforeCall':
    case 'crashAfterCall': {
      const calls = chance.between(1, 40)
      return { atMs, kind, node: node(), calls, forMs: chance.between(20, downMs) }
    }
    case 'freeze':
      return { atMs, kind, node: node(), forMs: one(200, 1_500, 6_000) }
    case 'writesFail':
    case 'syncsFail':
      return { atMs, kind, node: node(), share: one(0.05, 0.5), forMs: chance.between(200, 5_000) }
    case 'engineFails':
      return { atMs, kind, node: node(), share: one(0.02, 0.2), forMs: chance.between(200, 5_000) }
    case 'memberCrash': {
      const member = chance.between(0, members - 1)
      return { atMs, kind, member, forMs: chance.between(20, 6_000) }
    }
    case 'memberSlow':
    case 'memberSilent':
    case 'memberLies': {
      const member = chance.pick(seats.members)
      return member === undefined ? undefined : { atMs, kind, member }
    }
    case 'streamBreak':
      return { atMs, kind, node: node(), member: chance.between(0, members - 1) }
    case 'partition':
    case 'partitionOneWay': {
      const all = Array.from({ length: nodes }, (_, at) => at)
      const side = all.filter(() => chance.happens(0.4))
      const forMs = chance.between(300, 6_000)
      const isCut = side.length > 0 && side.length < nodes
      return isCut ? { atMs, kind, side, forMs } : undefined
    }
    case 'linkFlaps':
      if (nodes < 2) return undefined
      return { atMs, kind, ...link(), periodMs: one(50, 300, 1_000), forMs: one(2_000, 6_000) }
    case 'linkClogs':
      if (nodes < 2) return undefined
      return { atMs, kind, ...link(), delayMs: one(500, 2_000, 5_000), forMs: one(2_000, 8_000) }
    case 'loss':
      return { atMs, kind, share: one(0.01, 0.1, 0.3), forMs: chance.between(500, 6_000) }
    case 'doubling':
      return { atMs, kind, share: one(0.05, 0.3), forMs: chance.between(500, 6_000) }
    case 'delay':
      return { atMs, kind, delayMs: one(200, 600), forMs: chance.between(500, 6_000) }
    case 'reordering':
      return { atMs, kind, delayMs: one(2_000, 5_000), forMs: chance.between(500, 6_000) }
    case 'clockSkew':
      return { atMs, kind, node: node(), byMs: chance.between(-500, 500) }
    case 'clockJump': {
      const mostMs = one(500, 500, 4_000)
      const forMs = chance.between(500, 10_000)
      return { atMs, kind, node: node(), byMs: chance.between(-mostMs, mostMs), forMs }
    }
    case 'reorg':
      return { atMs, kind, depth: chance.between(1, 2) }
    case 'feeSpike':
      return { atMs, kind, satPerKvb: one(1_000, 10_000, 100_000), forMs: one(2_000, 10_000) }
    case 'staleTip':
      return { atMs, kind, node: node(), forMs: chance.between(1_000, 8_000) }
    case 'bitcoinOutage':
      return { atMs, kind, forMs: chance.between(500, 5_000) }
  }
}
