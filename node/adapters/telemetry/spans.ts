/** The kernel's spans as those of OpenTelemetry: the flow's id is the trace's, so that all processes of one flow write one trace. */
import { createHash } from 'node:crypto'
import type { HrTime, SpanContext } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Random, Span } from '../../../supervisor/index.ts'

/** Numbers of the OTLP protocol; `@opentelemetry/api` is not loaded for them. */
const SAMPLED = 1
const KIND = { internal: 0, consumer: 4 } as const
const STATUS = { unset: 0, error: 2 } as const

const NO_TRACE = '0'.repeat(32)
/** Messages that later spans may name as their parent; of those that are longer ago a span is a root. */
const KNOWN_PARENTS = 16_384
const SCOPE = { name: 'millrace', version: '0.1.0' }

/** A correlation id is a trace id as it is, when it has the form of one. */
export function traceIdOf(correlationId: string): string {
  if (/^[0-9a-f]{32}$/.test(correlationId) && correlationId !== NO_TRACE) return correlationId
  return createHash('sha256').update(correlationId).digest('hex').slice(0, 32)
}

/**
 * Ids of spans: four random bytes that stand for this process, and for each kind its own; then the message's number, which its children
 * name it by, or the effect's.
 */
export function createSpanTranslator(
  random: Random,
  resource: Resource,
): (span: Span) => ReadableSpan {
  const [ofMessages, ofEffects] = distinctPrefixes(random)
  let effects = 0
  /** Trace of each message by its number. What caused a message may be of another flow, and is no parent then. */
  const traces = new Map<number, string>()
  const remember = (sequence: number, traceId: string) => {
    traces.set(sequence, traceId)
    if (traces.size <= KNOWN_PARENTS) return
    for (const oldest of traces.keys()) {
      traces.delete(oldest)
      return
    }
  }
  const idOf = (prefix: string, count: number) =>
    prefix + (count >>> 0).toString(16).padStart(8, '0')
  return (span) => {
    const isEffect = span.kind === 'effect'
    if (isEffect) effects += 1
    const traceId = traceIdOf(span.correlationId)
    const context = (spanId: string): SpanContext => ({ traceId, spanId, traceFlags: SAMPLED })
    const own = context(isEffect ? idOf(ofEffects, effects) : idOf(ofMessages, span.sequence))
    const parent = isEffect ? span.sequence : span.parent
    const isKnown = traces.get(parent) === traceId
    if (!isEffect) remember(span.sequence, traceId)
    const duration = hrTime(span.tookMs)
    const isOk = span.outcome === 'ok'
    return {
      name: span.type,
      kind: isEffect ? KIND.internal : KIND.consumer,
      spanContext: () => own,
      ...(isKnown && { parentSpanContext: context(idOf(ofMessages, parent)) }),
      startTime: hrTime(span.startedAtMs),
      endTime: hrTime(span.startedAtMs + span.tookMs),
      status: isOk ? { code: STATUS.unset } : { code: STATUS.error, message: span.outcome },
      attributes: {
        'millrace.actor': span.actor,
        'millrace.correlation_id': span.correlationId,
        'millrace.kind': span.kind,
        'millrace.waited_ms': span.waitedMs,
        ...(!isEffect && { 'millrace.sequence': span.sequence }),
      },
      links: [],
      events: [],
      duration,
      ended: true,
      resource,
      instrumentationScope: SCOPE,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    }
  }
}

function distinctPrefixes(random: Random): readonly [string, string] {
  const first = Buffer.from(random.bytes(4)).toString('hex')
  const second = Buffer.from(random.bytes(4)).toString('hex')
  return first === second ? distinctPrefixes(random) : [first, second]
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.round((ms - seconds * 1_000) * 1_000_000)]
}
