/** What can be seen of a running system from outside: events for listeners, and one row per actor. */
import type { BreakerState } from './breaker.ts'
import type { Fault, FaultClass } from './fault.ts'
import type { Life } from './life.ts'
import type { Pressure } from './mailbox.ts'
import type { ActorPath, Priority } from './message.ts'
import type { RecoveryKind, RecoveryResult } from './recovery.ts'

export type DeadLetterReason =
  | 'NoSuchActor'
  | 'Stopped'
  | 'Poisoned'
  /** A reply to a question that is over: answered, timed out, or its asker is gone. */
  | 'LateReply'
  /** A reply to a message that was no question. */
  | 'UnknownReply'
  | 'BlockedTooLong'
  | 'FaultWhileStopping'
  | 'StashFull'

/** `DropOldest` and `DropNewest`: by policy. `Refused`: the producer was told so. */
export type DropReason = 'DropOldest' | 'DropNewest' | 'Refused'

export interface TerminationReason {
  readonly code: 'Escalated' | 'Configuration'
  readonly path: ActorPath
  readonly fault: Fault
  readonly why: string
}

/** Why a system ended, as a program's exit code tells it. */
export type ExitCause = 'configuration' | 'data' | 'unreachable' | 'failure'

const EXIT_CAUSES: Readonly<Partial<Record<FaultClass, ExitCause>>> = {
  configuration: 'configuration',
  corruption: 'data',
  network: 'unreachable',
}

export const exitCauseOf = ({ fault }: TerminationReason): ExitCause =>
  EXIT_CAUSES[fault.faultClass] ?? 'failure'

export type KernelEvent = { readonly atMs: number } & (
  | {
      readonly kind: 'life'
      readonly path: ActorPath
      readonly from: Life
      readonly to: Life
      readonly fault?: Fault
    }
  /** One edge of the actor's machine. */
  | {
      readonly kind: 'state'
      readonly path: ActorPath
      readonly from: string
      readonly event: string
      readonly to: string
    }
  | {
      readonly kind: 'drop'
      readonly path: ActorPath
      readonly messageType: string
      readonly reason: DropReason
      readonly correlationId: string
    }
  | {
      readonly kind: 'deadLetter'
      readonly path: ActorPath
      readonly messageType: string
      readonly reason: DeadLetterReason
      readonly correlationId: string
    }
  | {
      readonly kind: 'fault'
      readonly path: ActorPath
      readonly fault: Fault
      readonly correlationId?: string
    }
  | { readonly kind: 'pressure'; readonly path: ActorPath; readonly level: Pressure }
  | { readonly kind: 'breaker'; readonly path: ActorPath; readonly state: BreakerState }
  | {
      readonly kind: 'handled'
      readonly path: ActorPath
      readonly messageType: string
      readonly sender: ActorPath
      readonly correlationId: string
      readonly sequence: number
      readonly causationId: number
      /** State of the machine afterwards. */
      readonly state: string
      readonly waitedMs: number
    }
  /** The outcome of one recovery action (SU-15). */
  | {
      readonly kind: 'recovery'
      readonly path: ActorPath
      readonly action: RecoveryKind
      readonly result: RecoveryResult
      readonly fault: Fault
    }
  /** Somebody should look at it: an actor ended by a fault, or its data are corrupt. */
  | {
      readonly kind: 'alert'
      readonly path: ActorPath
      readonly fault: Fault
      readonly why: string
    }
  /** Three health probes in a row failed, or two passed again (SU-11). */
  | { readonly kind: 'health'; readonly path: ActorPath; readonly healthy: boolean }
  /** A handler held the thread for longer than `slowHandlerMs` (SU-11). */
  | {
      readonly kind: 'slowHandler'
      readonly path: ActorPath
      readonly messageType: string
      readonly tookMs: number
      readonly correlationId: string
    }
  | { readonly kind: 'terminated'; readonly reason: TerminationReason }
)

/** An event before it is stamped with the time. */
export type UnstampedEvent = KernelEvent extends infer E
  ? E extends KernelEvent
    ? Omit<E, 'atMs'>
    : never
  : never

export interface TypeStatus {
  readonly handled: number
  readonly waitedMs: number
  readonly tookMs: number
  /** How many waited, and took, how long: by the classes of `DURATION_BOUNDS_MS`, and one above the last. */
  readonly waited: readonly number[]
  readonly took: readonly number[]
}

export interface DropStatus {
  readonly messageType: string
  readonly reason: DropReason
  readonly count: number
}

/** The little that a watcher asks for after every step; it costs a fraction of a whole status. */
export interface ActorLoad {
  readonly path: ActorPath
  readonly life: Life
  readonly handled: number
  /** Letters in the mailbox, of all classes. */
  readonly waiting: number
  readonly inFlight: number
  /** Sends that wait for room at their receivers; from sixteen on only control messages are taken (SU-9). */
  readonly blocked: number
  /** How far the fullest class is above its capacity (results of the actor's own doing may be); negative: room. */
  readonly excess: number
}

export interface ActorStatus {
  readonly path: ActorPath
  readonly life: Life
  /** State of the actor's machine. */
  readonly state: string
  /** A dependency of it is away (SU-3). */
  readonly degraded: boolean
  readonly depth: Readonly<Record<Priority, number>>
  readonly capacity: Readonly<Record<Priority, number>>
  readonly pressure: Pressure
  readonly handled: number
  /** Dropped or refused, by message type. */
  readonly dropped: Readonly<Record<string, number>>
  /** The same by what became of them. */
  readonly drops: readonly DropStatus[]
  readonly deadLetters: number
  /** Put aside by the actor itself. */
  readonly stashed: number
  /** False from three failed probes in a row until two passed (SU-11). */
  readonly healthy: boolean
  readonly inFlight: number
  readonly restarts: number
  readonly restartsByClass: Readonly<Partial<Record<FaultClass, number>>>
  readonly runningSinceMs: number | undefined
  readonly lastFault: (Fault & { readonly atMs: number }) | undefined
  readonly types: Readonly<Record<string, TypeStatus>>
}
