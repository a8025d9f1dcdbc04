import fc from 'fast-check'
import { concatBytes, hexBytes, sha256, toHex, uint32be } from '../../../../crypto/index.ts'
import type { BuildReply } from '../../../../vm/evm/engine.ts'
import { nextBaseFee } from '../../../../vm/evm/gas.ts'
import { keccak256 } from '../../../../vm/evm/keccak.ts'
import { encodeRlp, integerBytes } from '../../../../vm/evm/rlp.ts'
import { createdAddress } from '../../../../vm/evm/view/chain-reads.ts'
import {
  attributes,
  BASE_FEE,
  CHAIN_ID,
  COINBASE,
  keyOf,
  mint,
  openEngine,
  signatureOf,
  signed,
  signTyped,
} from './fixtures.ts'
import { createReference, runReference } from './reference.ts'

const alice = keyOf('alice')
const bob = keyOf('bob')
const carol = keyOf('carol')
const ETHER = 10n ** 18n

type Built = Extract<BuildReply, { status: 'BUILT' }>

async function chainOf(blocks: readonly (readonly Uint8Array[])[]) {
  const { engine, store, head } = await openEngine()
  const reference = await createReference()
  const built: Built[] = []
  let parentHash = head.hash
  const funded = [mint(alice.address, 10n ** 10n), mint(bob.address, 10n ** 10n, 1)]
  for (const [index, transactions] of [[], ...blocks].entries()) {
    const reply = await engine.build({
      ...attributes(parentHash, index + 1),
      withdrawals: index === 0 ? funded : [],
      transactions: transactions.map((raw) => ({ raw })),
    })
    if (reply.status !== 'BUILT') throw new Error(reply.reason)
    await runReference(reference, reply.payload)
    await engine.commit(reply.payload.blockHash)
    parentHash = reply.payload.blockHash
    built.push(reply)
  }
  return { engine, store, built }
}

/** Init code that installs `runtime`. */
function deploys(runtime: string): Uint8Array {
  const length = (runtime.length / 2).toString(16).padStart(4, '0')
  return hexBytes(`61${length}80600a5f395ff3${runtime}`)
}

/** SSTORE(calldata[0], calldata[1]); LOG1 of both with topic 7. */
const STORE_AND_LOG = '5f35602035815560075f5260405f5fa05f3560205260075f60405fa100'
/** SELFDESTRUCT to the caller. */
const DESTROY = '33ff'

