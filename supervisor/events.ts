/** What can be seen of a running system from outside: events for listeners, and one row per actor. */
import type { BreakerState } from './breaker.ts'
import type { Fault } from './fault.ts'
import type { Life } from './life.ts'
import type { Pressure } from './mailbox.ts'
import type { ActorPath, Priority } from './message.ts'

export type DeadLetterReason =
  | 'NoSuchActor'
  | 'Stopped'
  | 'Poisoned'
  | 'LateReply'
  | 'BlockedTooLong'
  | 'FaultWhileStopping'

/** `DropOldest` and `DropNewest`: by policy. `Refused`: the producer was told so. */
export type DropReason = 'DropOldest' | 'DropNewest' | 'Refused'

export interface TerminationReason {
  readonly code: 'Escalated' | 'Configuration'
  readonly path: ActorPath
  readonly fault: Fault
  readonly why: string
}

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
  readonly deadLetters: number
  readonly inFlight: number
  readonly restarts: number
  readonly runningSinceMs: number | undefined
  readonly lastFault: (Fault & { readonly atMs: number }) | undefined
  readonly types: Readonly<Record<string, TypeStatus>>
}
