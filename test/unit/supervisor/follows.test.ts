import { createMachine } from 'xstate'
import { faultError } from '../../../supervisor/index.ts'
import { child, createWorld, note } from './fixtures.ts'

const machine = createMachine({
  id: 'm',
  initial: 'Idle',
  states: {
    Idle: { on: { BEGIN: 'Busy' } },
    Busy: { on: { BROKE: 'Failed', END: 'Idle' } },
    Failed: { on: { OVER: 'Over' } },
    Over: { type: 'final' },
  },
})

describe('the mode follows the life where the machine has an edge for it (SU-14)', () => {
  async function crashIn(payloads: readonly unknown[]): Promise<string[]> {
    const { system, ports } = createWorld([
      child('a', {
        machine,
        follows: { FAULT: ['NEVER', 'BROKE'], GIVE_UP: ['OVER'] },
        handle: (context, { payload }) => {
          if (Error.isError(payload)) throw payload
          return { context, event: payload as string }
        },
      }),
    ])
    const edges: string[] = []
    system.subscribe((event) => {
      if (event.kind === 'state') edges.push(`${event.from} ${event.event} ${event.to}`)
    })
    const started = system.start()
    await ports.clock.settle()
    await started
    for (const payload of payloads) {
      await system.tell('a', note('work', payload))
      await ports.clock.settle()
    }
    return edges
  }
  const end = faultError('Wrong', 'configuration', 'no way on')

  it('a crash takes the first edge that the mode accepts, the end of the actor the next', async () => {
    expect(await crashIn(['BEGIN', end])).toEqual([
      'Idle BEGIN Busy',
      'Busy BROKE Failed',
      'Failed OVER Over',
    ])
  })

  it('a mode without such an edge stays as it is', async () => {
    expect(await crashIn([end])).toEqual([])
  })
})
