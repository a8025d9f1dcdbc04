import type { BitcoinPort } from '../../../../actors/bridge/index.ts'
import { scanBitcoin } from '../../../../actors/bridge/scan.ts'
import { OUTPUT_STATE, outpointKey, rowOf } from '../../../../core/ledger/index.ts'
import { federationOutput, NO_KEYS } from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import {
  addressOf,
  type BitcoinWorld,
  claimOf,
  PegWorld,
  payment,
  wholeBlock,
} from '../../core/peg/world.ts'

function portOf(world: BitcoinWorld): BitcoinPort {
  const answer = async <T>(value: T) => ({ ok: true, value }) as const
  const find = (hash: Uint8Array) => world.blocks.find((block) => toHex(block.hash) === toHex(hash))
  return {
    tip: () => answer(world.tip),
    hashAt: (height) => answer(world.blocks[height]?.hash),
    header(hash) {
      const found = find(hash)
      return answer(found && { header: found.header, isBest: true })
    },
    block(hash) {
      const found = find(hash)
      return answer(found && wholeBlock(found))
    },
    inMempool: () => answer(false),
    send: () => answer(undefined),
    feeRate: () => answer(undefined),
  } as BitcoinPort
}

it('4.9: a deposit whose own block comes back, after another branch was the best for a while, is found and proven again', async () => {
  const world = new PegWorld()
  const { bitcoin, genesis } = world
  const deposit = { evmAddress: addressOf('alice'), refundScript: new Uint8Array(0) }
  const { scriptPubKey } = federationOutput(genesis, { epoch: 0, deposit }, NO_KEYS)
  const paid = payment('somebody', [{ amountSat: 5_000_000n, scriptPubKey }])
  const branch = bitcoin.fork(0, 'branch')
  bitcoin.mine([paid])
  bitcoin.mine([], 2)
  const claim = claimOf(bitcoin, paid, deposit)
  const item = { proofs: [claim.proof], pegIns: [world.item(claim)] }
  world.block({ items: { bitcoinHeaders: bitcoin.headersAfter(0), ...item } })
  const key = outpointKey(claim.txid, claim.vout)
  branch.mine([], 4)
  world.block({ items: { bitcoinHeaders: branch.headersAfter(0) } })
  expect(rowOf(world.ledger, 'outputs', key)?.state).toBe(OUTPUT_STATE.absent)
  expect(world.ledger.state.pegInStops).toBe(1)
  // The first branch wins after all.
  bitcoin.mine([], 3)
  world.block({ items: { bitcoinHeaders: bitcoin.headersAfter(0) } })
  const outcome = await scanBitcoin(genesis, portOf(bitcoin), world.ledger, [])
  if (!outcome.ok) throw new Error(outcome.error.message)
  expect(outcome.value.detected).toMatchObject([{ bitcoinHeight: 1, deposits: [{ vout: 0 }] }])
  // And the rules take it.
  world.block({ items: item })
  expect(world.ledger.state.pegInStops).toBe(0)
})
