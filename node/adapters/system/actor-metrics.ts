/**
 * Actors as /metrics tells them, read from the kernel's snapshot when it is scraped. Labels are names of actors and message types, so
 * that the registry of messages bounds how many series there are; children count under the first part of their path.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type ActorStatus, DURATION_BOUNDS_MS, type TypeStatus } from '../../../supervisor/index.ts'

/** Gauges of prom-client that are named as if they were counters; what they say by kind is there without them. */
const MISNAMED = ['active_handles_total', 'active_requests_total', 'active_resources_total']

/** A registry with the figures of this process. */
export function createRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'millrace_' })
  for (const name of MISNAMED) registry.removeSingleMetric(`millrace_nodejs_${name}`)
  return registry
}

const LIVES: readonly ActorStatus['life'][] = [
  'Initializing',
  'Running',
  'Failed',
  'Restarting',
  'Stopping',
  'Terminated',
]
const PRESSURES: readonly ActorStatus['pressure'][] = ['Normal', 'Warning', 'Critical', 'Blocked']

type Row = readonly [labels: Record<string, string>, value: number]

export function registerActorMetrics(registry: Registry, read: () => readonly ActorStatus[]): void {
  const gauge = (
    name: string,
    help: string,
    labelNames: string[],
    rows: (actor: ActorStatus) => Iterable<Row>,
  ) => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        for (const actor of top(read())) {
          for (const [labels, value] of rows(actor)) this.set(labels, value)
        }
      },
    })
  }
  const counter = (
    name: string,
    help: string,
    labelNames: string[],
    rows: (actor: ActorStatus) => Iterable<Row>,
  ) => {
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        for (const actor of read()) {
          for (const [labels, value] of rows(actor)) this.inc(labels, value)
        }
      },
    })
  }
  gauge('millrace_actor_up', 'Running: 1', ['actor'], ({ path, life }) => [
    [{ actor: path }, life === 'Running' ? 1 : 0],
  ])
  gauge(
    'millrace_actor_life',
    'Place in its life cycle: 1',
    ['actor', 'life'],
    ({ path, life: now }) =>
      LIVES.map((life) => [{ actor: path, life }, life === now ? 1 : 0] as const),
  )
  gauge('millrace_actor_mode', 'State of its machine: 1', ['actor', 'mode'], ({ path, state }) => [
    [{ actor: path, mode: state }, 1],
  ])
  gauge('millrace_actor_healthy', 'Health probes pass: 1', ['actor'], ({ path, healthy }) => [
    [{ actor: path }, healthy ? 1 : 0],
  ])
  gauge('millrace_actor_degraded', 'An actor it needs is away: 1', ['actor'], (actor) => [
    [{ actor: actor.path }, actor.degraded ? 1 : 0],
  ])
  gauge('millrace_actor_in_flight', 'Effects and asks under way', ['actor'], (actor) => [
    [{ actor: actor.path }, actor.inFlight],
  ])
  gauge('millrace_actor_stashed', 'Messages it put aside', ['actor'], ({ path, stashed }) => [
    [{ actor: path }, stashed],
  ])
  gauge('millrace_mailbox_depth', 'Messages that wait', ['actor', 'priority'], (actor) =>
    byPriority(actor, actor.depth),
  )
  gauge('millrace_mailbox_capacity', 'Messages that may wait', ['actor', 'priority'], (actor) =>
    byPriority(actor, actor.capacity),
  )
  gauge(
    'millrace_mailbox_pressure',
    `Level of the fullest class: ${PRESSURES.map((level, at) => `${at} ${level}`).join(', ')}`,
    ['actor'],
    ({ path, pressure }) => [[{ actor: path }, PRESSURES.indexOf(pressure)]],
  )
  counter('millrace_mailbox_dropped_total', 'Dropped or refused', ['actor', 'message'], (actor) =>
    Object.entries(actor.dropped).map(([message, count]) => [
      { actor: topOf(actor.path), message },
      count,
    ]),
  )
  counter('millrace_actor_handled_total', 'Messages handled', ['actor', 'message'], (actor) =>
    Object.entries(actor.types).map(([message, { handled }]) => [
      { actor: topOf(actor.path), message },
      handled,
    ]),
  )
  durations(
    registry,
    'millrace_message_waiting_seconds',
    'Time in the mailbox before it was handled',
    read,
    ({ waited, waitedMs }) => ({ counts: waited, sumMs: waitedMs }),
  )
  durations(
    registry,
    'millrace_message_handling_seconds',
    'Time that the handler took; effects are not in it',
    read,
    ({ took, tookMs }) => ({ counts: took, sumMs: tookMs }),
  )
}

function topOf(path: string): string {
  return path.split('/', 1)[0] as string
}

function top(actors: readonly ActorStatus[]): readonly ActorStatus[] {
  return actors.filter(({ path }) => !path.includes('/'))
}

function byPriority(
  { path }: ActorStatus,
  numbers: ActorStatus['depth'],
): readonly (readonly [Record<string, string>, number])[] {
  return Object.entries(numbers).map(([priority, value]) => [{ actor: path, priority }, value])
}

interface Durations {
  /** By class, not cumulative. */
  readonly counts: readonly number[]
  readonly sumMs: number
}

/** A histogram that the kernel counts; prom-client has no way to set one, so that its answer is made here. */
function durations(
  registry: Registry,
  name: string,
  help: string,
  read: () => readonly ActorStatus[],
  pick: (status: TypeStatus) => Durations,
): void {
  const buckets = DURATION_BOUNDS_MS.map((ms) => ms / 1_000)
  const labelNames = ['actor', 'message']
  const histogram = new Histogram({ name, help, labelNames, buckets, registers: [registry] })
  const answer = async () => ({
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    values: sumByType(read(), pick).flatMap(([labels, sum]) => samples(name, labels, sum)),
  })
  Object.assign(histogram, { get: answer, getForPromString: answer })
}

function sumByType(
  actors: readonly ActorStatus[],
  pick: (status: TypeStatus) => Durations,
): [Record<string, string>, Durations][] {
  const sums = new Map<string, [Record<string, string>, { counts: number[]; sumMs: number }]>()
  for (const { path, types } of actors) {
    const actor = topOf(path)
    for (const [message, status] of Object.entries(types)) {
      const key = `${actor} ${message}`
      const { counts, sumMs } = pick(status)
      const [, sum] = sums.get(key) ?? [{}, { counts: counts.map(() => 0), sumMs: 0 }]
      for (const [at, count] of counts.entries()) sum.counts[at] = (sum.counts[at] ?? 0) + count
      sum.sumMs += sumMs
      sums.set(key, [{ actor, message }, sum])
    }
  }
  return [...sums.values()]
}

function samples(name: string, labels: Record<string, string>, { counts, sumMs }: Durations) {
  let below = 0
  const buckets = counts.map((count, at) => {
    below += count
    const bound = DURATION_BOUNDS_MS[at]
    const le = bound === undefined ? '+Inf' : String(bound / 1_000)
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sumMs / 1_000 },
    { metricName: `${name}_count`, labels, value: below },
  ]
}
