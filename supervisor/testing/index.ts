/**
 * Ports for tests: a clock that moves when told to, randomness and ids from a seed, sinks that remember. With
 * them a system's behaviour is a function of seed and inputs.
 */
import type {
  Clock,
  Ids,
  KernelPorts,
  LogRecord,
  LogSink,
  MetricLabels,
  MetricSink,
  Random,
  TimerHandle,
} from '../ports.ts'

export interface ManualClock extends Clock {
  /** Lets all pending promises and messages come to rest; the time stands still. */
  settle(): Promise<void>
  /** Moves the time, fires what falls due in order, and settles after each. */
  advance(ms: number): Promise<void>
  /** Timers that are set. */
  pending(): number
}

interface Due {
  readonly atMs: number
  readonly order: number
  readonly fire: () => void
}

/** Rounds of the real event loop after which promises are taken to be at rest. */
const SETTLE_ROUNDS = 3

export const createManualClock = (startMs = 1_700_000_000_000): ManualClock => {
  let nowMs = startMs
  let order = 0
  let yields = 0
  const timers = new Set<Due>()
  const round = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < SETTLE_ROUNDS; ) {
      await round()
      quiet = yields > 0 ? 0 : quiet + 1
    }
  }
  const nextDue = (untilMs: number): Due | undefined => {
    let first: Due | undefined
    for (const due of timers) {
      if (due.atMs > untilMs) continue
      const earlier =
        first === undefined ||
        due.atMs < first.atMs ||
        (due.atMs === first.atMs && due.order < first.order)
      if (earlier) first = due
    }
    return first
  }
  return {
    nowMs: () => nowMs,
    setTimer: (delayMs, fire): TimerHandle => {
      order += 1
      const due = { atMs: nowMs + Math.max(0, delayMs), order, fire }
      timers.add(due)
      return { cancel: () => void timers.delete(due) }
    },
    yieldToLoop: (resume) => {
      yields += 1
      setImmediate(() => {
        yields -= 1
        resume()
      })
    },
    settle,
    advance: async (ms) => {
      const untilMs = nowMs + ms
      await settle()
      for (let due = nextDue(untilMs); due !== undefined; due = nextDue(untilMs)) {
        timers.delete(due)
        nowMs = Math.max(nowMs, due.atMs)
        due.fire()
        await settle()
      }
      nowMs = untilMs
      await settle()
    },
    pending: () => timers.size,
  }
}

/** Bytes from a seed (splitmix32); for tests, not for keys. */
export const createSeededRandom = (seed: number): Random => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  return { bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff) }
}

export const createCountingIds = (prefix = 'c'): Ids => {
  let last = 0
  return {
    next: () => {
      last += 1
      return `${prefix}${last}`
    },
  }
}

export interface MemoryLog extends LogSink {
  readonly records: LogRecord[]
}

export const createMemoryLog = (): MemoryLog => {
  const records: LogRecord[] = []
  return { records, write: (record) => void records.push(record) }
}

export interface MemoryMetrics extends MetricSink {
  /** Sum of a counter over all label sets that contain the given labels. */
  total(name: string, labels?: MetricLabels): number
}

export const createMemoryMetrics = (): MemoryMetrics => {
  const counts: { name: string; labels: MetricLabels; by: number }[] = []
  return {
    count: (name, labels, by = 1) => void counts.push({ name, labels, by }),
    observe: () => {},
    total: (name, labels = {}) =>
      counts
        .filter((each) => each.name === name)
        .filter((each) => Object.entries(labels).every(([key, is]) => each.labels[key] === is))
        .reduce((sum, each) => sum + each.by, 0),
  }
}

export interface TestPorts extends KernelPorts {
  readonly clock: ManualClock
  readonly log: MemoryLog
  readonly metrics: MemoryMetrics
}

export const createTestPorts = (seed = 1): TestPorts => ({
  clock: createManualClock(),
  random: createSeededRandom(seed),
  ids: createCountingIds(),
  log: createMemoryLog(),
  metrics: createMemoryMetrics(),
})
