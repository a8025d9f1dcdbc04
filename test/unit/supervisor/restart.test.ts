import { createMachine } from 'xstate'
import { ask, every, type Fault, fail, faultError, tell } from '../../../supervisor/index.ts'
import {
  child,
  createWorld,
  gate,
  type Note,
  note,
  noting,
  openedBy,
  remembering,
} from './fixtures.ts'

const network = faultError('ConnectionLost', 'network', 'gone')
const service = faultError('Busy', 'service', 'busy')
const logic = faultError('Broken', 'logic', 'broken')

describe('SU-2 a fault is followed by what its class says', () => {
  it('network: the actor is up again without any time passing', async () => {
    const seen: unknown[] = []
    const { system, ports, lives } = createWorld([child('a', remembering(seen))])
    await system.start()
    lives.length = 0
    await system.tell('a', note('work', network))
    await ports.clock.settle()
    expect(lives.slice(0, 3)).toEqual([
      'a: Running → Failed',
      'a: Failed → Restarting',
      'a: Restarting → Initializing',
    ])
    expect(system.snapshot()[0]?.life).toBe('Running')
  })

  it('service: the delay doubles with each fault, and healthy time resets it', async () => {
    const upMs: number[] = []
    const { system, ports } = createWorld([
      child('a', {
        init: async ({ clock }) => {
          upMs.push(clock.nowMs())
          return { context: [] }
        },
        handle: (context, { payload }) => ({ context, effects: [fail(payload as Fault)] }),
      }),
    ])
    await system.start()
    const crash = async () => {
      const beforeMs = ports.clock.nowMs()
      await system.tell('a', note('work', { code: 'Busy', faultClass: 'service', reason: 'busy' }))
      await ports.clock.advance(5_000)
      return (upMs.at(-1) as number) - beforeMs
    }
    const delays = [await crash(), await crash(), await crash()]
    delays.forEach((delay, index) => {
      expect(delay).toBeGreaterThanOrEqual(90 * 2 ** index)
      expect(delay).toBeLessThanOrEqual(110 * 2 ** index)
    })
    await ports.clock.advance(60_000)
    expect(await crash()).toBeLessThanOrEqual(110)
  })

  it('logic: the actor ends, and a critical one ends the system with the reason', async () => {
    const reasons: unknown[] = []
    const { system, ports, lifeOf } = createWorld(
      [child('a', remembering([]), { critical: true }), child('b')],
      { onTerminated: (reason) => reasons.push(reason) },
    )
    await system.start()
    await system.tell('a', note('work', logic))
    await ports.clock.settle()
    expect([lifeOf('a'), lifeOf('b')]).toEqual(['Terminated', 'Terminated'])
    expect(reasons).toMatchObject([{ code: 'Escalated', path: 'a', fault: { code: 'Broken' } }])
    expect(await system.tell('b', note('work'))).toMatchObject({ error: { code: 'Stopped' } })
  })

  it('configuration: start ends with the reason', async () => {
    const bad = faultError('BadKey', 'configuration', 'key file is not hex')
    const { system } = createWorld([
      child('a', { init: () => Promise.reject(bad) }, { critical: true }),
      child('b', {}, { dependsOn: ['a'] }),
    ])
    expect(await system.start()).toMatchObject({
      ok: false,
      reason: { code: 'Configuration', path: 'a', fault: { reason: 'key file is not hex' } },
    })
  })

  it('an event that the machine does not accept is a logic fault', async () => {
    const machine = createMachine({
      id: 'm',
      initial: 'A',
      states: { A: { on: { GO: 'B' } }, B: {} },
    })
    const { system, ports } = createWorld([
      child('a', { machine, handle: (context) => ({ context, event: ['GO', 'GO'] }) }),
    ])
    await system.start()
    await system.tell('a', note('work'))
    await ports.clock.settle()
    expect(system.snapshot()[0]).toMatchObject({
      life: 'Terminated',
      state: 'A',
      lastFault: { code: 'EventRefused', faultClass: 'logic' },
    })
  })

  it('three actors that fail within ten seconds open the breaker; after a minute it probes one by one', async () => {
    const states: string[] = []
    const names = ['a', 'b', 'c', 'd']
    const { system, ports, lifeOf } = createWorld(names.map((name) => child(name, remembering([]))))
    system.subscribe((event) => event.kind === 'breaker' && states.push(event.state))
    await system.start()
    for (const name of ['a', 'b']) await system.tell(name, note('work', network))
    await ports.clock.settle()
    expect(states).toEqual([])
    await system.tell('c', note('work', network))
    await ports.clock.advance(59_000)
    expect(states).toEqual(['open'])
    expect(lifeOf('c')).toBe('Restarting')
    await ports.clock.advance(1_000)
    expect(states).toEqual(['open', 'halfOpen', 'closed'])
    expect(names.map(lifeOf)).toEqual(Array(4).fill('Running'))
  })
})

