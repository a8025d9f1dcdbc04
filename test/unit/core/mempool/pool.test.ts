import fc from 'fast-check'
import {
  MAX_TRANSACTION_BYTES,
  MAX_TRANSACTIONS_PER_SENDER,
  Mempool,
  type PoolTransaction,
  type PoolVerdict,
  type SenderAccount,
} from '../../../../core/mempool/index.ts'
import { sha256, toHex, uint32be } from '../../../../crypto/index.ts'

const GWEI = 1_000_000_000n
const RICH: SenderAccount = { nonce: 0n, balanceWei: 10n ** 24n }

function sender(index: number): Uint8Array {
  return sha256(uint32be(index)).slice(0, 20)
}

let serial = 0
function transaction(change: Partial<PoolTransaction> = {}): PoolTransaction {
  serial += 1
  return {
    hash: sha256(uint32be(serial)),
    sender: sender(0),
    nonce: 0n,
    chainId: 7n,
    gasLimit: 21_000n,
    leastGasLimit: 21_000n,
    maxFeePerGas: 10n * GWEI,
    maxPriorityFeePerGas: GWEI,
    valueWei: 0n,
    raw: new Uint8Array(110),
    ...change,
  }
}

function pool(options: { maxTransactions?: number; maxBytes?: number } = {}): Mempool {
  return new Mempool({ chainId: 7, minFeeCapWei: 7n, ...options })
}

function codeOf(verdict: PoolVerdict): string {
  return verdict.kind === 'added' ? 'added' : verdict.code
}

describe('what the pool takes', () => {
  it('TX-2: names the first check that fails', () => {
    const verdicts = [
      transaction({ raw: new Uint8Array(MAX_TRANSACTION_BYTES + 1) }),
      transaction({ chainId: 8n }),
      transaction({ gasLimit: 16_777_217n }),
      transaction({ leastGasLimit: 21_001n }),
      transaction({ maxFeePerGas: 6n }),
      transaction({ nonce: 1n }),
      transaction({ nonce: 66n }),
      transaction({ nonce: 2n, valueWei: 10n ** 24n }),
    ].map((one) => codeOf(pool().add(one, { nonce: 2n, balanceWei: 10n ** 24n })))
    expect(verdicts).toEqual([
      'TransactionTooLarge',
      'WrongChain',
      'GasLimitTooHigh',
      'IntrinsicGasTooLow',
      'FeeCapTooLow',
      'NonceTooLow',
      'NonceTooHigh',
      'InsufficientFunds',
    ])
  })

  it('TX-5: the same transaction twice is taken once', () => {
    const mempool = pool()
    const one = transaction()
    expect(codeOf(mempool.add(one, RICH))).toBe('added')
    expect(codeOf(mempool.add(one, RICH))).toBe('AlreadyKnown')
    expect(mempool.stats().transactions).toBe(1)
  })

  it('a sender can pay for all that it has in the pool together', () => {
    const mempool = pool()
    const account = { nonce: 0n, balanceWei: 2n * 21_000n * 10n * GWEI }
    expect(codeOf(mempool.add(transaction({ nonce: 0n }), account))).toBe('added')
    expect(codeOf(mempool.add(transaction({ nonce: 1n }), account))).toBe('added')
    expect(codeOf(mempool.add(transaction({ nonce: 2n }), account))).toBe('InsufficientFunds')
  })

  it('MP-5: a replacement offers a tenth more in both fees', () => {
    const mempool = pool()
    const first = transaction({ maxFeePerGas: 101n, maxPriorityFeePerGas: 11n })
    mempool.add(first, RICH)
    const low = transaction({ maxFeePerGas: 111n, maxPriorityFeePerGas: 13n })
    expect(mempool.add(low, RICH)).toMatchObject({
      code: 'ReplacementUnderpriced',
      leastFee: 112n,
      leastTip: 13n,
    })
    const high = transaction({ maxFeePerGas: 112n, maxPriorityFeePerGas: 13n })
    expect(mempool.add(high, RICH)).toEqual({ kind: 'added', replaced: first.hash, evicted: [] })
    expect(mempool.has(first.hash)).toBe(false)
    expect(mempool.stats().transactions).toBe(1)
  })

  it('MP-2: a full pool evicts the cheapest tail, and only for a tenth more', () => {
    const mempool = pool({ maxTransactions: 2 })
    const cheap = transaction({ sender: sender(1), maxFeePerGas: 100n })
    mempool.add(cheap, RICH)
    mempool.add(transaction({ sender: sender(2), maxFeePerGas: 200n }), RICH)
    const close = transaction({ sender: sender(3), maxFeePerGas: 109n })
    expect(codeOf(mempool.add(close, RICH))).toBe('PoolFull')
    const better = transaction({ sender: sender(3), maxFeePerGas: 110n })
    expect(mempool.add(better, RICH)).toMatchObject({ kind: 'added', evicted: [cheap.hash] })
    expect(mempool.stats().transactions).toBe(2)
  })
})

