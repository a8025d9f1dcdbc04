/**
 * What a refund rests on (protocol §5.9): t members approved the item that says what is owed and which script the deposit named, and,
 * where it named none, the order that says whom it goes back to. Both stand in the deposit's row, so a member that signs the
 * refund checks them by the keys of its genesis file and believes neither the row nor those who wrote it.
 */
import { type ApprovalFault, approvalFault, PEG_ORDER_KINDS } from '../block/index.ts'
import { type Entry, type OutputRow, splitOutpoint } from '../ledger/index.ts'
import type { Genesis } from '../params/index.ts'
import { summaryMessage } from './approvals.ts'
import { pegOrderMessage } from './orders.ts'
import { isOrdered } from './refunds.ts'

/** What is missing of the approvals of a refund; undefined when t members approved all of it. */
export function refundApprovalFault(
  genesis: Genesis,
  { key, row }: Entry<OutputRow>,
): ApprovalFault | undefined {
  const [item, order] = row.approvals
  if (item === undefined) return { code: 'ApprovalQuorumMissing', detail: 'no item' }
  const { amountSat, epoch, evmAddress, kind, reason, refundScript, refundTo } = row
  const { approval, proofRoot } = item
  const message = summaryMessage(genesis, approval.membersEpoch, {
    ...splitOutpoint(key),
    kind,
    reason,
    amountSat,
    evmAddress,
    refundScript,
    depositEpoch: epoch,
    proof: proofRoot,
  })
  const found = approvalFault(genesis, approval.membersEpoch, message, approval)
  if (found !== undefined || !isOrdered(row)) return found
  if (order === undefined) return { code: 'ApprovalQuorumMissing', detail: 'no order' }
  const { membersEpoch } = order.approval
  const ordered = pegOrderMessage(genesis, membersEpoch, {
    kind: PEG_ORDER_KINDS.indexOf('refundTo'),
    subject: key,
    scriptPubKey: refundTo,
    fundSat: 0n,
    since: 0,
  })
  return approvalFault(genesis, membersEpoch, ordered, order.approval)
}
