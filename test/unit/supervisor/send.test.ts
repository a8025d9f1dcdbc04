import { ask, refOf, reply, tell } from '../../../supervisor/index.ts'
import { child, createWorld, gate, note, openedBy, remembering } from './fixtures.ts'

const answering = {
  handle: (
    context: readonly unknown[],
    message: { payload: unknown },
    { envelope }: { envelope: never },
  ) => ({
    context,
    effects: [reply(envelope, note('answer', message.payload))],
  }),
} as never

describe('C-6 one flow bears one correlation id', () => {
  it('through tells, asks, replies, effects and timers, and in every log line', async () => {
    const { system, ports } = createWorld([
      child('a', {
        handle: (context, { type, payload }) => {
          if (payload === 'begin') return { context, effects: [tell('b', note('work', 'on'))] }
          if (type === 'answer') return { context, effects: ['effect'] }
          return { context }
        },
        perform: async (_effect, run) => {
          run.log('info', 'performing')
          await run.tell('b', note('work', 'from the effect'))
          return note('fresh', 'result')
        },
      }),
      child('b', {
        handle: (context, { payload }) =>
          payload === 'on'
            ? {
                context,
                effects: [
                  ask('c', note('question', 'why'), {
                    timeoutMs: 1_000,
                    onReply: () => note('fresh', 'asked'),
                  }),
                  tell('a', note('answer')),
                ],
              }
            : { context },
      }),
      child('c', answering),
    ])
    const flows: string[] = []
    system.subscribe(
      (event) =>
        event.kind === 'handled' &&
        flows.push(`${event.path} ${event.messageType} ${event.correlationId}`),
      { messages: true },
    )
    await system.start()
    await system.tell('a', note('work', 'begin'), { correlationId: 'flow-7' })
    await ports.clock.advance(1_000)
    expect(flows).toEqual([
      'a work flow-7',
      'b work flow-7',
      'c question flow-7',
      'a answer flow-7',
      'b work flow-7',
      'b fresh flow-7',
      'a fresh flow-7',
    ])
    const line = ports.log.records.find((record) => record.event === 'performing')
    expect(line).toMatchObject({ actor: 'a', correlationId: 'flow-7' })
  })

  it('the causation of a message is the sequence of the one that led to it', async () => {
    const { system, ports } = createWorld([
      child('a', { handle: (context) => ({ context, effects: [tell('b', note('work'))] }) }),
      child('b'),
    ])
    const seen: number[][] = []
    system.subscribe(
      (event) => event.kind === 'handled' && seen.push([event.causationId, event.sequence]),
      { messages: true },
    )
    await system.start()
    await system.tell('a', note('work'))
    await ports.clock.settle()
    expect(seen).toEqual([
      [0, 1],
      [1, 2],
    ])
  })

  it('a second and a late reply are dropped and counted', async () => {
    const { system, ports } = createWorld([
      child('a', {
        handle: (context, { payload }, { envelope }) => ({
          context,
          effects:
            payload === 'late'
              ? [envelope]
              : [reply(envelope, note('answer', 1)), reply(envelope, note('answer', 2))],
        }),
        perform: async (envelope, run) => {
          await new Promise<void>((resolve) => run.clock.setTimer(2_000, resolve))
          return note('fresh', envelope)
        },
      }),
    ])
    await system.start()
    expect(await system.ask('a', note('question'), { timeoutMs: 1_000 })).toEqual({
      ok: true,
      value: note('answer', 1),
    })
    await ports.clock.settle()
    expect(ports.metrics.total('actor_late_replies_total', { actor: 'a', type: 'answer' })).toBe(1)
    const dead = { actor: 'outside', type: 'answer', reason: 'LateReply' }
    expect(ports.metrics.total('actor_dead_letters_total', dead)).toBe(1)
  })

  it('a reply to what was not asked is dropped and counted', async () => {
    const { system, ports } = createWorld([child('a', answering)])
    await system.start()
    await system.tell('a', note('work'))
    await ports.clock.settle()
    expect(ports.metrics.total('actor_late_replies_total')).toBe(1)
    expect(ports.metrics.total('actor_dead_letters_total', { reason: 'UnknownReply' })).toBe(1)
  })
})

