import {
  every,
  exitCauseOf,
  faultError,
  after as later,
  type TerminationReason,
  tell,
} from '../../../supervisor/index.ts'
import { child, createWorld, gate, note, noting, remembering } from './fixtures.ts'

describe('SU-12 a graceful stop', () => {
  it('goes in reverse order; each actor drains its mailbox and its effects before its stop hook', async () => {
    const order: string[] = []
    const one = (name: string, dependsOn: readonly string[]) =>
      child(
        name,
        {
          handle: (context, { payload }) => {
            order.push(`${name} handles ${payload}`)
            return { context, effects: payload === 'last words' ? [] : [payload] }
          },
          perform: async (effect, run) => {
            await new Promise<void>((resolve) => run.clock.setTimer(100, resolve))
            order.push(`${name} wrote ${effect}`)
          },
          stop: async (_context, run) => {
            order.push(`${name} closed`)
            if (name === 'b') await run.tell('a', note('work', 'last words'))
          },
        },
        { dependsOn },
      )
    const { system, ports, lives } = createWorld([one('b', ['a']), one('a', [])])
    await system.start()
    lives.length = 0
    for (const path of ['a', 'b']) void system.tell(path, note('work', 1))
    const stopped = system.stop()
    await ports.clock.advance(10_000)
    expect(await stopped).toEqual({ forced: false, tookMs: 100 })
    expect(order).toEqual([
      'a handles 1',
      'b handles 1',
      'a wrote 1',
      'b wrote 1',
      'b closed',
      'a handles last words',
      'a closed',
    ])
    expect(lives).toEqual([
      'b: Running → Stopping',
      'b: Stopping → Terminated',
      'a: Running → Stopping',
      'a: Stopping → Terminated',
    ])
  })

  it('takes nothing in from outside any more', async () => {
    const { system } = createWorld([child('a')])
    await system.start()
    const stopped = system.stop()
    expect(await system.tell('a', note('work'))).toMatchObject({ error: { code: 'Stopped' } })
    expect(await system.ask('a', note('question'), { timeoutMs: 10 })).toMatchObject({
      error: { code: 'Stopped' },
    })
    await stopped
  })

  it('ends the drain at its deadline: what waits becomes dead letters, what runs is aborted', async () => {
    const dead: string[] = []
    let aborted = false
    const { system, ports } = createWorld(
      [
        child('a', {
          handle: (context) => ({ context, effects: ['hang'] }),
          perform: (_effect, { signal }) => {
            signal.addEventListener('abort', () => {
              aborted = true
            })
            return new Promise(() => {})
          },
        }),
      ],
      { limits: { maxInFlight: 1 } },
    )
    system.subscribe((event) => event.kind === 'deadLetter' && dead.push(event.reason))
    await system.start()
    for (let n = 0; n < 3; n += 1) void system.tell('a', note('work', n))
    const stopped = system.stop({ drainMs: 5_000 })
    await ports.clock.advance(4_999)
    expect(aborted).toBe(false)
    await ports.clock.advance(1)
    expect(await stopped).toEqual({ forced: false, tookMs: 5_000 })
    expect([aborted, dead]).toEqual([true, ['Stopped', 'Stopped']])
  })

  it('waits 30 s for an idle hand, 60 s while an actor says that it is busy, and not longer', async () => {
    const stopOf = async (busy: boolean) => {
      const { system, ports } = createWorld([
        child('a', {
          handle: (context) => ({ context, effects: ['hang'] }),
          perform: () => new Promise(() => {}),
          busy: () => busy,
        }),
      ])
      await system.start()
      void system.tell('a', note('work'))
      const stopped = system.stop()
      await ports.clock.advance(130_000)
      return (await stopped).tookMs
    }
    expect(await stopOf(false)).toBe(30_000)
    expect(await stopOf(true)).toBe(60_000)
  })

  it('gives a stop hook until 120 s after the beginning, hard', async () => {
    const { system, ports } = createWorld([child('a', { stop: () => new Promise(() => {}) })])
    await system.start()
    const stopped = system.stop()
    await ports.clock.advance(130_000)
    expect((await stopped).tookMs).toBe(120_000)
    expect(system.snapshot()[0]?.life).toBe('Terminated')
  })

  it('a second stop forces; a repetition within a second is the first', async () => {
    const { system, ports } = createWorld([
      child('a', {
        handle: (context) => ({ context, effects: ['hang'] }),
        perform: () => new Promise(() => {}),
        stop: () => new Promise(() => {}),
      }),
    ])
    await system.start()
    void system.tell('a', note('work'))
    const stopped = system.stop()
    await ports.clock.advance(999)
    void system.stop()
    await ports.clock.advance(1_000)
    expect(system.snapshot()[0]?.life).toBe('Stopping')
    const again = system.stop()
    await ports.clock.advance(1_000)
    expect(await stopped).toEqual({ forced: true, tookMs: 2_999 })
    expect(await again).toEqual(await stopped)
  })

  it('during start ends it: an init under way is aborted, and what it opened is closed', async () => {
    const order: string[] = []
    const slow = gate()
    const { system, ports } = createWorld([
      child('a', {
        init: async () => {
          await slow.promise
          order.push('opened')
          return { context: [] }
        },
        stop: async () => void order.push('closed'),
      }),
      child('b', { init: noting(order, 'b') }, { dependsOn: ['a'] }),
    ])
    const started = system.start()
    await ports.clock.settle()
    const stopped = system.stop()
    await ports.clock.settle()
    slow.open()
    await ports.clock.advance(2_000)
    await Promise.all([started, stopped])
    expect(order).toEqual(['opened', 'closed'])
    expect(system.snapshot().map(({ life }) => life)).toEqual(['Terminated', 'Terminated'])
  })

  it('a crash while stopping costs that message only: the drain goes on', async () => {
    const seen: unknown[] = []
    const { system, ports } = createWorld([
      child('a', { ...remembering(seen), notice: ({ kind }) => note('fresh', kind) }),
    ])
    await system.start()
    const bug = faultError('Broken', 'logic', 'broken')
    for (const payload of [1, bug, 2]) void system.tell('a', note('work', payload))
    const stopped = system.stop()
    await ports.clock.settle()
    await stopped
    expect(seen).toEqual([1, 2, 'stopping'])
  })

  it('an actor in its restart delay ends at once', async () => {
    const { system, ports } = createWorld([child('a', remembering([]))])
    await system.start()
    void system.tell('a', note('work', faultError('Busy', 'service', 'busy')))
    await ports.clock.settle()
    expect(system.snapshot()[0]?.life).toBe('Restarting')
    expect((await system.stop()).tookMs).toBe(0)
  })

  it('stops the beats, old and new, and keeps the timers of work that is under way', async () => {
    const seen: unknown[] = []
    const { system, ports } = createWorld([
      child('a', {
        init: async () => ({
          context: [],
          effects: [
            every(1_000, 'beat', note('fresh', 'beat')),
            later(3_000, 'work', note('fresh', 'timer')),
          ],
        }),
        handle: (context, { payload }) => {
          seen.push(payload)
          return { context, effects: [every(1_000, 'beat', note('fresh', 'beat'))] }
        },
        notice: ({ kind }) => note('fresh', kind),
        busy: () => !seen.includes('timer'),
      }),
    ])
    await system.start()
    await ports.clock.advance(1_500)
    const stopped = system.stop()
    await ports.clock.advance(60_000)
    expect(seen).toEqual(['beat', 'stopping', 'timer'])
    expect((await stopped).tookMs).toBe(1_500)
  })

  it('leaves no timer behind', async () => {
    const { system, ports } = createWorld([
      child('a', {
        handle: (context, { type }) => ({
          context,
          effects:
            type === 'fresh'
              ? []
              : [
                  every(1_000, 'beat', note('fresh')),
                  later(60_000, 'late', note('fresh')),
                  tell('a', note('fresh')),
                  'hang',
                ],
        }),
        perform: () => new Promise(() => {}),
      }),
    ])
    await system.start()
    await system.tell('a', note('work'))
    await ports.clock.settle()
    void system.ask('a', note('question'), { timeoutMs: 500_000 })
    const stopped = system.stop({ drainMs: 50 })
    await ports.clock.advance(50)
    await stopped
    expect(ports.clock.pending()).toBe(0)
  })
})

