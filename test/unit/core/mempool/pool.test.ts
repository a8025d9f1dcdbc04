import fc from 'fast-check'
import {
  FLOOR_HALF_LIFE_MS,
  HIGH_TIP_WEI,
  MAX_EVICTED,
  MAX_GAPPED_PER_SENDER,
  MAX_TRANSACTION_BYTES,
  MAX_WAIT_MS,
  Mempool,
  type PoolOptions,
  type PoolTransaction,
  type PoolVerdict,
  Rejections,
  type SenderAccount,
  SURE_SLOTS,
  WARNING_TIP_WEI,
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
    initcodeBytes: 0,
    raw: new Uint8Array(110),
    ...change,
  }
}

/** A pool whose clock stands still. */
function pool(options: Partial<PoolOptions> = {}) {
  const mempool = new Mempool({ chainId: 7, minFeeCapWei: 7n, ...options })
  return Object.assign(mempool, {
    take: (one: PoolTransaction, account = RICH, nowMs = 0) => mempool.add(one, account, nowMs),
  })
}

function codeOf(verdict: PoolVerdict): string {
  return verdict.kind === 'added' ? 'added' : verdict.code
}

const paying = (feeWei: bigint) => ({ maxFeePerGas: feeWei, maxPriorityFeePerGas: feeWei })

