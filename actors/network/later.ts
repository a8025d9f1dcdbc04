/**
 * Gossip that waits: what went to every static peer directly need not go round a second time, unless its height is still open a moment later.
 * Then somebody may be out of reach, and it is published after all. Pure.
 */
import { LATE_GOSSIP_MS, MAX_LATE_GOSSIP } from './limits.ts'

export interface LateGossip {
  readonly height: number
  readonly bytes: Uint8Array
  readonly dueMs: number
}

/** The oldest first. */
export type Later = readonly LateGossip[]

export interface Due {
  readonly later: Later
  /** To be published now. */
  readonly due: readonly Uint8Array[]
}

/** One more that waits; if too many do, the oldest is due at once. */
export function withLate(later: Later, height: number, bytes: Uint8Array, nowMs: number): Due {
  const all = [...later, { height, bytes, dueMs: nowMs + LATE_GOSSIP_MS }]
  const over = Math.max(0, all.length - MAX_LATE_GOSSIP)
  return { later: all.slice(over), due: all.slice(0, over).map((late) => late.bytes) }
}

/** What is due by now; what a committed height has no use for any more is gone. */
export function dueLate(later: Later, committedHeight: number, nowMs: number): Due {
  const open = later.filter(({ height }) => height > committedHeight)
  // A clock that was set back must not make a wait longer than it is.
  const isDue = ({ dueMs }: LateGossip) => dueMs <= nowMs || dueMs > nowMs + LATE_GOSSIP_MS
  return {
    later: open.filter((late) => !isDue(late)),
    due: open.filter(isDue).map(({ bytes }) => bytes),
  }
}