describe('ask', () => {
  it('ends with Timeout at its deadline, not before', async () => {
    const { system, ports } = createWorld([child('a')])
    await system.start()
    const asked = system.ask('a', note('question'), { timeoutMs: 1_000 })
    let result: unknown
    void asked.then((value) => (result = value))
    await ports.clock.advance(999)
    expect(result).toBeUndefined()
    await ports.clock.advance(1)
    expect(result).toEqual({ ok: false, error: { code: 'Timeout', to: 'a' } })
  })

  it('of an unknown actor ends with NoSuchActor, at once', async () => {
    const { system } = createWorld([child('a')])
    await system.start()
    expect(await system.ask('z', note('question'), { timeoutMs: 1_000 })).toEqual({
      ok: false,
      error: { code: 'NoSuchActor', to: 'z' },
    })
  })

  it('of an actor with a full mailbox ends with MailboxFull, at once', async () => {
    const { system, ports } = createWorld([child('a', { mailbox: { capacity: 1 } })])
    await system.start()
    void system.tell('a', note('work', 1))
    expect(await system.ask('a', note('question'), { timeoutMs: 1_000 })).toMatchObject({
      error: { code: 'MailboxFull' },
    })
    await ports.clock.settle()
  })

  it('whose request never got room is withdrawn at its deadline: nobody handles it', async () => {
    const seen: unknown[] = []
    const slow = gate()
    const { system, ports } = createWorld([
      child('a', {
        mailbox: { capacity: 1 },
        ...remembering(seen),
        init: openedBy(slow.promise),
      }),
    ])
    void system.start()
    void system.tell('a', note('work', 1))
    const asked = system.ask('a', note('blockingQuestion', 2), { timeoutMs: 1_000 })
    await ports.clock.advance(1_000)
    expect(await asked).toMatchObject({ error: { code: 'Timeout' } })
    slow.open()
    await ports.clock.settle()
    expect(seen).toEqual([1])
  })

  it('whose request was replaced by a newer one of its type ends at once', async () => {
    const { system, ports } = createWorld([child('a', answering)])
    await system.start()
    const first = system.ask('a', note('tick', 1), { timeoutMs: 1_000 })
    const second = system.ask('a', note('tick', 2), { timeoutMs: 1_000 })
    await ports.clock.settle()
    expect(await first).toMatchObject({ error: { code: 'MailboxFull' } })
    expect(await second).toEqual({ ok: true, value: note('answer', 2) })
  })

  it('leaves no timer behind when it is answered', async () => {
    const { system, ports } = createWorld([child('a', answering)])
    await system.start()
    const before = ports.clock.pending()
    await system.ask('a', note('question'), { timeoutMs: 1_000 })
    expect(ports.clock.pending()).toBe(before)
  })
})

