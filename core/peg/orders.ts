/**
 * Orders: what t members decide about the peg's books, each in a block with their approval. Whom a deposit that named nobody goes back to
 * (protocol §5.9): the members' tool asks for the word of the owners of all its inputs before it approves. And that a deficit is a loss
 * (4.5, 4.9): its row stays, less what the fund bears of it, and it stops nothing any more.
 */
import { taggedHash, toHex, uint64be } from '../../crypto/index.ts'
import { parsePayableScript } from '../bitcoin/index.ts'
import {
  type ApprovalFault,
  approvalFault,
  PEG_ORDER_KINDS,
  type PegOrder,
  type PegOrderItem,
  PegOrderType,
} from '../block/index.ts'
import {
  BATCH_KIND,
  BATCH_STATE,
  type BatchRow,
  causeKey,
  DEFICIT_CAUSE,
  isZero,
  type Ledger,
  LedgerDraft,
  type OutputRow,
  rowOf,
  SPEND_KIND,
  SPEND_STATE,
  type SpendRow,
  ZERO_HASH,
} from '../ledger/index.ts'
import { err, type Genesis, ok, type Result } from '../params/index.ts'
import { fault, type PegError } from './errors.ts'
import { bookLoss, fundBalanceSat } from './fund.ts'
import { lacksDestination } from './refunds.ts'

/** What a member signs to approve an order: a domain of its own, bound to the genesis, the members' epoch and all fields. */
export function pegOrderMessage(
  genesis: Genesis,
  membersEpoch: number,
  order: PegOrder,
): Uint8Array {
  const root = PegOrderType.hashTreeRoot(fieldsOf(order))
  return taggedHash('millrace/peg-order', genesis.hash, uint64be(membersEpoch), root)
}

/** The name of an order, whoever approved it. */
export function pegOrderId(order: PegOrder): string {
  return toHex(PegOrderType.hashTreeRoot(fieldsOf(order)))
}

function fieldsOf({ fundSat, kind, scriptPubKey, since, subject }: PegOrder): PegOrder {
  return { kind, subject, scriptPubKey, fundSat, since }
}

/** Why an order can do nothing on this ledger; undefined when it can. Approvals are checked apart. */
export function orderFault(ledger: Ledger, order: PegOrder): PegError | undefined {
  const { fundSat, scriptPubKey, since, subject } = order
  const kind = PEG_ORDER_KINDS[order.kind]
  if (kind === undefined) return fault('OrderKindUnknown', `${order.kind}`)
  if (kind === 'refundTo') {
    if (fundSat !== 0n || since !== 0 || subject.length !== 36)
      return fault('OrderKindUnknown', kind)
    const row = rowOf(ledger, 'outputs', subject)
    if (row === undefined || !lacksDestination(row) || !isZero(row.batchId)) {
      return fault('OrderRefundNotOwed')
    }
    return parsePayableScript(scriptPubKey) === undefined
      ? fault('OrderScriptUnpayable', toHex(scriptPubKey))
      : undefined
  }
  const size = kind === 'reorgLoss' ? 36 : 32
  if (kind === 'cancel' && (fundSat !== 0n || since !== 0)) return fault('OrderKindUnknown', kind)
  if (scriptPubKey.length > 0 || subject.length !== size) return fault('OrderKindUnknown', kind)
  if (kind === 'cancel') {
    const batch = rowOf(ledger, 'batches', subject)
    const isPaying = batch?.state === BATCH_STATE.open && batch.kind === BATCH_KIND.payout
    return isPaying && batch.cancel.length === 0 ? undefined : fault('OrderBatchClosed')
  }
  const cause = DEFICIT_CAUSE[kind === 'reorgLoss' ? 'reorg' : 'stray']
  const lossSat = rowOf(ledger, 'deficits', causeKey(cause, subject))?.amountSat ?? 0n
  const openedAt = lossOpenedAt(ledger, kind, subject)
  if (openedAt === undefined) return fault('OrderNoLoss')
  if (since !== openedAt) return fault('OrderOutdated', `of height ${since}, it is of ${openedAt}`)
  const balanceSat = fundBalanceSat(ledger)
  return fundSat > lossSat || (fundSat > 0n && fundSat > balanceSat)
    ? fault('OrderFundTooSmall', `${fundSat} of ${lossSat}, with ${balanceSat}`)
    : undefined
}