describe('execution, against the library with its own state and trie', () => {
  it('transfers: empty blocks, values, tips, a new coinbase, a transfer of nothing to nobody', async () => {
    const { built, store } = await chainOf([
      [
        signed(alice, { nonce: 0, to: carol.address, value: 5n, tip: 3n }),
        signed(bob, { nonce: 0, to: alice.address, value: ETHER }),
        signed(alice, { nonce: 1, to: keyOf('nobody').address }),
        signed(alice, { nonce: 2, to: alice.address, value: 1n }),
      ],
      [],
      [signed(carol, { nonce: 0, to: bob.address, value: 1n })],
    ])
    expect(built[1]?.dropped).toEqual([])
    expect(built[1]?.payload.gasUsed).toBe(84_000)
    expect(store.state.account(toHex(COINBASE))?.balance).toBe(63_000n)
    expect(store.state.account(toHex(keyOf('nobody').address))).toBeUndefined()
    expect(built[3]?.dropped.map(({ reason }) => reason)).toEqual(['InsufficientFunds'])
  })

  it('contracts: deployment, storage set and cleared over blocks, logs, reverts, out of gas', async () => {
    const contract = createdAddress(alice.address, 0n)
    const write = (key: number, value: number) =>
      concatBytes(new Uint8Array(28), uint32be(key), new Uint8Array(28), uint32be(value))
    const call = (nonce: number, key: number, value: number, gas = 100_000n) =>
      signed(alice, { nonce, to: contract, data: write(key, value), gas })
    const { built, store } = await chainOf([
      [signed(alice, { nonce: 0, data: deploys(STORE_AND_LOG), gas: 500_000n })],
      [call(1, 1, 7), call(2, 2, 8), call(3, 1, 9)],
      [call(4, 1, 0), call(5, 2, 0), call(6, 3, 1, 30_000n)],
    ])
    expect(built.flatMap(({ dropped }) => dropped)).toEqual([])
    const last = store.blocks.at(-1)
    expect(last?.receipts.map(({ status }) => status)).toEqual([1, 1, 0])
    expect([...store.state.slots(toHex(contract))]).toEqual([])
  })

  it('EIP-6780: a contract that destroys itself stays, unless it was created in the same transaction', async () => {
    const lasting = createdAddress(alice.address, 0n)
    const passing = createdAddress(alice.address, 2n)
    const { store } = await chainOf([
      [signed(alice, { nonce: 0, data: deploys(DESTROY), gas: 200_000n, value: 9n })],
      [
        signed(alice, { nonce: 1, to: lasting, gas: 100_000n }),
        signed(alice, { nonce: 2, data: hexBytes('600160015533ff'), gas: 200_000n, value: 9n }),
      ],
    ])
    expect(store.state.account(toHex(lasting))?.balance).toBe(0n)
    expect(store.state.account(toHex(passing))).toBeUndefined()
  })

  it('EIP-7702: an account runs delegated code, and can take it back', async () => {
    const target = createdAddress(alice.address, 0n)
    const authorize = (nonce: number, address: Uint8Array, authorityNonce: number) => {
      const tuple = [integerBytes(CHAIN_ID), address, integerBytes(authorityNonce)]
      const hash = keccak256(concatBytes(Uint8Array.of(5), encodeRlp(tuple)))
      const fields = [
        integerBytes(CHAIN_ID),
        integerBytes(nonce),
        integerBytes(0),
        integerBytes(10n * BASE_FEE),
        integerBytes(300_000),
        bob.address,
        integerBytes(0),
        concatBytes(new Uint8Array(31), Uint8Array.of(4), new Uint8Array(31), Uint8Array.of(5)),
        [],
        [[...tuple, ...signatureOf(bob, hash)]],
      ]
      return signTyped(alice, 4, fields)
    }
    const { store, built } = await chainOf([
      [signed(alice, { nonce: 0, data: deploys(STORE_AND_LOG), gas: 500_000n })],
      [authorize(1, target, 0)],
      [
        signed(bob, { nonce: 1, to: alice.address, value: 1n }),
        authorize(2, new Uint8Array(20), 2),
      ],
    ])
    expect(built.flatMap(({ dropped }) => dropped)).toEqual([])
    expect([...store.state.slots(toHex(bob.address))]).toHaveLength(1)
    expect(store.state.account(toHex(bob.address))?.nonce).toBe(3n)
  })

  it('EIP-2930 and legacy transactions, with and without a chain id', async () => {
    const legacy = (nonce: number, chainId?: number) => {
      const fields = [nonce, 10n * BASE_FEE, 21_000].map(integerBytes)
      const body = [...fields, bob.address, integerBytes(1), new Uint8Array(0)]
      const tail = chainId === undefined ? [] : [integerBytes(chainId), ...none(2)]
      const [parity, r, s] = signatureOf(alice, keccak256(encodeRlp([...body, ...tail])))
      const offset = chainId === undefined ? 27 : 35 + chainId * 2
      return encodeRlp([...body, integerBytes(offset + (parity?.[0] ?? 0)), r, s] as Uint8Array[])
    }
    const listed = signTyped(alice, 1, [
      integerBytes(CHAIN_ID),
      integerBytes(2),
      integerBytes(10n * BASE_FEE),
      integerBytes(60_000),
      bob.address,
      integerBytes(1),
      new Uint8Array(0),
      [[carol.address, [sha256(Uint8Array.of(1)), sha256(Uint8Array.of(2))]]],
    ])
    const { built } = await chainOf([[legacy(0), legacy(1, CHAIN_ID), listed]])
    expect(built[1]?.dropped).toEqual([])
    expect(built[1]?.payload.gasUsed).toBe(21_000 * 3 + 2_400 + 2 * 1_900)
  })

  it('EIP-7002: requests of contracts are carried verbatim', async () => {
    const data = concatBytes(new Uint8Array(48).fill(7), new Uint8Array(8))
    const to = hexBytes('00000961ef480eb55e80d19ad83579a64c007002')
    const { built } = await chainOf([
      [signed(alice, { nonce: 0, to, data, value: 1n, gas: 300_000n })],
    ])
    expect(built[1]?.payload.executionRequests.map((request) => request[0])).toEqual([1])
  })

  it('precompiles: the ones that are native or ours answer like the library', async () => {
    const message = sha256(Uint8Array.of(1))
    const [parity, r, s] = signatureOf(alice, message) as [Uint8Array, Uint8Array, Uint8Array]
    const word = (bytes: Uint8Array) => concatBytes(new Uint8Array(32 - bytes.length), bytes)
    const input = concatBytes(message, word(Uint8Array.of(27 + (parity[0] ?? 0))), word(r), word(s))
    /** Calls `precompile` with the rest of the code as input and stores its first word in slot 0. */
    const probe = (precompile: number, bytes: Uint8Array) => {
      const size = bytes.length.toString(16).padStart(4, '0')
      const address = precompile.toString(16).padStart(4, '0')
      const call = `5f5f61${size}5f5f61${address}5af1`
      const code = `61${size}61001e5f39${call}503d5f5f3e5f515f5500`
      return concatBytes(hexBytes(code), bytes)
    }
    const transactions = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 256].map(
      (precompile, nonce) =>
        signed(alice, { nonce, data: probe(precompile, input), gas: 1_500_000n }),
    )
    const { built } = await chainOf([transactions])
    expect(built[1]?.dropped).toEqual([])
  })

  it('random code, deployed and called, gives the same roots, receipts and gas', async () => {
    const opcode = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.constantFrom(0x5f, 0x60, 0x61, 0x30, 0x33, 0x34, 0x36, 0x3d, 0x80),
      },
      {
        weight: 3,
        arbitrary: fc.constantFrom(0x54, 0x55, 0x52, 0x53, 0x51, 0x5c, 0x5d, 0x81, 0x90),
      },
      {
        weight: 3,
        arbitrary: fc.constantFrom(0xf0, 0xf1, 0xf4, 0xf5, 0xfa, 0xff, 0xa0, 0xa1, 0xf3),
      },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
    )
    const program = fc.array(opcode, { minLength: 4, maxLength: 80 })
    const block = fc.array(program, { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(fc.array(block, { minLength: 1, maxLength: 3 }), async (blocks) => {
        let nonce = 0
        const transactions = blocks.map((programs) =>
          programs.flatMap((codes) => {
            const runtime = toHex(Uint8Array.from(codes))
            const contract = createdAddress(alice.address, BigInt(nonce))
            return [
              signed(alice, { nonce: nonce++, data: deploys(runtime), gas: 400_000n, value: 3n }),
              signed(alice, { nonce: nonce++, to: contract, gas: 200_000n, value: 1n }),
              signed(alice, { nonce: nonce++, data: Uint8Array.from(codes), gas: 200_000n }),
            ]
          }),
        )
        await chainOf(transactions)
      }),
      { numRuns: 8 },
    )
  })
})

