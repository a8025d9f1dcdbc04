import {
  DEFAULT_RESTART,
  type Fault,
  type FaultClass,
  faultError,
  planRecovery,
  type RecoveryStage,
} from '../../../supervisor/index.ts'
import { child, createWorld, gate, note, remembering, type Sketch } from './fixtures.ts'

const fault = (faultClass: FaultClass): Fault => ({ code: 'F', faultClass, reason: 'test' })
const ALL: ReadonlySet<RecoveryStage> = new Set(['rollback', 'resync', 'failover'])
const plan = (faultClass: FaultClass, retries: number, offered = ALL) =>
  planRecovery(fault(faultClass), { retries, restartsMs: [] }, DEFAULT_RESTART, offered, 0, 0.5)

describe('SU-15 the class of an error picks the action', () => {
  it('transient: retry; network faults that go on: resync, then failover', () => {
    expect([0, 1, 2, 3, 4, 6].map((retries) => plan('network', retries).stages)).toEqual([
      [],
      [],
      [],
      ['resync', 'failover'],
      [],
      ['resync', 'failover'],
    ])
  })

  it('service failures that go on: failover', () => {
    expect([0, 2, 3, 5, 6].map((retries) => plan('service', retries).stages)).toEqual([
      [],
      [],
      ['failover'],
      [],
      ['failover'],
    ])
    expect(plan('service', 3).required).toBe(false)
  })

  it('corruption: an alert, and a rollback at once, or else a resync, without which nothing may run', () => {
    expect(plan('corruption', 0)).toMatchObject({
      stages: ['rollback', 'resync'],
      required: true,
      alert: true,
      restart: { kind: 'restart', delayMs: 0 },
    })
  })

  it('only what the actor offers is planned', () => {
    expect(plan('corruption', 0, new Set(['resync'])).stages).toEqual(['resync'])
    expect(plan('network', 3, new Set()).stages).toEqual([])
  })

  it.each(['logic', 'configuration'] as const)(
    '%s: critical, an alert and the end',
    (faultClass) => {
      expect(plan(faultClass, 0)).toMatchObject({
        stages: [],
        alert: true,
        restart: { kind: 'terminate' },
      })
    },
  )

  it('retries that are used up: an alert and the end', () => {
    expect(plan('service', DEFAULT_RESTART.maxRetries)).toMatchObject({
      alert: true,
      restart: { kind: 'terminate' },
    })
  })
})

/** An actor that crashes on messages that are errors and notes what is done to it. */
const crashing = (done: string[], recover: Sketch['recover'] = {}): Sketch => ({
  ...remembering([]),
  init: async () => {
    done.push('init')
    return { context: [] }
  },
  stop: async () => {
    done.push('stop')
  },
  recover,
})

const start = async (sketch: Sketch) => {
  const world = createWorld([child('a', sketch)], { limits: { poisonAfter: 1 } })
  const seen: string[] = []
  world.system.subscribe((event) => {
    if (event.kind === 'recovery') seen.push(`${event.action} ${event.result}`)
    if (event.kind === 'alert') seen.push(`alert: ${event.why}`)
  })
  await world.system.start()
  const crash = async (faultClass: FaultClass): Promise<void> => {
    await world.system.tell('a', note('work', faultError('F', faultClass, 'test')))
    await world.ports.clock.settle()
  }
  const total = (kind: string, result: string): number =>
    world.ports.metrics.total('recovery_actions_total', { kind, result })
  return { ...world, seen, crash, total }
}

