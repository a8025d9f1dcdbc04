import { createMachine } from 'xstate'
import {
  cancel,
  every,
  faultError,
  after as later,
  spawn,
  stopChild,
  tell,
  watch,
} from '../../../supervisor/index.ts'
import { child, createWorld, gate, note, remembering } from './fixtures.ts'

describe('timers', () => {
  it('fire once after their delay, and a new one of the same key takes the place of the old', async () => {
    const seen: unknown[] = []
    const { system, ports } = createWorld([
      child('a', {
        handle: (context, { type, payload }) => {
          if (type === 'fresh') seen.push(payload)
          return type === 'work'
            ? { context, effects: [later(100, 'key', note('fresh', payload))] }
            : { context }
        },
      }),
    ])
    await system.start()
    await system.tell('a', note('work', 1))
    await ports.clock.advance(99)
    await system.tell('a', note('work', 2))
    await ports.clock.advance(99)
    expect(seen).toEqual([])
    await ports.clock.advance(1_000)
    expect(seen).toEqual([2])
  })

  it('a cancelled one is not heard of even if its message waits already', async () => {
    const seen: unknown[] = []
    const slow = gate()
    const { system, ports } = createWorld(
      [
        child('a', {
          init: async () => ({
            context: [],
            effects: [later(10, 'key', note('fresh', 'timer')), 'slow'],
          }),
          handle: (context, { payload }) => {
            seen.push(payload)
            return { context, effects: payload === 'cancel' ? [cancel('key')] : [] }
          },
          perform: () => slow.promise,
        }),
      ],
      { limits: { maxInFlight: 1 } },
    )
    await system.start()
    await ports.clock.advance(20)
    expect(system.snapshot()[0]?.depth.sync).toBe(1)
    await system.tell('a', note('urgent', 'cancel'))
    await ports.clock.settle()
    slow.open()
    await ports.clock.settle()
    expect(seen).toEqual(['cancel'])
    expect(system.snapshot()[0]?.depth.sync).toBe(0)
  })

  it('a periodic one skips a beat while the last still waits, and each beat is a flow of its own', async () => {
    const flows: string[] = []
    const slow = gate()
    const { system, ports } = createWorld(
      [
        child('a', {
          init: async () => ({ context: [], effects: [every(10, 'beat', note('fresh'))] }),
          handle: (context, { type }, { envelope }) => {
            if (type === 'fresh') flows.push(envelope.correlationId)
            return type === 'work' ? { context, effects: ['slow'] } : { context }
          },
          perform: () => slow.promise,
        }),
      ],
      { limits: { maxInFlight: 1 } },
    )
    await system.start()
    await ports.clock.advance(20)
    expect(flows).toHaveLength(2)
    await system.tell('a', note('work'))
    await ports.clock.advance(100)
    expect(flows).toHaveLength(2)
    slow.open()
    await ports.clock.advance(10)
    expect(flows).toHaveLength(4)
    expect(new Set(flows).size).toBe(4)
  })

  it('a periodic one whose waiting message was replaced by a newer of its type goes on', async () => {
    const seen: unknown[] = []
    const slow = gate()
    const { system, ports } = createWorld(
      [
        child('a', {
          init: async () => ({
            context: [],
            effects: [every(10, 'beat', note('tick', 'beat')), 'slow'],
          }),
          handle: (context, { payload }) => {
            seen.push(payload)
            return { context }
          },
          perform: async () => {
            await slow.promise
            return note('tick', 'result')
          },
        }),
      ],
      { limits: { maxInFlight: 1 } },
    )
    await system.start()
    await ports.clock.advance(15)
    slow.open()
    await ports.clock.advance(20)
    expect(seen).toEqual(['result', 'beat', 'beat'])
  })
})

it('a timer stays in the flow that set it, unless it says that a new one begins', async () => {
  const flows: string[] = []
  const { system, ports } = createWorld([
    child('a', {
      handle: (context, { type, payload }, { envelope }) => {
        if (type === 'fresh') flows.push(`${payload} ${envelope.correlationId === 'flow'}`)
        const effects = [
          later(1, 'same', note('fresh', 'same')),
          later(2, 'new', note('fresh', 'new'), { newFlow: true }),
        ]
        return { context, effects: type === 'work' ? effects : [] }
      },
    }),
  ])
  await system.start()
  await system.tell('a', note('work'), { correlationId: 'flow' })
  await ports.clock.advance(10)
  expect(flows).toEqual(['same true', 'new false'])
})

