/** What the operator adds to the rules of the chain: these only make the member wait, never sign what the rules refuse. */
import type { LeavingMark } from './journal.ts'

export interface MemberPolicy {
  /** Own bound on a deposit's confirmations; the chain's N counts where it is higher. */
  readonly confirmations: number
  /** Most that batches begun within 24 hours may take out of the reserve, fees and all; undefined: no bound of this member's own. */
  readonly dailyLimitSat?: bigint
  /** Sign nothing until the operator takes it away. */
  readonly hold: boolean
}

const DAY_MS = 86_400_000

/** Whether a batch has room in the rolling limit. A further version has what was agreed to before, and needs room for what it takes beyond. */
export function withinDailyLimit(
  policy: MemberPolicy,
  marks: readonly LeavingMark[],
  batchId: string,
  leavingSat: bigint,
  nowMs: number,
): boolean {
  if (policy.dailyLimitSat === undefined) return true
  const own = marks.find((mark) => mark.batchId === batchId)
  if (own !== undefined && leavingSat <= own.leavingSat) return true
  const recentSat = marks
    .filter((mark) => mark.batchId !== batchId && mark.atMs > nowMs - DAY_MS)
    .reduce((sum, mark) => sum + mark.leavingSat, 0n)
  return recentSat + leavingSat <= policy.dailyLimitSat
}
