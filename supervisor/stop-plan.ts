/** One shutdown (SU-12): its deadlines, counted from its beginning, and the order to hurry. */
import type { KernelLimits } from './limits.ts'
import type { Clock } from './ports.ts'

export class StopPlan {
  forced = false
  private readonly clock: Clock
  private readonly limits: KernelLimits
  private readonly drainMs: number
  private readonly startedMs: number
  private readonly hurry: (() => void)[] = []

  constructor(clock: Clock, limits: KernelLimits, drainMs: number = limits.drainMs) {
    this.clock = clock
    this.limits = limits
    this.drainMs = drainMs
    this.startedMs = clock.nowMs()
  }

  /** From now on nothing is waited for but the stop hooks, and those briefly. */
  force(): void {
    this.forced = true
    for (const go of this.hurry.splice(0)) go()
  }

  /** How long a stop hook may take now. */
  hookMs(): number {
    const { forcedStopMs, hardStopMs } = this.limits
    if (this.forced) return forcedStopMs
    return Math.max(forcedStopMs, this.startedMs + hardStopMs - this.clock.nowMs())
  }

  /** Waits until `idle`; at most the drain time, or while `busy` the longer one; not at all when forced. */
  drained(idle: Promise<void>, busy: () => boolean): Promise<void> {
    if (this.forced) return Promise.resolve()
    return new Promise((resolve) => {
      const left = (ms: number): number => Math.max(0, this.startedMs + ms - this.clock.nowMs())
      const longMs = Math.max(this.drainMs, this.limits.busyDrainMs)
      let timer = this.clock.setTimer(left(this.drainMs), () => {
        if (!busy()) return resolve()
        timer = this.clock.setTimer(left(longMs), resolve)
      })
      const end = (): void => {
        timer.cancel()
        resolve()
      }
      this.hurry.push(end)
      void idle.then(end)
    })
  }

  /** Waits for `work`, or for `forcedStopMs` after the order to hurry. Never rejects. */
  orForced(work: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const hurry = (): void => {
        this.clock.setTimer(this.limits.forcedStopMs, resolve)
      }
      if (!this.forced) this.hurry.push(hurry)
      work.then(resolve, () => resolve())
    })
  }
}