describe('SU-6 overflow as senders see it', () => {
  const full = async (type: string) => {
    const seen: unknown[] = []
    const slow = gate()
    const world = createWorld([
      child('a', {
        mailbox: { capacity: 2 },
        ...remembering(seen),
        init: openedBy(slow.promise),
      }),
    ])
    void world.system.start()
    const first = [
      await world.system.tell('a', note(type, 1)),
      await world.system.tell('a', note(type, 2)),
    ]
    expect(first).toEqual([{ ok: true }, { ok: true }])
    let third: unknown = 'blocked'
    void world.system.tell('a', note(type, 3)).then((result) => (third = result))
    await world.ports.clock.settle()
    const at = third
    slow.open()
    await world.ports.clock.settle()
    return { at, later: third, seen, world }
  }

  it('dropOldest: the send succeeds and the oldest is gone', async () => {
    const { at, seen, world } = await full('fresh')
    expect(at).toEqual({ ok: true })
    expect(seen).toEqual([2, 3])
    expect(world.system.snapshot()[0]?.dropped).toEqual({ fresh: 1 })
  })

  it('dropNewest: the send is dropped', async () => {
    const { at, seen } = await full('rumour')
    expect(at).toEqual({ ok: false, error: { code: 'Dropped', to: 'a' } })
    expect(seen).toEqual([1, 2])
  })

  it('returnError: the sender is told', async () => {
    const { at, seen } = await full('call')
    expect(at).toEqual({ ok: false, error: { code: 'MailboxFull', to: 'a' } })
    expect(seen).toEqual([1, 2])
  })

  it('blockProducer: the send waits for room', async () => {
    const { at, later, seen } = await full('work')
    expect(at).toBe('blocked')
    expect(later).toEqual({ ok: true })
    expect(seen).toEqual([1, 2, 3])
  })

  it('blockProducer: at the deadline it is refused and becomes a dead letter', async () => {
    const dead: unknown[] = []
    const { system, ports } = createWorld([
      child('a', { mailbox: { capacity: 1 }, init: () => new Promise(() => {}) }),
    ])
    system.subscribe((event) => event.kind === 'deadLetter' && dead.push(event.reason))
    void system.start()
    await system.tell('a', note('work', 1))
    let second: unknown = 'blocked'
    void system.tell('a', note('work', 2)).then((result) => (second = result))
    await ports.clock.advance(29_999)
    expect(second).toBe('blocked')
    await ports.clock.advance(1)
    expect(second).toEqual({ ok: false, error: { code: 'MailboxFull', to: 'a' } })
    expect(dead).toEqual(['BlockedTooLong'])
  })

  it('every drop is counted, and logged: the first at once, the rest as a sum each second', async () => {
    const { system, ports } = createWorld([
      child('a', { mailbox: { capacity: 1 }, init: () => new Promise(() => {}) }),
    ])
    void system.start()
    for (let n = 0; n < 1_001; n += 1) void system.tell('a', note('rumour', n))
    await ports.clock.advance(3_000)
    const lines = ports.log.records.filter((record) => record.event === 'message dropped')
    expect(lines.map((line) => line.fields?.['count'])).toEqual([1, 999])
    const labels = { actor: 'a', type: 'rumour', reason: 'DropNewest' }
    expect(ports.metrics.total('actor_messages_dropped_total', labels)).toBe(1_000)
  })

  it('a sender that wants to know hears of the refusal as a message', async () => {
    const seen: unknown[] = []
    const { system, ports } = createWorld([
      child('a', {
        handle: (context, { type, payload }) => {
          if (type === 'fresh') seen.push(payload)
          return type === 'work'
            ? {
                context,
                effects: [tell('z', note('work'), { onRefused: (error) => note('fresh', error) })],
              }
            : { context }
        },
      }),
    ])
    await system.start()
    await system.tell('a', note('work'))
    await ports.clock.settle()
    expect(seen).toEqual([{ code: 'NoSuchActor', to: 'z' }])
  })
})

describe('SU-8 never dropped', () => {
  it('votes survive a flood of everything else in their class and above', async () => {
    const seen: unknown[] = []
    const slow = gate()
    const { system, ports } = createWorld([
      child('a', {
        mailbox: { capacity: 4 },
        ...remembering(seen),
        init: openedBy(slow.promise),
      }),
    ])
    void system.start()
    for (let n = 0; n < 4; n += 1) void system.tell('a', note('vote', `vote ${n}`))
    for (let n = 0; n < 50; n += 1) {
      for (const type of ['fresh', 'rumour', 'urgent', 'tick'])
        void system.tell('a', note(type, type))
    }
    slow.open()
    await ports.clock.settle()
    expect(seen.filter((payload) => String(payload).startsWith('vote'))).toEqual([
      'vote 0',
      'vote 1',
      'vote 2',
      'vote 3',
    ])
  })
})

