/** A node's supervision tree as it answers `millrace_inspect`, and as people read it. */
import type { ActorStatus, TypeStatus } from '../../supervisor/index.ts'

export interface ActorRow
  extends Pick<
    ActorStatus,
    | 'path'
    | 'life'
    | 'degraded'
    | 'healthy'
    | 'depth'
    | 'capacity'
    | 'pressure'
    | 'handled'
    | 'deadLetters'
    | 'stashed'
    | 'inFlight'
    | 'restarts'
  > {
  readonly mode: string
  /** Of all types. */
  readonly dropped: number
  readonly runningSinceMs?: number
  readonly lastFault?: { readonly code: string; readonly class: string; readonly atMs: number }
}

interface Head {
  readonly node: string
  readonly version: string
  readonly startedAtMs: number
  readonly nowMs: number
}

export interface TreeAnswer extends Head {
  readonly actors: readonly ActorRow[]
}

export interface ActorAnswer extends Head {
  readonly actor: ActorRow & {
    readonly restartsByClass: ActorStatus['restartsByClass']
    readonly drops: ActorStatus['drops']
    readonly boundsMs: readonly number[]
    readonly types: Readonly<Record<string, TypeStatus>>
  }
}

/** From this width on classes are written in full. */
const WIDE = 110
const SHORT: Readonly<Record<string, string>> = {
  control: 'ctl',
  consensus: 'cons',
  peg: 'peg',
  sync: 'sync',
  gossip: 'gos',
  api: 'api',
}

export function treeText(answer: TreeAnswer, width: number): string {
  const { actors, nowMs } = answer
  const isWide = width >= WIDE
  const cells = actors.map((actor) => [
    indented(actor.path),
    actor.life,
    actor.mode,
    actor.pressure,
    count(actor.handled),
    String(actor.restarts),
    age(actor.runningSinceMs, nowMs),
    waiting(actor.depth, isWide),
  ])
  const head = ['ACTOR', 'LIFE', 'MODE', 'PRESSURE', 'HANDLED', 'RST', 'AGE', 'WAITING']
  const rows = table([head, ...cells], new Set([4, 5, 6]))
  const [first = '', ...lines] = rows
  const body = lines.flatMap((line, at) => [line, ...notes(actors[at] as ActorRow, nowMs)])
  return clip([title(answer), '', first, ...body], width)
}

export function actorText(answer: ActorAnswer, width: number): string {
  const { actor, nowMs } = answer
  const isWide = width >= WIDE
  const classes = Object.entries(actor.restartsByClass).map(([name, times]) => `${name} ${times}`)
  const facts = [
    ['life', `${actor.life}, for ${age(actor.runningSinceMs, nowMs)}`],
    ['mode', actor.mode],
    ['pressure', actor.pressure],
    ['waiting', waiting(actor.depth, isWide)],
    ['under way', `${actor.inFlight}, put aside ${actor.stashed}`],
    ['restarts', [String(actor.restarts), ...classes].join(' · ')],
    ['lost', `${actor.dropped} dropped, ${actor.deadLetters} dead letters`],
  ]
  const types = Object.entries(actor.types).sort(([, left], [, right]) => {
    return right.handled - left.handled
  })
  const quantiles = (counts: readonly number[]) =>
    [0.5, 0.99].map((share) => within(counts, share, actor.boundsMs))
  const rows = types.map(([type, { handled, waited, took }]) => [
    type,
    count(handled),
    ...quantiles(waited),
    ...quantiles(took),
  ])
  const head = ['MESSAGE', 'HANDLED', 'WAIT p50', 'p99', 'TOOK p50', 'p99']
  const drops = actor.drops.map(({ messageType, reason, count: times }) => {
    return `  ${times} × ${messageType}: ${reason}`
  })
  return clip(
    [
      `${actor.path} of ${title(answer)}`,
      '',
      ...table(
        facts.map((row) => [`  ${row[0]}`, row[1] ?? '']),
        new Set(),
      ),
      ...notes(actor, nowMs),
      ...(drops.length > 0 ? ['', 'DROPPED', ...drops] : []),
      '',
      ...table([head, ...rows], new Set([1, 2, 3, 4, 5])),
    ],
    width,
  )
}

function title({ node, version, startedAtMs, nowMs }: Head): string {
  return `${node} · millrace ${version} · up ${age(startedAtMs, nowMs)}`
}

/** Children stand below their parent by their own name. */
function indented(path: string): string {
  const parts = path.split('/')
  return '  '.repeat(parts.length - 1) + (parts.at(-1) ?? '')
}

/** What a reader of a row must know besides. */
function notes(actor: ActorRow, nowMs: number): string[] {
  const { lastFault, degraded, healthy, dropped, deadLetters, stashed } = actor
  const lost = [
    ...(dropped > 0 ? [`${count(dropped)} dropped`] : []),
    ...(deadLetters > 0 ? [`${count(deadLetters)} dead letters`] : []),
    ...(stashed > 0 ? [`${stashed} put aside`] : []),
  ]
  return [
    ...(degraded ? ['an actor it needs is away'] : []),
    ...(healthy ? [] : ['does not answer its probes']),
    ...(lastFault === undefined
      ? []
      : [`last fault ${lastFault.code} (${lastFault.class}) ${age(lastFault.atMs, nowMs)} ago`]),
    ...(lost.length > 0 ? [lost.join(', ')] : []),
  ].map((note) => `  └ ${note}`)
}

function waiting(depth: ActorRow['depth'], isWide: boolean): string {
  const parts = Object.entries(depth).flatMap(([name, waits]) => {
    return waits === 0 ? [] : [`${isWide ? name : SHORT[name]} ${count(waits)}`]
  })
  return parts.length === 0 ? '-' : parts.join(' ')
}

/** 1234567 → 1234k, 12345678 → 12.3M. */
function count(value: number): string {
  if (value < 100_000) return String(value)
  return value < 10_000_000
    ? `${Math.floor(value / 1_000)}k`
    : `${(Math.floor(value / 100_000) / 10).toFixed(1)}M`
}

function age(sinceMs: number | undefined, nowMs: number): string {
  if (sinceMs === undefined) return '-'
  const seconds = Math.max(0, Math.floor((nowMs - sinceMs) / 1_000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`
}

/** The bound that this share of the messages stayed within. */
function within(counts: readonly number[], share: number, boundsMs: readonly number[]): string {
  const all = counts.reduce((sum, value) => sum + value, 0)
  let below = 0
  for (const [at, value] of counts.entries()) {
    below += value
    if (below < all * share) continue
    const bound = boundsMs[at]
    return bound === undefined ? `>${span(boundsMs.at(-1) ?? 0)}` : `≤${span(bound)}`
  }
  return '-'
}

function span(ms: number): string {
  return ms < 1_000 ? `${ms}ms` : `${ms / 1_000}s`
}

/** Columns as wide as what is in them. */
function table(rows: readonly (readonly string[])[], numeric: ReadonlySet<number>): string[] {
  const columns = rows[0]?.length ?? 0
  const widths = Array.from({ length: columns }, (_, at) =>
    Math.max(0, ...rows.map((row) => (row[at] ?? '').length)),
  )
  return rows.map((row) =>
    row
      .map((cell, at) => {
        const width = widths[at] ?? 0
        return numeric.has(at) ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}

/** A line that is too long would break the table. */
function clip(lines: readonly string[], width: number): string {
  return lines
    .map((line) => (line.length > width ? `${line.slice(0, Math.max(1, width - 1))}…` : line))
    .join('\n')
}
