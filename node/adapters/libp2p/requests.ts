/** Requests with one answer: a stream each, one frame there and one frame back. */
import type { Connection, Stream } from '@libp2p/interface'
import type { PeerCode, PortResult, RequestLimits } from '../../../actors/network/index.ts'
import { openStream } from './direct.ts'
import { SERVE_MS } from './limits.ts'
import { type FrameSource, readFrames, writeFrame } from './streams.ts'

/** Asks. The whole exchange has one deadline, so a peer that drips bytes does not hold it open (SY-5). */
export async function requestFrom(
  connection: () => Connection | undefined,
  protocol: string,
  bytes: Uint8Array,
  limits: RequestLimits,
): Promise<PortResult<Uint8Array>> {
  const startedMs = performance.now()
  let stream: Stream
  try {
    stream = await openStream(connection, protocol, limits.timeoutMs)
  } catch (error) {
    return { ok: false, code: openFailure(error as Error) }
  }
  const leftMs = limits.timeoutMs - (performance.now() - startedMs)
  const result = await exchange(stream, bytes, limits.maxBytes, leftMs)
  if (result.ok) void stream.close({ signal: AbortSignal.timeout(SERVE_MS) }).catch(ignore)
  else stream.abort(new Error(result.code))
  return result
}

function openFailure(error: Error): PeerCode {
  if (error.name === 'UnsupportedProtocolError') return 'Unsupported'
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'Timeout'
  return 'NotConnected'
}

function exchange(
  stream: Stream,
  bytes: Uint8Array,
  maxBytes: number,
  timeoutMs: number,
): Promise<PortResult<Uint8Array>> {
  return new Promise((resolve) => {
    const fail = (code: PeerCode) => settle({ ok: false, code })
    const timer = setTimeout(() => fail('Timeout'), Math.max(0, timeoutMs))
    const settle = (result: PortResult<Uint8Array>) => {
      clearTimeout(timer)
      resolve(result)
    }
    readFrames(stream, maxBytes, {
      frame: (value) => settle({ ok: true, value }),
      tooLarge: () => fail('TooLarge'),
      // A stream that ends without an answer is a refusal.
      ended: () => fail('Refused'),
    })
    void writeFrame(stream, bytes).then((written) => {
      if (!written) fail('ConnectionClosed')
    })
  })
}

/** The other side: streams whose request was read and that wait for `respond`. */
export class RequestServer {
  private readonly waiting = new Map<
    number,
    { readonly stream: Stream; readonly timer: NodeJS.Timeout; source?: FrameSource }
  >()
  private nextId = 1
  private held = false

  /** Requests are not read, and dropped when their time is over, until `release`. */
  hold(): void {
    this.held = true
    for (const { source } of this.waiting.values()) source?.pause()
  }

  release(): void {
    this.held = false
    for (const { source } of this.waiting.values()) source?.resume()
  }

  accept(
    stream: Stream,
    maxRequestBytes: number,
    received: (id: number, bytes: Uint8Array) => void,
  ): void {
    const id = this.nextId++
    const drop = () => this.drop(id)
    const entry: { stream: Stream; timer: NodeJS.Timeout; source?: FrameSource } = {
      stream,
      timer: setTimeout(drop, SERVE_MS),
    }
    this.waiting.set(id, entry)
    let asked = false
    entry.source = readFrames(stream, maxRequestBytes, {
      frame: (bytes) => {
        if (asked) return drop()
        asked = true
        received(id, bytes)
      },
      tooLarge: drop,
      ended: () => {
        if (!asked) drop()
      },
    })
    if (this.held) entry.source.pause()
  }

  async respond(id: number, bytes: Uint8Array | undefined): Promise<void> {
    const entry = this.waiting.get(id)
    if (entry === undefined) return
    if (bytes === undefined) return this.drop(id)
    this.waiting.delete(id)
    clearTimeout(entry.timer)
    const written = await writeFrame(entry.stream, bytes)
    if (written) await entry.stream.close({ signal: AbortSignal.timeout(SERVE_MS) }).catch(ignore)
    else entry.stream.abort(new Error('answer not taken in time'))
  }

  close(): void {
    for (const id of [...this.waiting.keys()]) this.drop(id)
  }

  private drop(id: number): void {
    const entry = this.waiting.get(id)
    if (entry === undefined) return
    this.waiting.delete(id)
    clearTimeout(entry.timer)
    entry.stream.abort(new Error('request dropped'))
  }
}

function ignore(): void {}
