import { genesisLedger, ledgerRoot } from '../../../../core/ledger/index.ts'
import { approvalMessage, buildPayout, requestId } from '../../../../core/peg/index.ts'
import { sha256, toHex } from '../../../../crypto/index.ts'
import { claimOf, depositOf, PegWorld, PINNED, testGenesis } from './world.ts'

/** Encodings that two nodes must agree on: a change here is a change of the protocol (§7). */
describe('golden encodings', () => {
  const genesis = testGenesis(PINNED)

  it('the root of the genesis ledger', () => {
    expect(toHex(ledgerRoot(genesisLedger(genesis)))).toMatchInlineSnapshot(
      `"5530e77250e59502b981857e26424621111c2e66136100a65995550826f41d98"`,
    )
  })

  it('the id of a request', () => {
    expect(toHex(requestId(genesis, new Uint8Array(32).fill(1), 5))).toMatchInlineSnapshot(
      `"7cf11ffa61586e5c3b66d397ebfe8e6fbac50f522341760667540e63431dfd0b"`,
    )
  })

  it('what members sign for a peg-in', () => {
    const world = new PegWorld(PINNED)
    const transaction = depositOf(genesis, 'alice', 50_000n)
    world.bitcoin.mine([transaction])
    const claim = claimOf(world.bitcoin, transaction)
    expect(toHex(approvalMessage(genesis, 'pegIn', 0, claim))).toMatchInlineSnapshot(
      `"b830186a1c52a0a5e60bb9da0b5873c5d18464fd420ac9740288ee588895d431"`,
    )
  })

  it('the id and the transaction of a payout', () => {
    const world = new PegWorld(PINNED)
    world.pegIn('alice', 5_000_000n)
    world.block({ burns: [world.burn('bob', 1_000_000n)] })
    world.timestamp += 10
    const plan = buildPayout(world.ledger, world.context(), 2000)
    if (plan === undefined) throw new Error('not due')
    expect(toHex(plan.record.batchId)).toMatchInlineSnapshot(
      `"ab54faac7c3db1ef3a50a98ac8416cf3b9c95a88a91c2ed325d7b5c00d5fc362"`,
    )
    expect(toHex(sha256(plan.record.transaction))).toMatchInlineSnapshot(
      `"b491560a1315ebdf3f21bd49e824bbe2fede742f42939d5295c030c470ae0e17"`,
    )
  })
})
