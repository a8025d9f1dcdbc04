/** Messages of the present height: checked against its validators, then taken into the state (protocol §2.2–2.6). */
import { equalBytes, toHex } from '../../crypto/index.ts'
import {
  type Block,
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  type PrePrepare,
  type QuorumCertificate,
  type ViewChange,
  VOTE_PHASES,
  type Vote,
  viewChangeMessage,
} from '../block/index.ts'
import { assertNever } from '../params/index.ts'
import { verifyCertificate } from './certificate.ts'
import type { PeerFault } from './io.ts'
import { MAX_FETCH_PEERS, MAX_VIEWS_AHEAD, MAX_VIEWS_BEHIND } from './limits.ts'
import { verifyAuthor, verifyConsensusMessage } from './messages.ts'
import { authorOfSlot, checkSlotWindow, proposerIndex, viewStart } from './pacemaker.ts'
import { positionOf } from './power.ts'
import { learnCommitCertificate, learnPrepareCertificate } from './rules.ts'
import {
  addCandidate,
  type HeightDraft,
  type HeightState,
  isWanted,
  nowSlot,
  punish,
  voteContext,
} from './state.ts'
import { addViewChange, addVote, noteView } from './vote-keeper.ts'
import { isViewKept, noteBlock, noteProposal } from './witness.ts'

export function takePresent(
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
  const hash = blockHash(value.block.header)
  const isOfUse = isWanted(height, hash)
  if (!isViewKept(height, value.view) && !isOfUse) return
  if (value.view > Math.max(height.view, 0) + MAX_VIEWS_AHEAD) return
  const signed = noteProposal(draft, height, value, hash)
  if (signed === 'forged') return 'NotTheProposer'
  // A quorum wants this block: whatever came before it in its view, it is taken.
  if (isOfUse) takeFetched(draft, value.block, from)
  if (value.view < height.view - 1 && !isOfUse) return
  if (height.proposals.has(value.view)) return
  const { slot } = value.block.header
  if (checkSlotWindow(slot, nowSlot(state)).kind === 'invalid') return
  const fault = proposalFault(draft, value, hash, from, verified)
  if (fault !== undefined) return fault
  const proposal = {
    view: value.view,
    slot,
    hash,
    signature: value.signature,
    receivedAtMs: state.nowMs,
    certificate: value.certificate[0],
  }
  if (value.view >= height.view - 1) {
    height.proposals = new Map(height.proposals).set(value.view, proposal)
  }
  if (verified || !height.candidates.has(toHex(hash))) {
    noteBlock(draft, height, value.block, hash)
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

export function takeVote(
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
  if (!known) noteBlock(draft, height, block, hash)
  addCandidate(height, hash, block)
}

/** A block that a certificate names, from whoever has it. */
export function takeFetched(draft: HeightDraft, block: Block, from: string): void {
  const { state, height } = draft
  const hash = blockHash(block.header)
  if (!isWanted(height, hash)) return
  const { suite, genesisHash } = state.config
  if (verifyAuthor(suite, genesisHash, block)) {
    noteBlock(draft, height, block, hash)
    addCandidate(height, hash, block)
  } else punish(draft, from, 'BadSignature')
}
