/** SU-1 on the real thing: every pair of states, and every short story that can happen to an actor. */

import type { Cell } from '../../../supervisor/cell.ts'
import { Group } from '../../../supervisor/group.ts'
import { faultError, lifeMachine } from '../../../supervisor/index.ts'
import { Kernel } from '../../../supervisor/kernel.ts'
import type { Life, LifeEvent } from '../../../supervisor/life.ts'
import { DEFAULT_LIMITS } from '../../../supervisor/limits.ts'
import { createRegistry } from '../../../supervisor/registry.ts'
import { createTestPorts } from '../../../supervisor/testing/index.ts'
import { child, createWorld, note, rows } from './fixtures.ts'

const STATES: readonly Life[] = [
  'Initializing',
  'Running',
  'Failed',
  'Restarting',
  'Stopping',
  'Terminated',
]

/** The requirement, word for word. */
const NEXT: Readonly<Record<Life, readonly Life[]>> = {
  Initializing: ['Running', 'Failed'],
  Running: ['Failed', 'Stopping'],
  Failed: ['Restarting', 'Terminated'],
  Restarting: ['Initializing', 'Terminated'],
  Stopping: ['Terminated'],
  Terminated: [],
}

/** How a cell is brought to each state. */
const WAY: Readonly<Record<Life, readonly LifeEvent[]>> = {
  Initializing: [],
  Running: ['INITIALIZED'],
  Failed: ['FAULT'],
  Restarting: ['FAULT', 'RESTART'],
  Stopping: ['INITIALIZED', 'SHUTDOWN'],
  Terminated: ['FAULT', 'GIVE_UP'],
}

const cellIn = (state: Life): Cell => {
  const kernel = new Kernel(createTestPorts(1), createRegistry(rows), DEFAULT_LIMITS)
  const group = new Group(kernel, undefined, {})
  group.declare([child('a')])
  const cell = group.members[0] as Cell
  for (const event of WAY[state]) cell.advanceLife(event)
  expect(cell.life).toBe(state)
  return cell
}

describe('SU-1 on the real cell', () => {
  it.each(STATES.flatMap((from) => STATES.map((to) => [from, to] as const)))(
    '%s → %s exactly if it is listed',
    (from, to) => {
      const events = lifeMachine.events as readonly LifeEvent[]
      const reached = events.filter((event) => {
        const cell = cellIn(from)
        try {
          cell.advanceLife(event)
        } catch {
          expect(cell.life).toBe(from)
          return false
        }
        return cell.life === to
      })
      expect(reached.length > 0).toBe(NEXT[from].includes(to))
    },
  )
})

/** What can happen to an actor from outside. */
const HAPPENINGS = ['network', 'service', 'logic', 'initFails', 'time', 'stop'] as const
type Happening = (typeof HAPPENINGS)[number]

const stories = (length: number): readonly (readonly Happening[])[] =>
  length === 0
    ? [[]]
    : stories(length - 1).flatMap((story) => HAPPENINGS.map((each) => [...story, each]))

const tellStory = async (story: readonly Happening[], seen: Set<string>): Promise<void> => {
  let initFails = false
  const { system, ports, lives } = createWorld(
    [
      child('a', {
        init: async () => {
          if (initFails) throw faultError('I', 'service', 'init')
          return { context: [] }
        },
        handle: (_context, { payload }) => {
          throw payload
        },
      }),
    ],
    { limits: { poisonAfter: 1 } },
  )
  const started = system.start()
  for (const happening of story) {
    if (happening === 'initFails') initFails = !initFails
    else if (happening === 'stop') void system.stop()
    else if (happening === 'time') await ports.clock.advance(150)
    else void system.tell('a', note('work', faultError('F', happening, 'story')))
    await Promise.resolve()
  }
  await ports.clock.settle()
  void system.stop()
  await ports.clock.advance(1_001)
  await system.stop()
  await started
  let at: string = 'Initializing'
  for (const line of lives) {
    const [from = '', to = ''] = line.slice(3).split(' → ')
    expect(from).toBe(at)
    expect(NEXT[from as Life]).toContain(to)
    seen.add(`${from} → ${to}`)
    at = to
  }
  expect(at).toBe('Terminated')
}

it('SU-1 every story of four happenings walks listed edges only, without a gap, to Terminated; together they walk all', async () => {
  const seen = new Set<string>()
  for (const story of stories(4)) await tellStory(story, seen)
  const listed = STATES.flatMap((from) => NEXT[from].map((to) => `${from} → ${to}`))
  expect([...seen].toSorted()).toEqual(listed.toSorted())
}, 60_000)
