/** The driver over views and heights: takes inputs in, then lets the rules act. */
import { equalBytes } from '../../crypto/index.ts'
import {
  type Block,
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  decodeBlock,
  type PrePrepare,
  VOTE_PHASES,
} from '../block/index.ts'
import { assertNever, type Verdict } from '../params/index.ts'
import { verifyCertificate } from './certificate.ts'
import { takeFuture } from './future.ts'
import type { Effect, Input, PeerFault } from './io.ts'
import { MAX_ANSWERED_PEERS, MAX_ANSWERS_PER_SLOT } from './limits.ts'
import { heightOf } from './messages.ts'
import { viewStart } from './pacemaker.ts'
import { positionOf } from './power.ts'
import { takeFetched, takePresent, takeVote } from './present.ts'
import { blocksInUse, nextWake, settle } from './rules.ts'
import {
  activeHeight,
  addCandidate,
  askToSign,
  candidateOf,
  createHeight,
  type Draft,
  type DriverState,
  type HeightDraft,
  type HeightState,
  halt,
  nowSlot,
  OWN,
  openDraft,
  punish,
  setStatus,
} from './state.ts'
import { addViewChange } from './vote-keeper.ts'
import { noteBlock, witnessDecided } from './witness.ts'

/** Told one thing, gives the next state and what is to be done, in order. Does not touch the state it was given. */
export function step(
  before: DriverState,
  input: Input,
): { readonly state: DriverState; readonly effects: readonly Effect[] } {
  const draft = openDraft(before)
  if ('nowMs' in input) setClock(draft, input.nowMs)
  if (before.halted === undefined) {
    take(draft, input)
    settle(draft)
  } else if (input.kind === 'startHeight') {
    // For the operator: where it stands.
    draft.state.height = createHeight(before.config, input.context, input.guard)
  }
  setWake(draft, input.kind === 'clock' || input.kind === 'startHeight')
  return { state: draft.state, effects: draft.effects }
}

function setClock({ state }: Draft, nowMs: number): void {
  state.nowMs = nowMs
  // A clock that was set back must not make a wait longer than it is.
  if (state.height !== undefined && state.height.enteredAtMs > nowMs) {
    state.height.enteredAtMs = nowMs
  }
}

function setWake(draft: Draft, always: boolean): void {
  const height = activeHeight(draft)
  const atMs = height && nextWake(height)
  if (atMs !== undefined && (always || atMs !== draft.state.wakeAtMs)) {
    draft.effects.push({ kind: 'wake', atMs })
  }
  draft.state.wakeAtMs = atMs
}

function take(draft: Draft, input: Input): void {
  if (input.kind === 'startHeight') startHeight(draft, input)
  else if (input.kind === 'message') takeMessage(draft, input)
  else if (input.kind === 'peerConnected') greet(draft, input.peer)
  else {
    const height = activeHeight(draft)
    if (height !== undefined) takeForHeight(height, input)
  }
}

type HeightInput = Exclude<Input, { kind: 'startHeight' | 'message' | 'peerConnected' }>

function takeForHeight(draft: HeightDraft, input: HeightInput): void {
  switch (input.kind) {
    case 'clock':
      sendAgain(draft)
      break
    case 'built':
      if (isAskedBuild(draft, input)) takeBuilt(draft, input.view, input.block)
      break
    case 'buildFailed':
      if (isAskedBuild(draft, input)) {
        draft.height.build = { view: input.view, state: 'failed', code: input.code }
      }
      break
    case 'validated':
      takeVerdict(draft, input)
      break
    case 'blockFetched':
      takeFetched(draft, input.block, input.from)
      break
    case 'signed':
      takeSigned(draft, input.message)
      break
    case 'signRefused':
      draft.height.abstention = input.code
      break
    default:
      assertNever(input)
  }
}

function startHeight(draft: Draft, input: Extract<Input, { kind: 'startHeight' }>): void {
  const { state } = draft
  const { context } = input
  const height = createHeight(state.config, context, input.guard)
  const before = state.height
  const follows =
    before?.decidedInSlot !== undefined && before.context.height === context.height - 1
  // Without its blocks: only what was signed is of use.
  state.decided = follows ? { ...before, candidates: new Map() } : undefined
  state.height = height
  if (context.parent !== undefined) state.last = context.parent
  for (const bytes of height.guard.blocks.values()) {
    const decoded = decodeBlock(bytes)
    if (decoded.ok) addCandidate(height, blockHash(decoded.value.header), decoded.value)
  }
  const active = activeHeight(draft)
  if (active === undefined) return
  settle(draft)
  repeatSigned(active)
  replayFuture(draft, context.height)
}

