/**
 * Decides who runs next. Ready actors stand in one queue; each handles up to a slice of messages, then goes
 * to the back. Turns run in one microtask after the other, and after a bounded number of messages (or of
 * milliseconds) the event loop gets its turn, so that no flood starves timers and sockets. The order
 * depends on nothing but the order of the sends.
 */
import type { KernelLimits } from './limits.ts'
import type { Clock } from './ports.ts'

/** What can have a turn: an actor. */
export interface Runnable {
  /** Stands in the queue; owned by the dispatcher. */
  queued: boolean
  /** Handles one message at `nowMs`; false when there is none to handle now. */
  turn(nowMs: number): boolean
  /** Others have their turn now, though it has more to do. */
  rest(nowMs: number): void
}

export class Dispatcher {
  private readonly clock: Clock
  private readonly limits: KernelLimits
  private queue: Runnable[] = []
  private head = 0
  private scheduled = false
  private sinceYield = 0
  private yieldedAtMs = 0

  constructor(clock: Clock, limits: KernelLimits) {
    this.clock = clock
    this.limits = limits
  }

  /** There is something to do for it. */
  wake(actor: Runnable): void {
    if (actor.queued) return
    actor.queued = true
    this.queue.push(actor)
    if (this.scheduled) return
    this.scheduled = true
    if (this.sinceYield >= this.limits.yieldAfterMessages) this.yield()
    else queueMicrotask(this.run)
  }

  private yield(): void {
    this.clock.yieldToLoop(() => {
      this.sinceYield = 0
      this.yieldedAtMs = this.clock.nowMs()
      this.run()
    })
  }

  private readonly run = (): void => {
    const { slice, yieldAfterMessages, yieldAfterMs } = this.limits
    let nowMs = this.clock.nowMs()
    if (this.sinceYield === 0) this.yieldedAtMs = nowMs
    while (this.head < this.queue.length) {
      const actor = this.queue[this.head] as Runnable
      this.head += 1
      actor.queued = false
      let left = slice
      let more = true
      while (more && left > 0 && nowMs - this.yieldedAtMs < yieldAfterMs) {
        more = actor.turn(nowMs)
        if (more) left -= 1
        nowMs = this.clock.nowMs()
      }
      if (more) actor.rest(nowMs)
      this.sinceYield += slice - left
      if (more && !actor.queued) {
        actor.queued = true
        this.queue.push(actor)
      }
      if (this.head === this.queue.length || this.head > 1_024) {
        this.queue = this.queue.slice(this.head)
        this.head = 0
      }
      const due = this.sinceYield >= yieldAfterMessages || nowMs - this.yieldedAtMs >= yieldAfterMs
      if (due && this.queue.length > 0) {
        this.yield()
        return
      }
    }
    this.scheduled = false
  }
}