/** The height of the block that opened a loss that nobody has booked. A stray spend stops payouts also where nothing is missing. */
function lossOpenedAt(
  ledger: Ledger,
  kind: 'reorgLoss' | 'strayLoss',
  subject: Uint8Array,
): number | undefined {
  if (kind === 'strayLoss') {
    const spend = rowOf(ledger, 'spends', subject)
    const isStray = spend?.kind === SPEND_KIND.stray && spend.state === SPEND_STATE.booked
    const missing = rowOf(ledger, 'deficits', causeKey(DEFICIT_CAUSE.stray, subject))
    return isStray && !spend.accepted ? (missing ?? spend).height : undefined
  }
  const row = rowOf(ledger, 'deficits', causeKey(DEFICIT_CAUSE.reorg, subject))
  return row !== undefined && row.amountSat > 0n && !row.accepted ? row.height : undefined
}

/** Why an approved order cannot stand in a block on this ledger; undefined when it can. */
export function checkPegOrder(
  genesis: Genesis,
  ledger: Ledger,
  item: PegOrderItem,
): PegError | undefined {
  const { membersEpoch } = ledger.state
  const message = pegOrderMessage(genesis, membersEpoch, item)
  return orderFault(ledger, item) ?? approvalFault(genesis, membersEpoch, message, item.approval)
}

/** What is missing of the approval by which a batch is cancelled; undefined when t members approved it. */
export function cancelApprovalFault(
  genesis: Genesis,
  batchId: Uint8Array,
  { cancel: [cancel] }: Pick<BatchRow, 'cancel'>,
): ApprovalFault | undefined {
  if (cancel === undefined) return { code: 'ApprovalQuorumMissing', detail: 'no order' }
  const { membersEpoch } = cancel.approval
  const message = pegOrderMessage(genesis, membersEpoch, {
    kind: PEG_ORDER_KINDS.indexOf('cancel'),
    subject: batchId,
    scriptPubKey: new Uint8Array(0),
    fundSat: 0n,
    since: 0,
  })
  return approvalFault(genesis, membersEpoch, message, cancel.approval)
}

/** The ledger with the order of a block of `height`, whose other effects up to the execution it has already. */
export function applyPegOrder(
  genesis: Genesis,
  ledger: Ledger,
  height: number,
  item: PegOrderItem,
): Result<Ledger, PegError> {
  const found = checkPegOrder(genesis, ledger, item)
  if (found !== undefined) return err(found)
  const { approval, fundSat, scriptPubKey, subject } = item
  const draft = new LedgerDraft(ledger, true)
  switch (PEG_ORDER_KINDS[item.kind]) {
    case 'refundTo': {
      const row = draft.get('outputs', subject) as OutputRow
      const approvals = [...row.approvals, { proofRoot: ZERO_HASH, approval }]
      draft.put('outputs', subject, { ...row, refundTo: scriptPubKey, approvals })
      break
    }
    case 'reorgLoss':
      bookLoss(draft, DEFICIT_CAUSE.reorg, subject, fundSat, height)
      break
    case 'strayLoss': {
      const spend = draft.get('spends', subject) as SpendRow
      draft.put('spends', subject, { ...spend, accepted: true })
      bookLoss(draft, DEFICIT_CAUSE.stray, subject, fundSat, height)
      break
    }
    case 'cancel': {
      const batch = draft.get('batches', subject) as BatchRow
      const cancel = [{ version: batch.versions.length, approval }]
      draft.put('batches', subject, { ...batch, cancel })
    }
  }
  return ok(draft.finish())
}
