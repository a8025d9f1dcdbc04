import { suspectOf } from '../../../../actors/chain/suspects.ts'
import type { PegQueue } from '../../../../core/peg/index.ts'

const hash = (n: number) => new Uint8Array(32).fill(n)
const HEX = (n: number) => n.toString(16).padStart(2, '0').repeat(32)

/** A queue of `pegIns` deposits and `bookings` bookings; only their names matter here. */
function queueOf(pegIns: number, bookings: number): PegQueue {
  return {
    headers: [new Uint8Array(80)],
    pegIns: Array.from({ length: pegIns }, (_, at) => ({ claim: { txid: hash(at), vout: at } })),
    bookings: Array.from({ length: bookings }, (_, at) => ({
      blockHash: hash(at),
      transactionIndex: at,
    })),
  } as unknown as PegQueue
}

const hasPegIn = (at: number) => (queue: PegQueue) =>
  queue.pegIns.some(({ claim }) => claim.vout === at)
const hasBooking = (at: number) => (queue: PegQueue) =>
  queue.bookings.some(({ transactionIndex }) => transactionIndex === at)

describe('the entry that keeps a block from being planned (BP-6)', () => {
  it('is named, wherever it stands', () => {
    for (let at = 0; at < 9; at++) {
      const fault = suspectOf(queueOf(9, 4), hasPegIn(at))
      expect(fault).toEqual({ kind: 'pegIn', key: `${HEX(at)}:${at}` })
    }
    for (let at = 0; at < 4; at++) {
      const fault = suspectOf(queueOf(9, 4), hasBooking(at))
      expect(fault).toEqual({ kind: 'booking', key: `${HEX(at)}:${at}` })
    }
  })

  it('may be the headers, or nothing of the queue', () => {
    expect(suspectOf(queueOf(2, 2), ({ headers }) => headers.length > 0)).toEqual({
      kind: 'headers',
    })
    expect(suspectOf(queueOf(2, 2), () => true)).toEqual({ kind: 'payout' })
  })

  it('is found in about log2 of the queue', () => {
    let asked = 0
    suspectOf(queueOf(256, 200), (queue) => {
      asked += 1
      return hasPegIn(200)(queue)
    })
    expect(asked).toBeLessThan(12)
  })
})
