/**
 * What follows from the state, whatever input led to it: each rule looks at the whole and acts once. Running them
 * after every input takes the place of a table of input × state.
 */
import { equalBytes, toHex } from '../../crypto/index.ts'
import {
  type Block,
  blockHash,
  encodeBlock,
  encodeConsensusMessage,
  type PrePrepare,
  type QuorumCertificate,
} from '../block/index.ts'
import type { ProposeRecord } from '../guard/index.ts'
import { signersOf } from './certificate.ts'
import { describeFailure } from './failure.ts'
import type { ViewReason } from './io.ts'
import { MAX_FAILURES_KEPT, MAX_FETCH_PEERS, MAX_VIEWS_BEHIND } from './limits.ts'
import {
  checkSlotWindow,
  proposer,
  proposerIndex,
  viewAtSlot,
  viewLength,
  viewStart,
} from './pacemaker.ts'
import {
  activeHeight,
  askToSign,
  candidateOf,
  type Draft,
  type HeightDraft,
  type HeightState,
  halt,
  isWanted,
  nowSlot,
  OWN,
  punish,
  setStatus,
  voteContext,
} from './state.ts'
import { decidePrepare, decideProposal, mayCommit, type ProposalDecision } from './view.ts'
import { allViewChanged, jumpView, noteView, pruneKeeper, tally, votersFor } from './vote-keeper.ts'
import { isViewKept } from './witness.ts'

/** Runs all rules, in an order in which no rule enables an earlier one. */
export function settle(draft: Draft): void {
  const height = activeHeight(draft)
  if (height === undefined) return
  enterViews(height)
  collectPrepares(height)
  enterViews(height)
  notePrepared(height)
  collectCommits(height)
  commitDecided(height)
  if (height.height.decidedInSlot !== undefined || draft.state.halted !== undefined) return
  propose(height)
  askValidation(height)
  prepare(height)
  voteCommit(height)
  fetchMissing(height)
}

function size(height: HeightState): number {
  return height.set.validators.length
}

/** 1.3: the highest of clock, f+1 votes and guard; never backwards. */
function enterViews(draft: HeightDraft): void {
  const { state, height } = draft
  const { parentSlot } = height.context
  const candidates: readonly (readonly [number, ViewReason])[] = [
    [viewAtSlot(parentSlot, nowSlot(state), size(height)) ?? -1, 'clock'],
    [jumpView(height.votes, height.set), 'votes'],
    [height.guard.view, 'guard'],
  ]
  let [view, reason] = candidates[0] as readonly [number, ViewReason]
  for (const [other, why] of candidates) if (other > view) [view, reason] = [other, why]
  if (view > height.view) enterView(draft, view, reason)
}

function enterView(draft: HeightDraft, view: number, reason: ViewReason): void {
  const { state, height, effects } = draft
  const { context } = height
  if (height.view >= 0) failView(draft)
  height.view = view
  height.enteredAtMs = state.nowMs
  height.own = []
  height.sentInSlot = nowSlot(state)
  height.preparedAtMs = undefined
  height.abstention = undefined
  height.votes = pruneKeeper(height.votes, view - MAX_VIEWS_BEHIND)
  forgetBlocks(height)
  const { blsKey } = proposer(context.validators, context.parentSlot, view)
  effects.push({ kind: 'viewEntered', height: context.height, view, proposer: blsKey, reason })
  if (view > 0) {
    const certificate = height.highest
    askToSign(draft, { kind: 'viewChange', height: context.height, view, certificate })
  }
}

/** Tells why the view that is left came to nothing. */
function failView(draft: HeightDraft): void {
  const { state, effects } = draft
  const failure = describeFailure(draft)
  state.failures = [...state.failures, failure].slice(-MAX_FAILURES_KEPT)
  effects.push({ kind: 'viewFailed', failure })
}

function notePrepared({ state, height }: HeightDraft): void {
  if (height.highest?.view === height.view) height.preparedAtMs ??= state.nowMs
}

/** Keeps the proposals from the last view on, and the blocks that they, a certificate or the guard name. */
function forgetBlocks(height: HeightState): void {
  height.proposals = new Map([...height.proposals].filter(([view]) => view >= height.view - 1))
  height.proposed = new Map([...height.proposed].filter(([view]) => isViewKept(height, view)))
  const needed = blocksInUse(height)
  height.candidates = new Map([...height.candidates].filter(([key]) => needed.has(key)))
}

/** Blocks that were signed for or locked, that a proposal is for, or that a certificate names; in hex. */
export function blocksInUse(height: HeightState): ReadonlySet<string> {
  const { guard, highest, commitCertificate } = height
  const needed = new Set(guard.blocks.keys())
  for (const { hash } of height.proposals.values()) needed.add(toHex(hash))
  for (const certificate of [highest, commitCertificate]) {
    if (certificate !== undefined) needed.add(toHex(certificate.blockHash))
  }
  return needed
}

