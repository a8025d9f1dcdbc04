/** What members approve of the peg (protocol §4.2). The quorum itself is core/block's. */
import { type SignatureSuite, taggedHash, uint64be } from '../../crypto/index.ts'
import {
  approvalFault,
  combineApprovals,
  type MemberApproval,
  type PegInClaim,
  PegInClaimType,
  type PegInSummary,
  PegInSummaryType,
} from '../block/index.ts'
import type { Genesis } from '../params/index.ts'
import { fault, type PegError } from './errors.ts'

export { combineApprovals }

/** What a member's approval can be for. The index is the byte that is signed. */
export const APPROVAL_PURPOSES = ['pegIn'] as const
export type ApprovalPurpose = (typeof APPROVAL_PURPOSES)[number]

/** What a member signs: tagged(genesis ‖ purpose ‖ members' epoch ‖ root of the claim). */
export function approvalMessage(
  genesis: Genesis,
  purpose: ApprovalPurpose,
  membersEpoch: number,
  claim: PegInClaim,
): Uint8Array {
  return messageOf(genesis, purpose, membersEpoch, PegInClaimType.hashTreeRoot(claim))
}

function messageOf(
  genesis: Genesis,
  purpose: ApprovalPurpose,
  membersEpoch: number,
  claimRoot: Uint8Array,
): Uint8Array {
  const kind = Uint8Array.of(APPROVAL_PURPOSES.indexOf(purpose))
  return taggedHash('millrace/approval', genesis.hash, kind, uint64be(membersEpoch), claimRoot)
}

/** The same message, by whoever has the root of the proof alone. */
export function summaryMessage(
  genesis: Genesis,
  membersEpoch: number,
  claim: PegInSummary,
): Uint8Array {
  return messageOf(genesis, 'pegIn', membersEpoch, PegInSummaryType.hashTreeRoot(claim))
}

/** What is wrong with an approval of `claim` in the given members' epoch, as `approvalFault` says it. */
export function verifyApproval(
  genesis: Genesis,
  purpose: ApprovalPurpose,
  membersEpoch: number,
  claim: PegInClaim,
  approval: MemberApproval,
  signatures?: SignatureSuite,
): PegError | undefined {
  const message = approvalMessage(genesis, purpose, membersEpoch, claim)
  const found = approvalFault(genesis, membersEpoch, message, approval, signatures)
  return found === undefined ? undefined : fault(found.code, found.detail)
}
