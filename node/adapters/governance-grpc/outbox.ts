/**
 * What waits for a peer that reads slowly (GV-11): bounded; when it is full, messages that a newer one replaces make room,
 * requests, answers and signatures never do.
 */
import type { MemberMessage, NodeMessage } from '../../../proto/index.ts'

const REPLACEABLE: ReadonlySet<string> = new Set([
  'heartbeat',
  'heartbeatAck',
  'newHead',
  'chainStatus',
])

export type Offer = 'accepted' | 'dropped' | 'overflow'

export class Outbox<M extends MemberMessage | NodeMessage> {
  /** Messages let go of since the start. */
  dropped = 0
  private readonly limit: number
  private waiting: M[] = []

  constructor(limit: number) {
    this.limit = limit
  }

  get size(): number {
    return this.waiting.length
  }

  /** `overflow`: full of messages that must not be lost; the connection has to end. */
  offer(message: M): Offer {
    if (this.waiting.length < this.limit) {
      this.waiting.push(message)
      return 'accepted'
    }
    if (REPLACEABLE.has(message.body.kind)) {
      this.dropped += 1
      return 'dropped'
    }
    const oldest = this.waiting.findIndex((other) => REPLACEABLE.has(other.body.kind))
    if (oldest < 0) return 'overflow'
    this.waiting.splice(oldest, 1)
    this.dropped += 1
    this.waiting.push(message)
    return 'accepted'
  }

  take(): M | undefined {
    return this.waiting.shift()
  }

  clear(): void {
    this.waiting = []
  }
}

/** The part of a grpc stream that the pump needs. */
interface Writable {
  write(message: unknown): boolean
  once(event: 'drain', listener: () => void): unknown
}

/** Writes an outbox to a stream, and stops while the stream's buffer is full. */
export class Pump<M extends MemberMessage | NodeMessage> {
  private readonly outbox: Outbox<M>
  private readonly stream: Writable
  private readonly encode: (message: M) => unknown
  private blocked = false
  private ended = false

  constructor(stream: Writable, limit: number, encode: (message: M) => unknown) {
    this.stream = stream
    this.outbox = new Outbox(limit)
    this.encode = encode
  }

  send(message: M): 'sent' | 'queued' | 'dropped' | 'overflow' {
    if (this.ended) return 'dropped'
    const offer = this.outbox.offer(message)
    if (offer !== 'accepted') return offer
    this.flush()
    return this.outbox.size === 0 ? 'sent' : 'queued'
  }

  end(): void {
    this.ended = true
    this.outbox.clear()
  }

  private flush(): void {
    while (!this.blocked && !this.ended) {
      const message = this.outbox.take()
      if (message === undefined) return
      if (this.stream.write(this.encode(message))) continue
      this.blocked = true
      this.stream.once('drain', () => {
        this.blocked = false
        this.flush()
      })
    }
  }
}
