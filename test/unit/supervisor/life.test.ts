import { createMachine } from 'xstate'
import { compileMachine, edgesOf, faultError, lifeMachine } from '../../../supervisor/index.ts'
import { child, createWorld, note } from './fixtures.ts'

const LISTED = [
  'Initializing → Running',
  'Initializing → Failed',
  'Running → Failed',
  'Running → Stopping',
  'Failed → Restarting',
  'Failed → Terminated',
  'Restarting → Initializing',
  'Restarting → Terminated',
  'Stopping → Terminated',
]

describe('SU-1 the life of an actor', () => {
  it('has exactly the listed transitions', () => {
    const edges = edgesOf(lifeMachine).map(({ from, to }) => `${from} → ${to}`)
    expect(edges.toSorted()).toEqual(LISTED.toSorted())
  })

  it('refuses every event that a state does not list', () => {
    const events = lifeMachine.events
    const accepted = new Set(edgesOf(lifeMachine).map(({ from, event }) => `${from} ${event}`))
    const modes = new Set([compileMachine(lifeMachine)])
    for (const mode of modes) for (const next of mode.on.values()) modes.add(next)
    expect(modes.size).toBe(6)
    for (const mode of modes) {
      for (const event of events)
        expect(mode.on.has(event)).toBe(accepted.has(`${mode.name} ${event}`))
    }
  })

  it('is the only one actors take, whatever happens to them', async () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 20; seed += 1) {
      const classes = [
        'network',
        'service',
        'cascade',
        'logic',
        'configuration',
        undefined,
      ] as const
      let step = seed
      const chance = (n: number): number => {
        step = (step * 48_271) % 2_147_483_647
        return step % n
      }
      const fail = (): never => {
        const faultClass = classes[chance(classes.length)]
        throw faultClass === undefined ? new Error('bug') : faultError('F', faultClass, 'chance')
      }
      const sketch = {
        init: async () => (chance(4) === 0 ? fail() : { context: [] }),
        handle: (context: readonly unknown[]) => (chance(5) === 0 ? fail() : { context }),
      }
      const world = createWorld(
        [child('a', sketch), child('b', sketch, { dependsOn: ['a'] }), child('c', sketch)],
        { seed, strategy: seed % 2 === 0 ? 'restForOne' : 'oneForOne' },
      )
      const started = world.system.start()
      for (let round = 0; round < 30; round += 1) {
        for (const path of ['a', 'b', 'c']) void world.system.tell(path, note('work', round))
        await world.ports.clock.advance(chance(3_000))
      }
      await Promise.all([world.system.stop(), world.ports.clock.advance(200_000)])
      await started
      for (const line of world.lives) seen.add(line.slice(3))
      expect(world.system.snapshot().map(({ life }) => life)).toEqual(Array(3).fill('Terminated'))
    }
    expect([...seen].filter((edge) => !LISTED.includes(edge))).toEqual([])
    expect([...seen].toSorted()).toEqual(LISTED.toSorted())
  })
})

describe('a mode', () => {
  it('is a table of the machine, nested and final states included', () => {
    const machine = createMachine({
      id: 'm',
      initial: 'Idle',
      states: {
        Idle: { on: { BEGIN: 'Work' } },
        Work: {
          initial: 'One',
          states: { One: { on: { NEXT: 'Two' } }, Two: {} },
          on: { END: 'Done' },
        },
        Done: { type: 'final' },
      },
    })
    expect(edgesOf(machine)).toEqual([
      { from: 'Idle', event: 'BEGIN', to: 'Work.One' },
      { from: 'Work.One', event: 'END', to: 'Done' },
      { from: 'Work.One', event: 'NEXT', to: 'Work.Two' },
      { from: 'Work.Two', event: 'END', to: 'Done' },
    ])
    expect(compileMachine(machine).on.get('BEGIN')?.on.get('END')?.done).toBe(true)
  })

  it.each([
    ['a guard', { on: { GO: { target: 'B', guard: () => true } } }],
    ['a transition with actions', { on: { GO: { target: 'B', actions: () => {} } } }],
    ['entry or exit actions', { entry: () => {} }],
    ['a delay', { after: { 10: 'B' } }],
    ['an invocation', { invoke: { src: 'x' } }],
  ])('cannot hold %s', (what, state) => {
    const machine = createMachine({ id: 'm', initial: 'A', states: { A: state, B: {} } } as never)
    expect(() => compileMachine(machine)).toThrow(what)
  })
})
