import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { registerRegtestMetrics } from '../../devnet/bitcoin/metrics.ts'
import type { RpcContext } from '../../devnet/bitcoin/rpc-method.ts'
import { registerActorMetrics } from '../../node/adapters/system/index.ts'
import type { ApiPorts } from '../../node/api/index.ts'
import { createCallMetrics, registerNodeMetrics } from '../../node/api/metrics.ts'
import { DURATION_BOUNDS_MS } from '../../supervisor/index.ts'
import { code, page, table } from './markdown.ts'
import { ROOT, readSource } from './source.ts'

interface MetricRow {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
}

/** Registration reads nothing: what the ports hold is asked for at the first scrape only. */
const NO_PORTS = new Proxy({}, { get: () => ({}) }) as ApiPorts

function registered(register: (registry: Registry) => void): MetricRow[] {
  const registry = new Registry()
  register(registry)
  return registry.getMetricsAsArray().map((metric) => {
    const {
      name,
      help,
      type,
      labelNames = [],
    } = metric as unknown as {
      name: string
      help: string
      type: string | undefined
      labelNames?: readonly string[]
    }
    return { name, help, type: type ?? metric.constructor.name.toLowerCase(), labels: labelNames }
  })
}

const USE =
  /\.(?<how>count|observe)\(\s*(?:'(?<text>\w+)'|(?<table>[A-Z_]+)\.(?<key>\w+)),\s*\{(?<labels>[^}]*)\}/g

/** What rooms count through the kernel's sink: the metric exists from its first use on. */
function counted(): MetricRow[] {
  const folders = [
    'actors',
    'governance',
    'supervisor',
    'node/adapters/checkpoints',
    'node/adapters/telemetry',
  ]
  const paths = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('testing'))
      .map((name) => `${folder}/${name}`)
      .sort(),
  )
  const rows = paths.flatMap((path) =>
    [...readSource(path).matchAll(USE)].map(({ groups = {} }) => {
      const { how, text, key, labels = '' } = groups
      const plain = text ?? nameInTable(path, key ?? '')
      const total = plain.endsWith('_total') ? 'counter' : 'gauge'
      return {
        name: /^(?:millrace|alys)_/.test(plain) ? plain : `millrace_${plain}`,
        type: how === 'count' ? total : 'histogram',
        labels: [...labels.matchAll(/(\w+)\s*(?::[^,]*)?(?:,|$)/g)].map((match) => match[1] ?? ''),
        help: `counted in \`${path}\``,
      }
    }),
  )
  return [...new Map(rows.map((row) => [row.name, row])).values()]
}

/** The name behind `ROOM_METRICS.key`, from the room's own table. */
function nameInTable(path: string, key: string): string {
  const tablePath = path.replace(/[^/]+$/, 'metrics.ts')
  const match = new RegExp(`^\\s*${key}: '(\\w+)'`, 'm').exec(readSource(tablePath))
  if (match?.[1] === undefined) throw new Error(`${tablePath} has no metric ${key}`)
  return match[1]
}

function rowsOf(metrics: readonly MetricRow[]): string[][] {
  return metrics.map(({ name, type, labels, help }) => [
    code(name),
    type,
    labels.map(code).join(', '),
    help,
  ])
}

const HEAD = ['name', 'type', 'labels', 'meaning']
function ofNode(registry: Registry): void {
  registerNodeMetrics(registry, NO_PORTS)
  createCallMetrics(registry)
}

function ofActors(registry: Registry): void {
  registerActorMetrics(registry, () => [])
}

export function metricsPage(): string {
  const actors = registered(ofActors)
  const names = new Set(actors.map(({ name }) => name))
  const node = registered(ofNode).filter(({ name }) => !names.has(name))
  const regtest = registered((registry) =>
    registerRegtestMetrics(registry, { startedAtSeconds: 0 } as RpcContext),
  )
  const bounds = DURATION_BOUNDS_MS.map((ms) => ms / 1_000).join(', ')
  return page(
    'Metrics',
    `What \`/metrics\` tells, of every process: a federation node at \`rpc.port\`, a governance node and a signer at \`status.port\` when it is set, the
development Bitcoin at its own port, for this machine only. Names that begin with \`alys_\` mean what they mean in Alys. Gauges are read
when they are scraped. Beside these there are prom-client's default metrics of each process, as \`millrace_process_…\` and
\`millrace_nodejs_…\`. \`promtool check metrics\` accepts all of it.`,
    '## Federation node',
    table(HEAD, rowsOf(node)),
    '## Actors',
    `Of federation nodes and governance nodes. Labels are names of actors and message types, so that the [list of messages](../../MESSAGES.md)
bounds how many series there are; what children of an actor handle counts under it. Histograms have the bounds ${bounds} seconds.`,
    table(HEAD, rowsOf(actors)),
    '## Counted by rooms and kernel',
    `They appear with their first event, but for the outcomes of recovery (SU-15), which are there from the start. A metric holds at most
1,000 combinations of labels; further ones are counted as \`further\`.`,
    table(HEAD, rowsOf(counted())),
    '## Development Bitcoin',
    table(HEAD, rowsOf(regtest)),
  )
}
