/** What an actor has under way between one initialisation and the next end. */
import type { Letter, TimerEntry } from './letter.ts'
import type { TimerHandle } from './ports.ts'

interface RunningTimer extends TimerEntry {
  handle: TimerHandle
}

/** An effect of the actor's own. */
export interface Work {
  readonly effect: unknown
  /** The message that led to it. */
  readonly letter: Letter | undefined
  readonly lane: string | undefined
  readonly sinceMs: number
}

export class Incarnation {
  readonly number: number
  /** Its context was not given to a stop hook yet. */
  initialised = false
  dead = false
  /** Effects under way, those waiting in lanes included. */
  performing = 0
  /** Questions to others that are open. */
  asking = 0
  /** Messages sent to full mailboxes that are not admitted yet. */
  blocked = 0
  /** The health probe that waits in the mailbox. */
  probe: Letter | undefined = undefined
  /** The end of its children, once it is dead. */
  childrenDown: Promise<void> = Promise.resolve()
  readonly timers = new Map<string, RunningTimer>()
  /** The deadlines of init and effects under way. */
  readonly deadlines = new Set<TimerHandle>()
  /** Per lane what waits behind the effect that runs. */
  readonly lanes = new Map<string, Work[]>()
  private readonly controller = new AbortController()
  private idle: { readonly test: () => boolean; readonly resolve: () => void } | undefined

  constructor(number: number) {
    this.number = number
  }

  get inFlight(): number {
    return this.performing + this.asking
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }

  /** Aborts what runs, forgets what has not begun. */
  end(): void {
    this.dead = true
    this.cancelTimers()
    for (const queue of this.lanes.values()) this.performing -= queue.length
    this.lanes.clear()
    for (const deadline of this.deadlines) deadline.cancel()
    this.deadlines.clear()
    this.controller.abort()
  }

  cancelTimer(key: string): void {
    const timer = this.timers.get(key)
    if (timer === undefined) return
    timer.cancelled = true
    timer.handle.cancel()
    this.timers.delete(key)
  }

  cancelTimers(which: (timer: TimerEntry) => boolean = () => true): void {
    for (const timer of [...this.timers.values()]) if (which(timer)) this.cancelTimer(timer.key)
  }

  /** The message of a timer was taken: a single one is over. */
  timerTaken(entry: TimerEntry): void {
    entry.waiting = false
    if (!entry.repeat && this.timers.get(entry.key) === entry) this.timers.delete(entry.key)
  }

  /** Resolves when no effect is under way, or else when `test` says so at this or a later check. */
  whenIdle(test: () => boolean = () => this.performing === 0): Promise<void> {
    return new Promise((resolve) => {
      this.idle = { test, resolve }
      this.checkIdle()
    })
  }

  checkIdle(): void {
    if (this.idle?.test() !== true) return
    this.idle.resolve()
    this.idle = undefined
  }
}