describe('effects', () => {
  it('of one lane run one after the other, others beside them', async () => {
    const order: string[] = []
    const gates = new Map([...'abc'].map((name) => [name, gate()]))
    const { system, ports } = createWorld([
      child('a', {
        handle: (context, { payload }) => ({ context, effects: [payload] }),
        lane: (effect) => (effect === 'c' ? undefined : 'lane'),
        perform: async (effect) => {
          order.push(`${effect} begins`)
          await gates.get(effect as string)?.promise
          order.push(`${effect} ends`)
        },
      }),
    ])
    await system.start()
    for (const name of 'abc') void system.tell('a', note('work', name))
    await ports.clock.settle()
    expect(order).toEqual(['a begins', 'c begins'])
    gates.get('b')?.open()
    await ports.clock.settle()
    expect(order).toHaveLength(2)
    gates.get('a')?.open()
    await ports.clock.settle()
    expect(order).toEqual(['a begins', 'c begins', 'a ends', 'b begins', 'b ends'])
  })

  it('their results come back past a full mailbox: what was begun can end', async () => {
    const seen: unknown[] = []
    const slow = gate()
    const { system, ports } = createWorld(
      [
        child('a', {
          mailbox: { capacity: 1 },
          handle: (context, { payload }) => {
            seen.push(payload)
            return payload === 'begin' ? { context, effects: ['slow'] } : { context }
          },
          perform: async () => {
            await slow.promise
            return [note('work', 'one'), note('work', 'two')]
          },
        }),
      ],
      { limits: { maxInFlight: 1 } },
    )
    await system.start()
    void system.tell('a', note('work', 'begin'))
    await ports.clock.settle()
    void system.tell('a', note('work', 'waits'))
    await ports.clock.settle()
    slow.open()
    await ports.clock.settle()
    expect(seen).toEqual(['begin', 'waits', 'one', 'two'])
  })
})

describe('children', () => {
  const parent = (facts: unknown[]) =>
    child('bridge', {
      handle: (context, { type, payload }) => {
        if (payload === 'spawn')
          return { context, effects: [spawn(child('pegin/1', remembering(facts)))] }
        if (payload === 'stop') return { context, effects: [stopChild('pegin/1')] }
        if (payload === 'crash') throw faultError('Lost', 'network', 'lost')
        if (type === 'fact') facts.push(payload)
        return { context }
      },
      notice: (fact) =>
        fact.kind === 'child' ? note('fact', `${fact.path} ${fact.life}`) : undefined,
    })

  it('live at a path below their parent, which hears of their lives', async () => {
    const facts: unknown[] = []
    const { system, ports, lifeOf } = createWorld([parent(facts)])
    await system.start()
    await system.tell('bridge', note('work', 'spawn'))
    await ports.clock.settle()
    await system.tell('bridge/pegin/1', note('work', 'hello'))
    await ports.clock.settle()
    expect(lifeOf('bridge/pegin/1')).toBe('Running')
    await system.tell('bridge', note('work', 'stop'))
    await ports.clock.settle()
    expect(lifeOf('bridge/pegin/1')).toBeUndefined()
    expect(facts).toEqual([
      'bridge/pegin/1 Running',
      'hello',
      'bridge/pegin/1 Stopping',
      'bridge/pegin/1 Terminated',
    ])
  })

  it('are restarted by their parent without it', async () => {
    const { system, ports } = createWorld([parent([])])
    await system.start()
    await system.tell('bridge', note('work', 'spawn'))
    await ports.clock.settle()
    await system.tell('bridge/pegin/1', note('work', new Error('bug')))
    await ports.clock.advance(5_000)
    const restarts = system.snapshot().map(({ path, life, restarts: times }) => [path, life, times])
    expect(restarts).toEqual([
      ['bridge', 'Running', 0],
      ['bridge/pegin/1', 'Running', 2],
    ])
  })

  it('end with their parent, when it stops and when it crashes', async () => {
    const { system, ports, lifeOf, lives } = createWorld([parent([])], {
      limits: { poisonAfter: 1 },
    })
    await system.start()
    await system.tell('bridge', note('work', 'spawn'))
    await ports.clock.settle()
    await system.tell('bridge', note('work', 'crash'))
    await ports.clock.settle()
    expect([lifeOf('bridge'), lifeOf('bridge/pegin/1')]).toEqual(['Running', undefined])
    await system.tell('bridge', note('work', 'spawn'))
    await ports.clock.settle()
    lives.length = 0
    await system.stop()
    expect(lives).toEqual([
      'bridge: Running → Stopping',
      'bridge/pegin/1: Running → Stopping',
      'bridge/pegin/1: Stopping → Terminated',
      'bridge: Stopping → Terminated',
    ])
  })

  it('a machine in a final state completes its actor', async () => {
    const machine = createMachine({
      id: 'once',
      initial: 'Waiting',
      states: { Waiting: { on: { DONE: 'Done' } }, Done: { type: 'final' } },
    })
    const closed: unknown[] = []
    const { system, ports } = createWorld([
      child('a', {
        machine,
        handle: (context) => ({ context, event: 'DONE' }),
        stop: async () => void closed.push('closed'),
      }),
    ])
    await system.start()
    void system.tell('a', note('work'))
    void system.tell('a', note('work'))
    await ports.clock.settle()
    expect(system.snapshot()[0]).toMatchObject({
      life: 'Terminated',
      state: 'Done',
      handled: 1,
      deadLetters: 1,
    })
    expect(closed).toEqual(['closed'])
  })
})

