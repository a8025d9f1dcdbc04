/**
 * Sampled spans of the kernel as OpenTelemetry traces, sent by OTLP over HTTP (JSON) in batches. One flow is one trace, on all processes
 * that take part in it: its id is the correlation id, and whether it is sampled follows from that id alone. The packages of
 * OpenTelemetry are loaded only when there is an endpoint. Kept invariant: the queue is bounded, one batch is under way at a time, what
 * finds no room is counted and dropped, and nothing waits for the collector.
 */
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Clock, LogSink, MetricSink, Random, Tracer } from '../../../supervisor/index.ts'
import { createSpanTranslator } from './spans.ts'

export { createSpanTranslator, traceIdOf } from './spans.ts'

export interface TelemetryOptions {
  /** `http://host:4318`; without a path it is OTLP's own. */
  readonly otlpEndpoint: string
  /** Share of the flows, 0 to 1. */
  readonly sampleRatio: number
  /** `service.name` and `service.instance.id`. */
  readonly service: string
  readonly instance: string
  readonly limits?: Partial<TelemetryLimits>
}

export interface TelemetryLimits {
  /** Spans that wait to be sent; further ones are dropped. */
  readonly queueSpans: number
  readonly batchSpans: number
  /** How long a batch that is not full waits. */
  readonly flushMs: number
  /** Of one batch, with what the exporter tries again. */
  readonly exportMs: number
}

/** A few hundred bytes each: the queue stays within about a megabyte. */
export const DEFAULT_TELEMETRY_LIMITS: TelemetryLimits = {
  queueSpans: 2_048,
  batchSpans: 256,
  flushMs: 1_000,
  exportMs: 5_000,
}

export interface TelemetryPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: LogSink
  readonly metrics: MetricSink
}

export interface Telemetry {
  readonly tracer: Tracer
  /** Sends what waits, as long as one batch may take, and ends. */
  close(): Promise<void>
}

/** What the exporter answers; 0 is success. */
interface ExportResult {
  readonly code: number
  readonly error?: Error
}

const OTLP_PATH = '/v1/traces'

/** What two settings say; undefined when there is no endpoint, and then nothing is loaded. */
export async function openTelemetry(
  options: Omit<TelemetryOptions, 'otlpEndpoint'> & { readonly otlpEndpoint?: string | undefined },
  ports: TelemetryPorts,
): Promise<Telemetry | undefined> {
  const { otlpEndpoint } = options
  if (otlpEndpoint === undefined) return undefined
  const [{ OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const limits = { ...DEFAULT_TELEMETRY_LIMITS, ...options.limits }
  const resource = resourceFromAttributes({
    'service.name': options.service,
    'service.instance.id': options.instance,
  })
  const url = tracesUrl(otlpEndpoint)
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: limits.exportMs })
  const queue = new SpanQueue(
    limits,
    ports,
    new URL(url).host,
    (spans) => new Promise((resolve) => exporter.export(spans, resolve)),
  )
  const translate = createSpanTranslator(ports.random, resource)
  return {
    tracer: { rate: options.sampleRatio, record: (span) => queue.push(() => translate(span)) },
    async close() {
      await queue.close()
      await exporter.shutdown()
    },
  }
}

export function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint)
  if (url.pathname === '/') url.pathname = OTLP_PATH
  return url.href
}

class SpanQueue {
  readonly #limits: TelemetryLimits
  readonly #ports: TelemetryPorts
  readonly #host: string
  readonly #send: (spans: ReadableSpan[]) => Promise<ExportResult>
  #waiting: ReadableSpan[] = []
  #sending: Promise<void> | undefined
  #timer: { cancel(): void } | undefined
  #isFailing = false
  #isClosed = false

  constructor(
    limits: TelemetryLimits,
    ports: TelemetryPorts,
    host: string,
    send: (spans: ReadableSpan[]) => Promise<ExportResult>,
  ) {
    this.#limits = limits
    this.#ports = ports
    this.#host = host
    this.#send = send
  }

  /** The span is made only if there is room for it. */
  push(make: () => ReadableSpan): void {
    if (this.#isClosed || this.#waiting.length >= this.#limits.queueSpans) {
      this.#ports.metrics.count('telemetry_spans_dropped_total', { reason: 'QueueFull' })
      return
    }
    this.#waiting.push(make())
    if (this.#sending !== undefined) return
    if (this.#waiting.length >= this.#limits.batchSpans) this.#flush()
    else this.#arm()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    const endMs = this.#ports.clock.nowMs() + this.#limits.exportMs
    while (this.#sending !== undefined || this.#waiting.length > 0) {
      if (this.#isFailing || this.#ports.clock.nowMs() >= endMs) return
      this.#flush()
      await this.#sending
    }
  }

  #arm(): void {
    this.#timer ??= this.#ports.clock.setTimer(this.#limits.flushMs, () => {
      this.#timer = undefined
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#sending !== undefined || this.#waiting.length === 0) return
    this.#timer?.cancel()
    this.#timer = undefined
    const batch = this.#waiting.splice(0, this.#limits.batchSpans)
    this.#sending = this.#deliver(batch).then(() => {
      this.#sending = undefined
      if (this.#waiting.length > 0) this.#arm()
    })
  }

  async #deliver(batch: ReadableSpan[]): Promise<void> {
    const { metrics } = this.#ports
    let result: ExportResult
    try {
      result = await this.#send(batch)
    } catch (error) {
      result = { code: 1, error: error as Error }
    }
    if (result.code === 0) {
      metrics.count('telemetry_spans_sent_total', {}, batch.length)
      if (this.#isFailing) this.#tell('info', 'the collector takes traces again')
      this.#isFailing = false
      return
    }
    metrics.count('telemetry_spans_dropped_total', { reason: 'ExportFailed' }, batch.length)
    const reason = result.error?.message || String(result.error ?? 'unknown')
    // Once per outage: an operator needs to know, and nothing depends on it.
    if (!this.#isFailing) this.#tell('warn', 'the collector does not take traces', { reason })
    this.#isFailing = true
  }

  #tell(level: 'info' | 'warn', event: string, fields: Record<string, unknown> = {}): void {
    const { clock, log } = this.#ports
    const line = { endpoint: this.#host, ...fields }
    log.write({ level, atMs: clock.nowMs(), actor: 'telemetry', event, fields: line })
  }
}