describe('SU-12 the order to hurry', () => {
  const keyMaking = () => {
    const done = gate()
    const world = createWorld([
      child('a', {
        busy: () => true,
        handle: (context) => ({ context, effects: ['make keys'] }),
        perform: () => done.promise,
      }),
    ])
    return { ...world, done }
  }

  it('while keys are made a stop waits, and repetitions within a second are one; force does not wait', async () => {
    const { system, ports, lifeOf } = keyMaking()
    await system.start()
    await system.tell('a', note('work'))
    const stopped = system.stop()
    for (let n = 0; n < 9; n += 1) {
      await ports.clock.advance(100)
      void system.stop()
    }
    await ports.clock.advance(29_000)
    expect(lifeOf('a')).toBe('Stopping')
    void system.stop({ force: true })
    await ports.clock.settle()
    expect(await stopped).toMatchObject({ forced: true })
    expect(lifeOf('a')).toBe('Terminated')
  })

  it('force from the beginning ends it at once, although keys are made', async () => {
    const { system, ports } = keyMaking()
    await system.start()
    await system.tell('a', note('work'))
    await ports.clock.settle()
    expect(await system.stop({ force: true })).toEqual({ forced: true, tookMs: 0 })
  })

  it('a second stop exactly a second later forces', async () => {
    const { system, ports } = keyMaking()
    await system.start()
    await system.tell('a', note('work'))
    const stopped = system.stop()
    await ports.clock.advance(1_000)
    void system.stop()
    await ports.clock.settle()
    expect(await stopped).toEqual({ forced: true, tookMs: 1_000 })
  })
})

describe('the cause of an end, for the exit code', () => {
  it.each([
    ['configuration', 'configuration'],
    ['corruption', 'data'],
    ['network', 'unreachable'],
    ['service', 'failure'],
    ['logic', 'failure'],
    ['cascade', 'failure'],
  ] as const)('%s: %s', async (faultClass, cause) => {
    const reasons: TerminationReason[] = []
    const { system, ports } = createWorld(
      [child('a', remembering([]), { critical: true, restart: 'temporary' })],
      { onTerminated: (reason) => reasons.push(reason) },
    )
    await system.start()
    void system.tell('a', note('work', faultError('F', faultClass, 'end')))
    await ports.clock.advance(2_000)
    expect(reasons.map(exitCauseOf)).toEqual([cause])
  })
})