/** After a restart: what the guard says was signed in this view is signed and sent again, the same bytes. */
function repeatSigned(draft: HeightDraft): void {
  const { guard, view } = draft.height
  if (guard.view !== view) return
  for (const record of [guard.propose, guard.prepare, guard.commit]) {
    if (record !== undefined) askToSign(draft, record)
  }
}

function replayFuture(draft: Draft, height: number): void {
  const { state } = draft
  const { held } = state.future
  const isLater = ({ message }: { message: ConsensusMessage }) => heightOf(message) > height
  const later = new Map([...held].filter(([, one]) => isLater(one)))
  const heights = new Map([...state.future.heights].filter(([, reached]) => reached > height))
  state.future = { held: later, heights }
  for (const { message, from } of held.values()) {
    const active = activeHeight(draft)
    if (active !== undefined && heightOf(message) === height) {
      takePresent(active, message, from, true)
    }
  }
}

function takeMessage(draft: Draft, input: Extract<Input, { kind: 'message' }>): void {
  const { message, from, verified = false } = input
  const { height } = draft.state
  if (height === undefined) return
  const at = heightOf(message)
  const current = height.context.height
  const active = activeHeight(draft)
  let fault: PeerFault | undefined
  if (at > current) fault = takeFuture(draft, message, from, verified)
  else if (at === current && active !== undefined) {
    fault = takePresent(active, message, from, verified)
  } else if (message.kind === 'committedBlock') checkFork(draft, message.value)
  else {
    const decided = at === current ? height : draft.state.decided
    if (decided?.context.height === at && draft.state.halted === undefined) {
      witnessDecided(draft, decided, message, from, verified)
    }
    if (at < current && !isLateVote(draft, at, message)) answer(draft, at, from)
  }
  if (fault !== undefined) punish(draft, from, fault)
}

/**
 * A vote of the view that decided, for its block, in the slot of the decision: its sender is about to see the same quorum. One who does not
 * says so again in the next slot and is answered then (2.6).
 */
function isLateVote({ state }: Draft, at: number, message: ConsensusMessage): boolean {
  const { decided } = state
  const certificate = decided?.commitCertificate
  return (
    message.kind === 'vote' &&
    certificate?.height === at &&
    certificate.view === message.value.view &&
    equalBytes(certificate.blockHash, message.value.blockHash) &&
    decided?.decidedInSlot === nowSlot(state)
  )
}

/** A second certificate for the height decided last (2.7). */
function checkFork(draft: Draft, { certificate }: CommittedBlock): void {
  const { last, config } = draft.state
  if (last === undefined || certificate.height !== last.height) return
  if (equalBytes(certificate.blockHash, last.certificate.blockHash)) return
  const { suite, genesisHash } = config
  const { validators } = last
  if (verifyCertificate(suite, genesisHash, 'commit', validators, certificate).kind === 'valid') {
    halt(draft, 'ConflictingCertificates', [last.certificate, certificate])
  }
}

function answer(draft: Draft, height: number, peer: string): void {
  const { state } = draft
  const slot = nowSlot(state)
  const counts = state.answers.slot === slot ? state.answers.counts : new Map<string, number>()
  const given = counts.get(peer) ?? 0
  if (given >= MAX_ANSWERS_PER_SLOT || (given === 0 && counts.size >= MAX_ANSWERED_PEERS)) return
  state.answers = { slot, counts: new Map(counts).set(peer, given + 1) }
  draft.effects.push({ kind: 'answerCommitted', height, peer })
}

// Answers to effects.

/** Whether this height waits for it: a build of the height before may end late and have the same view. */
function isAskedBuild(
  { height: { build, context } }: HeightDraft,
  answer: { readonly height: number; readonly view: number },
): boolean {
  const { height, view } = answer
  return height === context.height && build?.view === view && build.state === 'asked'
}

