/** What the operator adds to the rules of the chain: these only make the member wait, never sign what the rules refuse. */
import type { LeavingMark } from './journal.ts'

export interface MemberPolicy {
  /** Own bound on a deposit's confirmations; the chain's N counts where it is higher. */
  readonly confirmations: number
  /** Most that batches begun within 24 hours may take out of the reserve, fees and all; undefined: no bound of this member's own. */
  readonly dailyLimitSat?: bigint
  /** Most that those of them may take which pay nobody: the fees of sweeps; undefined: the default, which never stops the first of a day. */
  readonly dailySweepFeeSat?: bigint
  /** Sign nothing until the operator takes it away. */
  readonly hold: boolean
}

/** 0.01 BTC: a handover of 200 coins at 50 sat/vB costs about half of it. At higher fees one sweep a day goes on, within the rules of the chain. */
const DEFAULT_DAILY_SWEEP_FEE_SAT = 1_000_000n

const DAY_MS = 86_400_000

/** Which of the rolling limits has no room for a batch; undefined when each has. */
export function limitReached(
  policy: Pick<MemberPolicy, 'dailyLimitSat' | 'dailySweepFeeSat'>,
  marks: readonly LeavingMark[],
  wanted: Omit<LeavingMark, 'atMs'>,
  nowMs: number,
): 'DailyLimit' | 'SweepFeeLimit' | undefined {
  if (!hasRoom(policy.dailyLimitSat, marks, wanted, nowMs)) return 'DailyLimit'
  if (!wanted.paysNobody) return undefined
  const sweeps = marks.filter(({ paysNobody }) => paysNobody)
  const { dailySweepFeeSat } = policy
  const isFirst = recentSat(sweeps, wanted.batchId, nowMs) === 0n
  if (dailySweepFeeSat === undefined && isFirst) return undefined
  const limitSat = dailySweepFeeSat ?? DEFAULT_DAILY_SWEEP_FEE_SAT
  return hasRoom(limitSat, sweeps, wanted, nowMs) ? undefined : 'SweepFeeLimit'
}

/** A further version has what was agreed to before, and needs room for what it takes beyond. */
function hasRoom(
  limitSat: bigint | undefined,
  marks: readonly LeavingMark[],
  { batchId, leavingSat }: Omit<LeavingMark, 'atMs'>,
  nowMs: number,
): boolean {
  if (limitSat === undefined) return true
  const own = marks.find((mark) => mark.batchId === batchId)
  if (own !== undefined && leavingSat <= own.leavingSat) return true
  return recentSat(marks, batchId, nowMs) + leavingSat <= limitSat
}

/** What other batches that were begun within 24 hours take. */
function recentSat(marks: readonly LeavingMark[], batchId: string, nowMs: number): bigint {
  return marks
    .filter((mark) => mark.batchId !== batchId && mark.atMs > nowMs - DAY_MS)
    .reduce((sum, mark) => sum + mark.leavingSat, 0n)
}
