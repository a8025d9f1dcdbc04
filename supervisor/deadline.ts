/** Waiting with an end. */
import type { Clock, TimerHandle } from './ports.ts'

export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly thrown: unknown }
  | { readonly kind: 'late' }

/**
 * The outcome of `work`, or `late` after `timeoutMs`. Never rejects; what comes later is ignored. The timer is
 * kept in `timers`, whose owner may cancel it: then the outcome is that of the work, whenever it comes.
 */
export const withDeadline = <T>(
  clock: Clock,
  timeoutMs: number,
  work: () => Promise<T>,
  timers?: Set<TimerHandle>,
): Promise<Outcome<T>> =>
  new Promise((resolve) => {
    const timer = clock.setTimer(timeoutMs, () => {
      timers?.delete(timer)
      resolve({ kind: 'late' })
    })
    timers?.add(timer)
    const end = (outcome: Outcome<T>): void => {
      timer.cancel()
      timers?.delete(timer)
      resolve(outcome)
    }
    try {
      work().then(
        (value) => end({ kind: 'done', value }),
        (thrown: unknown) => end({ kind: 'failed', thrown }),
      )
    } catch (thrown) {
      end({ kind: 'failed', thrown })
    }
  })