function takeBuilt({ height }: HeightDraft, view: number, block: Block): void {
  const { context } = height
  if (view !== height.view) return
  const { header } = block
  const start = viewStart(context.parentSlot, view, height.set.validators.length)
  const own = context.validators[height.self ?? -1]
  const fits =
    header.height === context.height &&
    header.slot === start &&
    equalBytes(header.parentHash, context.parentHash) &&
    own !== undefined &&
    equalBytes(header.author, own.blsKey)
  height.build = fits ? { view, state: block } : { view, state: 'failed', code: 'BuildMismatch' }
}

function takeVerdict(
  { state, height }: HeightDraft,
  input: { readonly hash: Uint8Array; readonly verdict: Verdict; readonly objects?: boolean },
): void {
  const candidate = candidateOf(height, input.hash)
  if (candidate === undefined || candidate.status.kind === 'invalid') return
  const { verdict } = input
  const { status } = candidate
  if (verdict.kind === 'invalid') {
    setStatus(height, candidate, { kind: 'invalid', code: verdict.code })
  } else if (verdict.kind === 'unknown') {
    const retryAtMs = state.nowMs + Math.max(1, verdict.retryAfterMs)
    setStatus(height, candidate, { kind: 'unknown', code: verdict.code, retryAtMs })
  } else {
    const asked = status.kind === 'checking' && status.fresh
    const objects = input.objects ?? (asked ? false : undefined)
    setStatus(height, candidate, { kind: 'valid', objects })
  }
}

/** Our own message: sent, and counted like anybody else's. */
function takeSigned(draft: HeightDraft, message: ConsensusMessage): void {
  const { height, effects } = draft
  if (message.kind === 'committedBlock' || message.kind === 'prepareCertificate') return
  const { value } = message
  if (value.height !== height.context.height) return
  effects.push({ kind: 'broadcast', message })
  if (value.view === height.view) height.own = [...height.own, message]
  if (message.kind === 'prePrepare') {
    holdOwnProposal(draft, message.value)
    const { block } = message.value
    noteBlock(draft, height, block, blockHash(block.header))
    return
  }
  const position = positionOf(height.set, message.value.validator)
  if (position === undefined) return
  if (message.kind === 'viewChange') {
    height.votes = addViewChange(height.votes, position, value.view)
    return
  }
  takeVote(draft, message.value, OWN, true)
  const lock = height.guard.lock
  if (VOTE_PHASES[message.value.phase] === 'commit' && lock?.view === value.view) {
    effects.push({
      kind: 'broadcast',
      message: { kind: 'prepareCertificate', value: lock.certificate },
    })
  }
}

function holdOwnProposal({ state, height }: HeightDraft, value: PrePrepare): void {
  const { view, block, certificate, signature } = value
  const hash = blockHash(block.header)
  const { slot } = block.header
  const receivedAtMs = state.nowMs
  const proposal = { view, slot, hash, signature, receivedAtMs, certificate: certificate[0] }
  height.proposals = new Map(height.proposals).set(view, proposal)
  const signed = { height: value.height, hash, signature }
  height.proposed = new Map(height.proposed).set(view, signed)
  addCandidate(height, hash, block)
}

// Sending again (2.6).

/** What a peer that missed everything needs to take part in the present view. */
function presentMessages(height: HeightState): ConsensusMessage[] {
  const { highest, own } = height
  const messages = [...own]
  if (highest !== undefined) messages.push({ kind: 'prepareCertificate', value: highest })
  return messages
}

/** Once per slot; a view that ends with the slot says all once more as it ends. */
function sendAgain({ state, height, effects }: HeightDraft): void {
  const slot = nowSlot(state)
  if (height.self === undefined || height.sentInSlot >= slot) return
  height.sentInSlot = slot
  for (const message of presentMessages(height)) effects.push({ kind: 'broadcast', message })
}

function greet(draft: Draft, peer: string): void {
  const { height } = draft.state
  if (height === undefined) return
  const { height: number } = height.context
  if (number > 1) draft.effects.push({ kind: 'answerCommitted', height: number - 1, peer })
  for (const message of presentMessages(height)) {
    draft.effects.push({ kind: 'sendTo', peer, message })
  }
}

/** Hashes, in hex, of the blocks of this height that consensus may still need: whoever holds them executed keeps them. */
export function neededBlocks({ height }: DriverState): ReadonlySet<string> {
  return height === undefined ? new Set() : blocksInUse(height)
}

/** A block that is held here but not committed yet, for a peer that fetches it. */
export function heldBlock(state: DriverState, hash: Uint8Array): Block | undefined {
  return state.height && candidateOf(state.height, hash)?.block
}
