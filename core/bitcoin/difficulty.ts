/** Which nBits the next block must have: Bitcoin Core's GetNextWorkRequired for each network. */
import type { BitcoinRules } from '../params/index.ts'
import { bitsFromTarget, targetFromBits } from './header.ts'

export const RETARGET_BLOCKS = 2016
const TARGET_SPACING_SECONDS = 600
const TARGET_TIMESPAN_SECONDS = RETARGET_BLOCKS * TARGET_SPACING_SECONDS

/** What the rule needs to know of the chain that a header extends. */
export interface DifficultyContext {
  readonly height: number
  readonly time: number
  readonly bits: number
  /** Time and bits of the first header of this header's retarget period. */
  readonly periodTime: number
  readonly periodBits: number
}

/**
 * The bits of the header after `parent`, whose own time is `time`. A period's timespan is measured over 2,015 intervals, from its
 * first header to its last: Core's off-by-one, kept.
 */
export function nextBits(
  rules: Pick<BitcoinRules, 'powLimitBits' | 'noRetargeting' | 'allowMinDifficulty'>,
  parent: DifficultyContext,
  time: number,
): number {
  if ((parent.height + 1) % RETARGET_BLOCKS !== 0) {
    if (!rules.allowMinDifficulty) return parent.bits
    if (time > parent.time + 2 * TARGET_SPACING_SECONDS) return rules.powLimitBits
    // Core walks back to the last header that used no exception; within a period all of those have the first one's bits.
    return parent.periodBits
  }
  if (rules.noRetargeting) return parent.bits
  const shortest = TARGET_TIMESPAN_SECONDS / 4
  const longest = TARGET_TIMESPAN_SECONDS * 4
  const elapsed = Math.min(Math.max(parent.time - parent.periodTime, shortest), longest)
  const limit = targetFromBits(rules.powLimitBits) ?? 0n
  const target =
    ((targetFromBits(parent.bits) ?? 0n) * BigInt(elapsed)) / BigInt(TARGET_TIMESPAN_SECONDS)
  return bitsFromTarget(target > limit ? limit : target)
}

/** The median of up to the last 11 times: the lower bound of the next header's time (BIP113's MTP). */
export function medianTime(times: readonly number[]): number {
  const sorted = [...times].sort((left, right) => left - right)
  return sorted[sorted.length >> 1] as number
}