it('death watch: the watcher hears of the lives of any actor', async () => {
  const facts: unknown[] = []
  const { system, ports } = createWorld([
    child('a', remembering([]), { restart: 'temporary' }),
    child('b', {
      init: async () => ({ context: [], effects: [watch('a')] }),
      notice: (fact) =>
        fact.kind === 'watched' ? note('fact', [fact.life, fact.fault?.code]) : undefined,
      handle: (context, { payload }) => {
        facts.push(payload)
        return { context }
      },
    }),
  ])
  await system.start()
  await system.tell('a', note('work', faultError('Lost', 'network', 'lost')))
  await ports.clock.settle()
  expect(facts).toEqual([
    ['Failed', 'Lost'],
    ['Terminated', 'Lost'],
  ])
})

it('SU-9 pressure is seen from outside, as state and as event', async () => {
  const levels: string[] = []
  const slow = gate()
  const { system, ports } = createWorld([
    child('a', {
      mailbox: { capacity: 4 },
      init: async () => {
        await slow.promise
        return { context: [] }
      },
    }),
  ])
  system.subscribe((event) => event.kind === 'pressure' && levels.push(event.level))
  void system.start()
  for (let n = 0; n < 4; n += 1) await system.tell('a', note('call'))
  expect(system.snapshot()[0]).toMatchObject({
    pressure: 'Blocked',
    depth: { api: 4, control: 0 },
    capacity: { api: 4 },
  })
  slow.open()
  await ports.clock.settle()
  expect(system.snapshot()[0]?.pressure).toBe('Normal')
  expect(levels).toEqual(['Warning', 'Blocked', 'Critical', 'Warning', 'Normal'])
})

it('SU-11 a handler that holds the thread for more than 5 s is reported with its message type', async () => {
  const world = createWorld([])
  let nowMs = 0
  const ports = { ...world.ports, clock: { ...world.ports.clock, nowMs: () => nowMs } }
  const { system } = createWorld(
    [
      child('a', {
        handle: (context) => {
          nowMs += 5_001
          return { context }
        },
      }),
    ],
    { ports },
  )
  await system.start()
  await system.tell('a', note('work'))
  await ports.clock.settle()
  const line = ports.log.records.find((record) => record.event === 'slow handler')
  expect(line).toMatchObject({ actor: 'a', fields: { messageType: 'work', tookMs: 5_001 } })
  expect(system.snapshot()[0]?.types['work']).toMatchObject({
    handled: 1,
    waitedMs: 0,
    tookMs: 5_001,
  })
})

it('a flood does not starve timers and sockets: the event loop has its turn', async () => {
  let flood = true
  const { system } = createWorld([
    child('a', {
      handle: (context) => ({ context, effects: flood ? [tell('a', note('work'))] : [] }),
    }),
  ])
  await system.start()
  void system.tell('a', note('work'))
  for (let round = 0; round < 3; round += 1) await new Promise((resolve) => setImmediate(resolve))
  flood = false
  expect(system.snapshot()[0]?.handled).toBeGreaterThan(2_000)
})