describe('what the pool takes', () => {
  it('TX-2: names the first check that fails', () => {
    const verdicts = [
      transaction({ raw: new Uint8Array(MAX_TRANSACTION_BYTES + 1), chainId: 8n }),
      transaction({ chainId: 8n, initcodeBytes: 50_000 }),
      transaction({ initcodeBytes: 49_153, gasLimit: 16_777_217n }),
      transaction({ gasLimit: 16_777_217n, maxFeePerGas: 6n }),
      transaction({ leastGasLimit: 21_001n, maxFeePerGas: 6n }),
      transaction({ maxFeePerGas: 6n, nonce: 1n }),
      transaction({ nonce: 1n }),
      transaction({ nonce: 5_000n }),
      transaction({ nonce: 2n, valueWei: 10n ** 24n }),
    ].map((one) => codeOf(pool().take(one, { nonce: 2n, balanceWei: 10n ** 24n })))
    expect(verdicts).toEqual([
      'TransactionTooLarge',
      'WrongChain',
      'InitcodeTooLarge',
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
    expect(codeOf(mempool.take(one))).toBe('added')
    expect(codeOf(mempool.take(one))).toBe('AlreadyKnown')
    expect(mempool.stats().transactions).toBe(1)
  })

  it('a sender can pay for all that it has in the pool together', () => {
    const mempool = pool()
    const account = { nonce: 0n, balanceWei: 2n * 21_000n * 10n * GWEI }
    expect(codeOf(mempool.take(transaction({ nonce: 0n }), account))).toBe('added')
    expect(codeOf(mempool.take(transaction({ nonce: 1n }), account))).toBe('added')
    expect(codeOf(mempool.take(transaction({ nonce: 2n }), account))).toBe('InsufficientFunds')
  })

  it('MP-5: a replacement offers a tenth more in both fees', () => {
    const mempool = pool()
    const first = transaction({ maxFeePerGas: 101n, maxPriorityFeePerGas: 11n })
    mempool.take(first)
    const low = transaction({ maxFeePerGas: 111n, maxPriorityFeePerGas: 13n })
    expect(mempool.take(low)).toMatchObject({
      code: 'ReplacementUnderpriced',
      leastFee: 112n,
      leastTip: 13n,
    })
    expect(
      codeOf(mempool.take(transaction({ maxFeePerGas: 500n, maxPriorityFeePerGas: 12n }))),
    ).toBe('ReplacementUnderpriced')
    const high = transaction({ maxFeePerGas: 112n, maxPriorityFeePerGas: 13n })
    expect(mempool.take(high)).toEqual({ kind: 'added', replaced: first.hash, evicted: [] })
    expect(mempool.has(first.hash)).toBe(false)
    expect(mempool.stats().transactions).toBe(1)
  })

  it('MP-5: and at least the least fee cap more, where a tenth is less than that', () => {
    const mempool = pool()
    mempool.take(transaction(paying(10n)))
    expect(mempool.take(transaction(paying(16n)))).toMatchObject({ leastFee: 17n, leastTip: 11n })
    expect(codeOf(mempool.take(transaction(paying(17n))))).toBe('added')
  })

  it('MP-5: behind a gap a sender has few places, in sequence many', () => {
    const mempool = pool({ maxPerSender: 200 })
    for (let nonce = 2; nonce < 2 + MAX_GAPPED_PER_SENDER; nonce++) {
      expect(codeOf(mempool.take(transaction({ nonce: BigInt(nonce) })))).toBe('added')
    }
    expect(codeOf(mempool.take(transaction({ nonce: 90n })))).toBe('SenderLimit')
    for (const nonce of [0n, 1n]) mempool.take(transaction({ nonce }))
    expect(mempool.stats()).toMatchObject({ pending: 2 + MAX_GAPPED_PER_SENDER, queued: 0 })
    for (let nonce = 66n; nonce < 200n; nonce++) mempool.take(transaction({ nonce }))
    expect(mempool.nextNonce(sender(0))).toBe(200n)
    expect(codeOf(mempool.take(transaction({ nonce: 200n })))).toBe('NonceTooHigh')
  })

  it('an account that was looked at before the last block does not bring back a nonce that has passed', () => {
    const mempool = pool()
    mempool.take(transaction({ nonce: 3n }), { ...RICH, nonce: 3n })
    expect(mempool.take(transaction({ nonce: 2n }), { ...RICH, nonce: 1n })).toMatchObject({
      code: 'NonceTooLow',
      next: 3n,
    })
  })
})

describe('a full pool', () => {
  it('MP-2: puts out the lowest rate, and only for a tenth more', () => {
    const mempool = pool({ maxTransactions: 2 })
    const cheap = transaction({ sender: sender(1), ...paying(100n * GWEI) })
    mempool.take(cheap)
    mempool.take(transaction({ sender: sender(2), ...paying(200n * GWEI) }))
    const close = transaction({ sender: sender(3), ...paying(109n * GWEI) })
    expect(codeOf(mempool.take(close))).toBe('PoolFull')
    const better = transaction({ sender: sender(3), ...paying(110n * GWEI) })
    expect(mempool.take(better)).toMatchObject({ kind: 'added', evicted: [cheap.hash] })
    expect(mempool.stats().transactions).toBe(2)
    expect(mempool.endOf(cheap.hash)).toMatchObject({ state: 'Rejected', code: 'Evicted' })
  })

  it('MP-2: with what depends on it, and of equal ones the newest', () => {
    const mempool = pool({ maxTransactions: 5 })
    const first = transaction({ sender: sender(1), ...paying(50n * GWEI) })
    const second = transaction({ sender: sender(1), nonce: 1n, ...paying(900n * GWEI) })
    mempool.take(first)
    mempool.take(second)
    const others = [2, 3, 4].map((index) =>
      transaction({ sender: sender(index), ...paying(100n * GWEI) }),
    )
    for (const other of others) mempool.take(other)
    const newcomers = [5, 6, 7].map((index) =>
      transaction({ sender: sender(index), ...paying(120n * GWEI) }),
    )
    expect(mempool.take(newcomers[0] as PoolTransaction)).toMatchObject({
      evicted: [first.hash, second.hash],
    })
    expect(mempool.take(newcomers[1] as PoolTransaction)).toMatchObject({ evicted: [] })
    expect(mempool.take(newcomers[2] as PoolTransaction)).toMatchObject({
      evicted: [others[2]?.hash],
    })
  })

  it('MP-2: the rate is what the next block’s author gets', () => {
    const mempool = pool({ maxTransactions: 2 })
    const capped = transaction({
      sender: sender(1),
      maxFeePerGas: 150n * GWEI,
      maxPriorityFeePerGas: 90n * GWEI,
    })
    const tipping = transaction({ sender: sender(2), ...paying(120n * GWEI) })
    mempool.take(tipping)
    mempool.take(capped)
    mempool.onHead(100n * GWEI, 0)
    const newcomer = transaction({
      sender: sender(3),
      maxFeePerGas: 400n * GWEI,
      maxPriorityFeePerGas: 30n * GWEI,
    })
    expect(mempool.take(newcomer)).toMatchObject({ evicted: [tipping.hash] })
  })

  it('MP-5: what cannot run goes before what can, however much it promises', () => {
    const mempool = pool({ maxTransactions: 2 })
    const gapped = transaction({ sender: sender(1), nonce: 1n, ...paying(10_000n * GWEI) })
    mempool.take(gapped)
    mempool.take(transaction({ sender: sender(2), ...paying(50n * GWEI) }))
    const next = transaction({ sender: sender(3), ...paying(50n * GWEI) })
    expect(mempool.take(next)).toMatchObject({ evicted: [gapped.hash] })
    const another = transaction({ sender: sender(4), nonce: 3n, ...paying(10_000n * GWEI) })
    expect(codeOf(mempool.take(another))).toBe('PoolFull')
  })

  it('MP-5: a sender’s first sixteen keep their places before the rest of another’s', () => {
    const mempool = pool({ maxTransactions: 40 })
    for (let nonce = 0; nonce < 40; nonce++) {
      mempool.take(
        transaction({ sender: sender(1), nonce: BigInt(nonce), ...paying(10_000n * GWEI) }),
      )
    }
    for (let index = 0; index < 40 - SURE_SLOTS; index++) {
      expect(
        codeOf(mempool.take(transaction({ sender: sender(2 + index), ...paying(500n * GWEI) }))),
      ).toBe('added')
    }
    expect(mempool.lane(sender(1))).toHaveLength(SURE_SLOTS)
    expect(codeOf(mempool.take(transaction({ sender: sender(90), ...paying(500n * GWEI) })))).toBe(
      'PoolFull',
    )
  })

  it('MP-5: one newcomer never puts out more than a hundred', () => {
    const small = new Uint8Array(100)
    const mempool = pool({ maxBytes: 20_000 })
    for (let index = 0; index < 200; index++) {
      mempool.take(transaction({ sender: sender(index), ...paying(10n * GWEI), raw: small }))
    }
    const big = (bytes: number) =>
      transaction({ sender: sender(999), ...paying(1_000n * GWEI), raw: new Uint8Array(bytes) })
    expect(codeOf(mempool.take(big(100 * MAX_EVICTED + 1)))).toBe('PoolFull')
    expect(mempool.stats().transactions).toBe(200)
    const fits = mempool.take(big(100 * MAX_EVICTED))
    expect(fits.kind === 'added' && fits.evicted).toHaveLength(MAX_EVICTED)
  })

  it('nobody makes room for what would then be behind a gap', () => {
    const mempool = pool({ maxTransactions: 2 })
    mempool.take(transaction({ nonce: 0n, ...paying(10n * GWEI) }))
    mempool.take(transaction({ sender: sender(1), ...paying(1_000n * GWEI) }))
    expect(codeOf(mempool.take(transaction({ nonce: 1n, ...paying(500n * GWEI) })))).toBe(
      'PoolFull',
    )
    expect(mempool.stats()).toMatchObject({ transactions: 2, pending: 2 })
  })

  it('MP-4: asks for more from four fifths on, and comes back by half every ten minutes', () => {
    const mempool = pool({ maxTransactions: 10 })
    const add = (index: number, tipWei: bigint, nowMs = 0) =>
      codeOf(
        mempool.take(
          transaction({ sender: sender(index), maxPriorityFeePerGas: tipWei }),
          RICH,
          nowMs,
        ),
      )
    for (let index = 0; index < 7; index++) expect(add(index, 0n)).toBe('added')
    expect([mempool.level(), mempool.tipFloorWei(0)]).toEqual(['Normal', 0n])
    expect(add(7, 0n)).toBe('added')
    expect([mempool.level(), mempool.tipFloorWei(0)]).toEqual(['Warning', WARNING_TIP_WEI])
    expect(add(8, WARNING_TIP_WEI - 1n)).toBe('TipTooLow')
    expect([add(8, WARNING_TIP_WEI), add(9, WARNING_TIP_WEI)]).toEqual(['added', 'added'])
    expect([mempool.level(), mempool.tipFloorWei(0)]).toEqual(['High', HIGH_TIP_WEI])
    for (let index = 3; index < 10; index++)
      mempool.remove((mempool.lane(sender(index))[0] as PoolTransaction).hash, 'x')
    expect(mempool.level()).toBe('Normal')
    expect(mempool.tipFloorWei(FLOOR_HALF_LIFE_MS - 1)).toBe(HIGH_TIP_WEI)
    expect(mempool.tipFloorWei(FLOOR_HALF_LIFE_MS)).toBe(HIGH_TIP_WEI / 2n)
    expect(mempool.tipFloorWei(3 * FLOOR_HALF_LIFE_MS)).toBe(HIGH_TIP_WEI / 8n)
    expect(add(3, 0n, 40 * FLOOR_HALF_LIFE_MS)).toBe('added')
  })
})

describe('the template', () => {
  it('MP-6: takes the best tip first and keeps each sender in nonce order', () => {
    const mempool = pool()
    const first = transaction({ sender: sender(1), nonce: 0n, maxPriorityFeePerGas: 9n })
    const last = transaction({ sender: sender(1), nonce: 1n, maxPriorityFeePerGas: 1n })
    const middle = transaction({ sender: sender(2), nonce: 0n, maxPriorityFeePerGas: 5n })
    for (const one of [last, middle, first]) mempool.take(one)
    expect(mempool.template(GWEI, 10n ** 7n)).toEqual([first, middle, last])
  })

  it('MP-6: a cheap one goes with the dear one behind it, by what they pay together', () => {
    const mempool = pool()
    const low = transaction({ sender: sender(1), nonce: 0n, maxPriorityFeePerGas: 1n })
    const high = transaction({ sender: sender(1), nonce: 1n, maxPriorityFeePerGas: 11n })
    const middle = transaction({ sender: sender(2), maxPriorityFeePerGas: 5n })
    const better = transaction({ sender: sender(3), maxPriorityFeePerGas: 7n })
    for (const one of [high, middle, low, better]) mempool.take(one)
    expect(mempool.template(GWEI, 10n ** 7n)).toEqual([better, low, high, middle])
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
    for (const one of [big, small]) mempool.take(one)
    expect(mempool.template(GWEI, 50_000n)).toEqual([small])
    expect(mempool.template(GWEI, 10n ** 6n, 1)).toEqual([big])
  })

  it('leaves out what is behind a nonce gap or below the base fee', () => {
    const mempool = pool()
    const gapped = transaction({ sender: sender(1), nonce: 1n })
    const low = transaction({ sender: sender(2), maxFeePerGas: 5n * GWEI })
    const fits = transaction({ sender: sender(3) })
    for (const one of [gapped, low, fits]) mempool.take(one)
    mempool.onHead(6n * GWEI, 0)
    expect(mempool.template(6n * GWEI, 10n ** 7n)).toEqual([fits])
    expect(mempool.stats()).toMatchObject({ pending: 2, queued: 1 })
    const reasons = [gapped, low, fits].map(({ hash }) => mempool.waitsFor(hash))
    expect(reasons).toEqual(['NonceGap', 'BaseFee', undefined])
  })

  it('MP-6: does not depend on the order of arrival', () => {
    const transactions = Array.from({ length: 40 }, (_, index) =>
      transaction({
        sender: sender(index % 8),
        nonce: BigInt(Math.floor(index / 8)),
        maxPriorityFeePerGas: BigInt((index * 7) % 5),
        gasLimit: 21_000n + BigInt((index % 3) * 10_000),
      }),
    )
    fc.assert(
      fc.property(fc.shuffledSubarray(transactions, { minLength: 40 }), (shuffled) => {
        const [first, second] = [pool(), pool()]
        for (const one of transactions) first.take(one)
        for (const one of shuffled) second.take(one)
        expect(second.template(GWEI, 500_000n)).toEqual(first.template(GWEI, 500_000n))
      }),
      { numRuns: 20 },
    )
  })
})

describe('after a block', () => {
  it('MP-7: what was included leaves, its next nonce moves on, and it does not come back', () => {
    const mempool = pool()
    const all = [0n, 1n, 2n].map((nonce) => transaction({ nonce }))
    for (const one of all) mempool.take(one)
    expect(mempool.nextNonce(sender(0))).toBe(3n)
    mempool.refresh(sender(0), { ...RICH, nonce: 2n })
    expect(mempool.lane(sender(0)).map(({ nonce }) => nonce)).toEqual([2n])
    expect(mempool.nextNonce(sender(0))).toBe(3n)
    expect(mempool.template(GWEI, 10n ** 7n)).toHaveLength(1)
    expect(codeOf(mempool.take(all[1] as PoolTransaction))).toBe('NonceTooLow')
    expect(mempool.endOf((all[1] as PoolTransaction).hash)).toEqual({ state: 'Replaced' })
  })

  it('what the sender can no longer pay for leaves', () => {
    const mempool = pool()
    const [kept, gone] = [transaction({ nonce: 0n }), transaction({ nonce: 1n })] as const
    for (const one of [kept, gone]) mempool.take(one)
    mempool.refresh(sender(0), { nonce: 0n, balanceWei: 21_000n * 10n * GWEI })
    expect([...mempool.all()]).toEqual([kept])
    expect(mempool.endOf(gone.hash)).toMatchObject({ code: 'InsufficientFunds' })
  })

  it('TX-4: what waits 72 hours expires, says so, and may be sent again', () => {
    const mempool = pool()
    const old = transaction()
    const young = transaction({ sender: sender(1) })
    mempool.take(old, RICH, 0)
    mempool.take(young, RICH, 1)
    mempool.onHead(0n, MAX_WAIT_MS - 1)
    expect(mempool.stats().transactions).toBe(2)
    mempool.onHead(0n, MAX_WAIT_MS)
    expect([...mempool.all()]).toEqual([young])
    expect(mempool.endOf(old.hash)).toEqual({ state: 'Expired', afterMs: MAX_WAIT_MS })
    expect(codeOf(mempool.take(old, RICH, MAX_WAIT_MS))).toBe('added')
    expect(mempool.endOf(old.hash)).toBeUndefined()
  })

  it('TX-4: what was replaced names its replacement', () => {
    const mempool = pool()
    const [older, newer] = [transaction(paying(100n)), transaction(paying(200n))] as const
    mempool.take(older)
    mempool.take(newer)
    expect(mempool.endOf(older.hash)).toEqual({ state: 'Replaced', by: newer.hash })
  })
})

describe('bounds', () => {
  it('MP-1: counters equal a recount and no bound is exceeded after any sequence', () => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'add', 'add', 'remove', 'refresh', 'head'),
      sender: fc.nat(6),
      nonce: fc.nat(5),
      fee: fc.bigInt(7n, 200n).map((mwei) => mwei * 1_000_000n),
      size: fc.integer({ min: 100, max: 400 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const mempool = pool({ maxTransactions: 12, maxBytes: 3_000, maxWaitMs: 60 })
        const next = new Map<number, bigint>()
        for (const [at, { kind, sender: index, nonce, fee, size }] of steps.entries()) {
          const one = transaction({
            sender: sender(index),
            nonce: BigInt(nonce),
            ...paying(fee),
            raw: new Uint8Array(size),
          })
          const accountNonce = next.get(index) ?? 0n
          if (kind === 'add') mempool.take(one, { ...RICH, nonce: accountNonce }, at)
          if (kind === 'head') mempool.onHead(fee, at)
          if (kind === 'remove')
            for (const { hash } of mempool.lane(one.sender)) mempool.remove(hash, 'x')
          if (kind === 'refresh') {
            next.set(index, accountNonce + 1n)
            mempool.refresh(one.sender, { nonce: accountNonce + 1n, balanceWei: 10n ** 13n })
          }
          expectRecount(mempool, (address) => {
            for (let who = 0; who <= 6; who++) {
              if (toHex(sender(who)) === toHex(address)) return next.get(who) ?? 0n
            }
            return 0n
          })
          expect(mempool.stats().transactions).toBeLessThanOrEqual(12)
          expect(mempool.stats().bytes).toBeLessThanOrEqual(3_000)
        }
      }),
      { numRuns: 150 },
    )
  })

  it('MP-1: the ten-thousand-and-first asks whether it is worth a place', () => {
    const mempool = new Mempool({ chainId: 7, minFeeCapWei: 7n })
    for (let index = 0; index < 10_000; index++) {
      mempool.add(transaction({ sender: sender(index), ...paying(GWEI) }), RICH, 0)
    }
    expect(mempool.stats().transactions).toBe(10_000)
    const equal = transaction({ sender: sender(20_000), ...paying(GWEI) })
    expect(codeOf(mempool.add(equal, RICH, 0))).toBe('PoolFull')
    const better = transaction({ sender: sender(20_000), ...paying(2n * GWEI) })
    const added = mempool.add(better, RICH, 0)
    expect(added.kind === 'added' && added.evicted).toHaveLength(1)
    expect(mempool.stats().transactions).toBe(10_000)
  })
})

