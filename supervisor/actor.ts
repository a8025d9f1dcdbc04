/** The one shape of an actor: what a room under actors/ exports, and what the kernel hands to it. */
import type { AnyStateMachine } from 'xstate'
import type { KernelEffect } from './effects.ts'
import type { Fault, RestartPolicy } from './fault.ts'
import type { Life, LifeEvent } from './life.ts'
import type { Capacity, Pressure } from './mailbox.ts'
import type {
  ActorPath,
  ActorRef,
  AskResult,
  Envelope,
  Message,
  ReplyOf,
  Request,
  SendResult,
  Target,
} from './message.ts'
import type { Clock, Ids, LogLevel, Random } from './ports.ts'

/** What follows from a message. All of it takes place, or (after an exception) nothing. */
export interface Step<Context, Effect> {
  readonly context: Context
  readonly effects?: readonly (Effect | KernelEffect)[]
  /** Events for the machine, in order; one that it does not accept is a logic fault. */
  readonly event?: string | readonly string[]
}

/** A step from nothing, with messages to begin with. */
export interface InitResult<Context, In extends Message, Effect> extends Step<Context, Effect> {
  /** Delivered to the actor itself, before what waits in their class. */
  readonly messages?: readonly In[]
}

/** What the kernel tells an actor about itself and others, see `ActorDefinition.notice`. */
export type Fact =
  /** The drain began: this actor should bring its work to an end. */
  | { readonly kind: 'stopping' }
  /** An actor that this one depends on went away or came back; it is Degraded in between (SU-3). */
  | { readonly kind: 'dependency'; readonly path: ActorPath; readonly up: boolean }
  | {
      readonly kind: 'child' | 'watched'
      readonly path: ActorPath
      readonly life: Life
      readonly fault?: Fault
    }

export interface About<In extends Message = Message> {
  readonly envelope: Envelope<In>
  /** Name of the machine's state, `Outer.Inner` for nested ones. */
  readonly state: string
  /** The time of this step; it does not move within it. */
  readonly nowMs: number
}

export interface AskOptions {
  readonly timeoutMs: number
}

export interface SendOptions {
  /** Another flow than the one being handled. */
  readonly correlationId?: string
}

export type Log = (level: LogLevel, event: string, fields?: Record<string, unknown>) => void

/** What an effect works with. It belongs to one incarnation: `signal` aborts when that one dies. */
export interface ActorRun<In extends Message, Ports> {
  /** Tell `self` what a port calls back with. */
  readonly self: ActorRef<In>
  readonly ports: Ports
  readonly clock: Clock
  readonly random: Random
  readonly ids: Ids
  readonly signal: AbortSignal
  /** The flow of the message that led here. What `init`'s run sends begins a new flow each time. */
  readonly correlationId: string
  readonly log: Log
  /** Resolves when the message was admitted or refused; one may await it, or not. */
  tell<M extends Message>(to: Target<M>, message: M, options?: SendOptions): Promise<SendResult>
  ask<R extends Request>(
    to: Target<R>,
    request: R,
    options: AskOptions,
  ): Promise<AskResult<ReplyOf<R>>>
  /**
   * Calls `listener` now and whenever the level of that actor's mailbox changes, until the returned function is
   * called or this incarnation ends. A socket reader pauses while `isOverloaded(level)` (SU-9).
   */
  pressure(of: ActorPath, listener: (level: Pressure) => void): () => void
}

/**
 * Ways back from faults that a restart alone does not cure (SU-15). They run while the actor is Failed, after its
 * dead incarnation came to rest and before the next one begins, each with a deadline; a rejection is a failure and
 * the next stage follows. `init` of the next incarnation finds what they left.
 */
export interface RecoveryHooks<In extends Message, Ports> {
  /** Corruption: back to the last checkpoint that verifies. */
  rollback?(fault: Fault, run: ActorRun<In, Ports>): Promise<void>
  /** Network faults in a row, or corruption that could not be rolled back: fetch anew what others have. */
  resync?(fault: Fault, run: ActorRun<In, Ports>): Promise<void>
  /** Service faults in a row: change over to another provider of the service. */
  failover?(fault: Fault, run: ActorRun<In, Ports>): Promise<void>
}

/** Methods are called by the kernel alone. `handle`, `lane`, `busy`, `healthy` and `notice` are pure. */
export interface ActorDefinition<Context, In extends Message, Effect, Ports> {
  readonly name: string
  /** The mode only: no context, guards, actions, delays or invocations. A final state completes the actor. */
  readonly machine: AnyStateMachine
  /** How the mode follows the actor's life: the first of the events that the mode accepts, if any. */
  readonly follows?: Readonly<Partial<Record<LifeEvent, readonly string[]>>>
  /** Room in each priority class, and in the stash (default 100). */
  readonly mailbox: { readonly capacity: Capacity; readonly stash?: number }
  /** Initializing. A rejection is a fault of that class. */
  init(run: ActorRun<In, Ports>): Promise<InitResult<Context, In, Effect>>
  handle(context: Context, message: In, about: About<In>): Step<Context, Effect>
  /** Results come back to this actor as messages of the same flow. A rejection crashes the actor. */
  // biome-ignore lint/suspicious/noConfusingVoidType: an async body without return is a Promise of void
  perform(effect: Effect, run: ActorRun<In, Ports>): Promise<readonly In[] | In | undefined | void>
  /** Effects of one lane run strictly one after another, those without at once. */
  lane?(effect: Effect): string | undefined
  /** Releases what init opened: after the drain, and with the last good context after a crash. */
  stop?(context: Context, run: ActorRun<In, Ports>): Promise<void>
  /** True while work is open that a shutdown should wait longer for (SU-12). */
  busy?(context: Context): boolean
  /**
   * Asked by the kernel's health probe (SU-11), which comes through the mailbox; without it an actor that takes its
   * messages is healthy. False three times in a row is a service fault.
   */
  healthy?(context: Context): boolean
  readonly recover?: RecoveryHooks<In, Ports>
  /** Turns a fact into a message of this actor; undefined: of no interest. */
  notice?(fact: Fact): In | undefined
}

export type AnyActor = ActorDefinition<unknown, Message, unknown, unknown>

/** How one actor is started, restarted and stopped: data. */
export interface ChildSpec {
  /** Under the root the actor's name; under an actor the rest of the path: `pegin/<id>`. */
  readonly name: string
  readonly actor: AnyActor
  readonly ports: unknown
  /** Siblings that must be Running first; when one of them restarted, this one is initialised again. */
  readonly dependsOn?: readonly string[]
  /** Its termination is the end of its supervisor. */
  readonly critical?: boolean
  /** `permanent` (default): restarted after faults. `temporary`: never. */
  readonly restart?: 'permanent' | 'temporary'
  readonly policy?: Partial<RestartPolicy>
}

/** Binds a definition to its ports. */
export const childSpec = <Context, In extends Message, Effect, Ports>(
  actor: ActorDefinition<Context, In, Effect, Ports>,
  ports: Ports,
  options: Omit<ChildSpec, 'actor' | 'ports' | 'name'> & { readonly name?: string } = {},
): ChildSpec => ({
  ...options,
  name: options.name ?? actor.name,
  actor: actor as unknown as AnyActor,
  ports,
})
