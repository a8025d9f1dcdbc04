/** The driver over views and heights: takes inputs in, then lets the rules act. */
import { equalBytes, toHex } from '../../crypto/index.ts'
import {
  type Block,
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  decodeBlock,
  type PrePrepare,
  type QuorumCertificate,
  type ViewChange,
  VOTE_PHASES,
  type Vote,
  viewChangeMessage,
  voteMessage,
} from '../block/index.ts'
import { assertNever, type Verdict } from '../params/index.ts'
import { verifyCertificate } from './certificate.ts'
import type { Effect, Input, PeerFault } from './io.ts'
import {
  MAX_ANSWERED_PEERS,
  MAX_ANSWERS_PER_SLOT,
  MAX_FETCH_PEERS,
  MAX_HEIGHTS_AHEAD,
  MAX_VIEWS_AHEAD,
  MAX_VIEWS_BEHIND,
} from './limits.ts'
import { createEvidence, heightOf, verifyAuthor, verifyConsensusMessage } from './messages.ts'
import { authorOfSlot, checkSlotWindow, proposer, proposerIndex, viewStart } from './pacemaker.ts'
import { positionOf, powerOf } from './power.ts'
import { learnCommitCertificate, learnPrepareCertificate, nextWake, settle } from './rules.ts'
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
  isWanted,
  nowSlot,
  OWN,
  openDraft,
  punish,
  setStatus,
  voteContext,
} from './state.ts'
import { addViewChange, addVote, noteView } from './vote-keeper.ts'

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
      takeBuilt(draft, input.view, input.block)
      break
    case 'buildFailed':
      if (draft.height.build?.view === input.view) {
        draft.height.build = { view: input.view, state: 'failed' }
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
  const height = createHeight(state.config, input.context, input.guard)
  state.height = height
  for (const bytes of height.guard.blocks.values()) {
    const decoded = decodeBlock(bytes)
    if (decoded.ok) addCandidate(height, blockHash(decoded.value.header), decoded.value)
  }
  const active = activeHeight(draft)
  if (active === undefined) return
  settle(draft)
  repeatSigned(active)
  replayFuture(draft, input.context.height)
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
  else if (at < current) answer(draft, at, from)
  if (fault !== undefined) punish(draft, from, fault)
}

