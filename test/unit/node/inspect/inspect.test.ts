/** The supervision tree of a running node, as its API tells it and as people read it. */
import {
  type ActorAnswer,
  actorText,
  type TreeAnswer,
  treeText,
} from '../../../../node/inspect/index.ts'
import { DURATION_BOUNDS_MS } from '../../../../supervisor/index.ts'
import { startApi, type UnderTest } from '../api/api-under-test.ts'
import { actorRow } from '../api/fake-node.ts'

const each = { control: 0, consensus: 0, peg: 0, sync: 0, gossip: 0, api: 0 }
const counts: readonly number[] = DURATION_BOUNDS_MS.map((_, at): number =>
  at === 2 ? 99 : 0,
).concat(1)
const SLOT = { handled: 100, waitedMs: 0, tookMs: 0, waited: counts, took: counts }

let api: UnderTest
beforeEach(async () => {
  api = await startApi()
  api.node.actors[0] = actorRow('chain', {
    life: 'Restarting',
    state: 'Validating',
    depth: { ...each, consensus: 3, gossip: 1_234_567 },
    pressure: 'Critical',
    handled: 12_345_678,
    dropped: { 'chain.SlotTick': 5 },
    drops: [{ messageType: 'chain.SlotTick', reason: 'DropOldest', count: 5 }],
    restarts: 2,
    restartsByClass: { network: 2 },
    degraded: true,
    healthy: false,
    lastFault: {
      code: 'StoreBroken',
      faultClass: 'service',
      reason: 'a path that nobody outside should read',
      atMs: api.clock.nowMs() - 5_000,
    },
    types: { 'chain.SlotTick': SLOT },
  })
  api.node.actors.push(actorRow('bridge/pegin'))
})
afterEach(() => api.close())

const tree = async () => (await api.result('millrace_inspect')) as TreeAnswer
const chain = async () => (await api.result('millrace_inspect', 'chain')) as ActorAnswer

it('tells life, mode, depth by class, pressure, restarts, last fault and age of every actor', async () => {
  const { node, actors } = await tree()
  expect(node).toBe('node-0')
  expect(actors.map(({ path }) => path)).toEqual(api.node.actors.map(({ path }) => path))
  expect(actors[0]).toMatchObject({
    life: 'Restarting',
    mode: 'Validating',
    depth: { consensus: 3 },
    pressure: 'Critical',
    handled: 12_345_678,
    dropped: 5,
    restarts: 2,
    healthy: false,
    lastFault: { code: 'StoreBroken', class: 'service' },
    runningSinceMs: 0,
  })
})

it('shows of a fault its code and class, and nothing that it was told with', async () => {
  const text = JSON.stringify([await tree(), await chain()])
  expect(text).toContain('StoreBroken')
  expect(text).not.toContain('a path that nobody')
})

it.each([80, 120])('is a table within %i columns that says what is wrong', async (width) => {
  const text = treeText(await tree(), width)
  const lines = text.split('\n')
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
  expect(lines[2]).toMatch(/^ACTOR +LIFE +MODE +PRESSURE +HANDLED +RST +AGE +WAITING$/)
  expect(lines[3]).toMatch(/^chain +Restarting +Validating +Critical +12\.3M +2 +\S+ +cons/)
  expect(text).toContain('└ last fault StoreBroken (service) 5s ago')
  expect(text).toContain('└ an actor it needs is away')
  expect(text).toContain('└ 5 dropped')
  expect(text).toMatch(/^ {2}pegin/m)
})

it('shows of one actor how long its messages waited and took, by type', async () => {
  const text = actorText(await chain(), 100)
  expect(text).toMatch(/chain\.SlotTick +100 +≤5ms +≤5ms +≤5ms +≤5ms/)
  expect(text).toContain('2 · network 2')
  expect(text).toContain('5 × chain.SlotTick: DropOldest')
})

it('an actor that there is not is told with those that there are', async () => {
  const { error } = await api.rpc('millrace_inspect', ['nobody'])
  expect(error).toMatchObject({ code: -32001 })
  expect(error?.message).toContain('no actor nobody; there are chain, engine')
})
