/** Waiting with an end. */
import type { Clock } from './ports.ts'

export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly thrown: unknown }
  | { readonly kind: 'late' }

/** The outcome of `work`, or `late` after `timeoutMs`. Never rejects; what comes later is ignored. */
export const withDeadline = <T>(
  clock: Clock,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<Outcome<T>> =>
  new Promise((resolve) => {
    const timer = clock.setTimer(timeoutMs, () => resolve({ kind: 'late' }))
    const end = (outcome: Outcome<T>): void => {
      timer.cancel()
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
