/** A transaction that the interpreter itself fails on leaves nothing behind in the block. */
import { Address } from '@ethereumjs/util'
import { bigintToBytes, hexBytes } from '../../../../crypto/index.ts'
import { createChainEvm } from '../../../../vm/evm/chain.ts'
import { Engine } from '../../../../vm/evm/engine.ts'
import { OSAKA } from '../../../../vm/evm/fork.ts'
import { createPrecompiles } from '../../../../vm/evm/precompiles.ts'
import { createdAddress } from '../../../../vm/evm/view/chain-reads.ts'
import { attributes, CHAIN_ID, genesis, keyOf, mint, signed } from './fixtures.ts'
import { MemoryStore } from './memory-store.ts'

const alice = keyOf('alice')
const bob = keyOf('bob')
const BROKEN = 0x0999

/** An engine with a precompile that throws what is no EVM error. */
async function openBroken() {
  const own = await createPrecompiles(OSAKA)
  const broken = {
    address: new Address(bigintToBytes(BigInt(BROKEN), 20)),
    function: () => {
      throw new Error('broken')
    },
  }
  const customPrecompiles = [...own.customPrecompiles, broken]
  const chain = await createChainEvm(
    CHAIN_ID,
    OSAKA,
    Promise.resolve({ ...own, customPrecompiles }),
  )
  const { engine, reply } = await Engine.open(new MemoryStore(), genesis, () => 0, chain)
  if (reply.status !== 'OPEN') throw new Error(reply.reason)
  return { engine, head: reply.head }
}

it('a fault in the middle of a call takes back all of its transaction: proposer and validator have one root', async () => {
  // SSTORE(0, 1), then CALL of the broken precompile.
  const runtime = '60015f555f5f5f5f5f61099962ffffff' + 'f100'
  const init = hexBytes(
    `61${(runtime.length / 2).toString(16).padStart(4, '0')}80600a5f395ff3${runtime}`,
  )
  const proposer = await openBroken()
  const validator = await openBroken()
  const withdrawals = [mint(alice.address, 10n ** 11n), mint(bob.address, 10n ** 11n, 1)]
  let parent = proposer.head.hash
  const target = createdAddress(alice.address, 0n)
  const blocks = [
    { withdrawals, transactions: [] },
    { withdrawals: [], transactions: [signed(alice, { nonce: 0, data: init, gas: 500_000n })] },
    {
      withdrawals: [],
      transactions: [
        signed(alice, { nonce: 1, to: target, gas: 500_000n }),
        signed(bob, { nonce: 0, to: keyOf('carol').address, value: 1n }),
      ],
    },
  ]
  const statuses: unknown[] = []
  for (const [index, { transactions, withdrawals }] of blocks.entries()) {
    const built = await proposer.engine.build({
      ...attributes(parent, index + 1),
      withdrawals,
      transactions: transactions.map((raw) => ({ raw })),
    })
    if (built.status !== 'BUILT') throw new Error(built.reason)
    if (index === 2) expect(built.dropped.map(({ reason }) => reason)).toEqual(['ExecutionFault'])
    const checked = await validator.engine.execute({ payload: built.payload })
    statuses.push(checked.status === 'INVALID' ? checked.code : checked.status)
    await proposer.engine.commit(built.payload.blockHash)
    await validator.engine.commit(built.payload.blockHash)
    parent = built.payload.blockHash
  }
  expect(statuses).toEqual(['VALID', 'VALID', 'VALID'])
})
