/**
 * Faults and what follows from them (SU-2): a pure decision from fault class, history and time.
 *
 * An exception that carries a `faultClass` keeps it. One that carries none is a bug of which nobody said that
 * the actor's invariants are gone, so it is treated as `service`: restart with backoff, the message that caused
 * it is tried once more and then becomes a dead letter (SU-4), and an actor that goes on crashing is terminated
 * by the intensity. `logic` is what code says deliberately (a failed assertion on an invariant, an event that
 * the machine refuses): that actor is terminated and the fault escalates.
 */

export type FaultClass =
  | 'network'
  | 'service'
  | 'cascade'
  | 'corruption'
  | 'logic'
  | 'configuration'

const CLASSES: ReadonlySet<unknown> = new Set<FaultClass>([
  'network',
  'service',
  'cascade',
  'corruption',
  'logic',
  'configuration',
])

export interface Fault {
  readonly code: string
  readonly faultClass: FaultClass
  readonly reason: string
  readonly cause?: unknown
}

/** Throw (or reject with) what this makes to crash an actor with a class of one's choice. */
export const faultError = (
  code: string,
  faultClass: FaultClass,
  reason: string,
): Error & { code: string; faultClass: FaultClass } =>
  Object.assign(new Error(reason), { code, faultClass })

const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && key in value
    ? (value as Record<string, unknown>)[key]
    : undefined

/** Whatever was thrown, as a fault. */
export const toFault = (thrown: unknown, fallbackCode: string): Fault => {
  const faultClass = field(thrown, 'faultClass')
  const code = field(thrown, 'code')
  const reason = field(thrown, 'reason') ?? field(thrown, 'message')
  const classified = CLASSES.has(faultClass)
  return {
    code: typeof code === 'string' && (classified || code !== '') ? code : fallbackCode,
    faultClass: classified ? (faultClass as FaultClass) : 'service',
    reason: typeof reason === 'string' ? reason : String(thrown),
    cause: thrown,
  }
}

/** How often and how fast an actor is restarted. */
export interface RestartPolicy {
  /** Restarts allowed within `periodMs`; one more terminates the actor. */
  readonly intensity: number
  readonly periodMs: number
  readonly backoffFirstMs: number
  readonly backoffMaxMs: number
  /** Share by which a delay is moved at random, to both sides. */
  readonly jitter: number
  /** Service restarts in a row, without a healthy time between them, until the actor is terminated. */
  readonly maxRetries: number
  readonly healthyMs: number
  /** Faults in a row after which a restart alone is not trusted any more (SU-15). */
  readonly escalateAfter: number
}

export const DEFAULT_RESTART: RestartPolicy = {
  intensity: 10,
  periodMs: 60_000,
  backoffFirstMs: 100,
  backoffMaxMs: 60_000,
  jitter: 0.1,
  maxRetries: 10,
  healthyMs: 60_000,
  escalateAfter: 3,
}

export interface RestartHistory {
  /** Faults in a row before this one. */
  readonly retries: number
  /** Times of the restarts so far, oldest first. */
  readonly restartsMs: readonly number[]
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'break' }
  | { readonly kind: 'terminate'; readonly escalate: boolean; readonly why: string }

/** Delay before service restart number `retries + 1`; `chance` in [0, 1) moves it within the jitter. */
export const backoffMs = (retries: number, policy: RestartPolicy, chance: number): number => {
  const plain = Math.min(policy.backoffMaxMs, policy.backoffFirstMs * 2 ** Math.min(retries, 40))
  return Math.round(plain * (1 + policy.jitter * (2 * chance - 1)))
}

/** SU-2's table. */
export const decideRestart = (
  fault: Fault,
  history: RestartHistory,
  policy: RestartPolicy,
  nowMs: number,
  chance: number,
): RestartDecision => {
  switch (fault.faultClass) {
    case 'logic':
      return { kind: 'terminate', escalate: true, why: 'logic fault' }
    case 'configuration':
      return { kind: 'terminate', escalate: false, why: 'configuration fault' }
    case 'network':
    case 'service':
    case 'corruption':
    case 'cascade': {
      const recent = history.restartsMs.filter((at) => nowMs - at < policy.periodMs).length
      if (recent >= policy.intensity) {
        return { kind: 'terminate', escalate: true, why: 'restart intensity exceeded' }
      }
      if (fault.faultClass === 'cascade') return { kind: 'break' }
      if (fault.faultClass === 'network' || fault.faultClass === 'corruption') {
        return { kind: 'restart', delayMs: 0 }
      }
      if (history.retries >= policy.maxRetries) {
        return { kind: 'terminate', escalate: true, why: 'max retries exceeded' }
      }
      return { kind: 'restart', delayMs: backoffMs(history.retries, policy, chance) }
    }
  }
}