/** Everything that is counted, counted again from the transactions alone. */
function expectRecount(mempool: Mempool, accountNonce: (address: Uint8Array) => bigint): void {
  const all = [...mempool.all()]
  const { transactions, bytes, pending, queued } = mempool.stats()
  expect(transactions).toBe(all.length)
  expect(bytes).toBe(all.reduce((sum, { raw }) => sum + raw.length, 0))
  const slots = new Set(all.map((held) => `${toHex(held.sender)}:${held.nonce}`))
  expect(slots.size).toBe(all.length)
  let runnable = 0
  for (const address of mempool.senders()) {
    let nonce = accountNonce(address)
    while (slots.has(`${toHex(address)}:${nonce}`)) nonce += 1n
    runnable += Number(nonce - accountNonce(address))
    expect(mempool.nextNonce(address)).toBe(nonce)
  }
  expect([pending, queued]).toEqual([runnable, all.length - runnable])
  const content = mempool.content()
  expect([content.pending.length, content.queued.length]).toEqual([pending, queued])
}

describe('refusals for ever', () => {
  const hash = (index: number) => sha256(uint32be(index))

  it('MP-3: are kept, a thousand of them, for ten minutes; what may pass later is not', () => {
    const rejections = new Rejections()
    const refusal = { code: 'BadSignature', reason: 'no key' }
    for (let index = 0; index < 1_100; index++) rejections.add(hash(index), refusal, 0)
    expect(rejections.size).toBe(1_000)
    expect(rejections.get(hash(99), 0)).toBeUndefined()
    expect(rejections.get(hash(100), 599_999)).toMatchObject(refusal)
    expect(rejections.get(hash(100), 600_000)).toBeUndefined()
    for (const code of ['PoolFull', 'NonceTooLow', 'InsufficientFunds', 'TipTooLow']) {
      rejections.add(hash(5_000), { code, reason: '' }, 0)
      expect(rejections.get(hash(5_000), 0)).toBeUndefined()
    }
    rejections.clear()
    expect(rejections.size).toBe(0)
  })
})
