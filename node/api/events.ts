/**
 * Server-sent events: a reader gets the whole status once, then each part when it changed (`consensus`, `blocks`,
 * `peg`, `actors`, `network`, …). Views are read only while somebody looks, at most ten times a second. A reader
 * that does not keep up is cut off; its EventSource comes back and starts anew.
 */
import type { ServerResponse } from 'node:http'
import type { Clock, TimerHandle } from '../../supervisor/index.ts'
import type { ApiLimits } from './limits.ts'
import type { ApiPorts } from './port.ts'
import { type BlockRow, type StatusDocument, type StatusView, statusText } from './status.ts'

export interface EventParts {
  readonly ports: ApiPorts
  readonly status: StatusView
  readonly limits: ApiLimits
  readonly clock: Clock
  readonly onBug: (place: string, error: unknown) => void
}

export class EventHub {
  private readonly parts: EventParts
  private readonly readers = new Set<ServerResponse>()
  /** What was sent last, by part. */
  private sent = new Map<string, string>()
  private sentHeight = 0
  private unsubscribe: (() => void) | undefined
  private timer: TimerHandle | undefined
  private readAtMs = 0
  private reading = false
  private beatAtMs = 0

  constructor(parts: EventParts) {
    this.parts = parts
  }

  get size(): number {
    return this.readers.size
  }

  /** Takes over a response whose head is not sent yet; false when there are too many readers. */
  async add(response: ServerResponse, headers: Record<string, string>): Promise<boolean> {
    if (this.readers.size >= this.parts.limits.eventClients) return false
    const status = await this.parts.status.read()
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
    })
    response.write(`retry: 1000\n\n${eventText('status', this.stamped(status))}`)
    this.readers.add(response)
    response.on('close', () => this.remove(response))
    if (this.readers.size === 1) this.begin(status)
    return true
  }

  close(): void {
    for (const response of this.readers) response.end()
    this.readers.clear()
    this.end()
  }

  private remove(response: ServerResponse): void {
    this.readers.delete(response)
    if (this.readers.size === 0) this.end()
  }

  private begin(status: StatusDocument): void {
    this.remember(status)
    this.beatAtMs = this.parts.clock.nowMs()
    this.unsubscribe = this.parts.ports.onChange(() => this.schedule(this.parts.limits.eventMinMs))
    this.schedule(this.parts.limits.eventMaxMs)
  }

  private end(): void {
    this.unsubscribe?.()
    this.unsubscribe = undefined
    this.timer?.cancel()
    this.timer = undefined
  }

  /** The next look, `sinceLastMs` after the last one at the earliest. */
  private schedule(sinceLastMs: number): void {
    if (this.reading || this.unsubscribe === undefined) return
    this.timer?.cancel()
    const delayMs = Math.max(0, this.readAtMs + sinceLastMs - this.parts.clock.nowMs())
    this.timer = this.parts.clock.setTimer(delayMs, () => void this.look())
  }

  private async look(): Promise<void> {
    this.reading = true
    this.readAtMs = this.parts.clock.nowMs()
    try {
      this.publish(await this.parts.status.read())
    } catch (error) {
      this.parts.onBug('events', error)
    }
    this.reading = false
    this.schedule(this.parts.limits.eventMaxMs)
  }

  private publish(status: StatusDocument): void {
    const { blocks, ...rest } = status
    const fresh = blocks.filter((row) => row.height > this.sentHeight)
    let text = fresh.length === 0 ? '' : eventText('blocks', statusText(fresh))
    this.sentHeight = topOf(blocks, this.sentHeight)
    for (const [part, value] of Object.entries(rest)) {
      const json = statusText(value)
      if (this.sent.get(part) === json) continue
      this.sent.set(part, json)
      text += eventText(part, json)
    }
    const nowMs = this.parts.clock.nowMs()
    if (text === '' && nowMs - this.beatAtMs < this.parts.limits.eventHeartbeatMs) return
    this.beatAtMs = nowMs
    this.send(text === '' ? ': still here\n\n' : text)
  }

  private send(text: string): void {
    for (const response of this.readers) {
      if (response.writableLength > this.parts.limits.eventBufferBytes) response.destroy()
      else response.write(text)
    }
  }

  private remember(status: StatusDocument): void {
    const { blocks, ...rest } = status
    this.sent = new Map(Object.entries(rest).map(([part, value]) => [part, statusText(value)]))
    this.sentHeight = topOf(blocks, 0)
  }

  private stamped(status: StatusDocument): string {
    return statusText({ nowMs: this.parts.clock.nowMs(), ...status })
  }
}

function topOf(blocks: readonly BlockRow[], otherwise: number): number {
  return blocks[0]?.height ?? otherwise
}

/** JSON has no raw line breaks, so one data line always does. */
function eventText(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`
}
