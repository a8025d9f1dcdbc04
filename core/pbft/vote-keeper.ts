/**
 * Votes of one height by view and phase, at most one counted per validator (protocol §2.6, §2.10). Immutable: every
 * change gives a new keeper. A vote of the current view is taken on trust at first and verified in aggregate when the
 * count reaches q; as soon as a different one claims the same place, both are verified singly, so that a forged vote
 * neither keeps a genuine one out nor hides an equivocation (T3).
 */
import { equalBytes, type SignatureSuite, toHex } from '../../crypto/index.ts'
import { type Evidence, type QuorumCertificate, type Vote, voteMessage } from '../block/index.ts'
import type { Validator } from '../params/index.ts'
import { buildCertificate, type QuorumPhase, verifyCertificate } from './certificate.ts'
import { createEvidence } from './evidence.ts'
import { powerOf, type ValidatorSet } from './power.ts'

interface HeldVote {
  readonly hash: Uint8Array
  readonly signature: Uint8Array
  /** Transport peer that pays when the vote is forged. */
  readonly from: string
  /** A vote of an aggregate that verified counts, but does not convict: only a single check does that. */
  readonly check: 'none' | 'aggregate' | 'single'
}

type PhaseVotes = ReadonlyMap<number, HeldVote>

interface ViewVotes {
  readonly prepare: PhaseVotes
  readonly commit: PhaseVotes
}

export interface VoteKeeper {
  readonly views: ReadonlyMap<number, ViewVotes>
  /** Positions whose ViewChange for a view was verified. */
  readonly viewChanges: ReadonlyMap<number, ReadonlySet<number>>
  /** The highest view that each position was seen in by verified messages, without bound (1.3). */
  readonly highestViews: ReadonlyMap<number, number>
  /** `phase view position` of what became evidence. */
  readonly convicted: ReadonlySet<string>
}

export const EMPTY_KEEPER: VoteKeeper = {
  views: new Map(),
  viewChanges: new Map(),
  highestViews: new Map(),
  convicted: new Set(),
}

const NO_VOTES: ViewVotes = { prepare: new Map(), commit: new Map() }

export interface VoteContext {
  readonly suite: SignatureSuite
  readonly genesisHash: Uint8Array
  readonly height: number
  readonly set: ValidatorSet
}

export interface IncomingVote {
  readonly vote: Vote
  readonly phase: QuorumPhase
  readonly position: number
  readonly from: string
  readonly verified: boolean
}

export interface KeeperChange {
  readonly keeper: VoteKeeper
  /** Peers that sent forged votes. */
  readonly forgers: readonly string[]
  readonly evidence?: Evidence
}

function signedBy(
  context: VoteContext,
  phase: QuorumPhase,
  view: number,
  position: number,
  vote: Pick<HeldVote, 'hash' | 'signature'>,
): boolean {
  const message = voteMessage(context.genesisHash, phase, context.height, view, vote.hash)
  const { blsKey } = context.set.validators[position] as Validator
  return context.suite.verify(blsKey, message, vote.signature)
}

function withVotes(
  keeper: VoteKeeper,
  view: number,
  phase: QuorumPhase,
  votes: PhaseVotes,
): VoteKeeper {
  const held = keeper.views.get(view) ?? NO_VOTES
  return { ...keeper, views: new Map(keeper.views).set(view, { ...held, [phase]: votes }) }
}

/** Takes a vote in. `eager`: it is to be verified now, since its mere presence says something (1.3). */
export function addVote(
  context: VoteContext,
  keeper: VoteKeeper,
  incoming: IncomingVote,
  eager: boolean,
): KeeperChange {
  const { vote, phase, position, from } = incoming
  const { view } = vote
  const votes = (keeper.views.get(view) ?? NO_VOTES)[phase]
  const held = votes.get(position)
  const fresh: HeldVote = {
    hash: vote.blockHash,
    signature: vote.signature,
    from,
    check: incoming.verified ? 'single' : 'none',
  }
  const genuine = (one: HeldVote) =>
    one.check === 'single' || signedBy(context, phase, view, position, one)
  const keep = (one: HeldVote) => withVotes(keeper, view, phase, new Map(votes).set(position, one))

  if (held === undefined) {
    if (!eager) return { keeper: keep(fresh), forgers: [] }
    return genuine(fresh)
      ? { keeper: keep({ ...fresh, check: 'single' }), forgers: [] }
      : { keeper, forgers: [from] }
  }
  if (equalBytes(held.hash, fresh.hash) && equalBytes(held.signature, fresh.signature)) {
    if (!incoming.verified || held.check === 'single') return { keeper, forgers: [] }
    return { keeper: keep(fresh), forgers: [] }
  }
  const place = `${phase} ${view} ${position}`
  if (keeper.convicted.has(place)) return { keeper, forgers: [] }
  if (!genuine(fresh)) return { keeper, forgers: [from] }
  const proven: HeldVote = { ...fresh, check: 'single' }
  if (!genuine(held)) return { keeper: keep(proven), forgers: [held.from] }
  if (equalBytes(held.hash, fresh.hash)) return { keeper, forgers: [] }
  const { blsKey } = context.set.validators[position] as Validator
  const { height } = context
  const evidence = createEvidence(phase, blsKey, view, { ...held, height }, { ...fresh, height })
  return {
    keeper: {
      ...keep({ ...held, check: 'single' }),
      convicted: new Set(keeper.convicted).add(place),
    },
    forgers: [],
    evidence,
  }
}

