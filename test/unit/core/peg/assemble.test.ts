/** What a proposer takes of the deposits that wait (PI-13). */
import { MAX_PEG_INS } from '../../../../core/block/index.ts'
import { assemble } from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { approve, claimOf, depositOf, PegWorld } from './world.ts'

const NORMAL_SAT = 1_000_000n

/** A world with these deposits in one block of Bitcoin each, buried, its headers known. */
function waiting(...blocks: readonly (readonly (readonly [name: string, amountSat: bigint])[])[]) {
  const world = new PegWorld()
  const transactions = blocks.map((deposits) =>
    deposits.map(([name, amountSat]) => depositOf(world.genesis, name, amountSat)),
  )
  for (const deposits of transactions) world.bitcoin.mine(deposits)
  world.bitcoin.mine([], 2)
  world.syncHeaders()
  const pegIns = transactions.flat().map((transaction) => {
    const claim = claimOf(world.bitcoin, transaction)
    return { claim, approval: approve(world.genesis, claim) }
  })
  return { world, pegIns }
}

const namesOf = (items: readonly { readonly txid: Uint8Array }[]) =>
  items.map(({ txid }) => toHex(txid))

/** How many blocks it takes until the deposit is in one. */
function blocksUntil({ pegIns, world }: ReturnType<typeof waiting>, index: number): number {
  const awaited = toHex(pegIns[index]?.claim.txid ?? new Uint8Array(0))
  let queue = pegIns
  for (let count = 1; ; count++) {
    const { items } = assemble(world.ledger, world.context(), {
      headers: [],
      pegIns: queue,
      bookings: [],
    })
    if (items.pegIns.length === 0) throw new Error('it is never taken')
    world.block({ items })
    const taken = new Set(namesOf(items.pegIns))
    if (taken.has(awaited)) return count
    queue = queue.filter(({ claim }) => !taken.has(toHex(claim.txid)))
  }
}

describe('PI-13: deposits are taken first in, first out', () => {
  it('by their place in Bitcoin, however they stand in the queue', () => {
    const { pegIns, world } = waiting(
      [
        ['a', NORMAL_SAT],
        ['b', NORMAL_SAT],
      ],
      [['c', NORMAL_SAT]],
    )
    const order = namesOf(pegIns.map(({ claim }) => claim))
    for (const shuffled of [pegIns.toReversed(), [...pegIns.slice(1), ...pegIns.slice(0, 1)]]) {
      const queue = { headers: [], pegIns: shuffled, bookings: [] }
      expect(namesOf(assemble(world.ledger, world.context(), queue).items.pegIns)).toEqual(order)
    }
  })

  it('k before one delay it by no more than k / 16 blocks', () => {
    const before = Array.from({ length: 40 }, (_, at) => [`small ${at}`, 10_000n] as const)
    const found = waiting(before, [['normal', NORMAL_SAT]])
    expect(blocksUntil(found, before.length)).toBe(Math.ceil((before.length + 1) / MAX_PEG_INS))
  })

  it('those below the minimum take no place', () => {
    const before = Array.from({ length: 40 }, (_, at) => [`dust ${at}`, 9_999n] as const)
    const found = waiting(before, [['normal', NORMAL_SAT]])
    expect(blocksUntil(found, before.length)).toBe(1)
  })
})
