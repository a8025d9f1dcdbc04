/** The ordered stream of frames to one peer, and the one from it. */
import type { Connection, Stream } from '@libp2p/interface'
import type { PeerCode } from '../../../actors/network/index.ts'
import { MAX_QUEUE_BYTES, MAX_QUEUE_FRAMES, MAX_UNREAD_FRAMES, STREAM_OPEN_MS } from './limits.ts'
import { type FrameSource, readFrames, writeFrame } from './streams.ts'

/** Frames to one peer, in order, over a stream that is opened when the first one comes. */
export class DirectWriter {
  private readonly open: () => Promise<Stream>
  private readonly broken: (code: PeerCode) => void
  private queue: Uint8Array[] = []
  private queuedBytes = 0
  private writing = false
  private stream: Stream | undefined
  private over = false

  /** `broken` is called once, when this peer cannot be written to any more. */
  constructor(
    connection: () => Connection | undefined,
    protocol: string,
    broken: (code: PeerCode) => void,
  ) {
    this.open = () => openStream(connection, protocol)
    this.broken = broken
  }

  push(bytes: Uint8Array): boolean {
    if (this.over) return false
    const full =
      this.queue.length >= MAX_QUEUE_FRAMES || this.queuedBytes + bytes.length > MAX_QUEUE_BYTES
    if (full) {
      this.fail('SlowPeer')
      return false
    }
    this.queue.push(bytes)
    this.queuedBytes += bytes.length
    if (!this.writing) void this.drain()
    return true
  }

  close(): void {
    this.over = true
    this.queue = []
    this.queuedBytes = 0
    this.stream?.abort(new Error('closed'))
    this.stream = undefined
  }

  private async drain(): Promise<void> {
    this.writing = true
    let reopened = false
    while (!this.over && this.queue.length > 0) {
      const stream = await this.current()
      if (stream === undefined) return this.fail('ConnectionClosed')
      const bytes = this.queue[0]
      if (bytes === undefined) break
      const written = await writeFrame(stream, bytes)
      if (this.over) return
      if (written) {
        this.queue.shift()
        this.queuedBytes -= bytes.length
        reopened = false
        continue
      }
      // A stream may end under a connection that lives on; it is opened again once for the same frame.
      if (reopened || stream.status === 'open') return this.fail('SlowPeer')
      reopened = true
      this.stream = undefined
    }
    this.writing = false
  }

  private async current(): Promise<Stream | undefined> {
    if (this.stream?.writeStatus === 'writable') return this.stream
    try {
      this.stream = await this.open()
    } catch {
      return undefined
    }
    if (this.over) this.stream.abort(new Error('closed'))
    return this.stream
  }

  private fail(code: PeerCode): void {
    if (this.over) return
    this.close()
    this.broken(code)
  }
}

/** Frames from one peer: one is handed out at a time, and reading pauses when too many wait. */
export class DirectReader {
  private readonly deliver: (bytes: Uint8Array) => void
  private readonly unread: Uint8Array[] = []
  private source: FrameSource | undefined
  private stream: Stream | undefined
  private outstanding = false
  private held = false

  constructor(deliver: (bytes: Uint8Array) => void) {
    this.deliver = deliver
  }

  /** Reads from this stream; one that was read before is dropped: a peer has one direct stream. */
  attach(stream: Stream, maxFrameBytes: number, tooLarge: () => void): void {
    this.stream?.abort(new Error('replaced by a newer stream'))
    this.stream = stream
    this.source = readFrames(stream, maxFrameBytes, {
      frame: (bytes) => {
        if (this.stream !== stream) return
        this.unread.push(bytes)
        if (this.unread.length >= MAX_UNREAD_FRAMES) this.source?.pause()
        this.next()
      },
      tooLarge,
      ended: () => {
        void stream.close({ signal: AbortSignal.timeout(STREAM_OPEN_MS) }).catch((error: Error) => {
          stream.abort(error)
        })
      },
    })
    if (this.held) this.source.pause()
  }

  /** Nothing is read or handed out until `release`. */
  hold(): void {
    this.held = true
    this.source?.pause()
  }

  release(): void {
    this.held = false
    if (this.unread.length < MAX_UNREAD_FRAMES / 2) this.source?.resume()
    this.next()
  }

  /** The frame that was handed out is done. */
  take(): void {
    this.outstanding = false
    if (!this.held && this.unread.length < MAX_UNREAD_FRAMES / 2) this.source?.resume()
    this.next()
  }

  close(): void {
    this.unread.length = 0
    this.stream?.abort(new Error('closed'))
    this.stream = undefined
  }

  private next(): void {
    if (this.outstanding || this.held) return
    const bytes = this.unread.shift()
    if (bytes === undefined) return
    this.outstanding = true
    this.deliver(bytes)
  }
}

export function openStream(
  connection: () => Connection | undefined,
  protocol: string,
  timeoutMs = STREAM_OPEN_MS,
): Promise<Stream> {
  const open = connection()
  if (open === undefined) return Promise.reject(new Error('not connected'))
  return open.newStream(protocol, {
    signal: AbortSignal.timeout(timeoutMs),
    maxOutboundStreams: 64,
  })
}
