/**
 * Refunds (protocol §5.9; PI-11): a deposit that is owed back is paid to the refund script that it named, or, if it named none, to
 * whom the members decided after a proof by the owners of all its inputs. The one input is the
 * deposit itself, so if that goes, so does its refund; the fee is the deposit's own, and nothing is minted or taken from the fund.
 */
import { compareBytes } from '../../crypto/index.ts'
import { DUST_SAT, parsePayableScript, parseTransaction } from '../bitcoin/index.ts'
import type { PegRecord } from '../block/index.ts'
import {
  BATCH_KIND,
  type Entry,
  isZero,
  type Ledger,
  type LedgerDraft,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  rowOf,
} from '../ledger/index.ts'
import { err, ok, type Result } from '../params/index.ts'
import type { PegContext } from './context.ts'
import { fault, type PegError } from './errors.ts'
import {
  allowedRate,
  batchId,
  isFeeBounded,
  isWorthPaying,
  type PayoutPlan,
  recordBatch,
  shapeOf,
  versionPlan,
} from './payout.ts'
import { currentOutput } from './scripts.ts'

/** Whom a deposit goes back to: the script that it named, or, where that cannot be paid, the one that the members decided. */
function refundDestination({ refundScript, refundTo }: OutputRow): Uint8Array | undefined {
  return [refundScript, refundTo].find((script) => parsePayableScript(script) !== undefined)
}

/** Whether it goes where the members decided. */
export function isOrdered(row: OutputRow): boolean {
  return parsePayableScript(row.refundScript) === undefined
}

/** Whether the deposit is owed and there, and known to nobody yet whom it goes back to (5.9). */
export function lacksDestination(row: OutputRow): boolean {
  return isOwed(row) && refundDestination(row) === undefined
}

function isOwed({ kind, state }: OutputRow): boolean {
  return kind === OUTPUT_KIND.refundable && state === OUTPUT_STATE.live
}

/** Whether the deposit can be paid back by itself: it is owed, it is there, and whom it goes to is known. */
export function isRefundable(row: OutputRow): boolean {
  return isOwed(row) && refundDestination(row) !== undefined
}

/** Deposits that wait for their refund, in the order of Bitcoin. */
function waitingRefunds(ledger: Ledger): Entry<OutputRow>[] {
  return [...ledger.open.refundables.values()]
    .filter(({ row }) => isZero(row.batchId) && isRefundable(row))
    .sort(
      (left, right) =>
        left.row.bitcoinHeight - right.row.bitcoinHeight ||
        left.row.transactionIndex - right.row.transactionIndex ||
        compareBytes(left.key, right.key),
    )
}

/** The refund of one deposit at this rate: a function of the parent's ledger, the rate and the block's height. */
export function buildRefund(
  ledger: Ledger,
  context: PegContext,
  deposit: Uint8Array,
  feeRateSatPerKvb: number,
): Result<PayoutPlan, PegError> {
  const row = rowOf(ledger, 'outputs', deposit)
  if (row === undefined || !isRefundable(row) || !isZero(row.batchId)) {
    return err(fault('RefundNotOwed'))
  }
  const inputs = [{ key: deposit, row }]
  const changeScript = currentOutput(context.genesis, ledger).scriptPubKey
  const shape = shapeOf(context, feeRateSatPerKvb, changeScript, inputs.map(refundPayment), inputs)
  if (!isWorthPaying(shape, 0) || !isFeeBounded(shape)) {
    return err(fault('RefundEatsDeposit', `${shape.minerFeeSat} of ${row.amountSat}`))
  }
  const id = batchId(context, { inputs, requests: [] })
  const fields = { kind: 'refund', batchId: id, version: 0, feeRateSatPerKvb } as const
  return ok(versionPlan(ledger, context, shape, fields))
}

/** What a refund pays: the whole deposit to whom it goes back to, less the fee. */
export function refundPayment({ key, row }: Entry<OutputRow>) {
  const scriptPubKey = refundDestination(row) ?? row.refundScript
  return { key, row: { amountSat: row.amountSat, scriptPubKey } }
}

/** The refunds that a proposer may record, the oldest deposit first; what no fee leaves enough of waits for a lower rate. */
export function* dueRefunds(ledger: Ledger, context: PegContext): Generator<PegRecord> {
  const rate = allowedRate(context)
  for (const { key, row } of waitingRefunds(ledger)) {
    if (row.amountSat <= DUST_SAT) continue
    const plan = buildRefund(ledger, context, key, rate)
    if (plan.ok) yield plan.value.record
  }
}

/** Checks a refund against what the parent's ledger gives, and opens its batch. */
export function applyRefund(
  draft: LedgerDraft,
  parent: Ledger,
  context: PegContext,
  record: PegRecord,
): PegError | undefined {
  const parsed = parseTransaction(record.transaction)
  const [input] = parsed.ok ? parsed.value.inputs : []
  if (input === undefined) return fault('RecordWrong')
  const deposit = outpointKey(input.txid, input.vout)
  const plan = buildRefund(parent, context, deposit, record.feeRateSatPerKvb)
  if (!plan.ok) return plan.error
  return recordBatch(draft, context, record, {
    kind: BATCH_KIND.refund,
    plan: plan.value,
    pays: [],
  })
}
