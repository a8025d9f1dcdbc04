/** BP-16: any delivery order of the same messages gives one head; every order, not a sample of them. More of it in test/spec/pbft. */
import fc from 'fast-check'
import type { Block } from '../../../../core/block/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { Desk, freshBlock, HEIGHT } from './desk.ts'
import { hashOf, proposalBy, voteBy } from './fixtures.ts'
import { deliver, deliverAll, fourDrivers } from './four.ts'
import { searchOrders, type Telling } from './orders.ts'

const A = freshBlock(0)
const head = (block: Block) => toHex(hashOf(block))

function start(): Desk {
  const desk = new Desk({ self: 0 })
  desk.start()
  return desk
}

const proposal = (block: Block): Telling => {
  const message = proposalBy(1, 0, block)
  return (desk) => desk.hear(message, 'peer1', true)
}
const votes = (phase: 'prepare' | 'commit', view: number, block: Block, by: number[]): Telling[] =>
  by.map((one) => {
    const message = voteBy(one, phase, HEIGHT, view, hashOf(block))
    return (desk) => desk.hear(message, `peer${one}`, true)
  })

describe('one driver of four that is told the same things in every order', () => {
  it('of one view: one head, at the end as in every state on the way (BP-16)', () => {
    const tellings = [
      proposal(A),
      ...votes('prepare', 0, A, [1, 2, 3]),
      ...votes('commit', 0, A, [1, 2, 3]),
    ]
    const found = searchOrders(start, tellings)
    expect(found.ends).toEqual(new Set([head(A)]))
    expect(found.heads).toEqual(new Set(['none', head(A)]))
    expect(found.contradictions).toEqual([])
    // Seven messages and one execution, which comes after the first of two things that ask for it.
    expect(found.orders).toBeGreaterThan(5_040)
    expect(found.states).toBeGreaterThan(128)
  })
})

describe('four drivers', () => {
  it('whose messages come in any order, or not at all, never have two heads, and one when all came (BP-16, BF-12)', () => {
    const picks = fc.array(fc.nat(), { minLength: 0, maxLength: 120 })
    fc.assert(
      fc.property(picks, fc.boolean(), (order, isLossy) => {
        let four = fourDrivers()
        for (const pick of order) {
          const { pending } = four
          if (pending.length > 0) four = deliver(four, pick % pending.length)
        }
        expect(new Set(four.heads.filter((one) => one !== undefined)).size).toBeLessThan(2)
        if (!isLossy) expect(deliverAll(four).heads).toEqual([0, 1, 2, 3].map(() => head(A)))
      }),
      { numRuns: 60, seed: 5 },
    )
  })
})
