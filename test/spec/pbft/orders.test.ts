/** BP-16: any delivery order of the same messages gives one head; every order, not a sample of them. */
import type { Block } from '../../../core/block/index.ts'
import { toHex } from '../../../crypto/index.ts'
import { Desk, freshBlock, HEIGHT } from '../../unit/core/pbft/desk.ts'
import {
  certificateBy,
  hashOf,
  proposalBy,
  viewChangeBy,
  voteBy,
} from '../../unit/core/pbft/fixtures.ts'
import { searchFour } from '../../unit/core/pbft/four.ts'
import { searchOrders, type Telling } from '../../unit/core/pbft/orders.ts'

/** Deliveries. */
const DEPTH = 8

const A = freshBlock(0)
const B = freshBlock(0, 1)
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

interface Counts {
  readonly states: number
  readonly transitions: number
}

function print(name: string, { states, transitions }: Counts, more: string): void {
  process.stdout.write(`orders: ${name}: ${states} states, ${transitions} transitions, ${more}\n`)
}

describe('one driver of four that is told the same things in every order', () => {
  it('with a proposer that sends two blocks and votes for both: one head, nothing signed twice (BP-16, BF-11)', () => {
    const tellings = [
      proposal(A),
      proposal(B),
      ...votes('prepare', 0, A, [1, 2, 3]),
      ...votes('prepare', 0, B, [1]),
      ...votes('commit', 0, A, [1, 2, 3]),
      ...votes('commit', 0, B, [1]),
    ]
    const found = searchOrders(start, tellings)
    expect(found.heads).toEqual(new Set(['none', head(A)]))
    print('two proposals', found, `${found.orders} orders`)
    expect(found.contradictions).toEqual([])
    expect(found.orders).toBeGreaterThan(3_628_800)
  })

  it('over two views, the lock and the block proposed again: one head (BP-16, BF-5, BF-9)', () => {
    const certificate = certificateBy([1, 2, 3], 4, 'prepare', HEIGHT, 0, hashOf(A))
    const again = proposalBy(2, 1, A, certificate)
    const change = viewChangeBy(3, HEIGHT, 1, certificate)
    const tellings: Telling[] = [
      proposal(A),
      ...votes('prepare', 0, A, [1, 2]),
      (desk) => desk.clock(desk.startOf(1)),
      (desk) => desk.hear(change, 'peer3', true),
      (desk) => desk.hear(again, 'peer2', true),
      ...votes('prepare', 1, A, [2]),
      ...votes('commit', 1, A, [1, 2, 3]),
    ]
    const found = searchOrders(start, tellings)
    print('two views', found, `${found.orders} orders`)
    expect(found.ends).toEqual(new Set([head(A)]))
    expect(found.heads).toEqual(new Set(['none', head(A)]))
    expect(found.contradictions).toEqual([])
  })
})

describe('four drivers', () => {
  it('in every state that any deliveries lead to have one head at most, and one at the end (BP-16)', () => {
    const depth = DEPTH
    const found = searchFour(depth)
    print(`four drivers to depth ${depth}`, found, `${found.frontier} led to their end`)
    expect(found.heads).toEqual(new Set([head(A)]))
  }, 600_000)
})
