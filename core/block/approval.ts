/** Approvals: t of the members by count, one aggregate BLS signature over one message (protocol §4.2). */
import { BitArray } from '@chainsafe/ssz'
import type { Genesis } from '../params/index.ts'
import type { MemberApproval } from './schema.ts'

export const APPROVAL_CODES = [
  'ApprovalEpochWrong',
  'ApprovalBitmapWrong',
  'ApprovalQuorumMissing',
  'ApprovalSignatureWrong',
] as const
export type ApprovalCode = (typeof APPROVAL_CODES)[number]

export interface ApprovalFault {
  readonly code: ApprovalCode
  readonly detail?: string
}

/**
 * What is wrong with an approval of `message` in the given members' epoch; undefined when nothing is. Its signature is checked by
 * `signatures`, which may put that off.
 */
export function approvalFault(
  genesis: Genesis,
  membersEpoch: number,
  message: Uint8Array,
  approval: MemberApproval,
  signatures = genesis.signatures,
): ApprovalFault | undefined {
  if (approval.membersEpoch !== membersEpoch) {
    const detail = `${approval.membersEpoch} instead of ${membersEpoch}`
    return { code: 'ApprovalEpochWrong', detail }
  }
  const { bitmap } = approval
  if (bitmap.bitLen !== genesis.members.length) return { code: 'ApprovalBitmapWrong' }
  const signers = genesis.members.filter((_, index) => bitmap.get(index))
  if (signers.length < genesis.memberThreshold) {
    const detail = `${signers.length} of ${genesis.memberThreshold}`
    return { code: 'ApprovalQuorumMissing', detail }
  }
  const keys = signers.map((member) => member.blsKey)
  return signatures.verifyAggregate(keys, message, approval.signature)
    ? undefined
    : { code: 'ApprovalSignatureWrong' }
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
