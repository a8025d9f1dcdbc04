/**
 * What goes wrong in one world, as a list of data that is drawn from the seed before anything runs: any part of it can be
 * played again, which is how a failure is reduced to the faults that it needs.
 */
import { Chance } from './chance.ts'
import {
  type KnobKind,
  type PlannedKind,
  STAGED_TREASONS,
  TREASONS,
  type TreasonKind,
} from './coverage.ts'
import type { FaultRate, Profile } from './profiles.ts'

/** `atMs` is counted from the world's start; what lasts ends `forMs` later, or with the healing. */
export type Fault = { readonly atMs: number } /** For the whole world, beyond the healing. */ & (
  | {
      readonly kind: Exclude<TreasonKind, 'directoryRestored' | 'guardDamaged'>
      readonly node: number
    }
  | { readonly kind: KnobKind; readonly node: number }
  | { readonly kind: 'crash' | 'stop'; readonly node: number; readonly forMs: number }
  | {
      readonly kind: 'crashBeforeCall' | 'crashAfterCall'
      readonly node: number
      readonly calls: number
      readonly forMs: number
    }
  | { readonly kind: 'freeze'; readonly node: number; readonly forMs: number }
  /** The node, or all nodes, die as it has made a record of what it is going to sign durable, or is about to. */
  | {
      readonly kind: 'crashAtSign' | 'blackout'
      readonly node: number
      /** Which record, counted from when the fault begins; it waits for it no longer than it lasts. */
      readonly calls: number
      readonly side: 'before' | 'after'
      readonly forMs: number
      readonly downMs: number
    }
  | {
      readonly kind: 'writesFail' | 'syncsFail' | 'engineFails'
      readonly node: number
      readonly share: number
      readonly forMs: number
    }
  | { readonly kind: 'memberCrash'; readonly member: number; readonly forMs: number }
  /** For the whole world, beyond the healing. */
  | { readonly kind: 'memberSlow' | 'memberSilent' | 'memberLies'; readonly member: number }
  /** Journal, header and shares are gone, and it starts with its keys alone. */
  | { readonly kind: 'memberDiskLost'; readonly member: number }
  /** A deposit that no rule counts as buried is spent otherwise. */
  | { readonly kind: 'doubleSpend' }
  /** One that was credited is spent otherwise, by a deeper reorg than the rules cover. */
  | { readonly kind: 'creditTaken' }
  /** Takes away the block of a deposit that was just credited, which comes again in another. */
  | { readonly kind: 'creditReorg'; readonly forMs: number }
  /** Their operators let these sign nothing; with a limit no more than so much, in satoshi. */
  | {
      readonly kind: 'membersPause'
      readonly members: readonly number[]
      readonly limitSat?: number
      readonly forMs: number
    }
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
  /** No side has a quorum. `held`: the streams outlive it, and deliver what they held; else they are reset. */
  | {
      readonly kind: 'halves'
      readonly side: readonly number[]
      readonly held: boolean
      readonly forMs: number
    }
  | { readonly kind: 'steadyLoss'; readonly share: number; readonly forMs: number }
  /** A clock that is as good as a silent node. */
  | {
      readonly kind: 'clockFar'
      readonly node: number
      readonly byMs: number
      readonly forMs: number
    }
  /** The guard's file of some blocks ago, or none at all: its node leaves a height out, which takes one of the f seats. */
  | {
      readonly kind: 'guardRestored'
      readonly node: number
      readonly lost: boolean
      readonly forMs: number
    }
  /** Everything that was on the disk when it began is there again when it ends. */
  | { readonly kind: 'directoryRestored'; readonly node: number; readonly forMs: number }
  /** A bit of what was durable is another. */
  | { readonly kind: 'guardDamaged'; readonly node: number; readonly forMs: number }
  /** Takes away the block that booked a payout, as soon as there is one. */
  | { readonly kind: 'deepReorg'; readonly forMs: number }
  | { readonly kind: 'reorg'; readonly depth: number }
  | { readonly kind: 'feeSpike'; readonly satPerKvb: number; readonly forMs: number }
  | { readonly kind: 'staleTip'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'bitcoinOutage'; readonly forMs: number }
)

const DOWN_MS = 4_000
/** Who breaks the rules in one way sometimes does it in another as well. */
const SECOND_ROLE = 0.25
/** Until the healing. */
const FOR_EVER_MS = 3_600_000

export interface Places {
  readonly nodes: number
  /** So long nothing goes wrong but what is wrong for the whole world [0]. */
  readonly quietMs?: number
  /** The most blocks that a reorg takes away [2]. */
  readonly reorgDepth?: number
  /** Of each node [1]. */
  readonly powers?: readonly number[]
  readonly members: number
}