describe('the circuit breaker (SU-2)', () => {
  const down = (name: string, isDown: () => boolean, dependsOn: readonly string[] = []) =>
    child(
      name,
      {
        ...remembering([]),
        init: () => (isDown() ? Promise.reject(network) : Promise.resolve({ context: [] })),
      },
      { dependsOn },
    )

  it('opens again when a probe fails', async () => {
    const states: string[] = []
    let broken = false
    const names = ['a', 'b', 'c']
    const { system, ports, lifeOf } = createWorld(
      names.map((name) => down(name, () => broken)),
      { limits: { poisonAfter: 1 } },
    )
    system.subscribe((event) => event.kind === 'breaker' && states.push(event.state))
    await system.start()
    broken = true
    for (const name of names) await system.tell(name, note('work', network))
    await ports.clock.advance(60_000)
    expect(states).toEqual(['open', 'halfOpen', 'open'])
    broken = false
    await ports.clock.advance(60_000)
    expect(states.slice(3)).toEqual(['halfOpen', 'closed'])
    expect(names.map(lifeOf)).toEqual(['Running', 'Running', 'Running'])
  })

  it('a restart whose delay ends while others are probed is probed as well', async () => {
    const { system, ports, lifeOf } = createWorld([
      child('storage', remembering([]), { policy: { backoffFirstMs: 70_000 } }),
      down('engine', () => false, ['storage']),
    ])
    await system.start()
    void system.tell('storage', note('work', service))
    void system.tell('engine', note('work', faultError('Cascade', 'cascade', 'too much')))
    await ports.clock.advance(62_000)
    expect(['storage', 'engine'].map(lifeOf)).toEqual(['Restarting', 'Restarting'])
    await ports.clock.advance(200_000)
    expect(['storage', 'engine'].map(lifeOf)).toEqual(['Running', 'Running'])
  })

  it('probes what others build on first, whoever failed first', async () => {
    const { system, ports, lifeOf } = createWorld([
      down('storage', () => false),
      down('engine', () => false, ['storage']),
      down('chain', () => false, ['engine']),
    ])
    await system.start()
    for (const name of ['chain', 'engine', 'storage']) {
      void system.tell(name, note('work', faultError('Cascade', 'cascade', 'too much')))
    }
    await ports.clock.advance(200_000)
    expect(['storage', 'engine', 'chain'].map(lifeOf)).toEqual(Array(3).fill('Running'))
  })
})

describe('SU-3 retries come to an end', () => {
  it('an actor that never comes up is terminated, its dependents run on degraded and hear of it once', async () => {
    const facts: unknown[] = []
    let broken = false
    const { system, ports, lifeOf } = createWorld([
      child('a', {
        init: () => (broken ? Promise.reject(service) : Promise.resolve({ context: [] })),
        ...remembering([]),
      }),
      child(
        'b',
        {
          notice: (fact) => (fact.kind === 'dependency' ? note('fact', fact) : undefined),
          handle: (context, { payload }) => {
            facts.push(payload)
            return { context }
          },
        },
        { dependsOn: ['a'] },
      ),
    ])
    await system.start()
    broken = true
    await system.tell('a', note('work', service))
    await ports.clock.advance(600_000)
    expect([lifeOf('a'), lifeOf('b')]).toEqual(['Terminated', 'Running'])
    expect(system.snapshot()[1]).toMatchObject({ degraded: true, restarts: 0 })
    expect(system.snapshot()[0]).toMatchObject({ restarts: 10 })
    expect(facts).toEqual([{ kind: 'dependency', path: 'a', up: false }])
  })
})

