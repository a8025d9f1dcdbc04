/** A federation as seen from outside: /metrics of every process, the supervision tree, and a peg-in as one trace. */
import { spawnSync } from 'node:child_process'
import { until } from '../../devnet/launcher/rpc.ts'
import { expositionFaults } from '../exposition.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../otlp-receiver.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { runProgram } from './program.ts'
import { Account, minted, payDeposit } from './user.ts'

const PATIENCE = 300_000
const VARIABLES = {
  MILLRACE_TELEMETRY_OTLP_ENDPOINT: '',
  MILLRACE_TELEMETRY_SAMPLE_RATIO: '1',
}

let receiver: OtlpReceiver
let federation: TestFederation
beforeAll(async () => {
  receiver = await startOtlpReceiver()
  Object.assign(process.env, VARIABLES, { MILLRACE_TELEMETRY_OTLP_ENDPOINT: receiver.endpoint })
  federation = await TestFederation.start({ nodes: 1, members: 1 })
}, PATIENCE)
afterAll(async () => {
  for (const name of Object.keys(VARIABLES)) delete process.env[name]
  await federation?.stop()
  await receiver?.close()
}, PATIENCE)

async function everyMetrics(): Promise<[string, string][]> {
  const urls = {
    node: federation.urls[0] as string,
    member: federation.memberUrls[0] as string,
    bitcoin: new URL(federation.bitcoinUrl).origin,
  }
  return Promise.all(
    Object.entries(urls).map(async ([name, url]) => {
      const response = await fetch(`${url}/metrics`)
      expect([name, response.status]).toEqual([name, 200])
      return [name, await response.text()] as [string, string]
    }),
  )
}

it('/metrics of node, member and Bitcoin is well formed', async () => {
  for (const [name, text] of await everyMetrics()) {
    expect([name, expositionFaults(text)]).toEqual([name, []])
    expect(text).toContain('millrace_process_cpu_seconds_total')
    if (name !== 'bitcoin') expect(text).toContain('millrace_message_handling_seconds_bucket{')
  }
})

if (spawnSync('promtool', ['--version'], { stdio: 'ignore' }).error === undefined) {
  it('promtool accepts it', async () => {
    for (const [name, input] of await everyMetrics()) {
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
        input,
        encoding: 'utf8',
      })
      expect([name, status, stdout + stderr]).toEqual([name, 0, ''])
    }
  })
} else {
  it.skip('promtool accepts it: there is no promtool on PATH', () => {})
}

it('inspect shows the seven actors as they run', async () => {
  const url = federation.urls[0] as string
  const run = await runProgram('inspect', 'tree', '--json', '--url', url)
  expect(run.code).toBe(0)
  const { actors } = run.json() as { actors: { path: string; life: string }[] }
  expect(actors.map(({ path, life }) => `${path} ${life}`).sort()).toEqual(
    ['bridge', 'chain', 'engine', 'network', 'storage', 'stream', 'sync'].map(
      (name) => `${name} Running`,
    ),
  )
  const one = await runProgram('inspect', 'actor', 'chain', '--url', url)
  expect(one.stdout).toMatch(/chain\.SlotTick +\d+ +≤/)
})

it(
  'a peg-in is one trace through node and member, every span below one that there is',
  async () => {
    const address = Account.random(262_144).address
    await minted(federation.rpc, await payDeposit(federation, address, 3_000_000n))
    const trace = await until('the trace of the peg-in', PATIENCE_MS, async () => pegInTrace())
    const names = new Set(trace.map(({ name }) => name))
    for (const name of [
      'bridge.BitcoinTransactionDetected',
      'stream.GovernanceApprovalRequest',
      'bridge.GovernanceApproval',
      'bridge.PegInOperation',
    ]) {
      expect([...names]).toContain(name)
    }
    const ids = new Set(trace.map(({ spanId }) => spanId))
    expect(ids.size).toBe(trace.length)
    const orphans = trace.filter(({ parentSpanId }) => {
      return parentSpanId !== undefined && parentSpanId !== '' && !ids.has(parentSpanId)
    })
    expect(orphans.map(({ name }) => name)).toEqual([])
    const approval = trace.find(({ name }) => name === 'stream.GovernanceApprovalRequest')
    const asked = trace.find(({ spanId }) => spanId === approval?.parentSpanId)
    expect(asked?.name).toMatch(/^bridge\./)
  },
  PATIENCE,
)

/** The spans of the flow that the deposit was seen in, once both processes have told of it. */
function pegInTrace(): readonly ReceivedSpan[] | undefined {
  const seen = receiver.spans.find(({ name }) => name === 'bridge.BitcoinTransactionDetected')
  const trace = receiver.spans.filter(({ traceId }) => traceId === seen?.traceId)
  const isWhole =
    trace.some(({ name }) => name === 'bridge.GovernanceApproval') &&
    trace.some(({ name }) => name === 'bridge.PegInOperation') &&
    trace.some(({ service }) => service === 'millrace-governance')
  return isWhole ? trace : undefined
}