/** Prepare quorums of any view kept; the highest counts. */
function collectPrepares(draft: HeightDraft): void {
  const { height } = draft
  for (const view of [...height.votes.views.keys()]) {
    if (view <= (height.highest?.view ?? -1)) continue
    const { keeper, forgers, certificate } = tally(
      voteContext(draft),
      height.votes,
      view,
      'prepare',
    )
    height.votes = keeper
    for (const peer of forgers) punish(draft, peer, 'BadSignature')
    if (certificate !== undefined) learnPrepareCertificate(height, certificate)
  }
}

/** Takes a verified prepare certificate in. It also shows its signers in its view. */
export function learnPrepareCertificate(height: HeightState, certificate: QuorumCertificate): void {
  if (certificate.view <= (height.highest?.view ?? -1)) return
  height.highest = certificate
  for (const position of signersOf(certificate)) {
    height.votes = noteView(height.votes, position, certificate.view)
  }
}

/** 2.6: q Commits of one view for one hash; never summed over views. */
function collectCommits(draft: HeightDraft): void {
  const { height } = draft
  for (const view of [...height.votes.views.keys()]) {
    if (view === height.commitCertificate?.view) continue
    const { keeper, forgers, certificate } = tally(voteContext(draft), height.votes, view, 'commit')
    height.votes = keeper
    for (const peer of forgers) punish(draft, peer, 'BadSignature')
    if (certificate !== undefined) learnCommitCertificate(draft, certificate)
  }
}

/** Takes a verified commit certificate of this height in. A second one for another block is a fork (2.7). */
export function learnCommitCertificate(draft: HeightDraft, certificate: QuorumCertificate): void {
  const { height } = draft
  const held = height.commitCertificate
  if (held === undefined) height.commitCertificate = certificate
  else if (!equalBytes(held.blockHash, certificate.blockHash)) {
    halt(draft, 'ConflictingCertificates', [held, certificate])
  }
}

function commitDecided(draft: HeightDraft): void {
  const { state, height, effects } = draft
  const certificate = height.commitCertificate
  if (certificate === undefined || state.halted !== undefined) return
  const candidate = candidateOf(height, certificate.blockHash)
  if (candidate?.status.kind === 'invalid') {
    halt(draft, 'CertifiedBlockInvalid', [certificate])
  } else if (candidate?.status.kind === 'valid') {
    height.decidedInSlot = nowSlot(state)
    const { height: number, validators } = height.context
    state.last = { height: number, validators, certificate }
    effects.push({ kind: 'commit', block: candidate.block, certificate })
  }
}

function isProposer(height: HeightState): boolean {
  const { context, view, self } = height
  return view >= 0 && self === proposerIndex(context.parentSlot, view, size(height))
}

/** What the proposer of the current view is to do; undefined: not the proposer, or done. */
export function proposalDue(draft: HeightDraft): ProposalDecision | undefined {
  const { state, height } = draft
  const { view, guard, votes, set } = height
  if (!isProposer(height) || (guard.view === view && guard.propose !== undefined)) return undefined
  return decideProposal({
    view,
    nowMs: state.nowMs,
    enteredAtMs: height.enteredAtMs,
    waitMs: (viewLength(view, size(height)) * state.config.slotMs) / 8,
    highest: height.highest,
    allViewChanged: allViewChanged(votes, set, view),
  })
}

/** 2.2, 2.5. */
function propose(draft: HeightDraft): void {
  const { height } = draft
  const decision = proposalDue(draft)
  if (decision?.kind === 'repropose') {
    const { certificate } = decision
    const candidate = candidateOf(height, certificate.blockHash)
    if (candidate !== undefined && candidate.status.kind !== 'invalid') {
      askToSign(draft, proposeRecord(height, candidate.block, certificate))
    }
  } else if (decision?.kind === 'fresh') {
    proposeFresh(draft)
  }
}

function proposeFresh(draft: HeightDraft): void {
  const { height, effects } = draft
  const { context, view, build, guard } = height
  const slot = viewStart(context.parentSlot, view, size(height))
  // One block per slot, also over heights: the slot of a block that was never committed stays used (2.8).
  if (slot <= guard.slot) return
  if (build?.view !== view) {
    height.build = { view, state: 'asked' }
    const { height: number, parentHash } = context
    effects.push({ kind: 'build', height: number, view, slot, parentHash })
  } else if (typeof build.state === 'object') {
    askToSign(draft, proposeRecord(height, build.state, undefined))
  }
}

const NO_SIGNATURE = new Uint8Array(96)