/** Members that may be slow, silent or lie: the threshold can be reached without them. */
export function faultyMembers(members: number): number {
  return members - (Math.floor((2 * members) / 3) + 1)
}

export function drawPlan(seed: number, profile: Profile, places: Places): Fault[] {
  const plan: Fault[] = []
  const seats = drawSeats(new Chance(seed, 'seats'), places)
  const draw = (kind: PlannedKind, rate: FaultRate, chance: Chance, of: Seats) => {
    for (const atMs of drawTimes(chance, rate, profile.faultsMs)) {
      const fault = drawFault(chance, kind, atMs, places, of, profile.downMs ?? DOWN_MS)
      const isEarly = atMs > 0 && atMs < (places.quietMs ?? 0)
      if (fault !== undefined && !isEarly) plan.push(fault)
    }
  }
  for (const [name, rate] of Object.entries(profile.faults)) {
    const kind = name as PlannedKind
    draw(kind, rate, new Chance(seed, `plan ${kind}`), seats)
  }
  const { roles = [] } = profile
  const absent: Lasting[] = []
  const chance = new Chance(seed, 'plan roles')
  for (const node of roles.length === 0 ? [] : seats.nodes) {
    for (let count = chance.happens(SECOND_ROLE) ? 2 : 1; count > 0; count--) {
      const role = chance.pick(roles)
      if (role === undefined || role === 'none') continue
      draw(role, profile.roleRates?.[role] ?? { inWorlds: 1 }, chance, { ...seats, nodes: [node] })
      if (role === 'hoards') absent.push(...drawAbsence(chance, profile.faultsMs, places, seats))
    }
  }
  return withLulls(plan, absent).sort((left, right) => left.atMs - right.atMs)
}

/**
 * Who hoards prepared blocks needs a height that is not decided before its next turn: so many others are away for as long that
 * there is no quorum without it.
 */
function drawAbsence(
  chance: Chance,
  endMs: number,
  { nodes, powers = [] }: Places,
  seats: Seats,
): readonly Lasting[] {
  const powerOf = (of: readonly number[]) => of.reduce((sum, at) => sum + (powers[at] ?? 1), 0)
  const all = powerOf(Array.from({ length: nodes }, (_, at) => at))
  const honest = Array.from({ length: nodes }, (_, at) => at).filter(
    (at) => !seats.nodes.includes(at),
  )
  const atMs = chance.between(500, Math.max(500, endMs / 4))
  const forMs = Math.min(endMs - atMs, 2_000 * nodes + chance.between(1_000, 4_000))
  const first = chance.between(0, honest.length - 1)
  const inTurn = honest.map((_, index) => honest[(first + index) % honest.length] as number)
  // As few as it takes that the others are no quorum.
  const enough = inTurn.findIndex((_, index) => 3 * powerOf(inTurn.slice(index)) <= 2 * all)
  return inTurn.slice(0, Math.max(0, enough)).map((node) => {
    return { atMs, kind: 'crash' as const, node, forMs }
  })
}

interface Lasting {
  readonly kind: 'crash'
  readonly atMs: number
  readonly node: number
  readonly forMs: number
}

/** What may come while a hoarder is at work. */
const WEATHER: ReadonlySet<string> = new Set(['loss', 'doubling', 'delay', 'reordering'])

/** How long before and after a split nothing else may go wrong, so that its end can be measured. */
const LULL_BEFORE_MS = 2_500
export const LULL_AFTER_MS = 7_000

/**
 * Around a split in halves there is nothing but the split; of two that would meet the second is left out. While nodes are `absent`
 * for a hoarder there is nothing but weather.
 */