it('SU-3 a critical actor whose machine ends ends the system', async () => {
  const reasons: unknown[] = []
  const machine = createMachine({
    id: 'm',
    initial: 'Failed',
    states: { Failed: { on: { TERMINAL_ERROR: 'Terminated' } }, Terminated: { type: 'final' } },
  })
  const { system, ports } = createWorld(
    [
      child(
        'chain',
        { machine, handle: (context) => ({ context, event: 'TERMINAL_ERROR' }) },
        { critical: true },
      ),
    ],
    { onTerminated: (reason) => reasons.push(reason) },
  )
  await system.start()
  await system.tell('chain', note('work'))
  await ports.clock.settle()
  expect(reasons).toMatchObject([{ path: 'chain', why: 'completed' }])
})

describe('SU-4 the mailbox survives', () => {
  it('what waits is handled in order by the next incarnation, the poisoned message is dropped after two crashes', async () => {
    const seen: unknown[] = []
    const dead: unknown[] = []
    const { system, ports } = createWorld([child('a', remembering(seen))])
    system.subscribe(
      (event) => event.kind === 'deadLetter' && dead.push([event.messageType, event.reason]),
    )
    await system.start()
    const bug = new TypeError('x is not a function')
    for (const payload of [1, bug, 2, 3]) void system.tell('a', note('work', payload))
    await ports.clock.advance(1_000)
    expect(seen).toEqual([1, 2, 3])
    expect(dead).toEqual([['work', 'Poisoned']])
    expect(system.snapshot()[0]).toMatchObject({ restarts: 2, life: 'Running', deadLetters: 1 })
  })

  it('a message that crashes its actor once is handled by the next incarnation', async () => {
    let incarnation = 0
    const seen: unknown[] = []
    const { system, ports } = createWorld([
      child('a', {
        init: async () => {
          incarnation += 1
          return { context: [incarnation] }
        },
        handle: (context, { payload }) => {
          if (context[0] === 1) throw new Error('only now')
          seen.push(payload)
          return { context }
        },
      }),
    ])
    await system.start()
    void system.tell('a', note('work', 'first'))
    void system.tell('a', note('work', 'second'))
    await ports.clock.advance(1_000)
    expect(seen).toEqual(['first', 'second'])
  })

  it('a step that crashes leaves nothing behind: neither its context nor its effects', async () => {
    const seen: unknown[] = []
    const { system, ports } = createWorld([
      child('a', {
        machine: createMachine({ id: 'm', initial: 'A', states: { A: {} } }),
        handle: (context) => ({
          context: [...context, 'x'],
          effects: [tell('b', note('work', 1))],
          event: 'NO',
        }),
        stop: async (context) => void seen.push(context),
      }),
      child('b', remembering(seen)),
    ])
    await system.start()
    await system.tell('a', note('work'))
    await ports.clock.advance(1_000)
    expect(seen).toEqual([[]])
    await system.stop()
  })

  it('asks that the dead actor took get ActorRestarted at once; those that wait are answered after the restart', async () => {
    const { system, ports } = createWorld([
      child('a', {
        handle: (context, { type, payload }, { envelope }) => {
          if (type === 'work') throw service
          if (payload === 'later') return { context }
          return {
            context,
            effects: [{ kernel: 'reply', to: envelope, message: note('answer', payload) }],
          }
        },
      }),
    ])
    await system.start()
    const atMs = ports.clock.nowMs()
    const settled: unknown[] = []
    const put = (payload: string) =>
      void system
        .ask('a', note('question', payload), { timeoutMs: 30_000 })
        .then((result) =>
          settled.push([payload, result.ok || result.error.code, ports.clock.nowMs() - atMs]),
        )
    put('later')
    void system.tell('a', note('work'))
    put('now')
    await ports.clock.settle()
    expect(settled).toEqual([['later', 'ActorRestarted', 0]])
    await ports.clock.advance(1_000)
    expect(settled.slice(1)).toMatchObject([['now', true, expect.any(Number)]])
  })

  it('no ask hangs on an actor that ends for good', async () => {
    const { system, ports } = createWorld([child('a', remembering([]))])
    await system.start()
    void system.tell('a', note('work', logic))
    const waiting = system.ask('a', note('question'), { timeoutMs: 30_000 })
    await ports.clock.settle()
    expect(await waiting).toEqual({ ok: false, error: { code: 'Stopped', to: 'a' } })
    expect(await system.ask('a', note('question'), { timeoutMs: 1 })).toMatchObject({
      error: { code: 'Stopped' },
    })
  })

  it('a dead incarnation is never heard of again: results, timers and tells of it are dropped', async () => {
    const seen: unknown[] = []
    const slow = gate<Note>()
    const tellLater: (() => Promise<unknown>)[] = []
    const { system, ports } = createWorld([
      child('a', {
        init: async (run) => {
          tellLater.push(() => run.tell(run.self, note('work', 'from a dead port')))
          return { context: [], effects: [] }
        },
        handle: (context, { type, payload }) => {
          if (payload === 'begin')
            return { context, effects: ['slow', every(10, 'beat', note('fresh', 'beat'))] }
          if (type === 'urgent') throw network
          seen.push(payload)
          return { context }
        },
        perform: () => slow.promise,
      }),
    ])
    await system.start()
    await system.tell('a', note('work', 'begin'))
    await ports.clock.advance(15)
    expect(seen).toEqual(['beat'])
    await system.tell('a', note('urgent'))
    await ports.clock.settle()
    slow.open(note('work', 'late result'))
    expect(await tellLater[0]?.()).toMatchObject({ error: { code: 'Stopped' } })
    await ports.clock.advance(2_000)
    expect(seen).toEqual(['beat'])
    expect(await tellLater.at(-1)?.()).toEqual({ ok: true })
  })

  it('a restart waits for the effects of the dead incarnation and runs its stop hook before the next init', async () => {
    const order: string[] = []
    const slow = gate()
    const { system, ports } = createWorld([
      child('a', {
        init: async () => {
          order.push('init')
          return { context: [] }
        },
        handle: (context, { payload }) =>
          payload === 'write'
            ? { context, effects: ['write'] }
            : { context, effects: [fail({ code: 'X', faultClass: 'network', reason: 'x' })] },
        perform: async (_effect, { signal }) => {
          signal.addEventListener('abort', () => order.push('aborted'))
          await slow.promise
          order.push('written')
        },
        stop: async () => void order.push('closed'),
      }),
    ])
    await system.start()
    await system.tell('a', note('work', 'write'))
    await system.tell('a', note('work', 'crash'))
    await ports.clock.advance(500)
    expect(order).toEqual(['init', 'aborted'])
    slow.open()
    await ports.clock.settle()
    expect(order).toEqual(['init', 'aborted', 'written', 'closed', 'init'])
  })

  it('an effect that fails crashes its actor by its class, and one that hangs by its deadline', async () => {
    const { system, ports } = createWorld(
      [
        child('a', {
          handle: (context, { payload }) => ({ context, effects: [payload] }),
          perform: (effect) =>
            effect === 'hang' ? new Promise(() => {}) : Promise.reject(network),
        }),
      ],
      { limits: { effectTimeoutMs: 5_000 } },
    )
    await system.start()
    await system.tell('a', note('work', 'fail'))
    await ports.clock.settle()
    expect(system.snapshot()[0]).toMatchObject({
      restarts: 1,
      lastFault: { code: 'ConnectionLost' },
    })
    await system.tell('a', note('work', 'hang'))
    await ports.clock.advance(10_000)
    expect(system.snapshot()[0]).toMatchObject({
      restarts: 2,
      lastFault: { code: 'EffectTimeout' },
    })
  })
})