/** A second certificate for the height decided last (2.7). */
function checkFork(draft: Draft, { certificate }: CommittedBlock): void {
  const { last, config } = draft.state
  if (last === undefined || certificate.height !== last.context.height) return
  if (equalBytes(certificate.blockHash, last.certificate.blockHash)) return
  const { suite, genesisHash } = config
  const { validators } = last.context
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

// Messages for heights to come.

/** Keeps a verified message of a known validator for its height, and notes how far the others are. */
function takeFuture(
  draft: Draft,
  message: ConsensusMessage,
  from: string,
  verified: boolean,
): PeerFault | undefined {
  const { state } = draft
  const height = state.height as HeightState
  const at = heightOf(message)
  if (message.kind === 'committedBlock') return noteCommitted(draft, message.value, from)
  const place = futurePlace(height, message)
  if (place === undefined) return
  const near = at <= height.context.height + MAX_HEIGHTS_AHEAD && place.view <= MAX_VIEWS_AHEAD
  const news = near
    ? !state.future.held.has(place.key)
    : at > (state.future.heights.get(place.validator) ?? -1)
  if (!news) return
  const { config } = state
  if (!verified && verifyConsensusMessage(config.suite, config, message).kind !== 'valid') {
    return 'BadSignature'
  }
  if (message.kind === 'prePrepare' && !isProposedByAuthor(draft, message.value)) return
  if (near) {
    const held = new Map(state.future.held).set(place.key, { message, from })
    state.future = { ...state.future, held }
  }
  if (message.kind !== 'prePrepare') noteHeight(draft, place.validator, at)
}

/** What a message for a later height is kept under: at most one for each validator, kind and view. */
function futurePlace(
  height: HeightState,
  message: ConsensusMessage,
): { key: string; validator: string; view: number } | undefined {
  if (message.kind === 'committedBlock' || message.kind === 'prepareCertificate') return undefined
  const { value, kind } = message
  const signer = kind === 'prePrepare' ? message.value.block.header.author : message.value.validator
  if (positionOf(height.set, signer) === undefined) return undefined
  const validator = toHex(signer)
  const phase = kind === 'vote' ? message.value.phase : ''
  const key = `${value.height} ${kind} ${phase} ${value.view} ${validator}`
  return { key, validator, view: value.view }
}

/** A fresh proposal is signed by the block's author; another one is not kept ahead of its height. */
function isProposedByAuthor({ state }: Draft, value: PrePrepare): boolean {
  const { suite, genesisHash } = state.config
  const { header } = value.block
  const hash = blockHash(header)
  const signed = voteMessage(genesisHash, 'proposal', value.height, value.view, hash)
  return value.certificate.length === 0 && suite.verify(header.author, signed, value.signature)
}

function noteHeight(draft: Draft, validator: string, at: number): void {
  const { state } = draft
  const height = state.height as HeightState
  if ((state.future.heights.get(validator) ?? -1) >= at) return
  const heights = new Map(state.future.heights).set(validator, at)
  state.future = { ...state.future, heights }
  let power = 0
  const seen = [...heights].sort(([, left], [, right]) => right - left)
  for (const [key, reached] of seen) {
    const position = height.set.positions.get(key)
    power += position === undefined ? 0 : powerOf(height.set, [position])
    if (power < height.set.honest) continue
    // f+1 vote at `reached`, so the height before is committed. One ahead is no news: the next answer brings it.
    if (reached > height.context.height + 1) tellBehind(draft, reached - 1)
    return
  }
}

function noteCommitted(
  draft: Draft,
  { certificate }: CommittedBlock,
  from: string,
): PeerFault | undefined {
  const { state } = draft
  const { set } = state.height as HeightState
  if (certificate.height <= state.behindHeight) return
  const { suite, genesisHash } = state.config
  const verdict = verifyCertificate(suite, genesisHash, 'commit', set, certificate)
  // The set may have changed since; a certificate that this one did not give is no fault of the peer's.
  if (verdict.kind === 'valid') tellBehind(draft, certificate.height)
  else if (verdict.kind === 'invalid' && verdict.code === 'BadSignature') {
    punish(draft, from, 'BadCertificate')
  }
}

function tellBehind(draft: Draft, height: number): void {
  if (height <= draft.state.behindHeight) return
  draft.state.behindHeight = height
  draft.effects.push({ kind: 'behind', height })
}

// Messages of the present height.

function takePresent(
  draft: HeightDraft,
  message: ConsensusMessage,
  from: string,
  verified: boolean,
): PeerFault | undefined {
  switch (message.kind) {
    case 'prePrepare':
      return takeProposal(draft, message.value, from, verified)
    case 'vote':
      return takeVote(draft, message.value, from, verified)
    case 'viewChange':
      return takeViewChange(draft, message.value, from, verified)
    case 'prepareCertificate':
      return takePrepareCertificate(draft, message.value, from) ? undefined : 'BadCertificate'
    case 'committedBlock':
      return takeCommitted(draft, message.value, verified)
    default:
      return assertNever(message)
  }
}

function takeProposal(
  draft: HeightDraft,
  value: PrePrepare,
  from: string,
  verified: boolean,
): PeerFault | undefined {
  const { state, height } = draft
  const { suite, genesisHash } = state.config
  const { context } = height
  const hash = blockHash(value.block.header)
  if (value.view > Math.max(height.view, 0) + MAX_VIEWS_AHEAD) return
  if (value.view < height.view - 1 && !isWanted(height, hash)) return
  const held = height.proposals.get(value.view)
  const same = held !== undefined && equalBytes(held.hash, hash)
  if (same && equalBytes(held.signature, value.signature)) return
  const { blsKey } = proposer(context.validators, context.parentSlot, value.view)
  const signed = voteMessage(genesisHash, 'proposal', value.height, value.view, hash)
  if (!suite.verify(blsKey, signed, value.signature)) return 'NotTheProposer'
  // A quorum wants this block: whatever came before it in its view, it is taken.
  if (isWanted(height, hash)) takeFetched(draft, value.block, from)
  if (same) return
  if (held !== undefined) {
    if (height.convictedProposers.has(value.view)) return
    height.convictedProposers = new Set(height.convictedProposers).add(value.view)
    const evidence = createEvidence('proposal', blsKey, value, held, { ...value, hash })
    draft.effects.push({ kind: 'evidence', evidence })
    return
  }
  const { slot } = value.block.header
  if (checkSlotWindow(slot, nowSlot(state)).kind === 'invalid') return
  const fault = proposalFault(draft, value, hash, from, verified)
  if (fault !== undefined) return fault
  const proposal = {
    view: value.view,
    slot,
    hash,
    signature: value.signature,
    certificate: value.certificate[0],
  }
  if (value.view >= height.view - 1) {
    height.proposals = new Map(height.proposals).set(value.view, proposal)
  }
  addCandidate(height, hash, value.block)
}

/** 2.1, 2.2. Learns the certificate of a re-proposal on the way. */
function proposalFault(
  draft: HeightDraft,
  value: PrePrepare,
  hash: Uint8Array,
  from: string,
  verified: boolean,
): PeerFault | undefined {
  const { state, height } = draft
  const { suite, genesisHash } = state.config
  const { validators, parentSlot, parentHash } = height.context
  const { header } = value.block
  if (header.height !== value.height) return 'Malformed'
  if (!equalBytes(header.parentHash, parentHash)) return 'WrongParent'
  const start = viewStart(parentSlot, value.view, validators.length)
  const [certificate] = value.certificate
  const fits = certificate === undefined ? header.slot === start : header.slot < start
  if (!fits) return 'WrongSlot'
  const author = authorOfSlot(validators, parentSlot, header.slot)
  if (author === undefined || !equalBytes(author.blsKey, header.author)) return 'WrongSlotAuthor'
  const known = height.candidates.has(toHex(hash))
  if (!known && !verified && !verifyAuthor(suite, genesisHash, value.block)) return 'BadSignature'
  if (certificate === undefined) return undefined
  if (certificate.view >= value.view || !equalBytes(certificate.blockHash, hash)) {
    return 'BadCertificate'
  }
  return provesPrepared(draft, certificate, from) ? undefined : 'BadCertificate'
}

/** Whether q prepared what the certificate says. */
function provesPrepared(draft: HeightDraft, certificate: QuorumCertificate, from: string): boolean {
  const { state, height } = draft
  const { highest, context, set } = height
  if (certificate.height !== context.height) return false
  const known =
    highest?.view === certificate.view && equalBytes(highest.blockHash, certificate.blockHash)
  if (!known) {
    const { suite, genesisHash } = state.config
    const verdict = verifyCertificate(suite, genesisHash, 'prepare', set, certificate)
    if (verdict.kind !== 'valid') return false
    learnPrepareCertificate(height, certificate)
  }
  noteTeller(height, certificate.blockHash, from)
  return true
}

function noteTeller(height: HeightState, hash: Uint8Array, peer: string): void {
  const key = toHex(hash)
  const peers = height.tellers.get(key) ?? []
  if (peers.includes(peer) || peers.length >= MAX_FETCH_PEERS) return
  // Only the last certificates matter; the map stays as small as they are.
  const kept = [...height.tellers].slice(-MAX_VIEWS_AHEAD)
  height.tellers = new Map(kept).set(key, [...peers, peer])
}

/** False when it is forged. One that is not above the highest says nothing new and is not looked at. */
function takePrepareCertificate(
  draft: HeightDraft,
  certificate: QuorumCertificate,
  from: string,
): boolean {
  const { highest } = draft.height
  if (highest !== undefined && certificate.view < highest.view) return true
  return provesPrepared(draft, certificate, from)
}

function takeVote(
  draft: HeightDraft,
  vote: Vote,
  from: string,
  verified: boolean,
): PeerFault | undefined {
  const { height } = draft
  const phase = VOTE_PHASES[vote.phase]
  if (phase !== 'prepare' && phase !== 'commit') return 'Malformed'
  const position = positionOf(height.set, vote.validator)
  if (position === undefined) return 'NotAValidator'
  const { view } = vote
  if (view < height.view - MAX_VIEWS_BEHIND) return
  if (view > Math.max(height.view, 0) + MAX_VIEWS_AHEAD) {
    return noteFarView(draft, { kind: 'vote', value: vote }, position, verified)
  }
  const ahead = view > height.view
  const change = addVote(
    voteContext(draft),
    height.votes,
    { vote, phase, position, from, verified },
    ahead,
  )
  height.votes = change.keeper
  for (const peer of change.forgers) punish(draft, peer, 'BadSignature')
  if (change.evidence) draft.effects.push({ kind: 'evidence', evidence: change.evidence })
  if (ahead && !change.forgers.includes(from)) {
    height.votes = noteView(height.votes, position, view)
  }
}

/** Beyond the views that are kept a message still shows where its sender is (1.3). */
function noteFarView(
  draft: HeightDraft,
  message: Extract<ConsensusMessage, { kind: 'vote' | 'viewChange' }>,
  position: number,
  verified: boolean,
): PeerFault | undefined {
  const { state, height } = draft
  const { view } = message.value
  if ((height.votes.highestViews.get(position) ?? -1) >= view) return
  const { config } = state
  if (!verified && verifyConsensusMessage(config.suite, config, message).kind !== 'valid') {
    return 'BadSignature'
  }
  height.votes = noteView(height.votes, position, view)
}

function takeViewChange(
  draft: HeightDraft,
  value: ViewChange,
  from: string,
  verified: boolean,
): PeerFault | undefined {
  const { state, height } = draft
  const { context } = height
  const { view } = value
  const position = positionOf(height.set, value.validator)
  if (position === undefined) return 'NotAValidator'
  const [certificate] = value.certificate
  if (certificate !== undefined) {
    if (certificate.view > view || !takePrepareCertificate(draft, certificate, from)) {
      return 'BadCertificate'
    }
  }
  if (view > Math.max(height.view, 0) + MAX_VIEWS_AHEAD) {
    return noteFarView(draft, { kind: 'viewChange', value }, position, verified)
  }
  const proposing =
    height.self === proposerIndex(context.parentSlot, view, height.set.validators.length)
  const useful = view > height.view || (view === height.view && proposing)
  if (!useful || height.votes.viewChanges.get(view)?.has(position)) return
  const signed = viewChangeMessage(state.config.genesisHash, value.height, view, value.certificate)
  if (!verified && !state.config.suite.verify(value.validator, signed, value.signature)) {
    return 'BadSignature'
  }
  height.votes = addViewChange(height.votes, position, view)
}

/** 2.6, 4.6: a certified block is committed whatever the local view thinks, once it is executed and valid. */
function takeCommitted(
  draft: HeightDraft,
  value: CommittedBlock,
  verified: boolean,
): PeerFault | undefined {
  const { state, height } = draft
  const { suite, genesisHash } = state.config
  const { block, certificate } = value
  const hash = blockHash(block.header)
  if (certificate.height !== height.context.height || !equalBytes(certificate.blockHash, hash)) {
    return 'Malformed'
  }
  const known = height.candidates.has(toHex(hash))
  const held = height.commitCertificate
  if (known && held !== undefined && equalBytes(held.blockHash, hash)) return
  const verdict = verifyCertificate(suite, genesisHash, 'commit', height.set, certificate)
  if (verdict.kind !== 'valid') return 'BadCertificate'
  learnCommitCertificate(draft, certificate)
  // A certificate is no proof of the author's signature beside the hash: it is not covered by it.
  if (!known && !verified && !verifyAuthor(suite, genesisHash, block)) {
    return 'BadSignature'
  }
  addCandidate(height, hash, block)
}

// Answers to effects.

function takeBuilt({ height }: HeightDraft, view: number, block: Block): void {
  const { context, build } = height
  if (build?.view !== view || view !== height.view || build.state !== 'asked') return
  const { header } = block
  const start = viewStart(context.parentSlot, view, height.set.validators.length)
  const own = context.validators[height.self ?? -1]
  const fits =
    header.height === context.height &&
    header.slot === start &&
    equalBytes(header.parentHash, context.parentHash) &&
    own !== undefined &&
    equalBytes(header.author, own.blsKey)
  height.build = { view, state: fits ? block : 'failed' }
  if (!fits) height.abstention = 'BuildMismatch'
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

function takeFetched(draft: HeightDraft, block: Block, from: string): void {
  const { state, height } = draft
  const hash = blockHash(block.header)
  if (!isWanted(height, hash)) return
  const { suite, genesisHash } = state.config
  if (verifyAuthor(suite, genesisHash, block)) addCandidate(height, hash, block)
  else punish(draft, from, 'BadSignature')
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
    holdOwnProposal(height, message.value)
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

function holdOwnProposal(height: HeightState, value: PrePrepare): void {
  const { view, block, certificate, signature } = value
  const hash = blockHash(block.header)
  const { slot } = block.header
  const proposal = { view, slot, hash, signature, certificate: certificate[0] }
  height.proposals = new Map(height.proposals).set(view, proposal)
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

/** A block that is held here but not committed yet, for a peer that fetches it. */
export function heldBlock(state: DriverState, hash: Uint8Array): Block | undefined {
  return state.height && candidateOf(state.height, hash)?.block
}
