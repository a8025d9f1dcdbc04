/** Milliseconds of this thread alone, for latencies on a machine that others use too. */
import { closeSync, openSync, readSync } from 'node:fs'

/** Stands still while this thread is in line for a processor. On an idle machine it runs like any other. */
export interface OwnClock {
  nowMs(): number
  /** The same, after a look at how long the thread stood in line; that is a system call. */
  read(): number
  close(): void
}

/** Of this thread: nanoseconds on a processor, nanoseconds ready and in line for one, slices. */
const SCHEDULED = '/proc/thread-self/schedstat'
const NS_PER_MS = 1e6

export function ownClock(): OwnClock {
  const file = openSync(SCHEDULED, 'r')
  const buffer = Buffer.alloc(80)
  const inLineMs = (): number => {
    const length = readSync(file, buffer, 0, buffer.length, 0)
    return Number(buffer.toString('latin1', 0, length).split(' ')[1]) / NS_PER_MS
  }
  let stoodMs = inLineMs()
  return {
    nowMs: () => performance.now() - stoodMs,
    read: () => {
      stoodMs = inLineMs()
      return performance.now() - stoodMs
    },
    close: () => closeSync(file),
  }
}