describe('SU-5 order and dependents', () => {
  const tree = (order: string[]) => {
    const one = (name: string, dependsOn: readonly string[] = []) =>
      child(
        name,
        {
          ...remembering([]),
          init: async () => {
            order.push(name)
            return { context: [] }
          },
        },
        { dependsOn },
      )
    return [
      one('chain', ['storage', 'engine']),
      one('bridge', ['storage']),
      one('sync', ['storage']),
      one('engine', ['storage']),
      one('network'),
      one('stream'),
      one('storage'),
    ]
  }

  it('actors start after what they depend on, else in the order given', async () => {
    const order: string[] = []
    await createWorld(tree(order)).system.start()
    expect(order).toEqual(['storage', 'engine', 'chain', 'bridge', 'sync', 'network', 'stream'])
  })

  it('a restarted Storage is followed by all that build on it, in order, and by nothing else', async () => {
    const order: string[] = []
    const { system, ports } = createWorld(tree(order), { limits: { poisonAfter: 1 } })
    await system.start()
    order.length = 0
    await system.tell('storage', note('work', network))
    await ports.clock.settle()
    expect(order).toEqual(['storage', 'engine', 'chain', 'bridge', 'sync'])
  })

  it('a restarted Engine is followed by Chain alone', async () => {
    const order: string[] = []
    const { system, ports } = createWorld(tree(order), { limits: { poisonAfter: 1 } })
    await system.start()
    order.length = 0
    await system.tell('engine', note('work', network))
    await ports.clock.settle()
    expect(order).toEqual(['engine', 'chain'])
  })

  it('one dependent that does not come up again does not hold up those after it', async () => {
    let broken = false
    const { system, ports, lifeOf } = createWorld(
      [
        child('storage', remembering([])),
        child(
          'engine',
          { init: () => (broken ? Promise.reject(service) : Promise.resolve({ context: [] })) },
          { dependsOn: ['storage'] },
        ),
        child('bridge', {}, { dependsOn: ['storage'] }),
      ],
      { limits: { poisonAfter: 1 } },
    )
    await system.start()
    broken = true
    await system.tell('storage', note('work', network))
    await ports.clock.settle()
    expect(['storage', 'engine', 'bridge'].map(lifeOf)).toEqual([
      'Running',
      'Restarting',
      'Running',
    ])
    expect(system.snapshot().map(({ restarts }) => restarts)).toEqual([1, 1, 1])
  })

  it('a dependent that comes up while its dependency is away hears of that', async () => {
    const facts: unknown[] = []
    const slow = gate()
    const { system, ports } = createWorld([
      child('a', remembering([])),
      child(
        'b',
        {
          ...remembering(facts),
          init: openedBy(slow.promise),
          notice: (fact) => note('fact', fact.kind === 'dependency' ? fact.up : fact.kind),
        },
        { dependsOn: ['a'] },
      ),
    ])
    void system.start()
    await ports.clock.settle()
    await system.tell('a', note('work', service))
    await ports.clock.settle()
    slow.open()
    await ports.clock.settle()
    expect(facts).toEqual([false])
  })

  it('a dependent whose init is under way when its dependency restarts is initialised again', async () => {
    const order: string[] = []
    const slow = gate()
    const { system, ports } = createWorld(
      [
        child('a', { ...remembering([]), init: noting(order, 'a') }),
        child(
          'b',
          {
            init: async () => {
              order.push('b')
              if (order.length === 2) await slow.promise
              return { context: [] }
            },
          },
          { dependsOn: ['a'] },
        ),
      ],
      { limits: { poisonAfter: 1 } },
    )
    const started = system.start()
    await ports.clock.settle()
    await system.tell('a', note('work', network))
    await ports.clock.settle()
    expect(order).toEqual(['a', 'b', 'a'])
    slow.open()
    await started
    await ports.clock.settle()
    expect(order).toEqual(['a', 'b', 'a', 'b'])
  })

  it('a dependency cycle is refused', () => {
    expect(() =>
      createWorld([child('a', {}, { dependsOn: ['b'] }), child('b', {}, { dependsOn: ['a'] })]),
    ).toThrow('dependency cycle: a → b')
  })
})

