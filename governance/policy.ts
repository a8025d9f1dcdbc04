/** What the operator adds to the rules of the chain: these only make the member wait, never sign what the rules refuse. */
import type { PaidMark } from './journal.ts'

export interface MemberPolicy {
  /** Own bound on a deposit's confirmations; the chain's N counts where it is higher. */
  readonly confirmations: number
  /** Most that batches begun within 24 hours may pay; undefined: no bound of this member's own. */
  readonly dailyLimitSat?: bigint
  /** Sign nothing until the operator takes it away. */
  readonly hold: boolean
}

const DAY_MS = 86_400_000

/** Whether a batch has room in the rolling limit; one that was begun before has it already. */
export function withinDailyLimit(
  policy: MemberPolicy,
  payments: readonly PaidMark[],
  batchId: string,
  paidSat: bigint,
  nowMs: number,
): boolean {
  if (policy.dailyLimitSat === undefined) return true
  if (payments.some((payment) => payment.batchId === batchId)) return true
  const recentSat = payments
    .filter(({ atMs }) => atMs > nowMs - DAY_MS)
    .reduce((sum, payment) => sum + payment.paidSat, 0n)
  return recentSat + paidSat <= policy.dailyLimitSat
}