export interface Tally extends KeeperChange {
  readonly certificate?: QuorumCertificate
}

/** The certificate of a view and phase, if q voted for one hash. What was taken on trust is verified as a whole, singly if that fails. */
export function tally(
  context: VoteContext,
  keeper: VoteKeeper,
  view: number,
  phase: QuorumPhase,
): Tally {
  const votes = keeper.views.get(view)?.[phase]
  const hash = votes && leadingHash(context.set, votes)
  if (votes === undefined || hash === undefined) return { keeper, forgers: [] }
  const certificate = certificateOf(context, view, votes, hash)
  const trusted = [...votes].filter(
    ([, vote]) => vote.check === 'none' && equalBytes(vote.hash, hash),
  )
  if (trusted.length === 0) return { keeper, forgers: [], ...certificate }
  const kept = new Map(votes)
  if (certificate !== undefined && isGenuine(context, phase, certificate.certificate)) {
    for (const [position, vote] of trusted) kept.set(position, { ...vote, check: 'aggregate' })
    return { keeper: withVotes(keeper, view, phase, kept), forgers: [], ...certificate }
  }
  const forgers: string[] = []
  for (const [position, vote] of trusted) {
    if (signedBy(context, phase, view, position, vote)) {
      kept.set(position, { ...vote, check: 'single' })
    } else {
      kept.delete(position)
      forgers.push(vote.from)
    }
  }
  const settled = withVotes(keeper, view, phase, kept)
  return { keeper: settled, forgers, ...certificateOf(context, view, kept, hash) }
}

/** The certificate that the votes for the hash make, if they are a quorum and well-formed. */
function certificateOf(
  { suite, set, height }: VoteContext,
  view: number,
  votes: PhaseVotes,
  blockHash: Uint8Array,
): { readonly certificate: QuorumCertificate } | undefined {
  const chosen = [...votes].filter(([, vote]) => equalBytes(vote.hash, blockHash))
  const signatures = chosen.map(([position, { signature }]) => {
    return { validator: (set.validators[position] as Validator).blsKey, signature }
  })
  const certificate = buildCertificate(suite, set, { height, view, blockHash }, signatures)
  return certificate && { certificate }
}

function isGenuine(
  { suite, genesisHash, set }: VoteContext,
  phase: QuorumPhase,
  certificate: QuorumCertificate,
): boolean {
  return verifyCertificate(suite, genesisHash, phase, set, certificate).kind === 'valid'
}

/** The hash that q claim to have voted for: with one vote each there is at most one. */
function leadingHash(set: ValidatorSet, votes: PhaseVotes): Uint8Array | undefined {
  if (powerOf(set, votes.keys()) < set.quorum) return undefined
  const powers = new Map<string, number>()
  for (const [position, { hash }] of votes) {
    const key = toHex(hash)
    const power = (powers.get(key) ?? 0) + powerOf(set, [position])
    if (power >= set.quorum) return hash
    powers.set(key, power)
  }
  return undefined
}

/** A verified message shows `position` in `view`. */
export function noteView(keeper: VoteKeeper, position: number, view: number): VoteKeeper {
  if ((keeper.highestViews.get(position) ?? -1) >= view) return keeper
  return { ...keeper, highestViews: new Map(keeper.highestViews).set(position, view) }
}

export function addViewChange(keeper: VoteKeeper, position: number, view: number): VoteKeeper {
  const held = keeper.viewChanges.get(view)
  if (held?.has(position)) return keeper
  const positions = new Set(held).add(position)
  const viewChanges = new Map(keeper.viewChanges).set(view, positions)
  return noteView({ ...keeper, viewChanges }, position, view)
}

/** Whether every validator's ViewChange for the view is here. */
export function allViewChanged(keeper: VoteKeeper, set: ValidatorSet, view: number): boolean {
  return keeper.viewChanges.get(view)?.size === set.validators.length
}

/** The largest view that f+1 power was seen in or beyond; -1: none (1.3). */
export function jumpView(keeper: VoteKeeper, set: ValidatorSet): number {
  let power = 0
  const seen = [...keeper.highestViews].sort(([, left], [, right]) => right - left)
  for (const [position, view] of seen) {
    power += powerOf(set, [position])
    if (power >= set.honest) return view
  }
  return -1
}

/** Peers that sent a vote for the hash, who should have the block. */
export function votersFor(keeper: VoteKeeper, hash: Uint8Array): string[] {
  const peers = new Set<string>()
  for (const { prepare, commit } of keeper.views.values()) {
    for (const vote of [...prepare.values(), ...commit.values()]) {
      if (equalBytes(vote.hash, hash)) peers.add(vote.from)
    }
  }
  return [...peers]
}

/** Forgets the views below. */
export function pruneKeeper(keeper: VoteKeeper, lowestView: number): VoteKeeper {
  const recent = <T>(map: ReadonlyMap<number, T>) =>
    new Map([...map].filter(([view]) => view >= lowestView))
  return { ...keeper, views: recent(keeper.views), viewChanges: recent(keeper.viewChanges) }
}
