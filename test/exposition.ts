/**
 * Prometheus' text format, checked as `promtool check metrics` does: what a scraper would refuse, and what it advises against. An empty
 * list means that all is well.
 */

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABELS = /^(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*$/
const SAMPLE = /^(?<name>[^\s{]+)(?:\{(?<labels>.*)\})? (?<value>\S+)(?: (?<time>\d+))?$/
const TYPES: ReadonlySet<string> = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped'])
const SUFFIXES = /_(?:bucket|sum|count)$/

interface Family {
  readonly name: string
  help: string | undefined
  type: string | undefined
  readonly samples: { name: string; labels: string; value: number }[]
}

export function expositionFaults(text: string): string[] {
  const faults: string[] = []
  if (!text.endsWith('\n')) faults.push('the last line has no end')
  const families = readFamilies(text, faults)
  for (const family of families.values()) faults.push(...familyFaults(family))
  return faults
}

function readFamilies(text: string, faults: string[]): Map<string, Family> {
  const families = new Map<string, Family>()
  let current: Family | undefined
  const familyOf = (name: string): Family => {
    if (current?.name === name) return current
    if (families.has(name)) faults.push(`${name}: its lines are apart`)
    current = { name, help: undefined, type: undefined, samples: [] }
    families.set(name, current)
    return current
  }
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? []
    if (kind !== undefined) {
      const family = familyOf(name)
      if (family.samples.length > 0) faults.push(`${name}: ${kind} after its samples`)
      if (kind === 'HELP') family.help = rest
      else family.type = rest
      continue
    }
    if (line.startsWith('#')) continue
    const { groups } = SAMPLE.exec(line) ?? {}
    if (groups === undefined) {
      faults.push(`no sample: ${line}`)
      continue
    }
    const sample = groups['name'] ?? ''
    const { labels = '', value = '' } = groups
    const base = sample.replace(SUFFIXES, '')
    const isPart = current?.name === base && /histogram|summary/.test(current.type ?? '')
    familyOf(isPart ? base : sample).samples.push({ name: sample, labels, value: toNumber(value) })
    if (!NAME.test(sample)) faults.push(`no name: ${sample}`)
    if (!LABELS.test(labels)) faults.push(`no labels: ${line}`)
    if (Number.isNaN(toNumber(value)) && value.toLowerCase() !== 'nan')
      faults.push(`no value: ${line}`)
  }
  return families
}

function toNumber(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY
  return text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text)
}

function familyFaults({ name, help, type, samples }: Family): string[] {
  const faults: string[] = []
  if (help === undefined || help === '') faults.push(`${name}: no help`)
  if (type === undefined || !TYPES.has(type)) faults.push(`${name}: no type`)
  if (type === 'counter' && !name.endsWith('_total')) faults.push(`${name}: counter, not _total`)
  if (type !== 'counter' && name.endsWith('_total')) faults.push(`${name}: _total, no counter`)
  if (/_(?:ms|milliseconds|minutes|kilobytes|megabytes)(?:_|$)/.test(name)) {
    faults.push(`${name}: not in base units`)
  }
  const seen = new Set<string>()
  for (const sample of samples) {
    const series = `${sample.name}{${sample.labels}}`
    if (seen.has(series)) faults.push(`${series}: twice`)
    seen.add(series)
    if (type === 'counter' && !(sample.value >= 0)) faults.push(`${series}: below 0`)
  }
  return type === 'histogram' ? [...faults, ...histogramFaults(name, samples)] : faults
}

/** Buckets grow up to +Inf, which is the count; each series has its sum. */
function histogramFaults(name: string, samples: Family['samples']): string[] {
  const faults: string[] = []
  const buckets = new Map<string, { le: number; value: number }[]>()
  for (const sample of samples) {
    if (sample.name !== `${name}_bucket`) continue
    const [bound, le = ''] = /le="([^"]+)",?/.exec(sample.labels) ?? ['']
    const rest = sample.labels.replace(bound, '').replace(/,$/, '')
    const row = buckets.get(rest) ?? []
    row.push({ le: toNumber(le), value: sample.value })
    buckets.set(rest, row)
  }
  const one = (suffix: string, labels: string) =>
    samples.find((sample) => sample.name === name + suffix && sample.labels === labels)?.value
  for (const [labels, row] of buckets) {
    const grows = row.every((bucket, at) => {
      const before = row[at - 1]
      return before === undefined || (bucket.le > before.le && bucket.value >= before.value)
    })
    if (!grows) faults.push(`${name}{${labels}}: its buckets do not grow`)
    const last = row.at(-1)
    if (last?.le !== Number.POSITIVE_INFINITY) faults.push(`${name}{${labels}}: no +Inf`)
    if (one('_count', labels) !== last?.value) faults.push(`${name}{${labels}}: count is not +Inf`)
    if (one('_sum', labels) === undefined) faults.push(`${name}{${labels}}: no sum`)
  }
  return faults
}
