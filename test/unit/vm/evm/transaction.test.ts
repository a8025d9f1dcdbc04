import { RLP } from '@ethereumjs/rlp'
import fc from 'fast-check'
import { concatBytes, sha256, toHex } from '../../../../crypto/index.ts'
import { keccak256 } from '../../../../vm/evm/keccak.ts'
import { poolTransaction } from '../../../../vm/evm/pool-transaction.ts'
import { decodeRlp, encodeRlp, integerBytes, type RlpItem } from '../../../../vm/evm/rlp.ts'
import { recoverSender } from '../../../../vm/evm/sender.ts'
import { decodeTransaction, isTransaction } from '../../../../vm/evm/transaction.ts'
import { CHAIN_ID, genesis, keyOf, openEngine, signatureOf, signed } from './fixtures.ts'
import { MemoryStore } from './memory-store.ts'

const alice = keyOf('alice')
const bob = keyOf('bob')
const N = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n

const { tree } = fc.letrec<{ tree: RlpItem }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.uint8Array({ maxLength: 70 }),
    fc.array(tie('tree'), { maxLength: 4 }),
  ),
}))

describe('RLP', () => {
  it('encodes and decodes like an independent implementation', () => {
    fc.assert(
      fc.property(tree, (item) => {
        const encoded = encodeRlp(item)
        expect(toHex(encoded)).toBe(toHex(RLP.encode(item as Uint8Array)))
        expect(decodeRlp(encoded)).toEqual(item)
      }),
    )
  })

  it('is total: any bytes give an item that encodes back to them, or nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const item = decodeRlp(bytes)
        if (item !== undefined) expect(encodeRlp(item)).toEqual(bytes)
      }),
      { numRuns: 2_000 },
    )
    expect(decodeRlp(new Uint8Array(0))).toBeUndefined()
    expect(decodeRlp(new Uint8Array(100_000).fill(0xc1))).toBeUndefined()
  })
})

describe('transactions', () => {
  it('TX-2: decoding is total', () => {
    const raw = signed(alice, { nonce: 1, to: bob.address, value: 3n })
    fc.assert(
      fc.property(
        fc.nat(raw.length - 1),
        fc.nat(255),
        fc.uint8Array({ maxLength: 200 }),
        (at, byte, junk) => {
          const changed = raw.slice()
          changed[at] = byte
          for (const bytes of [changed, junk, raw.subarray(0, at), concatBytes(raw, junk)]) {
            const decoded = decodeTransaction(bytes)
            if (isTransaction(decoded)) recoverSender(decoded)
            else expect(['TransactionMalformed', 'TransactionTypeRefused']).toContain(decoded.code)
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  it('the sender is who signed, the hash that of the bytes', () => {
    const raw = signed(alice, { nonce: 1, to: bob.address, value: 3n })
    const decoded = decodeTransaction(raw)
    if (!isTransaction(decoded)) throw new Error(decoded.reason)
    expect(recoverSender(decoded)).toEqual(alice.address)
    expect(decoded.hash).toEqual(keccak256(raw))
    expect(poolTransaction(decoded, alice.address)).toMatchObject({
      nonce: 1n,
      leastGasLimit: 21_000n,
      chainId: BigInt(CHAIN_ID),
    })
  })

  it('EIP-2: the other form of a signature is refused', () => {
    const fields: RlpItem[] = [CHAIN_ID, 0, 0, 10, 21_000].map(integerBytes)
    fields.push(bob.address, new Uint8Array(0), new Uint8Array(0), [])
    const hash = keccak256(concatBytes(Uint8Array.of(2), encodeRlp(fields)))
    const [parity, r, s] = signatureOf(alice, hash) as [Uint8Array, Uint8Array, Uint8Array]
    const other = integerBytes(N - BigInt(`0x${toHex(s)}`))
    const flipped = integerBytes(1 - (parity[0] ?? 0))
    const raw = concatBytes(Uint8Array.of(2), encodeRlp([...fields, flipped, r, other]))
    expect(decodeTransaction(raw)).toMatchObject({ code: 'TransactionMalformed' })
  })

  it('6.1: a blob transaction is refused by its type', () => {
    expect(decodeTransaction(Uint8Array.of(3, 0xc0))).toMatchObject({
      code: 'TransactionTypeRefused',
    })
  })
})

describe('decided blocks', () => {
  it('BP-11, D16: without all receipts the answer is unknown, never invalid', async () => {
    const store = new MemoryStore()
    const { engine, head } = await openEngine(store)
    const request = {
      parentHash: head.hash,
      timestamp: genesis.timestamp + 1,
      prevRandao: sha256(Uint8Array.of(1)),
      feeRecipient: bob.address,
      withdrawals: [{ index: 0, validatorIndex: 0, address: alice.address, amountGwei: 10n ** 9n }],
      parentBeaconBlockRoot: sha256(Uint8Array.of(2)),
      gasLimitTarget: 30_000_000,
      transactions: [],
      deadlineMs: 1_000,
    }
    const first = await engine.build(request)
    if (first.status !== 'BUILT') throw new Error(first.reason)
    const second = await engine.build({
      ...request,
      parentHash: first.payload.blockHash,
      timestamp: request.timestamp + 1,
      withdrawals: [],
      transactions: [{ raw: signed(alice, { nonce: 0, to: bob.address }) }],
    })
    if (second.status !== 'BUILT') throw new Error(second.reason)
    await engine.commit(second.payload.blockHash)
    const { payload, outcome } = second
    expect(await engine.execute({ payload })).toEqual({ status: 'VALID', outcome })
    store.receiptsAt = () => []
    expect(await engine.execute({ payload })).toMatchObject({ code: 'ReceiptsMissing' })
  })
})
