import type { FaultClass } from '../../supervisor/index.ts'

/** Faults of this room; the class decides what the supervisor does. */
export const NETWORK_FAULTS = {
  /** The port could not listen or broke down. */
  ListenFailed: 'network',
} as const satisfies Record<string, FaultClass>

/** What a peer did wrong, and what it costs; `banPoints` of them end in a ban. */
export const PENALTIES = {
  /** Bytes that do not decode. */
  Malformed: 20,
  /** A stateless check found it invalid: a bad signature, parts that contradict one another. */
  InvalidMessage: 20,
  /** More than its rate allows; each message above it. */
  TooFast: 0.5,
  /** An answer above its limits, or with more than was asked for. */
  OversizedAnswer: 20,
  /** No answer, or none in time. Slow networks do that too. */
  NoAnswer: 2,
} as const satisfies Record<string, number>

export type PenaltyCode = keyof typeof PENALTIES
