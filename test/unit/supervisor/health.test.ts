import { afterProbe, HEALTHY } from '../../../supervisor/health.ts'
import { DEFAULT_LIMITS } from '../../../supervisor/index.ts'
import { child, createWorld, gate, note } from './fixtures.ts'

const read = (system: ReturnType<typeof createWorld>['system'], path = 'a') =>
  system.snapshot().find((row) => row.path === path)

describe('SU-11 health probes', () => {
  it('three failures in a row make it unhealthy, two successes in a row healthy again', () => {
    const verdicts = [false, false, true, false, false, false, true, false, true, true]
    let health = HEALTHY
    const seen = verdicts.map((passed) => {
      health = afterProbe(health, passed, DEFAULT_LIMITS)
      return health.healthy
    })
    expect(seen).toEqual([true, true, true, true, true, false, false, false, false, true])
  })

  it('an actor that says three times that it is not well is restarted as after a service fault', async () => {
    let well = false
    const { system, ports, lives } = createWorld([child('a', { healthy: () => well })])
    const events: unknown[] = []
    system.subscribe((event) => {
      if (event.kind === 'health') events.push([event.atMs, event.healthy])
      if (event.kind === 'fault') events.push([event.atMs, event.fault.code])
    })
    const startMs = ports.clock.nowMs()
    await system.start()
    lives.length = 0
    await ports.clock.advance(29_999)
    expect(lives).toEqual([])
    await ports.clock.advance(1)
    expect(events).toEqual([
      [startMs + 30_000, false],
      [startMs + 30_000, 'Unhealthy'],
    ])
    expect(read(system)).toMatchObject({
      healthy: false,
      lastFault: { code: 'Unhealthy', faultClass: 'service' },
    })
    well = true
    await ports.clock.advance(19_999)
    expect(read(system)).toMatchObject({ life: 'Running', healthy: false, restarts: 1 })
    await ports.clock.advance(1)
    expect(read(system)).toMatchObject({ healthy: true })
    expect(events.at(-1)).toEqual([startMs + 50_000, true])
    expect(ports.metrics.total('actor_probe_failures_total', { actor: 'a' })).toBe(3)
  })

  it('a restarted one has three failures again until it is restarted once more', async () => {
    const { system, ports } = createWorld([child('a', { healthy: () => false })])
    await system.start()
    await ports.clock.advance(59_000)
    expect(read(system)?.restarts).toBe(1)
    await ports.clock.advance(2_000)
    expect(read(system)?.restarts).toBe(2)
  })

  it('a predicate that throws is a failed probe', async () => {
    const { system, ports } = createWorld([
      child('a', {
        healthy: () => {
          throw new Error('no idea')
        },
      }),
    ])
    await system.start()
    await ports.clock.advance(30_000)
    expect(read(system)?.lastFault?.reason).toContain('no idea')
  })

  it('an actor that does not take its messages fails the probe after 5 s each, and is restarted', async () => {
    // Only its own mailbox stands still: it never gets a turn, as if the one before it did not end.
    const world = createWorld([])
    const yields: (() => void)[] = []
    const clock = { ...world.ports.clock, yieldToLoop: (go: () => void) => void yields.push(go) }
    const ports = { ...world.ports, clock }
    const { system } = createWorld(
      [child('a'), child('b', { handle: (context) => ({ context, effects: [] }) })],
      { ports, limits: { yieldAfterMessages: 1, slice: 1 } },
    )
    await system.start()
    for (let n = 0; n < 3; n += 1) void system.tell('b', note('work', n))
    await clock.advance(14_999)
    expect(ports.metrics.total('actor_probe_failures_total')).toBe(0)
    await clock.advance(1)
    expect(ports.metrics.total('actor_probe_failures_total', { actor: 'a' })).toBe(1)
    await clock.advance(20_000)
    expect(read(system)?.lastFault).toMatchObject({
      code: 'Unhealthy',
      reason: 'probes failed: not taken',
    })
  })

  it('its handler does not see the probe, a busy one passes it, and it takes no room', async () => {
    const seen: string[] = []
    const slow = gate()
    const { system, ports } = createWorld(
      [
        child('a', {
          mailbox: { capacity: 1 },
          handle: (context, { type }) => {
            seen.push(type)
            return { context, effects: ['wait'] }
          },
          perform: () => slow.promise,
        }),
      ],
      { limits: { maxInFlight: 1, effectTimeoutMs: 1_000_000 } },
    )
    await system.start()
    void system.tell('a', note('work'))
    void system.tell('a', note('work'))
    await ports.clock.advance(100_000)
    expect(seen).toEqual(['work'])
    expect(read(system)).toMatchObject({ healthy: true, restarts: 0, inFlight: 1, handled: 1 })
    slow.open()
  })

  it('one that is not Running is not probed; after a stop no timer is left', async () => {
    const opened = gate()
    const { system, ports } = createWorld([
      child('a', {
        healthy: () => false,
        init: async () => {
          await opened.promise
          return { context: [] }
        },
      }),
    ])
    const started = system.start()
    await ports.clock.advance(55_000)
    expect(ports.metrics.total('actor_probe_failures_total')).toBe(0)
    opened.open()
    await started
    await ports.clock.settle()
    expect(ports.metrics.total('actor_probe_failures_total')).toBe(0)
    await ports.clock.advance(12_000)
    await system.stop()
    expect(ports.clock.pending()).toBe(0)
  })

  it('a handler that holds the thread is reported with its message type alone, however long others take after it', async () => {
    const world = createWorld([])
    let nowMs = 0
    const ports = { ...world.ports, clock: { ...world.ports.clock, nowMs: () => nowMs } }
    const holding = (ms: number) => ({
      handle: (context: readonly unknown[]) => {
        nowMs += ms
        return { context }
      },
    })
    const { system } = createWorld([child('quick', holding(1)), child('slow', holding(6_000))], {
      ports,
      limits: { slice: 1 },
    })
    const reports: unknown[] = []
    system.subscribe((event) => {
      if (event.kind === 'slowHandler') reports.push([event.path, event.messageType, event.tookMs])
    })
    await system.start()
    for (const path of ['quick', 'slow']) {
      void system.tell(path, note('work'))
      void system.tell(path, note('call'))
    }
    await ports.clock.settle()
    expect(reports).toEqual([
      ['slow', 'work', 6_000],
      ['slow', 'call', 6_000],
    ])
    expect(ports.metrics.total('actor_slow_handlers_total', { actor: 'slow', type: 'work' })).toBe(
      1,
    )
  })
})
