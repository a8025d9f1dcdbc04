/** The envelope as the kernel holds it: what others see, and what only delivery needs. */
import type { Ask } from './asks.ts'
import type { ActorPath, Envelope, Message } from './message.ts'
import type { MessageRow } from './registry.ts'

/** A named timer; a cancelled one's message is not delivered even if it already waits. */
export interface TimerEntry {
  readonly key: string
  readonly repeat: boolean
  cancelled: boolean
  /** Its message waits in the mailbox. */
  waiting: boolean
}

export class Letter implements Envelope {
  readonly correlationId: string
  readonly causationId: number
  readonly sequence: number
  readonly timestamp: number
  readonly sender: ActorPath
  readonly message: Message
  readonly row: MessageRow
  /** The ask that waits for a reply to this letter. */
  readonly ask: Ask | undefined
  /** For results of an actor's own effects: the incarnation that caused them; otherwise 0. */
  readonly incarnation: number
  timer: TimerEntry | undefined = undefined
  crashes = 0
  /** Place in its ring, kept for coalescing types. */
  position = 0

  constructor(
    correlationId: string,
    causationId: number,
    sequence: number,
    timestamp: number,
    sender: ActorPath,
    message: Message,
    row: MessageRow,
    ask: Ask | undefined,
    incarnation: number,
  ) {
    this.correlationId = correlationId
    this.causationId = causationId
    this.sequence = sequence
    this.timestamp = timestamp
    this.sender = sender
    this.message = message
    this.row = row
    this.ask = ask
    this.incarnation = incarnation
  }

  get messageType(): string {
    return this.message.type
  }

  get payload(): unknown {
    return this.message.payload
  }
}