describe('intensity and period', () => {
  const crashing = async (everyMs: number, times: number) => {
    const { system, ports, lifeOf } = createWorld([child('a', remembering([]))], {
      limits: { poisonAfter: 1 },
    })
    await system.start()
    for (let n = 0; n < times; n += 1) {
      void system.tell('a', note('work', network))
      await ports.clock.advance(everyMs)
    }
    return { life: lifeOf('a'), restarts: system.snapshot()[0]?.restarts, system }
  }

  it('ten restarts in 60 s are allowed, the eleventh fault ends the actor, even one of a class restarted at once', async () => {
    expect(await crashing(1_000, 10)).toMatchObject({ life: 'Running', restarts: 10 })
    expect(await crashing(1_000, 11)).toMatchObject({ life: 'Terminated', restarts: 10 })
  })

  it('restarts older than the period do not count', async () => {
    expect(await crashing(6_001, 30)).toMatchObject({ life: 'Running', restarts: 30 })
  })

  it('restarts are told by the class that led to them', async () => {
    const { system } = await crashing(1_000, 3)
    expect(system.snapshot()[0]?.restartsByClass).toEqual({ network: 3 })
  })
})

describe('strategies', () => {
  const restarted = async (strategy: 'oneForOne' | 'restForOne' | 'oneForAll') => {
    const order: string[] = []
    const names = ['a', 'b', 'c']
    const { system, ports } = createWorld(
      names.map((name) => child(name, { ...remembering([]), init: noting(order, name) })),
      { strategy, limits: { poisonAfter: 1 } },
    )
    await system.start()
    order.length = 0
    await system.tell('b', note('work', network))
    await ports.clock.settle()
    return order
  }

  it('one for one restarts the failed actor alone', async () => {
    expect(await restarted('oneForOne')).toEqual(['b'])
  })

  it('rest for one restarts it and those started after it', async () => {
    expect(await restarted('restForOne')).toEqual(['b', 'c'])
  })

  it('one for all restarts everybody', async () => {
    expect(await restarted('oneForAll')).toEqual(['a', 'b', 'c'])
  })
})

