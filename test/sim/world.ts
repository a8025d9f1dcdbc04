/**
 * One world: a virtual clock, one heap of events, chance from a seed, and a log that is a function of the seed. An event is
 * fired, all promises come to rest, then the next is taken: nothing but the heap moves a world.
 */
import { createHash } from 'node:crypto'
import type { TimerHandle } from '../../supervisor/index.ts'
import { Chance } from './chance.ts'
import type { FaultKind, Invariant } from './coverage.ts'

/** Virtual milliseconds since 1970 at which every world begins. */
export const START_MS = 1_800_000_000_000

/** Events at one instant after which the world is taken to run in a circle. */
const MAX_EVENTS_AT_ONCE = 200_000

interface Due {
  readonly atMs: number
  readonly order: number
  readonly label: string
  fire: (() => void) | undefined
}

export interface Violation {
  readonly invariant: Invariant
  readonly detail: string
  readonly event: number
  readonly atMs: number
}

export interface WorldOptions {
  /** Keeps the lines of the log, not only their hash. */
  readonly keepLog?: boolean
}

export class World {
  readonly seed: number
  readonly violations: Violation[] = []
  readonly faults = new Map<FaultKind, number>()
  readonly checks = new Map<Invariant, number>()
  readonly lines: string[] = []
  /** Hashes, in hex, of blocks that break a rule of their own: no correct node votes for one. */
  readonly forged = new Set<string>()
  nowMs = START_MS
  events = 0
  /** Called after every event that did something. */
  afterEvent: () => void = () => {}
  /** Told of what the nodes and members log, from info on. */
  told: (
    process: string,
    actor: string,
    event: string,
    fields: Readonly<Record<string, unknown>>,
  ) => void = () => {}
  readonly #options: WorldOptions
  readonly #heap: Due[] = []
  readonly #hash = createHash('sha256')
  readonly #computing = new Set<Promise<unknown>>()
  #order = 0
  #atOnce = 0
  #stopped = false

  constructor(seed: number, options: WorldOptions = {}) {
    this.seed = seed
    this.#options = options
  }

  chance(stream: string): Chance {
    return new Chance(this.seed, stream)
  }

  at(delayMs: number, label: string, fire: () => void): TimerHandle {
    this.#order += 1
    const atMs = this.nowMs + Math.max(0, Math.ceil(delayMs))
    const due: Due = { atMs, order: this.#order, label, fire }
    push(this.#heap, due)
    return {
      cancel: () => {
        due.fire = undefined
      },
    }
  }

  /** Work of the processor alone: the next event is not taken before it is done. */
  compute<T>(work: Promise<T>): Promise<T> {
    this.#computing.add(work)
    const done = () => void this.#computing.delete(work)
    work.then(done, done)
    return work
  }

  log(line: string): void {
    const text = `${this.nowMs - START_MS} ${line}`
    this.#hash.update(text).update('\n')
    if (this.#options.keepLog === true) this.lines.push(text)
  }

  logHash(): string {
    return this.#hash.copy().digest('hex')
  }

  fault(kind: FaultKind): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1)
  }

  /** Counts a check; the world ends with the first violation. */
  check(invariant: Invariant, holds: boolean, detail: () => string): void {
    this.checks.set(invariant, (this.checks.get(invariant) ?? 0) + 1)
    if (holds) return
    const violation = {
      invariant,
      detail: detail(),
      event: this.events,
      atMs: this.nowMs - START_MS,
    }
    this.log(`VIOLATION ${invariant}: ${violation.detail}`)
    this.violations.push(violation)
    this.#stopped = true
  }

  /** Fires what falls due up to `untilMs` after the start, or until `done` says so. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    const endMs = START_MS + untilMs
    while (!this.#stopped && !done()) {
      const due = this.#heap[0]
      if (due === undefined || due.atMs > endMs) {
        this.nowMs = Math.max(this.nowMs, endMs)
        return
      }
      pop(this.#heap)
      const { fire } = due
      if (fire === undefined) continue
      this.#atOnce = due.atMs > this.nowMs ? 0 : this.#atOnce + 1
      this.nowMs = Math.max(this.nowMs, due.atMs)
      this.events += 1
      this.log(`#${this.events} ${due.label}`)
      fire()
      await this.#rest()
      this.afterEvent()
      this.check('NoLivelock', this.#atOnce < MAX_EVENTS_AT_ONCE, () => due.label)
    }
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Microtasks are run to their end before a macrotask; computations may need more than one round. */
  async #rest(): Promise<void> {
    do {
      await new Promise<void>((resolve) => setImmediate(resolve))
    } while (this.#computing.size > 0)
  }
}

function before(left: Due, right: Due): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

function push(heap: Due[], due: Due): void {
  let at = heap.length
  heap.push(due)
  while (at > 0) {
    const above = (at - 1) >> 1
    const parent = heap[above] as Due
    if (before(parent, due)) break
    heap[at] = parent
    at = above
  }
  heap[at] = due
}

function pop(heap: Due[]): void {
  const last = heap.pop() as Due
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let below = 2 * at + 1
    if (below >= heap.length) break
    if (below + 1 < heap.length && before(heap[below + 1] as Due, heap[below] as Due)) below += 1
    if (before(last, heap[below] as Due)) break
    heap[at] = heap[below] as Due
    at = below
  }
  heap[at] = last
}
