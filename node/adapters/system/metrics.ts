import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { MetricLabels, MetricSink } from '../../../supervisor/index.ts'

/** Label combinations that one metric may have; further ones are counted together. */
const MAX_SERIES = 1_000
const FURTHER = 'further'

const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60]

const RECOVERY_OUTCOMES = [
  ...['retry', 'rollback', 'resync', 'failover'].flatMap((kind) =>
    ['ok', 'failed'].map((result) => ({ kind, result })),
  ),
  { kind: 'alert', result: 'raised' },
]

/** A metric, its labels as the first use gave them, and the combinations seen. */
interface Series<Metric> {
  readonly metric: Metric
  readonly labelNames: readonly string[]
  readonly seen: Set<string>
}

/** The kernel's metrics in a prom-client registry; each is created when it is first used. */
export function createMetricSink(registry: Registry): MetricSink {
  const counters = new Map<string, Series<Counter | Gauge>>()
  const histograms = new Map<string, Series<Histogram>>()
  const sink: MetricSink = {
    count: (name, labels, by = 1) => {
      const series = seriesOf(counters, name, labels, (labelNames) => {
        const options = { ...describe(name), labelNames, registers: [registry] }
        // A counter is named so; what Alys named otherwise is told as a gauge, which Prometheus takes.
        return name.endsWith('_total') ? new Counter(options) : new Gauge(options)
      })
      series.metric.inc(boundLabels(series, labels), by)
    },
    observe: (name, labels, value) => {
      const series = seriesOf(histograms, name, labels, (labelNames) => {
        const buckets = BUCKETS
        return new Histogram({ ...describe(name), labelNames, buckets, registers: [registry] })
      })
      series.metric.observe(boundLabels(series, labels), value)
    },
  }
  // There from the start, so that the first alert is an increase and not a new series.
  for (const labels of RECOVERY_OUTCOMES) sink.count('recovery_actions_total', labels, 0)
  return sink
}

function describe(name: string): { readonly name: string; readonly help: string } {
  const plain = name.replaceAll(/[^a-zA-Z0-9_]/g, '_')
  return {
    // Rooms name theirs in full, the kernel knows no prefix.
    name: /^(millrace|alys)_/.test(plain) ? plain : `millrace_${plain}`,
    help: name.replaceAll('_', ' '),
  }
}

function seriesOf<Metric>(
  all: Map<string, Series<Metric>>,
  name: string,
  labels: MetricLabels,
  create: (labelNames: string[]) => Metric,
): Series<Metric> {
  let series = all.get(name)
  if (series === undefined) {
    const labelNames = Object.keys(labels)
    series = { metric: create([...labelNames]), labelNames, seen: new Set() }
    all.set(name, series)
  }
  return series
}

function boundLabels<Metric>(series: Series<Metric>, labels: MetricLabels): Record<string, string> {
  const values = series.labelNames.map((label) => labels[label] ?? '')
  const key = values.join('\0')
  const known = series.seen.has(key) || series.seen.size < MAX_SERIES
  if (known) series.seen.add(key)
  return Object.fromEntries(
    series.labelNames.map((label, at) => [label, known ? (values[at] as string) : FURTHER]),
  )
}
