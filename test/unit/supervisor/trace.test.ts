import {
  ask,
  faultError,
  isSampled,
  reply,
  type Span,
  type Tracer,
} from '../../../supervisor/index.ts'
import { createTestPorts } from '../../../supervisor/testing/index.ts'
import { child, createWorld, note, type Sketch } from './fixtures.ts'

const idsOf = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => `5f3a99c1e0b7d246${n.toString(16).padStart(16, '0')}`)

describe('sampling (design §4: one flow is one trace)', () => {
  it('depends on the correlation id alone and takes the share that it was told', () => {
    const ids = idsOf(20_000)
    for (const rate of [0.001, 0.01, 0.1, 0.5]) {
      const share = ids.filter((id) => isSampled(id, rate)).length / ids.length
      expect(Math.abs(share - rate)).toBeLessThan(4 * Math.sqrt(rate / ids.length))
      expect(ids.filter((id) => isSampled(id, rate))).toEqual(
        ids.filter((id) => isSampled(id, rate)),
      )
    }
  })

  it('none at 0, all at 1, and a higher rate keeps those of a lower one', () => {
    const ids = idsOf(2_000)
    expect(ids.some((id) => isSampled(id, 0))).toBe(false)
    expect(ids.every((id) => isSampled(id, 1))).toBe(true)
    for (const id of ids) if (isSampled(id, 0.05)) expect(isSampled(id, 0.2)).toBe(true)
  })
})

/** `a` is told, asks `b`, whose effect takes 30 ms, and hears the answer. */
const pair = (): readonly ReturnType<typeof child>[] => {
  const b: Sketch = {
    handle: (context, { type, payload }, { envelope }) =>
      type === 'question'
        ? {
            context,
            effects: [
              { kind: 'look', envelope },
              { kind: 'look', envelope },
            ],
          }
        : { context, effects: [reply(payload as never, note('answer', 1))] },
    lane: () => 'one',
    perform: async (effect, run) => {
      await new Promise<void>((resolve) => run.clock.setTimer(30, resolve))
      return note('work', (effect as { envelope: unknown }).envelope)
    },
  }
  const a: Sketch = {
    handle: (context, { type, payload }) => {
      if (Error.isError(payload)) throw payload
      const onReply = () => note('answer', 'heard')
      const asked = ask('b', note('question'), { timeoutMs: 1_000, onReply })
      return { context, effects: type === 'work' ? [asked] : [] }
    },
  }
  return [child('a', a), child('b', b)]
}

const traced = (rate: number, record: (span: Span) => void) => {
  const tracer: Tracer = { rate, record }
  const ports = { ...createTestPorts(1), tracer }
  return { ...createWorld(pair(), { ports, limits: { poisonAfter: 1 } }), ports }
}

describe('spans', () => {
  it('one per handled message and per effect, with waiting time, duration, cause and outcome', async () => {
    const spans: Span[] = []
    const { system, ports } = traced(1, (span) => spans.push(span))
    await system.start()
    const startMs = ports.clock.nowMs()
    void system.tell('a', note('work'), { correlationId: 'flow' })
    await ports.clock.advance(60)
    const rows = spans.map((span) => {
      const { kind, actor, type, sequence, parent, startedAtMs, waitedMs, tookMs } = span
      return [kind, actor, type, sequence, parent, startedAtMs - startMs, waitedMs, tookMs]
    })
    expect(rows).toEqual([
      ['message', 'a', 'work', 1, 0, 0, 0, 0],
      ['message', 'b', 'question', 2, 1, 0, 0, 0],
      ['effect', 'b', 'look', 2, 2, 0, 0, 30],
      ['message', 'b', 'work', 3, 2, 30, 0, 0],
      ['message', 'a', 'answer', 4, 1, 30, 0, 0],
      ['effect', 'b', 'look', 2, 2, 30, 30, 30],
      ['message', 'b', 'work', 5, 2, 60, 0, 0],
    ])
    expect(new Set(spans.map((span) => span.correlationId))).toEqual(new Set(['flow']))
    expect(new Set(spans.map((span) => span.outcome))).toEqual(new Set(['ok']))
  })

  it('a handler that crashes leaves its code as outcome', async () => {
    const spans: Span[] = []
    const { system, ports } = traced(1, (span) => spans.push(span))
    await system.start()
    void system.tell('a', note('call', faultError('Down', 'network', 'down')))
    await ports.clock.settle()
    expect(spans).toMatchObject([{ kind: 'message', type: 'call', outcome: 'Down' }])
  })

  it('a flow is traced whole or not at all', async () => {
    const spans: Span[] = []
    const { system, ports } = traced(0.5, (span) => spans.push(span))
    await system.start()
    const ids = idsOf(40)
    for (const correlationId of ids) {
      void system.tell('a', note('work'), { correlationId })
      await ports.clock.advance(100)
    }
    const counts = ids.map((id) => spans.filter((span) => span.correlationId === id).length)
    expect(counts).toEqual(ids.map((id) => (isSampled(id, 0.5) ? 7 : 0)))
    expect(new Set(counts)).toEqual(new Set([0, 7]))
  })

  it('a tracer that throws hurts nobody', async () => {
    const { system, ports } = traced(1, () => {
      throw new Error('full')
    })
    await system.start()
    void system.tell('a', note('work'))
    await ports.clock.advance(100)
    expect(system.snapshot().map(({ life, handled }) => [life, handled])).toEqual([
      ['Running', 2],
      ['Running', 3],
    ])
  })

  it('a flow that another node began goes on in the same trace', async () => {
    const spans: Span[] = []
    const { system, ports } = traced(1, (span) => spans.push(span))
    await system.start()
    void system.tell('b', note('work', {}), { correlationId: 'theirs', sender: 'network' })
    await ports.clock.settle()
    expect(spans).toMatchObject([{ correlationId: 'theirs', parent: 0 }])
  })
})
