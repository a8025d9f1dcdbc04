import { outpointKey } from '../../../../core/ledger/index.ts'
import { applyPegOrder, checkPegOrder } from '../../../../core/peg/index.ts'
import { approvedOrder, lossOf } from './orders.ts'
import { claimOf, depositOf, PegWorld } from './world.ts'

it('4.9: an order that booked a loss books no later one of the same outpoint: the members decided about the first', () => {
  const world = new PegWorld()
  world.bitcoin.mine([], 2)
  const fork = world.bitcoin.tip.height
  const claim = world.pegIn('alice', 1_000_000n)
  const key = outpointKey(claim.txid, 0)
  const second = world.bitcoin.fork(fork, 'second')
  second.mine([], 4)
  world.block({ items: { bitcoinHeaders: second.headersAfter(fork) } })
  const item = approvedOrder(world.genesis, lossOf(world.ledger, 'reorgLoss', key, 600n))
  const applied = applyPegOrder(world.genesis, world.ledger, world.height, item)
  if (!applied.ok) throw new Error(applied.error.code)
  world.ledger = applied.value
  world.block()
  // The coin comes back, and is taken away once more.
  const third = second.fork(second.tip.height, 'third')
  const fourth = second.fork(second.tip.height, 'fourth')
  const deposit = depositOf(world.genesis, 'alice', 1_000_000n)
  third.mine([deposit])
  third.mine([], 2)
  const again = claimOf(third, deposit)
  world.block({
    items: {
      bitcoinHeaders: third.headersAfter(world.ledger.state.tipHeight),
      proofs: [again.proof],
      pegIns: [world.item(again)],
    },
  })
  expect(world.ledger.state.pegInStops).toBe(0)
  const height = second.tip.height
  fourth.mine([], 5)
  world.block({ items: { bitcoinHeaders: fourth.headersAfter(height) } })
  expect(world.ledger.state.pegInStops).toBe(1)
  // Anybody has the first order: it stands in a block.
  expect(checkPegOrder(world.genesis, world.ledger, item)?.code).toBe('OrderOutdated')
})
