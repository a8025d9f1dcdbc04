import type { Clock, TimerHandle } from '../../../supervisor/index.ts'

/** The longest delay that setTimeout takes; beyond it Node fires at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** Wall clock and the event loop's timers. */
export function createSystemClock(): Clock {
  return {
    nowMs: () => Date.now(),
    setTimer: (delayMs, fire) => startTimer(Math.max(0, delayMs), fire),
    yieldToLoop: (resume) => {
      setImmediate(resume)
    },
  }
}

/** A delay above what one timeout can hold is walked in legs. */
function startTimer(delayMs: number, fire: () => void): TimerHandle {
  let remainingMs = delayMs
  let timeout: NodeJS.Timeout
  const leg = () => {
    const stepMs = Math.min(remainingMs, MAX_TIMEOUT_MS)
    remainingMs -= stepMs
    timeout = setTimeout(remainingMs > 0 ? leg : fire, stepMs)
  }
  leg()
  return { cancel: () => clearTimeout(timeout) }
}
