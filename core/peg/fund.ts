/**
 * The operating fund and the deficits as rows (protocol §4.7). When expenses exceed income, the shortage stands as an advance: a
 * deficit row and a fund row of the same amount, which later income takes down first.
 */
import {
  causeKey,
  DEFICIT_CAUSE,
  type DeficitRow,
  FUND_CAUSE,
  type Ledger,
  type LedgerDraft,
  rowOf,
} from '../ledger/index.ts'

const ADVANCE_REFERENCE = new Uint8Array(0)

/** Sets what one cause brought or cost the fund; `sat` below zero is an expense, zero closes the row. */
export function setFund(
  draft: LedgerDraft,
  cause: number,
  reference: Uint8Array,
  sat: bigint,
  height: number,
): void {
  const key = causeKey(cause, reference)
  if (sat === 0n && draft.get('fund', key) === undefined) return
  draft.put('fund', key, {
    cause,
    incomeSat: sat > 0n ? sat : 0n,
    spentSat: sat < 0n ? -sat : 0n,
  })
  settleAdvance(draft, height)
}

/** What the fund has: below zero by what it was advanced. */
export function fundBalanceSat(ledger: Ledger): bigint {
  const advance = rowOf(ledger, 'fund', causeKey(FUND_CAUSE.advance, ADVANCE_REFERENCE))
  return ledger.state.fundSat - (advance?.incomeSat ?? 0n)
}

function settleAdvance(draft: LedgerDraft, height: number): void {
  const key = causeKey(FUND_CAUSE.advance, ADVANCE_REFERENCE)
  const advancedSat = draft.get('fund', key)?.incomeSat ?? 0n
  const balanceSat = draft.state.fundSat - advancedSat
  const neededSat = balanceSat < 0n ? -balanceSat : 0n
  if (neededSat === advancedSat) return
  draft.put('fund', key, { cause: FUND_CAUSE.advance, incomeSat: neededSat, spentSat: 0n })
  setDeficit(draft, DEFICIT_CAUSE.advance, ADVANCE_REFERENCE, neededSat, height)
}

/** Opens, changes or, with zero, closes the deficit of one cause. */
export function setDeficit(
  draft: LedgerDraft,
  cause: number,
  reference: Uint8Array,
  amountSat: bigint,
  height: number,
): void {
  const key = causeKey(cause, reference)
  const before: DeficitRow | undefined = draft.get('deficits', key)
  // What is there again was no loss: the fund gets back what it bore of it.
  if (amountSat === 0n) setFund(draft, FUND_CAUSE.loss, key, 0n, height)
  if (amountSat === (before?.amountSat ?? 0n)) return
  draft.put('deficits', key, { cause, amountSat, height, accepted: false })
}

/** The fund bears so much of an open deficit, and the rest, which may be nothing, is booked as a loss that stops nothing. */
export function bookLoss(
  draft: LedgerDraft,
  cause: number,
  reference: Uint8Array,
  fundSat: bigint,
  height: number,
): void {
  const key = causeKey(cause, reference)
  const row = draft.get('deficits', key)
  if (row === undefined) return
  draft.put('deficits', key, { ...row, amountSat: row.amountSat - fundSat, accepted: true })
  setFund(draft, FUND_CAUSE.loss, key, -fundSat, height)
}
