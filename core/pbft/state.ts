/** The driver's state. Values inside are immutable; a step works on a shallow copy, so that `step` is a function. */
import { toHex } from '../../crypto/index.ts'
import type { Block, ConsensusMessage, QuorumCertificate, SignedHash } from '../block/index.ts'
import {
  decideGuard,
  EMPTY_GUARD,
  foldGuard,
  type GuardRecord,
  type GuardView,
} from '../guard/index.ts'
import {
  type Decision,
  type DriverConfig,
  type Effect,
  type HaltReason,
  type HeightContext,
  MESSAGE_FAULTS,
  type PeerFault,
  type ViewFailure,
} from './io.ts'
import { slotAt } from './pacemaker.ts'
import { createValidatorSet, type ValidatorSet } from './power.ts'
import type { CandidateStatus, Proposal } from './view.ts'
import { EMPTY_KEEPER, type VoteContext, type VoteKeeper } from './vote-keeper.ts'

export interface Candidate {
  readonly block: Block
  readonly hash: Uint8Array
  readonly status: CandidateStatus
}

/** Our own block for a view: asked for, given up, or there. */
export interface Build {
  readonly view: number
  readonly state: 'asked' | 'failed' | Block
  /** Why it failed. */
  readonly code?: string
}

/** What one place of a validator holds: the first hash that it signed there, or that it was convicted. */
export type SignedPlace = SignedHash | 'convicted'

/** Blocks that validators signed, by author and slot, over all heights; the newest few of each author. */
export type AuthoredBlocks = ReadonlyMap<string, ReadonlyMap<number, SignedPlace>>

export interface HeightState {
  context: HeightContext
  set: ValidatorSet
  /** Own position; undefined: an observer of this height. */
  self: number | undefined
  /** -1 before the first view. */
  view: number
  enteredAtMs: number
  /** With all that was asked to be signed, whether it is done yet or not. */
  guard: GuardView
  votes: VoteKeeper
  /** The first verified proposal of each view. */
  proposals: ReadonlyMap<number, Proposal>
  /** Blocks by hash. */
  candidates: ReadonlyMap<string, Candidate>
  build: Build | undefined
  /** The highest prepare certificate from any source. */
  highest: QuorumCertificate | undefined
  commitCertificate: QuorumCertificate | undefined
  /** What we signed in the current view, to be sent again. */
  own: readonly ConsensusMessage[]
  /** Slot in which `own` was last sent. */
  sentInSlot: number
  /** Slot in which a block was last asked for, by hash. */
  fetches: ReadonlyMap<string, number>
  /** Peers that told of a certificate, by its block's hash. */
  tellers: ReadonlyMap<string, readonly string[]>
  /** The first hash that the proposer of each view signed, or that it signed two. */
  proposed: ReadonlyMap<number, SignedPlace>
  /** When the current view's prepare quorum was here. */
  preparedAtMs: number | undefined
  /** Why the current view's proposal is not prepared, for the operator. */
  abstention: string | undefined
  /** Undefined until it is. */
  decidedInSlot: number | undefined
}

export interface HeldMessage {
  readonly message: ConsensusMessage
  readonly from: string
  /** The signer signed another hash for this place, too. */
  readonly convicted?: true
}

/** What is kept for heights to come: verified messages only, one for each place. */
export interface FutureStore {
  readonly held: ReadonlyMap<string, HeldMessage>
  /** The highest height that each validator, by key, was seen at. */
  readonly heights: ReadonlyMap<string, number>
}

export interface DriverState {
  readonly config: DriverConfig
  nowMs: number
  height: HeightState | undefined
  /** The last height that was decided: a second certificate for it is a fork (2.7). */
  last: Decision | undefined
  /** The height before this one as it was when it was decided here: late messages for it may still convict. */
  decided: HeightState | undefined
  authored: AuthoredBlocks
  future: FutureStore
  /** Answers given in a slot, by peer. */
  answers: { readonly slot: number; readonly counts: ReadonlyMap<string, number> }
  behindHeight: number
  wakeAtMs: number | undefined
  halted: HaltReason | undefined
  /** The last ones, oldest first. */
  failures: readonly ViewFailure[]
}

/** Stands for a peer id where a message is our own. */
export const OWN = ''

export const EMPTY_FUTURE: FutureStore = { held: new Map(), heights: new Map() }