function withLulls(plan: readonly Fault[], absent: readonly Lasting[]): Fault[] {
  const works = absent.map(({ atMs, forMs }) => ({ from: atMs, to: atMs + forMs }))
  const lulls = [...works]
  const inOrder = [...plan].sort((left, right) => left.atMs - right.atMs)
  const splits = inOrder.filter((fault) => {
    if (fault.kind !== 'halves') return false
    const from = fault.atMs - LULL_BEFORE_MS
    const to = fault.atMs + fault.forMs + LULL_AFTER_MS
    if (lulls.some((lull) => from < lull.to && to > lull.from)) return false
    lulls.push({ from, to })
    return true
  })
  const others = plan.filter((fault) => {
    if (fault.kind === 'halves') return false
    // What holds for the whole world stays.
    if (!('forMs' in fault) || fault.kind === 'steadyLoss' || fault.kind === 'clockFar') return true
    const endMs = fault.atMs + fault.forMs + ('downMs' in fault ? fault.downMs : 0)
    const isIn = ({ from, to }: { readonly from: number; readonly to: number }) =>
      fault.atMs < to && endMs > from
    return !lulls.some((lull) => isIn(lull) && !(works.includes(lull) && WEATHER.has(fault.kind)))
  })
  return [...others, ...splits, ...absent]
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

function drawSeats(chance: Chance, { nodes, members, powers = [] }: Places): Seats {
  const draw = (of: number) =>
    Array.from({ length: of }, (_, at) => ({ at, key: chance.next() }))
      .sort((left, right) => left.key - right.key)
      .map(({ at }) => at)
  const membersInTurn = draw(members)
  const inTurn = draw(nodes)
  const powerOf = (at: number) => powers[at] ?? 1
  const total = inTurn.reduce((sum, at) => sum + powerOf(at), 0)
  const faulty: number[] = []
  let power = 0
  for (const at of inTurn) {
    if (3 * (power + powerOf(at)) >= total) continue
    power += powerOf(at)
    faulty.push(at)
  }
  return { members: membersInTurn.slice(0, faultyMembers(members)), nodes: faulty }
}

/** Nodes that break the rules in this plan, or are as good as that. */
export function seatsTaken(plan: readonly Fault[]): ReadonlySet<number> {
  const kinds: ReadonlySet<string> = new Set([
    ...TREASONS,
    ...STAGED_TREASONS,
    ...AS_GOOD_AS_FAULTY,
  ])
  return new Set(
    plan.flatMap((fault) => (kinds.has(fault.kind) && 'node' in fault ? fault.node : [])),
  )
}

const AS_GOOD_AS_FAULTY = ['clockFar', 'guardRestored'] as const

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
  { nodes, members, reorgDepth = 2 }: Places,
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
    case 'badAnswers':
    case 'silent':
    case 'silentProposer':
    case 'delaysProposals':
    case 'shortAnswers':
    case 'turnsCoat':
    case 'usurps':
    case 'asksFalsely':
    case 'hoards': {
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
    case 'crashAtSign':
    case 'blackout': {
      const side = one('before' as const, 'after' as const)
      // Back in the same view, or in one of the next.
      const backMs = chance.happens(0.5) ? chance.between(20, 300) : chance.between(300, 2_500)
      return {
        atMs,
        kind,
        node: node(),
        calls: chance.between(1, 4),
        side,
        forMs: 2_000,
        downMs: backMs,
      }
    }
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
    case 'memberDiskLost':
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
    case 'halves': {
      const first = chance.between(0, nodes - 1)
      const side = Array.from({ length: Math.floor(nodes / 2) }, (_, at) => (first + at) % nodes)
      const forMs = chance.between(1_500, 6_000)
      return { atMs, kind, side, held: chance.happens(0.7), forMs }
    }
    case 'steadyLoss':
      return { atMs, kind, share: 0.2, forMs: FOR_EVER_MS }
    case 'clockFar': {
      const far = chance.pick(seats.nodes)
      const byMs = one(-5_000, 5_000)
      return far === undefined ? undefined : { atMs, kind, node: far, byMs, forMs: FOR_EVER_MS }
    }
    case 'guardRestored': {
      const seat = chance.pick(seats.nodes)
      const lost = chance.happens(0.3)
      const forMs = chance.between(20, 1_500)
      return seat === undefined ? undefined : { atMs, kind, node: seat, lost, forMs }
    }
    case 'directoryRestored':
    case 'guardDamaged': {
      const seat = chance.pick(seats.nodes)
      const forMs = chance.between(1_000, 6_000)
      return seat === undefined ? undefined : { atMs, kind, node: seat, forMs }
    }
    case 'deepReorg':
      return { atMs, kind, forMs: chance.between(2_000, 6_000) }
    case 'reorg':
      return { atMs, kind, depth: chance.between(1, reorgDepth) }
    case 'doubleSpend':
    case 'creditTaken':
      return { atMs, kind }
    case 'creditReorg':
      return { atMs, kind, forMs: chance.between(2_000, 6_000) }
    case 'membersPause': {
      const count = faultyMembers(members) + 1
      const first = chance.between(0, members - 1)
      const paused = Array.from({ length: count }, (_, at) => (first + at) % members)
      const limit = chance.happens(0.5) ? {} : { limitSat: chance.between(0, 2_000_000) }
      return { atMs, kind, members: paused, ...limit, forMs: chance.between(2_000, 8_000) }
    }
    case 'feeSpike':
      return { atMs, kind, satPerKvb: one(1_000, 10_000, 100_000), forMs: one(2_000, 10_000) }
    case 'staleTip':
      return { atMs, kind, node: node(), forMs: chance.between(1_000, 8_000) }
    case 'bitcoinOutage':
      return { atMs, kind, forMs: chance.between(500, 5_000) }
  }
}
