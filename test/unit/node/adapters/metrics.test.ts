/** What /metrics says of actors, in the form that Prometheus reads. */
import { Counter, Registry } from 'prom-client'
import {
  createMetricSink,
  createRegistry,
  registerActorMetrics,
} from '../../../../node/adapters/system/index.ts'
import { DURATION_BOUNDS_MS } from '../../../../supervisor/index.ts'
import { expositionFaults } from '../../../exposition.ts'
import { actorRow } from '../api/fake-node.ts'

/** Two messages within 1 ms and one above every bound. */
const counts: readonly number[] = DURATION_BOUNDS_MS.map((_, at): number =>
  at === 0 ? 2 : 0,
).concat(1)
const SLOT = { handled: 3, waitedMs: 90_001, tookMs: 4, waited: counts, took: counts }

function scrape(rows = [actorRow('chain', { types: { 'chain.SlotTick': SLOT } })]) {
  const registry = new Registry()
  registerActorMetrics(registry, () => rows)
  return registry.metrics()
}

it('waiting and handling time per actor and message type are cumulative histograms', async () => {
  const text = await scrape()
  const of = 'actor="chain",message="chain.SlotTick"'
  for (const line of [
    `millrace_message_waiting_seconds_bucket{le="0.001",${of}} 2`,
    `millrace_message_waiting_seconds_bucket{le="30",${of}} 2`,
    `millrace_message_waiting_seconds_bucket{le="+Inf",${of}} 3`,
    `millrace_message_waiting_seconds_sum{${of}} 90.001`,
    `millrace_message_handling_seconds_count{${of}} 3`,
    `millrace_actor_handled_total{${of}} 3`,
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  expect(expositionFaults(text)).toEqual([])
})

it('life, mode, pressure and depth are told for every actor; children count under their parent', async () => {
  const text = await scrape([
    actorRow('bridge', {
      life: 'Restarting',
      state: 'Scanning',
      pressure: 'Critical',
      types: { 'x.Y': SLOT },
    }),
    actorRow('bridge/pegin', { types: { 'x.Y': SLOT } }),
  ])
  for (const line of [
    'millrace_actor_life{actor="bridge",life="Restarting"} 1',
    'millrace_actor_life{actor="bridge",life="Running"} 0',
    'millrace_actor_mode{actor="bridge",mode="Scanning"} 1',
    'millrace_actor_up{actor="bridge"} 0',
    'millrace_mailbox_pressure{actor="bridge"} 2',
    'millrace_actor_handled_total{actor="bridge",message="x.Y"} 6',
    'millrace_message_waiting_seconds_count{actor="bridge",message="x.Y"} 6',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  expect(text).not.toContain('bridge/pegin')
})

it('SU-15: every outcome of a recovery has its series from the start', async () => {
  const registry = new Registry()
  const sink = createMetricSink(registry)
  sink.count('recovery_actions_total', { kind: 'retry', result: 'ok' })
  const lines = (await registry.metrics()).split('\n')
  expect(lines).toContain('millrace_recovery_actions_total{kind="retry",result="ok"} 1')
  expect(lines).toContain('millrace_recovery_actions_total{kind="alert",result="raised"} 0')
  expect(lines.filter((line) => line.startsWith('millrace_recovery_actions_total{'))).toHaveLength(
    9,
  )
})

it('what rooms count and observe is well formed, whatever its name', async () => {
  const registry = createRegistry()
  const sink = createMetricSink(registry)
  sink.count('alys_chain_btc_block_monitor_totals', {}, 3)
  sink.count('actor_faults_total', { actor: 'a "quoted" \\ one\n', class: 'network' })
  sink.observe('commit_seconds', {}, 0.2)
  const text = await registry.metrics()
  expect(expositionFaults(text)).toEqual([])
  expect(text).toContain('alys_chain_btc_block_monitor_totals 3')
})

describe('the check itself finds', () => {
  const good = '# HELP a_total x\n# TYPE a_total counter\na_total 1\n'
  it('nothing in a good text', () => expect(expositionFaults(good)).toEqual([]))
  it.each([
    ['a counter that is not named so', '# HELP a x\n# TYPE a counter\na 1\n'],
    ['a gauge named as a counter', '# HELP a_total x\n# TYPE a_total gauge\na_total 1\n'],
    ['a metric without help', '# TYPE a gauge\na 1\n'],
    ['a metric without type', '# HELP a x\na 1\n'],
    ['a series told twice', `${good}a_total 1\n`],
    ['lines that are apart', `${good}# HELP b x\n# TYPE b gauge\nb 1\na_total{x="1"} 1\n`],
    ['a label that is not escaped', '# HELP a x\n# TYPE a gauge\na{b="c"d"} 1\n'],
    ['a value that is none', '# HELP a x\n# TYPE a gauge\na one\n'],
    [
      'buckets that shrink',
      '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
    ],
    [
      'a histogram without +Inf',
      '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_sum 1\nh_count 2\n',
    ],
    ['a text that is cut', '# HELP a x\n# TYPE a gauge\na 1'],
  ])('%s', (_, text) => expect(expositionFaults(text)).not.toEqual([]))

  it('what prom-client writes of a counter by default', async () => {
    const registry = new Registry()
    new Counter({ name: 'calls', help: 'calls', registers: [registry] })
    expect(expositionFaults(await registry.metrics())).toEqual(['calls: counter, not _total'])
  })
})
