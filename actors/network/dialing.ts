/** Static peers: who they are and when to try them again. Pure. */
import { BACKOFF_FIRST_MS, BACKOFF_JITTER, BACKOFF_MAX_MS } from './limits.ts'

/** The peer id at the end of a multiaddr; undefined when it names none. */
export function peerOfAddress(address: string): string | undefined {
  return /\/p2p\/([1-9A-HJ-NP-Za-km-z]+)$/.exec(address)?.[1]
}

/** Delay before the next try after `failures` in a row; `chance` in [0, 1) moves it within the jitter. */
export function dialBackoffMs(failures: number, chance: number): number {
  const plain = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 20))
  return Math.round(plain * (1 + BACKOFF_JITTER * (2 * chance - 1)))
}
