import { genesisLedger, ledgerRoot } from '../../../../core/ledger/index.ts'
import { approvalMessage, buildPayout, requestId } from '../../../../core/peg/index.ts'
import { sha256, toHex } from '../../../../crypto/index.ts'
import { claimOf, depositOf, PegWorld, testGenesis } from './world.ts'

/** Encodings that two nodes must agree on: a change here is a change of the protocol (§7). */
describe('golden encodings', () => {
  const genesis = testGenesis()

  it('the root of the genesis ledger', () => {
    expect(toHex(ledgerRoot(genesisLedger(genesis)))).toMatchInlineSnapshot(
      `"5d970461df84ca846d28854af28e5ebe5bddf017649385dd9a2e2f307c2ae756"`,
    )
  })

  it('the id of a request', () => {
    expect(toHex(requestId(genesis, new Uint8Array(32).fill(1), 5))).toMatchInlineSnapshot(
      `"4ca4b5dc57d6d35ea170c2b3bf3dd0cde537582b5063638504740c41ea2091f4"`,
    )
  })

  it('what members sign for a peg-in', () => {
    const world = new PegWorld()
    const transaction = depositOf(genesis, 'alice', 50_000n)
    world.bitcoin.mine([transaction])
    const claim = claimOf(world.bitcoin, transaction)
    expect(toHex(approvalMessage(genesis, 'pegIn', 0, claim))).toMatchInlineSnapshot(
      `"6486c25066b98cf2c68b98e2f2a9d8e0d4a4962bc092256d4546a48d2d8fd003"`,
    )
  })

  it('the id and the transaction of a payout', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    world.block({ burns: [world.burn('bob', 1_000_000n)] })
    world.timestamp += 10
    const plan = buildPayout(world.ledger, world.context(), 2000)
    if (plan === undefined) throw new Error('not due')
    expect(toHex(plan.record.batchId)).toMatchInlineSnapshot(
      `"85115314ef6b1ffd3becf0786a4303c4bdf51811152d61dc8c1f730f614293d4"`,
    )
    expect(toHex(sha256(plan.record.transaction))).toMatchInlineSnapshot(
      `"c7e06b5275c08cae3051f8382e74c640afc3a3c0ab70f57d80d846ccd260aeaa"`,
    )
  })
})
