import fc from 'fast-check'
import { faultError, isOverloaded, type Pressure } from '../../../supervisor/index.ts'
import { child, createWorld, gate, note, openedBy } from './fixtures.ts'

describe('SU-9 pressure travels upstream', () => {
  it('a reader that pauses while the actor is overloaded resumes below 70 %, not before', async () => {
    const slow = gate()
    const { system, ports } = createWorld([
      child('a', { mailbox: { capacity: 10 }, init: openedBy(slow.promise) }),
    ])
    const paused: boolean[] = []
    const depths: number[] = []
    system.pressure('a', (level) => {
      paused.push(isOverloaded(level))
      depths.push(system.snapshot()[0]?.depth.api ?? 0)
    })
    void system.start()
    for (let n = 0; n < 10; n += 1) await system.tell('a', note('call'))
    expect(paused.at(-1)).toBe(true)
    slow.open()
    await ports.clock.settle()
    const resumedAt = paused.lastIndexOf(true) + 1
    expect(depths[resumedAt]).toBe(6)
    expect(paused.slice(resumedAt)).toEqual([false, false])
  })

  it('tells the level at once, and no more after it was ended', async () => {
    const slow = gate()
    const { system } = createWorld([
      child('a', { mailbox: { capacity: 2 }, init: openedBy(slow.promise) }),
    ])
    void system.start()
    await system.tell('a', note('call'))
    const levels: Pressure[] = []
    const end = system.pressure('a', (level) => levels.push(level))
    await system.tell('a', note('call'))
    end()
    slow.open()
    await system.tell('a', note('call'))
    expect(levels).toEqual(['Warning', 'Blocked'])
  })

  it('outlives restarts of the actor; of one that ended there is none', async () => {
    const world = createWorld(
      [
        child('a', {
          mailbox: { capacity: 4 },
          handle: (_context, { payload }) => {
            throw payload
          },
        }),
      ],
      { limits: { poisonAfter: 1 } },
    )
    const { system, ports, lifeOf } = world
    await system.start()
    const levels: Pressure[] = []
    system.pressure('a', (level) => levels.push(level))
    void system.tell('a', note('work', faultError('F', 'service', 'f')))
    await ports.clock.settle()
    for (let n = 0; n < 4; n += 1)
      void system.tell('a', note('work', faultError('F', 'logic', 'f')))
    expect(levels.at(-1)).toBe('Blocked')
    await ports.clock.advance(1_000)
    expect(lifeOf('a')).toBe('Terminated')
    expect(levels.at(-1)).toBe('Normal')
  })

  it('a path where nobody is has none, and a listener that throws hurts nobody', async () => {
    const { system, ports } = createWorld([child('a', { mailbox: { capacity: 1 } })])
    const levels: Pressure[] = []
    system.pressure('nobody', (level) => levels.push(level))
    expect(levels).toEqual(['Normal'])
    system.pressure('a', () => {
      throw new Error('deaf')
    })
    await system.start()
    expect(await system.tell('a', note('call'))).toEqual({ ok: true })
    await ports.clock.settle()
    expect(system.snapshot()[0]).toMatchObject({ life: 'Running', handled: 1 })
  })

  it('what an effect subscribed to ends with its incarnation', async () => {
    const levels: Pressure[] = []
    const { system, ports } = createWorld([
      child('a', { mailbox: { capacity: 1 } }),
      child('reader', {
        handle: (context, { payload }) => {
          if (Error.isError(payload)) throw payload
          return { context, effects: ['listen'] }
        },
        perform: async (_effect, run) => {
          run.pressure('a', (level) => levels.push(level))
        },
      }),
    ])
    await system.start()
    await system.tell('reader', note('work'))
    await ports.clock.settle()
    await system.tell('a', note('call'))
    await ports.clock.settle()
    expect(levels).toEqual(['Normal', 'Blocked', 'Normal'])
    void system.tell('reader', note('call', faultError('F', 'network', 'f')))
    await ports.clock.settle()
    await system.tell('a', note('call'))
    await ports.clock.settle()
    expect(levels.length).toBe(3)
  })
})

describe('SU-9 watermarks against a model', () => {
  const STARTS = { Normal: 0, Warning: 50, Critical: 80, Blocked: 100 } as const
  const LEVELS = ['Normal', 'Warning', 'Critical', 'Blocked'] as const

  it('a level begins at its mark and ends 10 % below it, at every capacity and path', async () => {
    const { Mailbox } = await import('../../../supervisor/mailbox.ts')
    const { createRegistry } = await import('../../../supervisor/registry.ts')
    const { Letter } = await import('../../../supervisor/letter.ts')
    const row = createRegistry([{ type: 'm', priority: 'peg', overflow: 'returnError' }]).row('m')
    const message = { type: 'm', payload: null }
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.array(fc.boolean(), { maxLength: 120 }),
        (capacity, moves) => {
          const told: Pressure[] = []
          const box = new Mailbox(capacity, 100, 8, (level) => told.push(level))
          let depth = 0
          let level: Pressure = 'Normal'
          const expected: Pressure[] = []
          for (const send of moves) {
            if (send) {
              box.offer(new Letter('c', 0, 1, 0, 's', message, row, undefined, 0))
              if (depth < capacity) depth += 1
            } else if (box.take(false) !== undefined) depth -= 1
            const percent = (100 * depth) / capacity
            const up = LEVELS.findLast((each) => percent >= STARTS[each]) ?? 'Normal'
            const held = LEVELS.findLast((each) => percent >= STARTS[each] - 10) ?? 'Normal'
            const at = LEVELS.indexOf(level)
            const next =
              LEVELS.indexOf(up) > at
                ? up
                : (LEVELS[Math.min(at, LEVELS.indexOf(held))] as Pressure)
            if (next !== level) expected.push(next)
            level = next
            expect(box.pressure).toBe(level)
          }
          expect(told).toEqual(expected)
        },
      ),
    )
  })
})
