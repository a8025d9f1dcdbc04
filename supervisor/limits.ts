/** Every bound of the kernel, with the requirement it comes from. Tests may pass their own. */
import type { Priority } from './message.ts'

/** SU-10: deadlines of asks, by what hangs on them. */
export const ASK_TIMEOUT_MS = { critical: 30_000, normal: 10_000, background: 60_000 } as const

/** SU-10: no question waits longer, whatever hangs on it. */
export const MAX_ASK_MS = 600_000

/** SU-10: how long a full mailbox blocks a producer before the message is refused. */
export const BLOCK_TIMEOUT_MS: Readonly<Record<Priority, number>> = {
  control: 30_000,
  consensus: 30_000,
  peg: 30_000,
  sync: 10_000,
  gossip: 10_000,
  api: 10_000,
}

export interface KernelLimits {
  /** SU-7: a waiting class is served at the latest after so many messages of higher classes. */
  readonly starvationBound: number
  /** Messages one actor handles before the next ready actor has its turn. */
  readonly slice: number
  /** Messages, and milliseconds, after which timers and I/O get their turn. */
  readonly yieldAfterMessages: number
  readonly yieldAfterMs: number
  /** Effects under way of one actor; above it only control messages are taken. */
  readonly maxInFlight: number
  /** Blocked sends of one actor; above it only control messages are taken. */
  readonly maxBlockedSends: number
  /** Producers blocked on one class of one mailbox; more are refused. */
  readonly maxWaiting: number
  /** Messages that an actor may put aside, unless its definition says otherwise. */
  readonly stash: number
  readonly initTimeoutMs: number
  /** An effect that is not done by then is a service fault. */
  readonly effectTimeoutMs: number
  /** How long a restart waits for the effects of the dead incarnation and its stop hook. */
  readonly settleMs: number
  /** SU-15: deadline of each recovery hook. */
  readonly recoveryMs: number
  /** SU-11: every so often each Running actor is probed, and has so long to take the probe. */
  readonly probePeriodMs: number
  readonly probeTimeoutMs: number
  /** SU-11: failures in a row until it is restarted, successes in a row until it counts as healthy again. */
  readonly probeFailures: number
  readonly probeSuccesses: number
  /** SU-11: a handler that takes longer is reported with its message type. */
  readonly slowHandlerMs: number
  /** SU-4: crashes on one message until it becomes a dead letter. */
  readonly poisonAfter: number
  /** SU-12: drain, drain while an actor is busy, hard end, end when forced. */
  readonly drainMs: number
  readonly busyDrainMs: number
  readonly hardStopMs: number
  readonly forcedStopMs: number
  /** SU-12: a second stop within this time counts as the first. */
  readonly repeatStopMs: number
}

export const DEFAULT_LIMITS: KernelLimits = {
  starvationBound: 100,
  slice: 64,
  yieldAfterMessages: 1_024,
  yieldAfterMs: 10,
  maxInFlight: 1_024,
  maxBlockedSends: 16,
  maxWaiting: 1_024,
  stash: 100,
  initTimeoutMs: 60_000,
  effectTimeoutMs: 120_000,
  settleMs: 1_000,
  recoveryMs: 30_000,
  probePeriodMs: 10_000,
  probeTimeoutMs: 5_000,
  probeFailures: 3,
  probeSuccesses: 2,
  slowHandlerMs: 5_000,
  poisonAfter: 2,
  drainMs: 30_000,
  busyDrainMs: 60_000,
  hardStopMs: 120_000,
  forcedStopMs: 1_000,
  repeatStopMs: 1_000,
}

/** SU-9: percentage of a class's capacity at which a level begins; it ends `hysteresis` below. */
export const WATERMARKS = { warning: 50, critical: 80, blocked: 100, hysteresis: 10 } as const
