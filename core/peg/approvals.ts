/** Approvals: t of the members by count, one aggregate BLS signature over one purpose (protocol §4.2). */
import { BitArray } from '@chainsafe/ssz'
import { taggedHash, uint64be } from '../../crypto/index.ts'
import { type MemberApproval, type PegInClaim, PegInClaimType } from '../block/index.ts'
import type { Genesis } from '../params/index.ts'
import { fault, type PegError } from './errors.ts'

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
  return taggedHash(
    'millrace/approval',
    genesis.hash,
    Uint8Array.of(APPROVAL_PURPOSES.indexOf(purpose)),
    uint64be(membersEpoch),
    PegInClaimType.hashTreeRoot(claim),
  )
}

/** What is wrong with an approval of `claim` in the given members' epoch; undefined when nothing is. */
export function verifyApproval(
  genesis: Genesis,
  purpose: ApprovalPurpose,
  membersEpoch: number,
  claim: PegInClaim,
  approval: MemberApproval,
): PegError | undefined {
  if (approval.membersEpoch !== membersEpoch) {
    return fault('ApprovalEpochWrong', `${approval.membersEpoch} instead of ${membersEpoch}`)
  }
  const { bitmap } = approval
  if (bitmap.bitLen !== genesis.members.length) return fault('ApprovalBitmapWrong')
  const signers = genesis.members.filter((_, index) => bitmap.get(index))
  if (signers.length < genesis.memberThreshold) {
    return fault('ApprovalQuorumMissing', `${signers.length} of ${genesis.memberThreshold}`)
  }
  const keys = signers.map((member) => member.blsKey)
  const message = approvalMessage(genesis, purpose, membersEpoch, claim)
  return genesis.signatures.verifyAggregate(keys, message, approval.signature)
    ? undefined
    : fault('ApprovalSignatureWrong')
}

/** One approval out of members' signatures by member index; undefined below t, or when one is no signature at all. */
export function combineApprovals(
  genesis: Genesis,
  membersEpoch: number,
  signatures: ReadonlyMap<number, Uint8Array>,
): MemberApproval | undefined {
  const indexes = [...signatures.keys()]
    .filter((index) => index in genesis.members)
    .sort((left, right) => left - right)
  if (indexes.length < genesis.memberThreshold) return undefined
  const signature = genesis.signatures.aggregate(
    indexes.map((index) => signatures.get(index) as Uint8Array),
  )
  if (signature === undefined) return undefined
  const bitmap = BitArray.fromBitLen(genesis.members.length)
  for (const index of indexes) bitmap.set(index, true)
  return { membersEpoch, bitmap, signature }
}
