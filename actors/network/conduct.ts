/** How peers behave: what they may send per second, what they did wrong, when they are shut out. Pure. */
import { MAX_PENALTIES, type NetworkLimits, type Rate, type RateClass } from './limits.ts'

interface Level {
  readonly tokens: number
  readonly atMs: number
}

export type Allowance = Readonly<Partial<Record<RateClass, Level>>>

/** Takes `amount` out of a bucket; undefined when it holds less. */
export function take(
  allowance: Allowance,
  rateClass: RateClass,
  rate: Rate,
  amount: number,
  nowMs: number,
): Allowance | undefined {
  const level = allowance[rateClass] ?? { tokens: rate.burst, atMs: nowMs }
  const elapsedMs = Math.max(0, nowMs - level.atMs)
  const tokens = Math.min(rate.burst, level.tokens + (elapsedMs * rate.perSecond) / 1_000)
  if (tokens < amount) return undefined
  return { ...allowance, [rateClass]: { tokens: tokens - amount, atMs: nowMs } }
}

export interface Penalty {
  readonly points: number
  readonly atMs: number
}

/** By peer, the oldest first; it outlives the connection, so reconnecting clears nothing. */
export type Penalties = ReadonlyMap<string, Penalty>

export function pointsOf(
  penalties: Penalties,
  peer: string,
  limits: NetworkLimits,
  nowMs: number,
): number {
  const penalty = penalties.get(peer)
  if (penalty === undefined) return 0
  const forgiven = (Math.max(0, nowMs - penalty.atMs) / 60_000) * limits.forgivenPerMinute
  return Math.max(0, penalty.points - forgiven)
}

export function punished(
  penalties: Penalties,
  peer: string,
  points: number,
  limits: NetworkLimits,
  nowMs: number,
): Penalties {
  const total = pointsOf(penalties, peer, limits, nowMs) + points
  const next = new Map(penalties)
  next.delete(peer)
  next.set(peer, { points: total, atMs: nowMs })
  if (next.size > MAX_PENALTIES) next.delete(next.keys().next().value as string)
  return next
}
