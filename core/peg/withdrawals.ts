/** What a block mints: its withdrawals, a function of the ledger after its items (protocol §4.3; BP-8). */
import { compareBytes } from '../../crypto/index.ts'
import { MAX_WITHDRAWALS, type Withdrawal } from '../block/index.ts'
import {
  type Entry,
  FUND_CAUSE,
  type LedgerDraft,
  OUTPUT_STATE,
  type OutputRow,
  REQUEST_STATE,
  type RequestRow,
} from '../ledger/index.ts'
import { gweiFromSat } from '../params/index.ts'
import type { PegContext } from './context.ts'
import { setFund } from './fund.ts'

/** What a withdrawal is for, in its validatorIndex. */
export const WITHDRAWAL_KIND = { pegIn: 0, refund: 1, fee: 2 } as const

/** How many withdrawals of a kind wait, or are minted by a block. */
export interface SlotCounts {
  readonly pegIns: number
  readonly refunds: number
  readonly fees: number
}

/** A block's slots; unused ones pass on to peg-ins, then to refund mints, never to fees. */
const SLOTS: SlotCounts = { pegIns: 8, refunds: 6, fees: 2 }

/** How many of those that wait a block mints. */
export function shareSlots(waiting: SlotCounts): SlotCounts {
  const fees = Math.min(waiting.fees, SLOTS.fees)
  const ownRefunds = Math.min(waiting.refunds, SLOTS.refunds)
  const pegIns = Math.min(waiting.pegIns, MAX_WITHDRAWALS - fees - ownRefunds)
  return { pegIns, refunds: Math.min(waiting.refunds, MAX_WITHDRAWALS - fees - pegIns), fees }
}

/** Mints what is due and gives the withdrawals in their order. */
export function applyWithdrawals(draft: LedgerDraft, context: PegContext): Withdrawal[] {
  // Fees are paid for blocks that an anchor covers; without one they stay in the pool.
  const waiting = pendingMints(draft)
  const refunds = pendingRefunds(draft)
  const slots = shareSlots({ pegIns: waiting.length, refunds: refunds.length, fees: 0 })
  return [
    ...waiting.slice(0, slots.pegIns).map((entry) => mintDeposit(draft, context, entry)),
    ...refunds.slice(0, slots.refunds).map((entry) => mintRefund(draft, context, entry)),
  ]
}

/** Credits without a mint whose coin is there, by place in Bitcoin. */
function pendingMints(draft: LedgerDraft): Entry<OutputRow>[] {
  return [...draft.open('mints').values()]
    .filter(({ row }) => row.state !== OUTPUT_STATE.absent)
    .sort(
      (left, right) =>
        left.row.bitcoinHeight - right.row.bitcoinHeight ||
        left.row.transactionIndex - right.row.transactionIndex ||
        compareBytes(left.key.subarray(32), right.key.subarray(32)),
    )
}

function pendingRefunds(draft: LedgerDraft): Entry<RequestRow>[] {
  return [...draft.open('requests').values()]
    .filter(({ row }) => row.state === REQUEST_STATE.refundDue)
    .sort((left, right) => compareBytes(left.key, right.key))
}

function mintDeposit(
  draft: LedgerDraft,
  { height, params }: PegContext,
  { key, row }: Entry<OutputRow>,
): Withdrawal {
  const feeSat = params.pegInFeeSat
  const index = nextIndex(draft)
  draft.put('outputs', key, {
    ...row,
    minted: true,
    mintHeight: height,
    withdrawalIndex: index,
    feeSat,
  })
  setFund(draft, FUND_CAUSE.pegInFee, key, feeSat, height)
  return {
    index,
    validatorIndex: WITHDRAWAL_KIND.pegIn,
    address: row.evmAddress,
    amountGwei: gweiFromSat(row.amountSat - feeSat),
  }
}

function mintRefund(
  draft: LedgerDraft,
  { height }: PegContext,
  { key, row }: Entry<RequestRow>,
): Withdrawal {
  const index = nextIndex(draft)
  draft.put('requests', key, { ...row, state: REQUEST_STATE.refunded, withdrawalIndex: index })
  setFund(draft, FUND_CAUSE.refundFee, key, row.feeSat, height)
  return {
    index,
    validatorIndex: WITHDRAWAL_KIND.refund,
    address: row.burner,
    amountGwei: gweiFromSat(row.amountSat - row.feeSat),
  }
}

function nextIndex(draft: LedgerDraft): number {
  const index = draft.state.nextWithdrawalIndex
  draft.update({ nextWithdrawalIndex: index + 1 })
  return index
}
