import { depositsDetected, included } from '../../../../actors/bridge/deposits.ts'
import { toHex } from '../../../../crypto/index.ts'
import { PegWorld } from '../../core/peg/world.ts'
import { bridgeContext } from './context.ts'

it('4.9: a deposit that this node saw included is followed again once its own block is back after another branch', () => {
  const world = new PegWorld()
  world.bitcoin.mine([], 2)
  const branch = world.bitcoin.fork(2, 'branch')
  const claim = world.pegIn('alice', 5_000_000n)
  const bitcoinHeight = 3
  const detected = { txid: claim.txid, bitcoinHeight, deposits: [claim] }
  const first = depositsDetected(
    bridgeContext(world.genesis, { ledger: world.ledger }),
    detected,
    'flow',
    0,
  )
  const done = included(first.context, [`${toHex(claim.txid)}:${claim.vout}`], 0).context
  expect([...done.deposits.values()].map(({ step }) => step)).toEqual(['Included'])
  branch.mine([], 4)
  world.block({ items: { bitcoinHeaders: branch.headersAfter(2) } })
  expect(world.ledger.state.pegInStops).toBe(1)
  world.bitcoin.mine([], 4)
  world.block({ items: { bitcoinHeaders: world.bitcoin.headersAfter(2) } })
  const again = depositsDetected({ ...done, ledger: world.ledger }, detected, 'flow', 1).context
  expect([...again.deposits.values()].map(({ step }) => step)).toEqual(['Confirming'])
})
