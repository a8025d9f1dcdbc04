/** Traces as a collector gets them. */
import { Registry } from 'prom-client'
import {
  createMetricSink,
  createSystemClock,
  createSystemRandom,
} from '../../../../node/adapters/system/index.ts'
import {
  openTelemetry,
  type TelemetryLimits,
  traceIdOf,
  tracesUrl,
} from '../../../../node/adapters/telemetry/index.ts'
import type { LogRecord, Span } from '../../../../supervisor/index.ts'
import { type OtlpReceiver, startOtlpReceiver } from '../../../otlp-receiver.ts'

const FLOW = 'ab'.repeat(16)

function span(sequence: number, parent: number, more: Partial<Span> = {}): Span {
  return {
    kind: 'message',
    correlationId: FLOW,
    actor: 'chain',
    type: 'chain.SlotTick',
    sequence,
    parent,
    startedAtMs: 1_700_000_000_123,
    waitedMs: 4,
    tookMs: 7,
    outcome: 'ok',
    ...more,
  }
}

async function open(receiver: OtlpReceiver, limits: Partial<TelemetryLimits> = {}) {
  const registry = new Registry()
  const lines: LogRecord[] = []
  const telemetry = await openTelemetry(
    {
      otlpEndpoint: receiver.endpoint,
      sampleRatio: 1,
      service: 'millrace-node',
      instance: 'node-0',
      limits,
    },
    {
      clock: createSystemClock(),
      random: createSystemRandom(),
      log: { write: (record) => void lines.push(record) },
      metrics: createMetricSink(registry),
    },
  )
  if (telemetry === undefined) throw new Error('there is an endpoint')
  const counted = async (name: string) => {
    const metric = await registry.getSingleMetric(`millrace_${name}`)?.get()
    return Object.fromEntries(
      (metric?.values ?? []).map(({ labels, value }) => [labels['reason'] ?? '', value]),
    )
  }
  return { telemetry, lines, counted }
}

let receiver: OtlpReceiver
beforeEach(async () => {
  receiver = await startOtlpReceiver()
})
afterEach(() => receiver.close())

it('one flow is one trace: messages and effects hang below the message that caused them', async () => {
  const { telemetry, counted } = await open(receiver)
  telemetry.tracer.record(span(5, 0))
  telemetry.tracer.record(span(6, 5, { actor: 'engine', type: 'engine.BuildBlockRequest' }))
  telemetry.tracer.record(span(6, 6, { kind: 'effect', actor: 'engine', type: 'build' }))
  await telemetry.close()
  const [root, child, effect] = receiver.spans
  expect(receiver.spans).toHaveLength(3)
  expect(new Set(receiver.spans.map(({ traceId }) => traceId))).toEqual(new Set([FLOW]))
  expect(new Set(receiver.spans.map(({ spanId }) => spanId)).size).toBe(3)
  expect(root?.parentSpanId).toBeUndefined()
  expect(child?.parentSpanId).toBe(root?.spanId)
  expect(effect?.parentSpanId).toBe(child?.spanId)
  expect(root).toMatchObject({
    service: 'millrace-node',
    instance: 'node-0',
    name: 'chain.SlotTick',
    startMs: 1_700_000_000_123,
    endMs: 1_700_000_000_130,
    isError: false,
    attributes: { 'millrace.actor': 'chain', 'millrace.waited_ms': 4 },
  })
  expect(await counted('telemetry_spans_sent_total')).toEqual({ '': 3 })
})

it('what was caused by a message of another flow is the root of its own trace', async () => {
  const { telemetry } = await open(receiver)
  telemetry.tracer.record(span(5, 0))
  telemetry.tracer.record(span(6, 5, { correlationId: 'cd'.repeat(16) }))
  telemetry.tracer.record(span(7, 6, { correlationId: 'cd'.repeat(16) }))
  await telemetry.close()
  const [, root, child] = receiver.spans
  expect(root?.parentSpanId).toBeUndefined()
  expect(child?.parentSpanId).toBe(root?.spanId)
})

it('two processes of one flow write one trace and no span twice', async () => {
  const [one, other] = [await open(receiver), await open(receiver)]
  one.telemetry.tracer.record(span(5, 0))
  other.telemetry.tracer.record(span(5, 0))
  await Promise.all([one.telemetry.close(), other.telemetry.close()])
  expect(new Set(receiver.spans.map(({ traceId }) => traceId)).size).toBe(1)
  expect(new Set(receiver.spans.map(({ spanId }) => spanId)).size).toBe(2)
})

it('a fault is told as the error of its span', async () => {
  const { telemetry } = await open(receiver)
  telemetry.tracer.record(span(5, 0, { outcome: 'StoreBroken' }))
  await telemetry.close()
  expect(receiver.spans[0]?.isError).toBe(true)
})

it('what finds no room in the queue is dropped and counted; the rest arrives', async () => {
  const { telemetry, counted } = await open(receiver, { queueSpans: 10, batchSpans: 5 })
  for (let sequence = 1; sequence <= 100; sequence++) telemetry.tracer.record(span(sequence, 0))
  await telemetry.close()
  const dropped = await counted('telemetry_spans_dropped_total')
  const sent = receiver.spans.length
  expect(sent).toBeGreaterThanOrEqual(10)
  expect(dropped).toEqual({ QueueFull: 100 - sent })
})

it('a collector that refuses costs its batch, one line, and nothing else', async () => {
  receiver.status = 400
  const { telemetry, lines, counted } = await open(receiver, { batchSpans: 1 })
  for (let sequence = 1; sequence <= 3; sequence++) {
    telemetry.tracer.record(span(sequence, 0))
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  receiver.status = 200
  telemetry.tracer.record(span(4, 0))
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  await telemetry.close()
  expect(lines.map(({ level, event }) => `${level}: ${event}`)).toEqual([
    'warn: the collector does not take traces',
    'info: the collector takes traces again',
  ])
  const { ExportFailed = 0 } = await counted('telemetry_spans_dropped_total')
  expect(ExportFailed + receiver.spans.length).toBe(4)
})

it('a collector that is not there keeps nobody: record returns at once and close ends', async () => {
  await receiver.close()
  const { telemetry, counted } = await open(receiver, { exportMs: 300, queueSpans: 64 })
  const startedMs = Date.now()
  for (let sequence = 1; sequence <= 10_000; sequence++) telemetry.tracer.record(span(sequence, 0))
  await telemetry.close()
  expect(Date.now() - startedMs).toBeLessThan(3_000)
  expect(await counted('telemetry_spans_dropped_total')).toMatchObject({ QueueFull: 9_936 })
  receiver = await startOtlpReceiver()
})

it('without an endpoint nothing is opened', async () => {
  const ports = {
    clock: createSystemClock(),
    random: createSystemRandom(),
    log: { write: () => {} },
    metrics: createMetricSink(new Registry()),
  }
  const options = { sampleRatio: 1, service: 's', instance: 'i' }
  expect(await openTelemetry(options, ports)).toBeUndefined()
})

it('the trace id is the correlation id, or its hash when that is no trace id', () => {
  expect(traceIdOf(FLOW)).toBe(FLOW)
  expect(traceIdOf('outside')).toMatch(/^[0-9a-f]{32}$/)
  expect(traceIdOf('0'.repeat(32))).not.toBe('0'.repeat(32))
})

it('an endpoint without a path is completed', () => {
  expect(tracesUrl('http://127.0.0.1:4318')).toBe('http://127.0.0.1:4318/v1/traces')
  expect(tracesUrl('http://tempo/otlp/v1/traces')).toBe('http://tempo/otlp/v1/traces')
})