/** The PrePrepare to be signed; our signatures in it are left zero, so that its bytes are known before. */
function proposeRecord(
  height: HeightState,
  block: Block,
  certificate: QuorumCertificate | undefined,
): ProposeRecord {
  const fresh = certificate === undefined
  const value: PrePrepare = {
    height: height.context.height,
    view: height.view,
    block: fresh ? { ...block, signature: NO_SIGNATURE } : block,
    certificate: fresh ? [] : [certificate],
    signature: NO_SIGNATURE,
  }
  return {
    kind: 'propose',
    height: value.height,
    view: value.view,
    slot: block.header.slot,
    hash: blockHash(block.header),
    fresh,
    bytes: encodeConsensusMessage({ kind: 'prePrepare', value }),
  }
}

/** Has what was proposed for this view or a later one, or what a certificate needs, executed. */
function askValidation(draft: HeightDraft): void {
  const { state, height } = draft
  for (const { view, slot, hash, certificate } of height.proposals.values()) {
    if (view < height.view || checkSlotWindow(slot, nowSlot(state)).kind !== 'valid') continue
    validate(draft, hash, certificate === undefined)
  }
  const { highest, commitCertificate } = height
  if (commitCertificate !== undefined) validate(draft, commitCertificate.blockHash, false)
  if (highest !== undefined && highest.view === height.view) {
    validate(draft, highest.blockHash, false)
  }
}

function validate(draft: HeightDraft, hash: Uint8Array, fresh: boolean): void {
  const { state, height, effects } = draft
  const candidate = candidateOf(height, hash)
  if (candidate === undefined) return
  const { status } = candidate
  const due =
    status.kind === 'unchecked' ||
    (status.kind === 'unknown' && status.retryAtMs <= state.nowMs) ||
    (status.kind === 'valid' && fresh && status.objects === undefined)
  if (!due) return
  setStatus(height, candidate, { kind: 'checking', fresh })
  effects.push({ kind: 'validate', block: candidate.block, fresh })
}

/** 2.3. */
function prepare(draft: HeightDraft): void {
  const { state, height } = draft
  const { view, guard } = height
  const proposal = height.proposals.get(view)
  const candidate = proposal && candidateOf(height, proposal.hash)
  if (proposal === undefined || candidate === undefined) return
  if (guard.view === view && guard.prepare !== undefined) return
  const decision = decidePrepare(proposal, candidate.status, guard.lock, nowSlot(state))
  height.abstention = decision === 'prepare' ? undefined : decision
  if (decision !== 'prepare') return
  const { hash } = proposal
  const block = blockForRecord(height, candidate.block, hash)
  askToSign(draft, { kind: 'prepare', height: height.context.height, view, hash, block })
}

/** Empty when the guard holds the block already. */
function blockForRecord(height: HeightState, block: Block, hash: Uint8Array): Uint8Array {
  return height.guard.blocks.has(toHex(hash)) ? new Uint8Array(0) : encodeBlock(block)
}

/** 2.4. */
function voteCommit(draft: HeightDraft): void {
  const { height, effects } = draft
  const { view, guard, highest, context } = height
  if (view < 0 || (guard.view === view && guard.commit !== undefined)) return
  const candidate = highest && candidateOf(height, highest.blockHash)
  if (!mayCommit(view, highest, candidate?.status) || candidate === undefined) return
  const hash = highest.blockHash
  const block = blockForRecord(height, candidate.block, hash)
  const record = {
    kind: 'commit',
    height: context.height,
    view,
    hash,
    block,
    certificate: highest,
  } as const
  if (askToSign(draft, record)) {
    effects.push({ kind: 'locked', height: context.height, view, hash })
  }
}

/** 2.6, 2.5: a block that there is only a certificate for is asked for, once a slot. */
function fetchMissing(draft: HeightDraft): void {
  const { state, height, effects } = draft
  const slot = nowSlot(state)
  for (const certificate of [height.commitCertificate, height.highest]) {
    if (certificate === undefined || !isWanted(height, certificate.blockHash)) continue
    const key = toHex(certificate.blockHash)
    if (height.fetches.get(key) === slot) continue
    height.fetches = new Map(height.fetches).set(key, slot)
    const voters = votersFor(height.votes, certificate.blockHash)
    const peers = [...new Set([...voters, ...(height.tellers.get(key) ?? [])])].filter(
      (peer) => peer !== OWN,
    )
    effects.push({
      kind: 'fetchBlock',
      height: height.context.height,
      hash: certificate.blockHash,
      peers: peers.slice(0, MAX_FETCH_PEERS),
    })
  }
}

/** The next moment at which time alone changes something. */
export function nextWake(draft: HeightDraft): number {
  const { state, height } = draft
  const { slotMs } = state.config
  const slot = nowSlot(state)
  if (height.view < 0) return Math.max(height.context.parentSlot + 1, slot + 1) * slotMs
  const moments = [(slot + 1) * slotMs]
  const proposal = proposalDue(draft)
  if (proposal?.kind === 'wait') moments.push(proposal.untilMs)
  for (const { status } of height.candidates.values()) {
    if (status.kind === 'unknown' && status.retryAtMs > state.nowMs) moments.push(status.retryAtMs)
  }
  return Math.min(...moments)
}
