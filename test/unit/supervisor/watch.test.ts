import {
  childSpec,
  type Fact,
  faultError,
  spawn,
  stopChild,
  unwatch,
  watch,
} from '../../../supervisor/index.ts'
import { actorOf, child, createWorld, note, remembering, type Sketch } from './fixtures.ts'

const lost = faultError('Lost', 'network', 'lost')

/** Watches and unwatches as it is told, and notes what it hears. */
const watcher = (heard: string[]): Sketch => ({
  notice: (fact: Fact) =>
    fact.kind === 'watched' ? note('fact', `${fact.path} ${fact.life}`) : undefined,
  handle: (context, { type, payload }) => {
    if (type === 'fact') heard.push(String(payload))
    if (Error.isError(payload)) throw payload
    if (type === 'work') return { context, effects: [watch(String(payload))] }
    if (type === 'call') return { context, effects: [unwatch(String(payload))] }
    return { context }
  },
})

describe('watch', () => {
  it('of a path where nobody is, or nobody any more, is answered at once, and once', async () => {
    const heard: string[] = []
    const { system, ports } = createWorld([
      child('gone', remembering([]), { restart: 'temporary' }),
      child('w', watcher(heard)),
    ])
    await system.start()
    await system.tell('gone', note('work', lost))
    await ports.clock.settle()
    await system.tell('w', note('work', 'never'))
    await system.tell('w', note('work', 'gone'))
    await ports.clock.advance(1_000)
    expect(heard).toEqual(['never Terminated', 'gone Terminated'])
  })

  it('hears of each change exactly once, however often it was asked for', async () => {
    const heard: string[] = []
    const { system, ports } = createWorld([
      child('a', remembering([]), { restart: 'temporary' }),
      child('w', watcher(heard)),
    ])
    await system.start()
    for (let n = 0; n < 3; n += 1) await system.tell('w', note('work', 'a'))
    await ports.clock.settle()
    await system.tell('a', note('work', lost))
    await ports.clock.settle()
    expect(heard).toEqual(['a Failed', 'a Terminated'])
  })

  it('ends with the life that it was for: another actor at the same path is another one', async () => {
    const heard: string[] = []
    const parent: Sketch = {
      handle: (context, { payload }) => ({
        context,
        effects: [payload === 'go' ? spawn(childSpec(actorOf('kid'), null)) : stopChild('kid')],
      }),
    }
    const { system, ports } = createWorld([child('p', parent), child('w', watcher(heard))])
    await system.start()
    const tell = async (path: string, type: string, payload: unknown) => {
      await system.tell(path, note(type, payload))
      await ports.clock.settle()
    }
    await tell('p', 'work', 'go')
    await tell('w', 'work', 'p/kid')
    await tell('p', 'work', 'end')
    await tell('p', 'work', 'go')
    await tell('p', 'work', 'end')
    expect(heard).toEqual(['p/kid Stopping', 'p/kid Terminated'])
  })

  it('can be ended, and dies with the incarnation that asked for it', async () => {
    const heard: string[] = []
    const { system, ports } = createWorld(
      [child('a', remembering([])), child('b', remembering([])), child('w', watcher(heard))],
      { limits: { poisonAfter: 1 } },
    )
    await system.start()
    await system.tell('w', note('work', 'a'))
    await system.tell('w', note('work', 'b'))
    await system.tell('w', note('call', 'a'))
    await ports.clock.settle()
    await system.tell('a', note('work', lost))
    await ports.clock.settle()
    expect(heard).toEqual([])
    await system.tell('w', note('rumour', lost))
    await ports.clock.settle()
    await system.tell('b', note('work', lost))
    await ports.clock.settle()
    expect(heard).toEqual([])
  })
})
