/** Which of the waiting peg operations keeps a block from being planned. Pure; it plans again about a dozen times. */
import type { PegQueue } from '../../core/peg/index.ts'
import { bookingKey, conflictKey, pegInKey } from './handlers.ts'

/** `payout`: no entry of the queue, but the payout that is due. `key`: names the entry. */
export type PegSuspect =
  | { readonly kind: 'headers' | 'payout' }
  | { readonly kind: 'pegIn' | 'booking' | 'conflict'; readonly key: string }

type Parts = Pick<PegQueue, 'headers' | 'bookings' | 'pegIns' | 'conflicts'>

/** The entry without which the queue up to it can be planned, for a queue that cannot. */
export function suspectOf(queue: PegQueue, fails: (queue: PegQueue) => boolean): PegSuspect {
  const { bookings, conflicts = [], pegIns } = queue
  const before = 1 + bookings.length + pegIns.length
  const firstOf = (count: number): Parts => ({
    headers: count > 0 ? queue.headers : [],
    bookings: bookings.slice(0, Math.max(0, count - 1)),
    pegIns: pegIns.slice(0, Math.max(0, count - 1 - bookings.length)),
    conflicts: conflicts.slice(0, Math.max(0, count - before)),
  })
  if (fails(firstOf(0))) return { kind: 'payout' }
  let good = 0
  let bad = before + conflicts.length
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (fails(firstOf(middle))) bad = middle
    else good = middle
  }
  const booking = bookings[bad - 2]
  if (booking !== undefined) return { kind: 'booking', key: bookingKey(booking) }
  const conflict = conflicts[bad - 1 - before]
  if (conflict !== undefined) return { kind: 'conflict', key: conflictKey(conflict) }
  const pegIn = pegIns[bad - 2 - bookings.length]
  return pegIn === undefined ? { kind: 'headers' } : { kind: 'pegIn', key: pegInKey(pegIn.claim) }
}
