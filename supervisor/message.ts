/** What is sent, and what is wrapped around it on the way. */

/** A message is plain data and is not changed after it was sent. */
export interface Message<T extends string = string, P = unknown> {
  readonly type: T
  readonly payload: P
}

/** A message that is answered; `__reply` exists for the type checker alone. */
export interface Request<T extends string = string, P = unknown, R extends Message = Message>
  extends Message<T, P> {
  readonly __reply?: R
}

/** The reply that a request is answered with. */
export type ReplyOf<M> = M extends { readonly __reply?: infer R extends Message } ? R : Message

/** Name of an actor under the root (`chain`) or path of a child (`bridge/pegin/ab12:0`). */
export type ActorPath = string

/** An address that knows what its actor understands; plain data. */
export interface ActorRef<In extends Message = Message> {
  readonly path: ActorPath
  readonly __accepts?: (message: In) => void
}

export type Target<M extends Message = Message> = ActorPath | ActorRef<M>

/**
 * What the actors at well-known paths handle. A program declares its own by merging into this interface; then their plain
 * paths are checked like typed addresses. Other paths are not.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by the rooms that declare messages
export interface KnownActors {}

/** What may be sent to a path: what its actor handles, if that is known, else what the sender says. */
export type MessageTo<P extends ActorPath, M extends Message> = P extends keyof KnownActors
  ? KnownActors[P]
  : M

/** A typed address: telling it what its actor does not handle is a type error. */
export const refOf = <In extends Message>(path: ActorPath): ActorRef<In> => ({ path })

/**
 * What travels. Added by the kernel, never by hand. `correlationId` is the same for every hop of one flow;
 * `sequence` counts the messages of this process, and `causationId` is the sequence of the message whose
 * handling sent this one (0: it came from outside).
 */
export interface Envelope<M extends Message = Message> {
  readonly correlationId: string
  readonly causationId: number
  readonly sequence: number
  /** When it was sent, milliseconds since the Unix epoch. */
  readonly timestamp: number
  readonly sender: ActorPath
  readonly messageType: M['type']
  readonly payload: M['payload']
  readonly message: M
}

/** Highest first. */
export const PRIORITIES = ['control', 'consensus', 'peg', 'sync', 'gossip', 'api'] as const
export type Priority = (typeof PRIORITIES)[number]

export type Overflow = 'dropOldest' | 'dropNewest' | 'blockProducer' | 'returnError'

/** One row of the message registry. */
export interface MessageSpec {
  readonly type: string
  readonly priority: Priority
  readonly overflow: Overflow
  /** SU-8: once admitted it is never dropped; its overflow must then block or refuse the producer. */
  readonly neverDrop?: boolean
  /** At most one waits: a newer one takes the place of the one that waits. */
  readonly coalesce?: 'latest'
  /** Message type of the reply, for requests. */
  readonly reply?: string
}

export type SendErrorCode = 'MailboxFull' | 'NoSuchActor' | 'Stopped' | 'Dropped'
export interface SendError {
  readonly code: SendErrorCode
  readonly to: ActorPath
}
/** `Dropped`: the mailbox was full and the type's policy let go of this very message. */
export type SendResult = { readonly ok: true } | { readonly ok: false; readonly error: SendError }

export type AskErrorCode = 'Timeout' | 'ActorRestarted' | 'MailboxFull' | 'NoSuchActor' | 'Stopped'
export interface AskError {
  readonly code: AskErrorCode
  readonly to: ActorPath
}
export type AskResult<R extends Message = Message> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly error: AskError }
