/** The effects that the kernel itself carries out; a handler returns them beside its own. */
import type { AskOptions, ChildSpec, SendOptions } from './actor.ts'
import type { Fault } from './fault.ts'
import type {
  ActorPath,
  ActorRef,
  AskResult,
  Envelope,
  Message,
  MessageTo,
  ReplyOf,
  Request,
  SendError,
  Target,
} from './message.ts'

export type KernelEffect =
  | {
      readonly kernel: 'tell'
      readonly to: ActorPath
      readonly message: Message
      readonly correlationId?: string
      readonly onRefused?: (error: SendError) => Message
    }
  | {
      readonly kernel: 'ask'
      readonly to: ActorPath
      readonly request: Message
      readonly timeoutMs: number
      readonly correlationId?: string
      readonly onReply: (result: AskResult) => Message
    }
  | { readonly kernel: 'reply'; readonly to: Envelope; readonly message: Message }
  | {
      readonly kernel: 'timer'
      readonly key: string
      readonly delayMs: number
      readonly message: Message
      readonly repeat: boolean
      readonly newFlow: boolean
    }
  | { readonly kernel: 'cancel'; readonly key: string }
  | { readonly kernel: 'spawn'; readonly spec: ChildSpec }
  | { readonly kernel: 'stopChild'; readonly name: string }
  | { readonly kernel: 'watch'; readonly path: ActorPath }
  | { readonly kernel: 'unwatch'; readonly path: ActorPath }
  | { readonly kernel: 'stash' }
  | { readonly kernel: 'unstash' }
  | { readonly kernel: 'fail'; readonly fault: Fault }

export const pathOf = <M extends Message>(target: Target<M>): ActorPath =>
  typeof target === 'string' ? target : target.path

/** Sends. `onRefused` makes a message to oneself when it was not admitted. */
export const tell = <M extends Message, P extends ActorPath>(
  to: ActorRef<M> | P,
  message: MessageTo<P, M>,
  options: SendOptions & { readonly onRefused?: (error: SendError) => Message } = {},
): KernelEffect => ({ kernel: 'tell', to: pathOf(to), message, ...options })

/** Asks; the result, an error included, comes back as the message that `onReply` makes of it. */
export const ask = <R extends Request>(
  to: Target<R>,
  request: R,
  options: AskOptions &
    SendOptions & { readonly onReply: (result: AskResult<ReplyOf<R>>) => Message },
): KernelEffect => ({
  kernel: 'ask',
  to: pathOf(to),
  request,
  ...options,
  onReply: options.onReply as (result: AskResult) => Message,
})

/** Answers the request of that envelope, now or later; the first answer counts. */
export const reply = (to: Envelope, message: Message): KernelEffect => ({
  kernel: 'reply',
  to,
  message,
})

/**
 * A message to oneself after a delay; it takes the place of a timer of the same key. It belongs to the flow that
 * sets it, unless `newFlow` says that something new begins (a slot, a poll).
 */
export const after = (
  delayMs: number,
  key: string,
  message: Message,
  { newFlow = false }: { readonly newFlow?: boolean } = {},
): KernelEffect => ({ kernel: 'timer', key, delayMs, message, repeat: false, newFlow })

/** A message to oneself every period, each in a flow of its own; skipped while the last one still waits. */
export const every = (periodMs: number, key: string, message: Message): KernelEffect => ({
  kernel: 'timer',
  key,
  delayMs: periodMs,
  message,
  repeat: true,
  newFlow: true,
})

/** Stops a timer; its message is not delivered even if it already waits. */
export const cancel = (key: string): KernelEffect => ({ kernel: 'cancel', key })

/** Starts a child of this actor, at `<own path>/<spec.name>`. */
export const spawn = (spec: ChildSpec): KernelEffect => ({ kernel: 'spawn', spec })

/** Lets a child of this actor drain and end. */
export const stopChild = (name: string): KernelEffect => ({ kernel: 'stopChild', name })

/**
 * From now on `notice` hears of the lives of that actor, up to its end or that of this incarnation. Of one that does
 * not exist it hears at once that it is Terminated.
 */
export const watch = (path: ActorPath): KernelEffect => ({ kernel: 'watch', path })

/** `notice` hears no more of that actor. */
export const unwatch = (path: ActorPath): KernelEffect => ({ kernel: 'unwatch', path })

/**
 * Puts the message that is being handled aside, as if it had not come yet. What finds the stash full is a dead letter;
 * of a type that is never dropped it crashes the actor, and a restart puts all back into the mailbox, in order.
 */
export const stash = (): KernelEffect => ({ kernel: 'stash' })

/** Puts all that was stashed back in front of its class, in the order in which it came. */
export const unstash = (): KernelEffect => ({ kernel: 'unstash' })

/** Crashes this actor after the step; the message that led to it counts as handled. */
export const fail = (fault: Fault): KernelEffect => ({ kernel: 'fail', fault })

export const isKernelEffect = (effect: unknown): effect is KernelEffect =>
  typeof effect === 'object' && effect !== null && 'kernel' in effect
