/**
 * The actor kernel: supervised actors with bounded mailboxes, for a node that handles money.
 *
 * An actor is an xstate machine that says the mode, a pure handler that owns the context, and effects that do the
 * work; the kernel delivers messages, runs the effects, restarts what fails and stops in order. It follows seed
 * 003 §6 (life cycle, restart by fault class) and design §4, and knows nothing of chains.
 *
 * Kept at all times: every mailbox is within its bound; a handler's step happens whole or not at all; a message
 * once admitted is handled, or counted as dropped or dead with its reason; every ask ends exactly once; a
 * dead incarnation is never heard of again; order and outcome depend on messages and ports alone.
 */
export type {
  About,
  ActorDefinition,
  ActorRun,
  AnyActor,
  AskOptions,
  ChildSpec,
  Fact,
  InitResult,
  Log,
  RecoveryHooks,
  SendOptions,
  Step,
} from './actor.ts'
export { childSpec } from './actor.ts'
export type { BreakerPolicy, BreakerState } from './breaker.ts'
export { DEFAULT_BREAKER } from './breaker.ts'
export { DURATION_BOUNDS_MS } from './durations.ts'
export type { KernelEffect } from './effects.ts'
export {
  after,
  ask,
  cancel,
  every,
  fail,
  reply,
  spawn,
  stash,
  stopChild,
  tell,
  unstash,
  unwatch,
  watch,
} from './effects.ts'
export type {
  ActorLoad,
  ActorStatus,
  DeadLetterReason,
  DropReason,
  DropStatus,
  ExitCause,
  KernelEvent,
  TerminationReason,
  TypeStatus,
} from './events.ts'
export { exitCauseOf } from './events.ts'
export type { Fault, FaultClass, RestartDecision, RestartHistory, RestartPolicy } from './fault.ts'
export { backoffMs, DEFAULT_RESTART, decideRestart, faultError, toFault } from './fault.ts'
export type { Strategy } from './group.ts'
export type { Life, LifeEvent } from './life.ts'
export { lifeMachine } from './life.ts'
export type { KernelLimits } from './limits.ts'
export { ASK_TIMEOUT_MS, BLOCK_TIMEOUT_MS, DEFAULT_LIMITS, WATERMARKS } from './limits.ts'
export type { Capacity, Pressure } from './mailbox.ts'
export { isOverloaded } from './mailbox.ts'
export type {
  ActorPath,
  ActorRef,
  AskError,
  AskErrorCode,
  AskResult,
  Envelope,
  KnownActors,
  Message,
  MessageSpec,
  MessageTo,
  Overflow,
  Priority,
  ReplyOf,
  Request,
  SendError,
  SendErrorCode,
  SendResult,
  Target,
} from './message.ts'
export { PRIORITIES, refOf } from './message.ts'
export type { Edge, Mode } from './mode.ts'
export { compileMachine, edgesOf } from './mode.ts'
export { watchOverload } from './overload.ts'
export type {
  Clock,
  Ids,
  KernelPorts,
  LogLevel,
  LogRecord,
  LogSink,
  MetricLabels,
  MetricSink,
  Random,
  Span,
  TimerHandle,
  Tracer,
} from './ports.ts'
export type { RecoveryKind, RecoveryPlan, RecoveryResult, RecoveryStage } from './recovery.ts'
export { planRecovery } from './recovery.ts'
export type { MessageRow, Registry } from './registry.ts'
export { createRegistry } from './registry.ts'
export { isSampled } from './sampling.ts'
export type { OutsideOptions, StartResult, StopResult, System, SystemOptions } from './system.ts'
export { createSystem } from './system.ts'