describe('SU-15 the pipeline', () => {
  it('a retry that comes up again is counted as ok, and one that does not as failed', async () => {
    let down = 0
    const { ports, crash, total } = await start({
      ...remembering([]),
      init: async () => {
        if (down > 0) {
          down -= 1
          throw faultError('Down', 'network', 'still down')
        }
        return { context: [] }
      },
    })
    await crash('network')
    expect([total('retry', 'ok'), total('retry', 'failed')]).toEqual([1, 0])
    down = 2
    await crash('network')
    await ports.clock.advance(1_000)
    expect([total('retry', 'ok'), total('retry', 'failed')]).toEqual([2, 2])
  })

  it('corruption is rolled back before the next init and after the stop hook, then the actor runs again', async () => {
    const done: string[] = []
    const { seen, crash, total, lives, lifeOf, ports } = await start(
      crashing(done, {
        rollback: async (given, run) => {
          await new Promise<void>((resolve) => run.clock.setTimer(5_000, resolve))
          done.push(`rollback ${given.code}`)
        },
      }),
    )
    lives.length = 0
    await crash('corruption')
    expect(lifeOf('a')).toBe('Failed')
    await ports.clock.advance(5_000)
    expect(done).toEqual(['init', 'stop', 'rollback F', 'init'])
    expect(seen).toEqual(['alert: needs recovery', 'alert raised', 'rollback ok', 'retry ok'])
    expect(total('rollback', 'ok')).toBe(1)
    expect(total('alert', 'raised')).toBe(1)
    expect(lives).toEqual([
      'a: Running → Failed',
      'a: Failed → Restarting',
      'a: Restarting → Initializing',
      'a: Initializing → Running',
    ])
  })

  it('a rollback that fails falls through to the resync; when that hangs its deadline ends the actor', async () => {
    const done: string[] = []
    const { seen, crash, lifeOf, ports } = await start(
      crashing(done, {
        rollback: () => Promise.reject(new Error('no checkpoint')),
        resync: () => new Promise(() => {}),
      }),
    )
    await crash('corruption')
    await ports.clock.advance(29_999)
    expect(lifeOf('a')).toBe('Failed')
    await ports.clock.advance(1)
    expect(lifeOf('a')).toBe('Terminated')
    expect(seen).toEqual([
      'alert: needs recovery',
      'alert raised',
      'rollback failed',
      'resync failed',
      'alert: no way back to a sound state',
      'alert raised',
    ])
    expect(done).toEqual(['init', 'stop'])
  })

  it('corruption of an actor without a way back ends it at once', async () => {
    const done: string[] = []
    const { crash, lifeOf } = await start(crashing(done))
    await crash('corruption')
    expect(lifeOf('a')).toBe('Terminated')
    expect(done).toEqual(['init', 'stop'])
  })

  it('the fourth service fault in a row fails over and needs no backoff then', async () => {
    const done: string[] = []
    const { crash, ports, seen, lifeOf } = await start(
      crashing(done, {
        failover: async () => {
          done.push('failover')
        },
      }),
    )
    for (let n = 0; n < 3; n += 1) {
      await crash('service')
      await ports.clock.advance(1_000)
    }
    expect(seen).toEqual(['retry ok', 'retry ok', 'retry ok'])
    await crash('service')
    expect(lifeOf('a')).toBe('Running')
    expect(seen.slice(3)).toEqual(['failover ok', 'retry ok'])
    expect(done.slice(-3)).toEqual(['stop', 'failover', 'init'])
  })

  it('network faults that go on: a resync that fails lets the failover follow, and the actor is retried in any case', async () => {
    const { crash, seen, lifeOf } = await start(
      crashing([], {
        resync: () => Promise.reject(new Error('nobody there')),
        failover: () => Promise.reject(new Error('nobody else either')),
      }),
    )
    for (let n = 0; n < 4; n += 1) await crash('network')
    expect(seen.slice(3)).toEqual(['resync failed', 'failover failed', 'retry ok'])
    expect(lifeOf('a')).toBe('Running')
  })

  it('a stop does not wait for a stage: its signal aborts, and what it says later is not heard', async () => {
    const late = gate()
    let aborted = false
    const { crash, system, ports, seen } = await start(
      crashing([], {
        rollback: async (_fault, run) => {
          run.signal.addEventListener('abort', () => {
            aborted = true
          })
          await late.promise
        },
      }),
    )
    await crash('corruption')
    const stopped = system.stop()
    await ports.clock.settle()
    expect(await stopped).toMatchObject({ tookMs: 0 })
    expect(aborted).toBe(true)
    late.open()
    await ports.clock.settle()
    expect(seen).toEqual(['alert: needs recovery', 'alert raised'])
    expect(ports.clock.pending()).toBe(0)
  })

  it('the mailbox survives a recovery in order (SU-4)', async () => {
    const seen: unknown[] = []
    const { crash, system, ports } = await start({
      ...remembering(seen),
      recover: {
        rollback: (_fault, run) => new Promise((resolve) => run.clock.setTimer(1_000, resolve)),
      },
    })
    await crash('corruption')
    for (let n = 1; n <= 3; n += 1) await system.tell('a', note('work', n))
    await ports.clock.advance(1_000)
    expect(seen).toEqual([1, 2, 3])
  })
})
