/** One view: what a validator in it may propose, prepare and commit to (protocol §2.2–2.5). Pure decisions. */
import { equalBytes } from '../../crypto/index.ts'
import type { QuorumCertificate } from '../block/index.ts'
import type { Lock } from '../guard/index.ts'
import { checkSlotWindow } from './pacemaker.ts'

/** A verified PrePrepare of the view's proposer. */
export interface Proposal {
  readonly view: number
  readonly slot: number
  readonly hash: Uint8Array
  readonly signature: Uint8Array
  readonly receivedAtMs: number
  /** Of an earlier view, for this block; undefined: the block is fresh. */
  readonly certificate: QuorumCertificate | undefined
}

/** What is known of a block by now. */
export type CandidateStatus =
  | { readonly kind: 'unchecked' }
  | { readonly kind: 'checking'; readonly fresh: boolean }
  /** `objects`: undefined until the local view was asked. */
  | { readonly kind: 'valid'; readonly objects: boolean | undefined }
  | { readonly kind: 'invalid'; readonly code: string }
  | { readonly kind: 'unknown'; readonly code: string; readonly retryAtMs: number }

export type ProposalDecision =
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'fresh' }
  | { readonly kind: 'repropose'; readonly certificate: QuorumCertificate }
  /** The view has a prepare quorum already. */
  | { readonly kind: 'nothing' }

export interface ProposalFacts {
  readonly view: number
  readonly nowMs: number
  readonly enteredAtMs: number
  /** len(v) × slotMs / 8. */
  readonly waitMs: number
  readonly highest: QuorumCertificate | undefined
  readonly allViewChanged: boolean
}

/**
 * 2.5. Any of three ends the wait: everybody's ViewChange, a certificate of the view before (none can be higher), or time.
 * Waiting for a quorum only would let one liar keep the highest certificate from every proposer.
 */
export function decideProposal(facts: ProposalFacts): ProposalDecision {
  const { view, highest } = facts
  if (highest !== undefined && highest.view >= view) return { kind: 'nothing' }
  const untilMs = facts.enteredAtMs + facts.waitMs
  const informed = view === 0 || facts.allViewChanged || highest?.view === view - 1
  if (!informed && facts.nowMs < untilMs) return { kind: 'wait', untilMs }
  return highest === undefined ? { kind: 'fresh' } : { kind: 'repropose', certificate: highest }
}

export type Abstention = 'FutureSlot' | 'NotValidated' | 'Invalid' | 'Objection' | 'Locked'

/** 2.3, for the proposal of the current view. */
export function decidePrepare(
  proposal: Proposal,
  status: CandidateStatus,
  lock: Lock | undefined,
  nowSlot: number,
): 'prepare' | Abstention {
  if (checkSlotWindow(proposal.slot, nowSlot).kind !== 'valid') return 'FutureSlot'
  if (status.kind === 'invalid') return 'Invalid'
  if (status.kind !== 'valid') return 'NotValidated'
  if (proposal.certificate === undefined) {
    if (status.objects === undefined) return 'NotValidated'
    if (status.objects) return 'Objection'
  }
  return lockAllows(lock, proposal) ? 'prepare' : 'Locked'
}

/** Not locked, the locked block itself, or a prepare quorum of a view after the lock's (2.3, BF-5). */
export function lockAllows(
  lock: Lock | undefined,
  { hash, certificate }: Pick<Proposal, 'hash' | 'certificate'>,
): boolean {
  if (lock === undefined || equalBytes(lock.hash, hash)) return true
  return certificate !== undefined && certificate.view > lock.view
}

/** 2.4: a prepare quorum of this very view, over a block that is executed and valid here. */
export function mayCommit(
  view: number,
  highest: QuorumCertificate | undefined,
  status: CandidateStatus | undefined,
): highest is QuorumCertificate {
  return highest?.view === view && status?.kind === 'valid'
}
