/** A whole tree of actors, seen from outside. */
import type { ChildSpec } from './actor.ts'
import type { BreakerPolicy } from './breaker.ts'
import { pathOf } from './effects.ts'
import type { ActorLoad, ActorStatus, KernelEvent, TerminationReason } from './events.ts'
import type { RestartPolicy } from './fault.ts'
import { Group, type Strategy } from './group.ts'
import { Kernel, refused, type Stamp } from './kernel.ts'
import { DEFAULT_LIMITS, type KernelLimits } from './limits.ts'
import type { Pressure } from './mailbox.ts'
import {
  type ActorPath,
  type ActorRef,
  type AskResult,
  type Message,
  type MessageSpec,
  type ReplyOf,
  type Request,
  refOf,
  type SendResult,
  type Target,
} from './message.ts'
import type { KernelPorts } from './ports.ts'
import { Probes } from './probes.ts'
import { createRegistry } from './registry.ts'
import { loadOf, statusOf } from './status.ts'
import { StopPlan } from './stop-plan.ts'

export interface SystemOptions {
  readonly ports: KernelPorts
  readonly registry: readonly MessageSpec[]
  readonly children: readonly ChildSpec[]
  /** Default `oneForOne`. */
  readonly strategy?: Strategy
  readonly restart?: Partial<RestartPolicy>
  readonly breaker?: Partial<BreakerPolicy>
  readonly limits?: Partial<KernelLimits>
  /** A critical actor is gone and the others are stopped: the process should exit with an error. */
  readonly onTerminated?: (reason: TerminationReason) => void
}

export type StartResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: TerminationReason }

export interface StopResult {
  /** A second stop hurried it. */
  readonly forced: boolean
  readonly tookMs: number
}

export interface OutsideOptions {
  /** Who it is from; default `outside`. */
  readonly sender?: ActorPath
  /** The flow it belongs to; default: a new one. */
  readonly correlationId?: string
}

export interface System {
  /** In order of dependencies; ends when every actor is Running, or with the reason why not. */
  start(): Promise<StartResult>
  /**
   * Stops intake, drains in reverse order, runs the stop hooks. A second call forces; `force` does so from the beginning,
   * whatever actors are busy with.
   */
  stop(options?: { readonly drainMs?: number; readonly force?: boolean }): Promise<StopResult>
  ref<In extends Message>(path: ActorPath): ActorRef<In>
  tell<M extends Message>(to: Target<M>, message: M, options?: OutsideOptions): Promise<SendResult>
  ask<R extends Request>(
    to: Target<R>,
    request: R,
    options: OutsideOptions & { readonly timeoutMs: number },
  ): Promise<AskResult<ReplyOf<R>>>
  /**
   * Calls `listener` now and whenever the level of that actor's mailbox changes, restarts included, until the returned
   * function is called. A reader of a socket pauses while `isOverloaded(level)` (SU-9).
   */
  pressure(of: ActorPath, listener: (level: Pressure) => void): () => void
  snapshot(): readonly ActorStatus[]
  /** The cheap part of it. */
  loads(): readonly ActorLoad[]
  /** With `messages` also one event per handled message. Returns the way to end it. */
  subscribe(
    listener: (event: KernelEvent) => void,
    options?: { readonly messages?: boolean },
  ): () => void
}

const ADMITTED_LATER: Promise<SendResult> = Promise.resolve({ ok: true })

export const createSystem = (options: SystemOptions): System => {
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const kernel = new Kernel(options.ports, createRegistry(options.registry), limits)
  const { clock, ids } = options.ports
  let stopping: { plan: StopPlan; atMs: number; done: Promise<StopResult> } | undefined
  let terminated: TerminationReason | undefined

  const root = new Group(kernel, undefined, {
    ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
    ...(options.restart === undefined ? {} : { restart: options.restart }),
    ...(options.breaker === undefined ? {} : { breaker: options.breaker }),
    onGiveUp: (reason) => {
      terminated = reason
      void begin(undefined, false).then(() => {
        kernel.emit({ kind: 'terminated', reason })
        options.onTerminated?.(reason)
      })
    },
  })
  root.declare(options.children)
  const probes = new Probes(kernel)

  const begin = (drainMs: number | undefined, force: boolean): Promise<StopResult> => {
    const plan = new StopPlan(clock, limits, drainMs)
    if (force) plan.force()
    const atMs = clock.nowMs()
    const done = root.stopAll(plan).then(() => {
      probes.stop()
      kernel.close()
      return { forced: plan.forced, tookMs: clock.nowMs() - atMs }
    })
    stopping = { plan, atMs, done }
    return done
  }

  const stamp = (given: OutsideOptions): Stamp => ({
    sender: given.sender ?? 'outside',
    correlationId: given.correlationId ?? ids.next(),
    causationId: 0,
    nowMs: clock.nowMs(),
  })

  return {
    start: async () => {
      probes.start()
      await root.start()
      if (terminated === undefined) return { ok: true }
      await stopping?.done
      return { ok: false, reason: terminated }
    },
    stop: ({ drainMs, force = false } = {}) => {
      if (stopping === undefined) return begin(drainMs, force)
      if (force || clock.nowMs() - stopping.atMs >= limits.repeatStopMs) stopping.plan.force()
      return stopping.done
    },
    ref: refOf,
    tell: (to, message, given = {}) => {
      const path = pathOf(to)
      if (stopping !== undefined) return Promise.resolve(refused('Stopped', path))
      const letter = kernel.letter(message, stamp(given), undefined, 0)
      let later: (result: SendResult) => void = () => {}
      const result = kernel.send(path, letter, (late) => later(late))
      if (result === undefined) {
        return new Promise((resolve) => {
          later = resolve
        })
      }
      return result.ok ? ADMITTED_LATER : Promise.resolve(result)
    },
    ask: <R extends Request>(
      to: Target<R>,
      request: R,
      given: OutsideOptions & { readonly timeoutMs: number },
    ) => {
      const path = pathOf(to)
      return new Promise<AskResult<ReplyOf<R>>>((resolve) => {
        if (stopping !== undefined) {
          resolve({ ok: false, error: { code: 'Stopped', to: path } })
          return
        }
        const settle = (result: AskResult): void => resolve(result as AskResult<ReplyOf<R>>)
        kernel.ask(path, request, given.timeoutMs, stamp(given), settle, undefined)
      })
    },
    pressure: (of, listener) => kernel.onPressure(of, listener),
    loads: () => Array.from(kernel.cells.values(), loadOf),
    snapshot: () => [...kernel.cells.values()].map(statusOf),
    subscribe: (listener, { messages = false } = {}) => kernel.subscribe(listener, messages),
  }
}
