/**
 * How full the pool is, and the tip it asks for because of that (MP-4). The floor rises with the level and with each
 * transaction that was put out, and comes back by half every ten minutes.
 */
import {
  FLOOR_HALF_LIFE_MS,
  HIGH_PERCENT,
  HIGH_TIP_WEI,
  WARNING_PERCENT,
  WARNING_TIP_WEI,
} from './limits.ts'

export type PressureLevel = 'Normal' | 'Warning' | 'High'

const LEVEL_TIP_WEI: Readonly<Record<PressureLevel, bigint>> = {
  Normal: 0n,
  Warning: WARNING_TIP_WEI,
  High: HIGH_TIP_WEI,
}

/** Both in use and both bounds, in any unit. */
export interface Fill {
  readonly used: number
  readonly most: number
}

export function levelOf(fills: readonly Fill[]): PressureLevel {
  if (fills.some(({ used, most }) => used * 100 > most * HIGH_PERCENT)) return 'High'
  const isWarning = fills.some(({ used, most }) => used * 100 >= most * WARNING_PERCENT)
  return isWarning ? 'Warning' : 'Normal'
}

export class TipFloor {
  #raisedWei = 0n
  #sinceMs = 0

  /** The least tip of a newcomer. */
  at(nowMs: number): bigint {
    const halvings = Math.floor(Math.max(0, nowMs - this.#sinceMs) / FLOOR_HALF_LIFE_MS)
    return halvings > 63 ? 0n : this.#raisedWei >> BigInt(halvings)
  }

  /** At least this from now on. */
  raise(tipWei: bigint, nowMs: number): void {
    if (tipWei <= this.at(nowMs)) return
    this.#raisedWei = tipWei
    this.#sinceMs = nowMs
  }

  raiseTo(level: PressureLevel, nowMs: number): void {
    this.raise(LEVEL_TIP_WEI[level], nowMs)
  }
}