/** Consensus without a height yet; `startHeight` begins it. `halted`: it was before a restart and stays so. */
export function createDriver(config: DriverConfig, halted?: HaltReason): DriverState {
  return {
    config,
    nowMs: 0,
    height: undefined,
    last: undefined,
    decided: undefined,
    authored: new Map(),
    future: EMPTY_FUTURE,
    answers: { slot: -1, counts: new Map() },
    behindHeight: -1,
    wakeAtMs: undefined,
    halted,
    failures: [],
  }
}

export function createHeight(
  config: DriverConfig,
  context: HeightContext,
  guard: GuardView,
): HeightState {
  const set = createValidatorSet(context.validators)
  const known = config.self && set.positions.get(toHex(config.self))
  const maySign = guard.floor <= context.height && guard.height <= context.height
  const { floor, slot } = guard
  return {
    context,
    set,
    self: maySign ? known : undefined,
    view: -1,
    enteredAtMs: 0,
    guard: guard.height === context.height ? guard : { ...EMPTY_GUARD, floor, slot },
    votes: EMPTY_KEEPER,
    proposals: new Map(),
    candidates: new Map(),
    build: undefined,
    highest: guard.height === context.height ? guard.lock?.certificate : undefined,
    commitCertificate: undefined,
    own: [],
    sentInSlot: -1,
    fetches: new Map(),
    tellers: new Map(),
    proposed: new Map(),
    preparedAtMs: undefined,
    abstention: undefined,
    decidedInSlot: undefined,
  }
}

/** One step in the making: a copy of the state, and what it asks for. */
export interface Draft {
  readonly state: DriverState
  readonly effects: Effect[]
}

/** A draft within a height that is not decided yet. */
export interface HeightDraft extends Draft {
  readonly height: HeightState
}

export function openDraft(state: DriverState): Draft {
  const height = state.height && { ...state.height }
  const decided = state.decided && { ...state.decided }
  return { state: { ...state, height, decided }, effects: [] }
}

/** The draft's height, if there is one to work on. */
export function activeHeight(draft: Draft): HeightDraft | undefined {
  const { height, halted } = draft.state
  if (height === undefined || height.decidedInSlot !== undefined || halted !== undefined)
    return undefined
  return { ...draft, height }
}

export function voteContext({ state, height }: HeightDraft): VoteContext {
  const { suite, genesisHash } = state.config
  return { suite, genesisHash, height: height.context.height, set: height.set }
}

export function nowSlot(state: DriverState): number {
  return slotAt(state.nowMs, state.config.slotMs)
}

export function punish(draft: Draft, peer: string, code: PeerFault): void {
  draft.effects.push({ kind: 'punish', peer, code, blame: MESSAGE_FAULTS[code] })
}

export function halt(
  draft: Draft,
  reason: HaltReason,
  certificates: readonly QuorumCertificate[],
): void {
  draft.state.halted = reason
  draft.effects.push({ kind: 'halt', reason, certificates })
}

/** Asks for a signature if the guard would let it pass. */
export function askToSign(draft: HeightDraft, record: GuardRecord): boolean {
  const { height } = draft
  if (height.self === undefined) return false
  const decision = decideGuard(height.guard, record)
  if (typeof decision === 'object') return false
  if (decision === 'sign') height.guard = foldGuard(height.guard, record)
  draft.effects.push({ kind: 'sign', record })
  return true
}

export function addCandidate(height: HeightState, hash: Uint8Array, block: Block): void {
  const key = toHex(hash)
  if (height.candidates.has(key)) return
  const candidate: Candidate = { block, hash, status: { kind: 'unchecked' } }
  height.candidates = new Map(height.candidates).set(key, candidate)
}

export function setStatus(
  height: HeightState,
  candidate: Candidate,
  status: CandidateStatus,
): void {
  const changed: Candidate = { ...candidate, status }
  height.candidates = new Map(height.candidates).set(toHex(candidate.hash), changed)
}

export function candidateOf(height: HeightState, hash: Uint8Array): Candidate | undefined {
  return height.candidates.get(toHex(hash))
}

/** Whether a certificate names the block and it is not here. */
export function isWanted(height: HeightState, hash: Uint8Array): boolean {
  const key = toHex(hash)
  if (height.candidates.has(key)) return false
  return [height.highest, height.commitCertificate].some(
    (certificate) => certificate !== undefined && toHex(certificate.blockHash) === key,
  )
}
