import {
  authorOfSlot,
  checkSlotWindow,
  maxFaulty,
  proposer,
  quorum,
  slotAt,
  viewAtSlot,
  viewLength,
  viewStart,
} from '../../../../core/pbft/index.ts'
import { validatorsOf } from './fixtures.ts'

describe('quorum', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 3],
    [5, 4],
    [6, 5],
    [7, 5],
    [10, 7],
    [15, 11],
  ])('of %i equal validators is %i (BF-1)', (n, expected) => {
    expect(quorum(validatorsOf(n))).toBe(expected)
  })

  it('goes by power, and two quorums always share more than f (BF-1)', () => {
    expect(quorum(validatorsOf(3, [5, 1, 1]))).toBe(5)
    for (let total = 1; total <= 200; total++) {
      const set = validatorsOf(1, [total])
      const faulty = maxFaulty(set)
      expect(3 * faulty).toBeLessThan(total)
      expect(3 * (faulty + 1)).toBeGreaterThanOrEqual(total)
      expect(2 * quorum(set) - total).toBeGreaterThan(faulty)
      expect(total - faulty).toBeGreaterThanOrEqual(quorum(set))
    }
  })
})

describe('views', () => {
  it('last one slot for v < 2n, then twice as long every n views, at most 16 (1.2)', () => {
    const lengths = Array.from({ length: 28 }, (_, view) => viewLength(view, 4))
    const expected = [1, 1, 2, 4, 8, 16, 16].flatMap((length) => Array(4).fill(length))
    expect(lengths).toEqual(expected)
  })

  it.each([1, 2, 4, 7, 100])('start where the one before ends, n = %i (1.2)', (n) => {
    expect(viewStart(50, 0, n)).toBe(51)
    for (let view = 0; view < 8 * n; view++) {
      expect(viewStart(50, view + 1, n)).toBe(viewStart(50, view, n) + viewLength(view, n))
    }
  })

  it.each([1, 2, 4, 7])('are found by slot, n = %i (1.3)', (n) => {
    expect(viewAtSlot(50, 50, n)).toBeUndefined()
    for (let view = 0; view < 8 * n; view++) {
      for (let slot = viewStart(50, view, n); slot < viewStart(50, view + 1, n); slot++) {
        expect(viewAtSlot(50, slot, n)).toBe(view)
      }
    }
  })

  it('have their proposers in turn: Aura while a view is a slot (BF-2)', () => {
    const set = validatorsOf(4)
    for (let view = 0; view < 8; view++) {
      expect(proposer(set, 50, view)).toBe(set[viewStart(50, view, 4) % 4])
    }
    expect(proposer(set, 50, 8)).toBe(set[(51 + 8) % 4])
  })

  it('name the only author of a slot; in the middle of a view there is none (BP-1, 2.1)', () => {
    const set = validatorsOf(4)
    expect(authorOfSlot(set, 50, 50)).toBeUndefined()
    expect(authorOfSlot(set, 50, 51)).toBe(set[3])
    const long = viewStart(50, 9, 4)
    expect(authorOfSlot(set, 50, long)).toBe(proposer(set, 50, 9))
    expect(authorOfSlot(set, 50, long + 1)).toBeUndefined()
  })
})

describe('the slot window', () => {
  it('accepts up to the next slot, holds up to ten ahead and drops beyond (BP-3)', () => {
    const kinds = [0, 1, 2, 10, 11].map((ahead) => checkSlotWindow(100 + ahead, 100).kind)
    expect(kinds).toEqual(['valid', 'valid', 'unknown', 'unknown', 'invalid'])
    expect(checkSlotWindow(103, 100, 2000)).toMatchObject({ retryAfterMs: 4000 })
  })

  it('counts slots from the epoch (BP-1)', () => {
    expect(slotAt(1999, 1000)).toBe(1)
    expect(slotAt(2000, 1000)).toBe(2)
  })
})
