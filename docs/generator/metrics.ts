import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import type { ApiPorts } from '../../node/api/index.ts'
import { createCallMetrics, registerNodeMetrics } from '../../node/api/metrics.ts'
import type { Clock } from '../../supervisor/index.ts'
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
const NO_CLOCK = {} as Clock

function registered(): MetricRow[] {
  const registry = new Registry()
  registerNodeMetrics(registry, NO_PORTS, NO_CLOCK)
  createCallMetrics(registry)
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
  const folders = ['actors', 'supervisor']
  const paths = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('testing'))
      .map((name) => `${folder}/${name}`)
      .sort(),
  )
  return paths.flatMap((path) =>
    [...readSource(path).matchAll(USE)].map(({ groups = {} }) => {
      const { how, text, key, labels = '' } = groups
      const plain = text ?? nameInTable(path, key ?? '')
      return {
        name: /^(?:millrace|alys)_/.test(plain) ? plain : `millrace_${plain}`,
        type: how === 'count' ? 'counter' : 'histogram',
        labels: [...labels.matchAll(/(\w+)\s*(?::[^,]*)?(?:,|$)/g)].map((match) => match[1] ?? ''),
        help: `counted in \`${path}\``,
      }
    }),
  )
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
const OF_PROCESS = /^millrace_(?:process|nodejs)_/

/** The gauges of a governance node, as its status server makes them. */
function memberRows(): MetricRow[] {
  const gauge =
    /name: '(?<name>\w+)',\s*help: '(?<help>[^']+)',\s*labelNames: \[(?<labels>[^\]]*)\]/g
  return [...readSource('governance/status.ts').matchAll(gauge)].map(({ groups = {} }) => ({
    name: groups['name'] ?? '',
    type: 'gauge',
    labels: [...(groups['labels'] ?? '').matchAll(/\w+/g)].map(([label]) => label),
    help: groups['help'] ?? '',
  }))
}

export function metricsPage(): string {
  return page(
    'Metrics',
    `What \`/metrics\` of a federation node tells. Names that begin with \`alys_\` mean what they mean in Alys. Gauges are read when they
are scraped. Beside these there are prom-client's default metrics of the process, as \`millrace_process_…\` and \`millrace_nodejs_…\`.`,
    table(HEAD, rowsOf(registered().filter(({ name }) => !OF_PROCESS.test(name)))),
    '## Counted by the rooms',
    'They appear with their first event. A metric holds at most 1,000 combinations of labels; further ones are counted as `further`.',
    table(HEAD, rowsOf(counted())),
    '## Governance node',
    'At its own `/metrics`, when `status` is set; the kernel counts there as above.',
    table(HEAD, rowsOf(memberRows())),
  )
}
