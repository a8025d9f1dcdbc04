import { randomBytes } from 'node:crypto'
import type { Ids, Random } from '../../../supervisor/index.ts'

/** The operating system's randomness. */
export function createSystemRandom(): Random {
  return { bytes: (length) => new Uint8Array(randomBytes(length)) }
}

/**
 * Ids of 32 hex digits, the size of a trace id: eight random bytes that stand for this process, then a counter,
 * so that an id costs no system call and the ids of one process sort by age.
 */
export function createIds(random: Random): Ids {
  const process = Buffer.from(random.bytes(8)).toString('hex')
  let counter = 0
  return {
    next: () => {
      counter += 1
      return process + counter.toString(16).padStart(16, '0')
    },
  }
}