describe('the template', () => {
  it('MP-6: takes the best tip first and keeps each sender in nonce order', () => {
    const mempool = pool()
    const low = transaction({ sender: sender(1), nonce: 0n, maxPriorityFeePerGas: 1n })
    const high = transaction({ sender: sender(1), nonce: 1n, maxPriorityFeePerGas: 9n })
    const middle = transaction({ sender: sender(2), nonce: 0n, maxPriorityFeePerGas: 5n })
    for (const one of [high, middle, low]) mempool.add(one, RICH)
    expect(mempool.template(GWEI, 10n ** 7n)).toEqual([middle, low, high])
  })

  it('MP-6: passes over what does not fit and goes on', () => {
    const mempool = pool()
    const big = transaction({
      sender: sender(1),
      maxPriorityFeePerGas: 9n,
      gasLimit: 90_000n,
      leastGasLimit: 90_000n,
    })
    const small = transaction({ sender: sender(2), maxPriorityFeePerGas: 1n })
    for (const one of [big, small]) mempool.add(one, RICH)
    expect(mempool.template(GWEI, 50_000n)).toEqual([small])
  })

  it('leaves out what is behind a nonce gap or below the base fee', () => {
    const mempool = pool()
    mempool.add(transaction({ sender: sender(1), nonce: 1n }), RICH)
    mempool.add(transaction({ sender: sender(2), maxFeePerGas: 5n * GWEI }), RICH)
    const fits = transaction({ sender: sender(3) })
    mempool.add(fits, RICH)
    expect(mempool.template(6n * GWEI, 10n ** 7n)).toEqual([fits])
    expect(mempool.stats()).toMatchObject({ pending: 2, queued: 1 })
  })

  it('MP-6: does not depend on the order of arrival', () => {
    const transactions = Array.from({ length: 40 }, (_, index) =>
      transaction({
        sender: sender(index % 8),
        nonce: BigInt(Math.floor(index / 8)),
        maxPriorityFeePerGas: BigInt((index * 7) % 5),
      }),
    )
    fc.assert(
      fc.property(fc.shuffledSubarray(transactions, { minLength: 40 }), (shuffled) => {
        const [first, second] = [pool(), pool()]
        for (const one of transactions) first.add(one, RICH)
        for (const one of shuffled) second.add(one, RICH)
        expect(second.template(GWEI, 10n ** 9n)).toEqual(first.template(GWEI, 10n ** 9n))
      }),
      { numRuns: 20 },
    )
  })
})

describe('after a block', () => {
  it('what was included leaves, and the next nonce moves on', () => {
    const mempool = pool()
    for (const nonce of [0n, 1n, 2n]) mempool.add(transaction({ nonce }), RICH)
    expect(mempool.nextNonce(sender(0))).toBe(3n)
    mempool.onCommitted([
      { sender: sender(0), nonce: 0n },
      { sender: sender(0), nonce: 1n },
    ])
    expect(mempool.lane(sender(0)).map(({ nonce }) => nonce)).toEqual([2n])
    expect(mempool.nextNonce(sender(0))).toBe(3n)
    expect(mempool.template(GWEI, 10n ** 7n)).toHaveLength(1)
  })

  it('what the sender can no longer pay for leaves', () => {
    const mempool = pool()
    for (const nonce of [0n, 1n]) mempool.add(transaction({ nonce }), RICH)
    mempool.refresh(sender(0), { nonce: 0n, balanceWei: 21_000n * 10n * GWEI })
    expect(mempool.stats().transactions).toBe(1)
  })
})

describe('bounds', () => {
  it('MP-1: counters equal a recount and no bound is exceeded after any sequence', () => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'commit', 'remove', 'refresh'),
      sender: fc.nat(6),
      nonce: fc.nat(5),
      fee: fc.bigInt(7n, 200n),
      size: fc.integer({ min: 100, max: 400 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const mempool = pool({ maxTransactions: 12, maxBytes: 3_000 })
        for (const { kind, sender: index, nonce, fee, size } of steps) {
          const one = transaction({
            sender: sender(index),
            nonce: BigInt(nonce),
            maxFeePerGas: fee,
            maxPriorityFeePerGas: fee,
            raw: new Uint8Array(size),
          })
          if (kind === 'add') mempool.add(one, RICH)
          if (kind === 'commit') mempool.onCommitted([one])
          if (kind === 'remove') mempool.remove(mempool.lane(one.sender).map(({ hash }) => hash))
          if (kind === 'refresh') mempool.refresh(one.sender, { nonce: 1n, balanceWei: 10n ** 7n })
          const all = [...mempool.all()]
          const { transactions, bytes, pending, queued } = mempool.stats()
          expect(transactions).toBe(all.length)
          expect(bytes).toBe(all.reduce((sum, { raw }) => sum + raw.length, 0))
          expect(pending + queued).toBe(all.length)
          expect(transactions).toBeLessThanOrEqual(12)
          expect(bytes).toBeLessThanOrEqual(3_000)
          const slots = all.map((held) => `${toHex(held.sender)}:${held.nonce}`)
          expect(new Set(slots).size).toBe(all.length)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('MP-5: a sender has a bounded number of transactions', () => {
    const mempool = pool()
    for (let nonce = 0; nonce < MAX_TRANSACTIONS_PER_SENDER; nonce++) {
      expect(codeOf(mempool.add(transaction({ nonce: BigInt(nonce) }), RICH))).toBe('added')
    }
    const next = transaction({ nonce: BigInt(MAX_TRANSACTIONS_PER_SENDER) })
    expect(codeOf(mempool.add(next, RICH))).toBe('NonceTooHigh')
  })
})