it('one for all: the failed actor comes up after what it builds on, although that is restarted for it', async () => {
  const order: string[] = []
  const init = (name: string) => ({ ...remembering([]), init: noting(order, name) })
  const { system, ports } = createWorld(
    [child('a', init('a')), child('b', init('b'), { dependsOn: ['a'] }), child('c', init('c'))],
    { strategy: 'oneForAll', limits: { poisonAfter: 1 } },
  )
  await system.start()
  await system.tell('b', note('work', faultError('Down', 'service', 'down')))
  await ports.clock.advance(1_000)
  expect(order.slice(0, 6)).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
  expect(system.snapshot().map(({ life }) => life)).toEqual(['Running', 'Running', 'Running'])
})

it('the result of an ask that a dead incarnation made does not reach the next one', async () => {
  const seen: unknown[] = []
  const { system, ports } = createWorld([
    child('a', {
      handle: (context, { type, payload }) => {
        if (type === 'urgent') throw network
        if (payload === 'begin') {
          return {
            context,
            effects: [
              ask('b', note('question'), {
                timeoutMs: 1_000,
                onReply: () => note('work', 'reply'),
              }),
            ],
          }
        }
        seen.push(payload)
        return { context }
      },
    }),
    child('b'),
  ])
  await system.start()
  await system.tell('a', note('work', 'begin'))
  await system.tell('a', note('urgent'))
  await ports.clock.advance(5_000)
  expect(seen).toEqual([])
})

it('an effect that waits for a reply when its incarnation dies hears so at once', async () => {
  const heard: unknown[] = []
  const { system, ports } = createWorld([
    child('a', {
      handle: (context, { type }) => {
        if (type === 'urgent') throw network
        return { context, effects: ['asks'] }
      },
      perform: async (_effect, run) => {
        const result = await run.ask('b', note('question'), { timeoutMs: 60_000 })
        heard.push(result.ok || result.error.code)
      },
    }),
    child('b'),
  ])
  await system.start()
  await system.tell('a', note('work'))
  await ports.clock.settle()
  await system.tell('a', note('urgent'))
  await ports.clock.settle()
  expect(heard).toEqual(['Stopped'])
})

it('an actor that is given up closes what it opened, and a stop waits for that', async () => {
  const order: string[] = []
  const { system, ports } = createWorld([
    child('a', {
      ...remembering([]),
      stop: async (_context, run) => {
        await new Promise<void>((resolve) => run.clock.setTimer(500, resolve))
        order.push('closed')
      },
    }),
  ])
  await system.start()
  await system.tell('a', note('work', logic))
  await ports.clock.settle()
  expect(system.snapshot()[0]?.life).toBe('Terminated')
  const stopped = system.stop().then(() => order.push('stopped'))
  await ports.clock.advance(500)
  await stopped
  expect(order).toEqual(['closed', 'stopped'])
})

it('messages that init begins with come before those that wait, and do not outlive their incarnation', async () => {
  const seen: unknown[] = []
  let incarnation = 0
  const { system, ports } = createWorld([
    child('a', {
      init: async () => {
        incarnation += 1
        return {
          context: [],
          messages: [note('work', 'one'), note('work', `two of ${incarnation}`)],
        }
      },
      handle: (context, { payload }) => {
        seen.push(payload)
        if (seen.length === 1) throw network
        return { context }
      },
    }),
  ])
  void system.tell('a', note('work', 'waits'))
  await system.start()
  await ports.clock.settle()
  expect(seen).toEqual(['one', 'one', 'two of 2', 'waits'])
})