describe('SU-10 no deadlock', () => {
  it('two actors that ask each other with full mailboxes end by their deadlines and go on', async () => {
    const results: unknown[] = []
    const asker = (name: string, other: string) =>
      child(name, {
        mailbox: { capacity: 1 },
        handle: (context, { type, payload }) => {
          if (type === 'fresh') results.push([name, payload])
          if (type !== 'work') return { context }
          return {
            context,
            effects: [
              ask(other, note('blockingQuestion'), {
                timeoutMs: 10_000,
                onReply: (result) => note('fresh', result.ok || result.error.code),
              }),
            ],
          }
        },
      })
    const { system, ports } = createWorld([asker('a', 'b'), asker('b', 'a')])
    await system.start()
    for (let n = 0; n < 3; n += 1)
      for (const name of ['a', 'b']) void system.tell(name, note('work'))
    await ports.clock.advance(10_000)
    expect(results).toHaveLength(6)
    expect(new Set(results.map((each) => (each as unknown[])[1]))).toEqual(new Set(['Timeout']))
    expect(system.snapshot().map(({ inFlight, life }) => [inFlight, life])).toEqual([
      [0, 'Running'],
      [0, 'Running'],
    ])
  })

  it('two actors that flood each other past their capacity still serve control messages and come to rest', async () => {
    const urgent: string[] = []
    let sent = 0
    const flooder = (name: string, other: string) =>
      child(name, {
        mailbox: { capacity: 1 },
        handle: (context, { type }) => {
          if (type === 'urgent') urgent.push(name)
          if (type !== 'work' || sent > 500) return { context }
          sent += 5
          return { context, effects: Array.from({ length: 5 }, () => tell(other, note('work'))) }
        },
      })
    const { system, ports } = createWorld([flooder('a', 'b'), flooder('b', 'a')])
    await system.start()
    void system.tell('a', note('work'))
    await ports.clock.settle()
    await system.tell('a', note('urgent'))
    await system.tell('b', note('urgent'))
    await ports.clock.settle()
    expect(urgent).toEqual(['a', 'b'])
    await ports.clock.advance(2_000_000)
    expect(system.snapshot().map(({ depth }) => depth.peg)).toEqual([0, 0])
  })

  it('startup completes with capacity 1 although each init asks and tells its dependency', async () => {
    const names = ['a', 'b', 'c', 'd']
    const { system } = createWorld(
      names.map((name, index) =>
        child(
          name,
          {
            mailbox: { capacity: 1 },
            ...(answering as object),
            init: async (run) => {
              const needed = names[index - 1]
              if (needed !== undefined) {
                for (let n = 0; n < 10; n += 1) await run.tell(needed, note('work', n))
                const asked = await run.ask(needed, note('blockingQuestion', 1), {
                  timeoutMs: 1_000,
                })
                if (!asked.ok) throw new Error(asked.error.code)
              }
              return { context: [] }
            },
          },
          { dependsOn: index === 0 ? [] : [names[index - 1] as string] },
        ),
      ),
    )
    expect(await system.start()).toEqual({ ok: true })
  })

  it('an actor whose effects are too many waits for them, but serves control messages', async () => {
    const slow = gate()
    const seen: unknown[] = []
    const { system, ports } = createWorld(
      [
        child('a', {
          handle: (context, { type, payload }) => {
            seen.push(payload)
            return type === 'work' ? { context, effects: ['slow'] } : { context }
          },
          perform: () => slow.promise,
        }),
      ],
      { limits: { maxInFlight: 2 } },
    )
    await system.start()
    for (let n = 0; n < 4; n += 1) void system.tell('a', note('work', n))
    void system.tell('a', note('urgent', 'urgent'))
    await ports.clock.settle()
    expect(seen).toEqual(['urgent', 0, 1])
    await system.tell('a', note('urgent', 'again'))
    await ports.clock.settle()
    expect(seen).toEqual(['urgent', 0, 1, 'again'])
    slow.open()
    await ports.clock.settle()
    expect(seen).toEqual(['urgent', 0, 1, 'again', 2, 3])
  })
})

it('the cheap look at an actor agrees with its whole status (SU-6)', async () => {
  const { system, ports } = createWorld([
    child('a', {
      mailbox: { capacity: { default: 3, peg: 2 } },
      init: () => new Promise(() => {}),
    }),
  ])
  void system.start()
  for (let n = 0; n < 2; n += 1) void system.tell('a', note('work', n))
  void system.tell('a', note('vote'))
  await ports.clock.settle()
  const [status] = system.snapshot()
  const { path, life, handled, inFlight } = status ?? {}
  const waiting = Object.values(status?.depth ?? {}).reduce((sum, depth) => sum + depth, 0)
  expect(waiting).toBe(3)
  expect(system.loads()).toEqual([
    { path, life, handled, inFlight, waiting, excess: 0, blocked: 0 },
  ])
})

it('a typed address is plain data', () => {
  expect(refOf('bridge')).toEqual({ path: 'bridge' })
})

it('a message that the registry does not know is a bug of its sender', async () => {
  const { system, ports } = createWorld([
    child('a', { handle: (context) => ({ context, effects: [tell('a', note('unheard'))] }) }),
  ])
  await system.start()
  expect(() => system.tell('a', note('unheard'))).toThrow('not in the registry')
  await system.tell('a', note('work'))
  await ports.clock.settle()
  expect(system.snapshot()[0]).toMatchObject({
    life: 'Terminated',
    lastFault: { faultClass: 'logic' },
  })
})