describe('fees', () => {
  it('EIP-1559: the base fee follows the parent, an eighth at most', () => {
    const parent = { gasLimit: 30_000_000, baseFeePerGas: 1_000_000_000n }
    expect(nextBaseFee({ ...parent, gasUsed: 15_000_000 })).toBe(1_000_000_000n)
    expect(nextBaseFee({ ...parent, gasUsed: 30_000_000 })).toBe(1_125_000_000n)
    expect(nextBaseFee({ ...parent, gasUsed: 0 })).toBe(875_000_000n)
    expect(nextBaseFee({ ...parent, baseFeePerGas: 7n, gasUsed: 15_000_001 })).toBe(8n)
  })

  it('C-1: supply changes by the mints less the burned base fee, to the wei', async () => {
    const { store, built } = await chainOf([
      [signed(alice, { nonce: 0, to: bob.address, value: 5n, tip: 3n })],
      [signed(alice, { nonce: 1, data: deploys(STORE_AND_LOG), gas: 500_000n, tip: 1n })],
    ])
    const balances = [...store.state.accounts.values()].map(({ balance }) => balance)
    const minted = 2n * 10n ** 19n
    const burned = built.reduce((sum, { outcome }) => sum + outcome.feesBurnedWei, 0n)
    expect(balances.reduce((sum, balance) => sum + balance, 0n)).toBe(minted - burned)
  })
})

function none(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => new Uint8Array(0))
}
