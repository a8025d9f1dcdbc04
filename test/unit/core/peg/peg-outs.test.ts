import {
  addressFromScript,
  parseTransaction,
  transactionWeight,
  txid,
} from '../../../../core/bitcoin/index.ts'
import { OUTPUT_KIND, OUTPUT_STATE, REQUEST_STATE, rowOf } from '../../../../core/ledger/index.ts'
import {
  allowedRate,
  assemble,
  buildPayout,
  changeOutput,
  checkIdentity,
  depositPayloadScript,
  describeReserve,
  findDeposit,
  findRequest,
  inputWeight,
  memberLeaf,
  openBatches,
  type PegCode,
  parseDeposits,
  requestId,
} from '../../../../core/peg/index.ts'
import { keccak256, toHex } from '../../../../crypto/index.ts'
import { addressOf, claimOf, depositOf, PegWorld, p2wpkh, payment } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }

function idOf(world: PegWorld, logIndex = 0): Uint8Array {
  return requestId(world.genesis, world.evmBlockHash(), logIndex)
}

/** Burns in one block, each from its own log; gives their ids. */
function burn(world: PegWorld, amountsSat: readonly bigint[]): Uint8Array[] {
  const ids = amountsSat.map((_, index) => idOf(world, index))
  world.block({
    burns: amountsSat.map((sat, index) => world.burn(`b${index}`, sat, undefined, index)),
  })
  return ids
}

/** The record that is due, in a block. */
function batch(world: PegWorld) {
  world.timestamp += 10
  const { items } = assemble(world.ledger, world.context(), EMPTY_QUEUE)
  world.block({ items })
  return openBatches(world.ledger).at(-1)
}

function transactionOf(bytes: Uint8Array | undefined) {
  const parsed = parseTransaction(bytes ?? new Uint8Array())
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

/** Mines the open batch's transaction and books it. */
function confirm(world: PegWorld) {
  const open = openBatches(world.ledger).at(-1)
  const transaction = transactionOf(open?.versions[0]?.row.transaction)
  world.bitcoin.mine([transaction])
  world.bitcoin.mine()
  book(world, transaction)
  return transaction
}

function book(world: PegWorld, transaction: ReturnType<typeof transactionOf>): void {
  world.syncHeaders()
  world.block({
    items: { proofs: [world.bitcoin.proofOf(transaction)], bookings: [{ proofIndex: 0 }] },
  })
}

describe('burns (P 4.4)', () => {
  it('the id is keccak256(genesis ‖ EVM block hash ‖ u32 log index): two in one block are two (PO-2)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 1_000_000n)
    const hash = world.evmBlockHash()
    const [first, second] = burn(world, [20_000n, 20_000n])
    expect(first).toEqual(keccak256(world.genesis.hash, hash, new Uint8Array(4)))
    expect(toHex(first as Uint8Array)).not.toBe(toHex(second as Uint8Array))
    expect(findRequest(world.ledger, second as Uint8Array)).toMatchObject({
      amountSat: 20_000n,
      logIndex: 1,
      state: REQUEST_STATE.open,
    })
  })

  it('an address of our network as text is paid to its script (PO-4, D8)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 1_000_000n)
    const text = addressFromScript(p2wpkh('bob'), 'regtest') as string
    const id = idOf(world)
    world.block({ burns: [world.burn('bob', 20_000n, new TextEncoder().encode(text))] })
    expect(findRequest(world.ledger, id)).toMatchObject({
      state: REQUEST_STATE.open,
      scriptPubKey: p2wpkh('bob'),
    })
  })

  it.each([
    ['an address of another network', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'],
    ['no address at all', 'nowhere'],
    ['bytes above ASCII', 'ÿþ'],
    ['nothing', ''],
  ])('%s becomes a refund mint less the fee, exactly once (PO-4)', (_, text) => {
    const world = new PegWorld()
    world.pegIn('alice', 1_000_000n)
    const id = idOf(world)
    world.block({ burns: [world.burn('bob', 20_000n, new TextEncoder().encode(text))] })
    expect(describeReserve(world.ledger).inFlight).toEqual([
      { id: toHex(id), kind: 'burnedNotPaid', amountSat: 20_000n },
      { id: 'fund', kind: 'fund', amountSat: 1000n },
    ])
    world.block()
    expect(world.withdrawals).toEqual([
      { index: 1, validatorIndex: 1, address: addressOf('bob'), amountGwei: 195_000n },
    ])
    world.block()
    expect(world.withdrawals).toEqual([])
    expect(findRequest(world.ledger, id)).toMatchObject({ state: REQUEST_STATE.refunded })
  })

  it('what the refund fee eats up goes to the fund whole, without a mint of nothing', () => {
    const world = new PegWorld()
    world.pegIn('alice', 1_000_000n)
    world.block({ burns: [world.burn('bob', 500n)] })
    world.block()
    expect(world.withdrawals).toEqual([])
    expect(world.ledger.state).toMatchObject({ fundSat: 1500n, unpaidSat: 0n })
  })

  it('BurnNotWholeSat: a remainder is an error, never rounded (C-1)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 1_000_000n)
    const odd = { ...world.burn('bob', 20_000n), valueWei: 20_000n * 10n ** 10n + 1n }
    expect(() => world.block({ burns: [odd] })).toThrow('BurnNotWholeSat')
    const odder = { logIndex: 0, amountWei: 1n }
    expect(() => world.block({ funds: [odder] })).toThrow('BurnNotWholeSat')
  })

  it('IdentityBroken: more burned than was ever minted makes a block invalid (PO-18)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 1_000_000n)
    expect(() => world.block({ burns: [world.burn('bob', 1_000_001n)] })).toThrow('IdentityBroken')
    const { ledger } = world
    const state = { ...ledger.state, reserveSat: ledger.state.reserveSat - 1n }
    expect(checkIdentity({ ...ledger, state })?.code).toBe('IdentityBroken')
    expect(checkIdentity(ledger)).toBeUndefined()
  })

  it('the burner may take a request back after refundAfter blocks; nobody else, not earlier, not once batched', () => {
    const world = new PegWorld({ batchWindowSeconds: 1000, refundAfterBlocks: 3 })
    world.pegIn('alice', 1_000_000n)
    const [id] = burn(world, [50_000n]) as [Uint8Array]
    const cancel = { logIndex: 0, evmAddress: addressOf('b0'), id }
    world.block({ cancels: [cancel] })
    world.block()
    expect(findRequest(world.ledger, id)?.state).toBe(REQUEST_STATE.open)
    world.block({ cancels: [{ ...cancel, evmAddress: addressOf('mallory') }] })
    expect(findRequest(world.ledger, id)?.state).toBe(REQUEST_STATE.open)
    world.block({ cancels: [cancel, cancel] })
    expect(findRequest(world.ledger, id)?.state).toBe(REQUEST_STATE.refundDue)
    world.block({ cancels: [cancel] })
    expect(world.withdrawals).toMatchObject([{ amountGwei: 495_000n }])

    const other = new PegWorld({ refundAfterBlocks: 1 })
    other.pegIn('alice', 1_000_000n)
    const [batched] = burn(other, [50_000n]) as [Uint8Array]
    batch(other)
    other.block({ cancels: [{ ...cancel, id: batched }] })
    expect(findRequest(other.ledger, batched)?.state).toBe(REQUEST_STATE.batched)
  })

  it('Fund(amount) is a burn whose value becomes a fund row (P 4.7); burned fees stay in the pool (BP-9)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 1_000_000n)
    world.block({ funds: [{ logIndex: 2, amountWei: 7n * 10n ** 12n }], feesBurnedWei: 123n })
    world.block({ feesBurnedWei: 10n ** 30n })
    expect(describeReserve(world.ledger)).toMatchObject({
      fundSat: 1700n,
      supplySat: 998_300n,
      feePoolWei: 123n + 10n ** 30n,
    })
  })
})

describe('payout records (P 4.5, §7)', () => {
  it('fees are exact: each request bears its output and an equal share of the rest, rounded up (PO-8, D15)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    burn(world, [1_000_000n, 500_000n])
    const open = batch(world)
    const transaction = transactionOf(open?.versions[0]?.row.transaction)
    expect(transaction).toMatchObject({ version: 2, lockTime: 0 })
    expect(transaction.inputs).toMatchObject([{ sequence: 0xfffffffd }])
    // 42 overhead, one input, two payments of 31 bytes, change of 43 bytes; the rate is 2000 sat/kvB.
    const rest = 4 * Math.ceil((42 + inputWeight(world.genesis, 0) + 4 * 43) / 4)
    const weight = rest + 2 * 4 * 31
    const fee = Math.ceil((2000 * (4 * 31 * 2 + rest)) / 8000)
    const minerFee = Math.ceil((2000 * weight) / 4000)
    expect(transaction.outputs.map(({ amountSat }) => amountSat)).toEqual([
      1_000_000n - BigInt(fee),
      500_000n - BigInt(fee),
      3_500_000n + BigInt(2 * fee - minerFee),
    ])
    expect(transaction.outputs[2]?.scriptPubKey).toEqual(
      changeOutput(world.genesis, 0).scriptPubKey,
    )
  })

  it('the weight that fees are taken from is that of the signed transaction', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    burn(world, [1_000_000n])
    const open = batch(world)
    const transaction = transactionOf(open?.versions[0]?.row.transaction)
    const { genesis } = world
    const witness = [
      new Uint8Array(0),
      ...Array.from({ length: genesis.memberThreshold }, () => new Uint8Array(64)),
      memberLeaf(genesis),
      new Uint8Array(65),
    ]
    const signed = {
      ...transaction,
      inputs: transaction.inputs.map((input) => ({ ...input, witness })),
    }
    expect(transactionWeight(signed)).toBe(42 + inputWeight(genesis, 0) + 4 * 31 + 4 * 43)
  })

  it('a payout is due when the oldest request is batchWindow old, not earlier: RecordNotDue', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    burn(world, [1_000_000n])
    const at = world.timestamp
    expect(buildPayout(world.ledger, world.context({ timestamp: at + 4 }), 2000)).toBeUndefined()
    const plan = buildPayout(world.ledger, world.context({ timestamp: at + 5 }), 2000)
    if (plan === undefined) throw new Error('not due')
    const items = { records: [plan.record] }
    expect(world.codeOf(items, { timestamp: at + 4 })).toBe('RecordNotDue')
    expect(world.codeOf(items, { timestamp: at + 5 })).toBeUndefined()
  })

  it('the rate is within [ref/2, 2·ref] of the median of the last headers: RecordRateOutOfBounds (D7)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    burn(world, [1_000_000n])
    world.timestamp += 10
    world.feeRates = [9000, 2000, 4000]
    const codeAt = (rate: number) => {
      const plan = buildPayout(world.ledger, world.context(), rate)
      return plan && world.codeOf({ records: [plan.record] })
    }
    expect([1999, 2000, 8000, 8001].map(codeAt)).toEqual([
      'RecordRateOutOfBounds',
      undefined,
      undefined,
      'RecordRateOutOfBounds',
    ])
    expect(allowedRate(world.context({ feeRateSatPerKvb: 1 }))).toBe(2000)
    expect(allowedRate(world.context({ feeRateSatPerKvb: 3000 }))).toBe(3000)
    expect(allowedRate(world.context({ feeRateSatPerKvb: 1_000_000 }))).toBe(8000)
  })

  it.each<[PegCode, (record: NonNullable<ReturnType<typeof dueRecord>>) => typeof record]>([
    ['RecordKindUnknown', (record) => ({ ...record, kind: 9 })],
    ['RecordWrong', (record) => ({ ...record, version: 1 })],
    ['RecordWrong', (record) => ({ ...record, batchId: new Uint8Array(32) })],
    ['RecordWrong', (record) => ({ ...record, feeRateSatPerKvb: 2001 })],
    [
      'RecordWrong',
      (record) => ({
        ...record,
        transaction: record.transaction.map((byte, at) => (at === 60 ? byte ^ 1 : byte)),
      }),
    ],
  ])('%s: nothing but what the rules give (C-4)', (code, change) => {
    const world = new PegWorld()
    const record = dueRecord(world)
    if (record === undefined) throw new Error('not due')
    expect(world.codeOf({ records: [change(record)] })).toBe(code)
    expect(world.codeOf({ records: [record] })).toBeUndefined()
    expect(world.codeOf({ records: [record, record] })).toBe('RecordExtra')
  })

  function dueRecord(world: PegWorld) {
    world.pegIn('alice', 5_000_000n)
    burn(world, [1_000_000n])
    world.timestamp += 10
    return buildPayout(world.ledger, world.context(), 2000)?.record
  }

  it('inputs[0] is the deepest free row, then the largest first; a batch locks them (PO-9, PO-10, D14)', () => {
    const world = new PegWorld()
    const small = world.pegIn('deep', 50_000n)
    const middle = world.pegIn('middle', 100_000n)
    const large = world.pegIn('large', 400_000n)
    burn(world, [200_000n])
    const open = batch(world)
    expect(open?.inputs.map(({ key }) => toHex(key.subarray(0, 32)))).toEqual([
      toHex(small.txid),
      toHex(large.txid),
    ])
    for (const { row } of open?.inputs ?? []) expect(row.batchId).toEqual(open?.batchId)
    burn(world, [90_000n])
    const next = batch(world)
    expect(next?.inputs.map(({ key }) => toHex(key.subarray(0, 32)))).toEqual([toHex(middle.txid)])
    expect(openBatches(world.ledger)).toHaveLength(2)
    confirm(world)
    expect(openBatches(world.ledger)).toEqual([open])
    for (const { row } of openBatches(world.ledger)[0]?.inputs ?? []) {
      expect(row.batchId).toEqual(open?.batchId)
    }
  })

  it('a refundable deposit and a credit that waits for its mint are never inputs (PO-9)', () => {
    const world = new PegWorld()
    const { bitcoin, genesis } = world
    const plain = changeOutput(genesis, 0).scriptPubKey
    const bad = payment('bad', [{ amountSat: 9_000_000n, scriptPubKey: plain }])
    const deposits = Array.from({ length: 17 }, (_, index) =>
      depositOf(genesis, `d${index}`, index === 16 ? 8_000_000n : 40_000n),
    )
    bitcoin.mine([bad, ...deposits])
    bitcoin.mine([], 2)
    const refundable = claimOf(bitcoin, bad, { kind: 'refundable', reason: 'badPayload' })
    const claims = [refundable, ...deposits.map((deposit) => claimOf(bitcoin, deposit))]
    world.block({
      items: {
        bitcoinHeaders: bitcoin.headersAfter(0),
        proofs: claims.map(({ proof }) => proof),
        pegIns: claims.map((claim, index) => world.item(claim, undefined, index)),
      },
      burns: [world.burn('bob', 300_000n)],
    })
    world.timestamp += 10
    const rich = claims.at(-1) as (typeof claims)[number]
    const spent = () =>
      buildPayout(world.ledger, world.context(), 2000)?.inputs.map(({ key }) =>
        toHex(key.subarray(0, 32)),
      ) ?? []
    expect(spent()).toHaveLength(8)
    expect(spent()).not.toContain(toHex(refundable.txid))
    expect(spent()).not.toContain(toHex(rich.txid))
    world.block()
    expect(spent()).toContain(toHex(rich.txid))
    expect(spent()).not.toContain(toHex(refundable.txid))
  })

  it('a request beyond the free reserve waits, and the block stays valid (PO-6, D6)', () => {
    const world = new PegWorld()
    world.pegIn('a', 1_000_000n)
    world.pegIn('b', 1_000_000n)
    burn(world, [900_000n])
    batch(world)
    const [id] = burn(world, [1_098_000n]) as [Uint8Array]
    world.timestamp += 10
    expect(assemble(world.ledger, world.context(), EMPTY_QUEUE).items.records).toEqual([])
    world.block()
    confirm(world)
    batch(world)
    expect(findRequest(world.ledger, id)?.state).toBe(REQUEST_STATE.batched)
  })

  it('a request that no transaction can pay at present holds nobody up (PO-6)', () => {
    const world = new PegWorld()
    world.pegIn('a', 1_000_000n)
    world.pegIn('b', 1_000_000n)
    burn(world, [900_000n])
    batch(world)
    const [whale, other] = burn(world, [1_010_000n, 50_000n]) as [Uint8Array, Uint8Array]
    batch(world)
    expect(findRequest(world.ledger, other)?.state).toBe(REQUEST_STATE.batched)
    expect(findRequest(world.ledger, whale)?.state).toBe(REQUEST_STATE.open)
  })

  it('thousands of requests that are worth no payment delay no block, and nobody behind them (BP-6)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 50_000_000n)
    for (let turn = 0; turn < 20; turn++) {
      burn(
        world,
        Array.from({ length: 500 }, () => 2_000n),
      )
    }
    const [rich] = burn(world, [1_000_000n]) as [Uint8Array]
    world.timestamp += 10
    const startedMs = performance.now()
    const plan = buildPayout(world.ledger, world.context(), 50_000)
    expect(plan?.requests.map(({ key }) => key)).toEqual([rich])
    // It took four seconds when each of them was tried in a transaction.
    expect(performance.now() - startedMs).toBeLessThan(1_500)
  })

  it('a request that the fee would eat by more than a fifth waits for a lower rate (PO-8)', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    const [poor, rich] = burn(world, [10_000n, 1_000_000n]) as [Uint8Array, Uint8Array]
    world.timestamp += 10
    world.feeRates = [50_000]
    const plan = buildPayout(world.ledger, world.context(), 50_000)
    expect(plan?.requests.map(({ key }) => key)).toEqual([rich])
    const cheap = buildPayout(world.ledger, world.context(), 2000)
    expect(cheap?.requests.map(({ key }) => key)).toEqual([poor, rich])
  })

  it('at most 100 requests, and 100 that wait need no window (PO-7)', () => {
    const world = new PegWorld({ batchWindowSeconds: 86_400 })
    world.pegIn('alice', 50_000_000n)
    burn(
      world,
      Array.from({ length: 99 }, () => 100_000n),
    )
    expect(buildPayout(world.ledger, world.context(), 2000)).toBeUndefined()
    burn(world, [100_000n, 100_000n])
    const plan = buildPayout(world.ledger, world.context(), 2000)
    expect(plan?.requests).toHaveLength(100)
    expect(plan?.transaction.outputs).toHaveLength(101)
  })

  it('a payout stays within 10,000 vB: what does not fit waits for the next one', () => {
    const world = new PegWorld({ totalCapSat: 10_000_000, batchWindowSeconds: 0 })
    const { bitcoin, genesis } = world
    const deposits = Array.from({ length: 50 }, (_, index) =>
      depositOf(genesis, `d${index}`, 100_000n),
    )
    bitcoin.mine(deposits)
    bitcoin.mine([], 2)
    const claims = deposits.map((deposit) => claimOf(bitcoin, deposit))
    world.block({
      items: {
        bitcoinHeaders: bitcoin.headersAfter(0),
        proofs: claims.map(({ proof }) => proof),
        pegIns: claims.map((claim, index) => world.item(claim, undefined, index)),
      },
    })
    for (let index = 0; index < 3; index++) world.block()
    burn(
      world,
      Array.from({ length: 100 }, () => 49_000n),
    )
    const plan = buildPayout(world.ledger, world.context({ feeRateSatPerKvb: 1000 }), 1000)
    const count = plan?.requests.length ?? 0
    const sizeOf = (inputs: number, requests: number) =>
      Math.ceil((42 + inputs * inputWeight(genesis, 0) + requests * 124 + 172) / 4)
    expect(sizeOf(plan?.inputs.length ?? 0, count)).toBeLessThanOrEqual(10_000)
    const inputs = Math.ceil((49_000 * (count + 1)) / 100_000)
    expect(sizeOf(inputs, count + 1)).toBeGreaterThan(10_000)
  })

  it('change below 546 sat goes to the miner, and the fund bears it', () => {
    const world = new PegWorld()
    world.pegIn('alice', 1_000_000n)
    world.pegIn('bob', 1_000_000n)
    burn(world, [999_700n])
    const open = batch(world)
    const transaction = transactionOf(open?.versions[0]?.row.transaction)
    expect(transaction.outputs).toHaveLength(1)
    const before = world.ledger.state.fundSat
    confirm(world)
    expect(world.ledger.state.fundSat).toBe(before - 300n)
  })

  it('a shortage of the fund is an advance, and later income takes it down first', () => {
    const world = new PegWorld({ pegInFeeSat: 0 })
    world.pegIn('alice', 1_000_000n)
    world.pegIn('bob', 1_000_000n)
    burn(world, [999_700n])
    batch(world)
    confirm(world)
    expect(world.ledger.state).toMatchObject({ fundSat: 0n, deficitSat: 300n })
    world.block({ funds: [{ logIndex: 0, amountWei: 200n * 10n ** 10n }] })
    expect(world.ledger.state).toMatchObject({ fundSat: 0n, deficitSat: 100n })
    world.block({ funds: [{ logIndex: 0, amountWei: 250n * 10n ** 10n }] })
    expect(world.ledger.state).toMatchObject({ fundSat: 150n, deficitSat: 0n })
  })

  it('PegOutsPaused: a block that books a spend without a record makes no payout beside it', () => {
    const world = new PegWorld()
    const claim = world.pegIn('alice', 5_000_000n)
    burn(world, [1_000_000n])
    const theft = payment({ txid: claim.txid, vout: 0 }, [
      { amountSat: 4_990_000n, scriptPubKey: changeOutput(world.genesis, 0).scriptPubKey },
    ])
    world.bitcoin.mine([theft])
    world.bitcoin.mine()
    world.syncHeaders()
    world.timestamp += 10
    const plan = buildPayout(world.ledger, world.context(), 2000)
    if (plan === undefined) throw new Error('not due')
    expect(
      world.codeOf({
        proofs: [world.bitcoin.proofOf(theft)],
        bookings: [{ proofIndex: 0 }],
        records: [plan.record],
      }),
    ).toBe('PegOutsPaused')
  })
})

describe('bookings (P 4.5, 4.7)', () => {
  it('a payout is booked at M confirmations: requests paid, change in the reserve, rounding in the fund', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    const ids = burn(world, [1_000_000n, 500_000n])
    const open = batch(world)
    const transaction = transactionOf(open?.versions[0]?.row.transaction)
    world.bitcoin.mine([transaction])
    world.syncHeaders()
    const items = {
      proofs: [world.bitcoin.proofOf(transaction)],
      bookings: [{ proofIndex: 0 }],
    }
    expect(world.codeOf(items)).toBe('BookingTooYoung')
    world.bitcoin.mine()
    world.syncHeaders()
    world.block({ items })
    for (const id of ids) {
      expect(findRequest(world.ledger, id)).toMatchObject({
        state: REQUEST_STATE.paid,
        paidBy: txid(transaction),
      })
    }
    expect(findDeposit(world.ledger, txid(transaction), 2)).toMatchObject({
      state: OUTPUT_STATE.live,
      amountSat: transaction.outputs[2]?.amountSat,
    })
    expect(openBatches(world.ledger)).toEqual([])
    expect(world.codeOf(items)).toBe('BookingDuplicate')
    const report = describeReserve(world.ledger)
    expect(report.inFlightSat).toBe(report.fundSat)
    expect(report.supplySat).toBe(3_499_000n)
  })

  it('BookingUnrelated: a payment to a stranger that spends nothing of ours is not booked', () => {
    const world = new PegWorld()
    const other = payment('stranger', [{ amountSat: 1000n, scriptPubKey: p2wpkh('x') }])
    world.bitcoin.mine([other])
    world.bitcoin.mine()
    world.syncHeaders()
    const items = { proofs: [world.bitcoin.proofOf(other)], bookings: [{ proofIndex: 0 }] }
    expect(world.codeOf(items)).toBe('BookingUnrelated')
  })

  it('a spend that no record matches leaves a deficit row and pauses peg-outs', () => {
    const world = new PegWorld()
    const claim = world.pegIn('alice', 5_000_000n)
    const theft = payment({ txid: claim.txid, vout: 0 }, [
      { amountSat: 3_000_000n, scriptPubKey: p2wpkh('thief') },
      { amountSat: 1_900_000n, scriptPubKey: changeOutput(world.genesis, 0).scriptPubKey },
    ])
    world.bitcoin.mine([theft])
    world.bitcoin.mine()
    book(world, theft)
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 1_900_000n,
      supplySat: 4_999_000n,
      deficitSat: 3_100_000n,
      pegOutsPaused: true,
    })
    burn(world, [100_000n])
    world.timestamp += 10
    expect(assemble(world.ledger, world.context(), EMPTY_QUEUE).items.records).toEqual([])
    expect(findDeposit(world.ledger, txid(theft), 1)).toMatchObject({ state: OUTPUT_STATE.live })
  })

  it('an outpoint keeps its one row: what was credited does not become change when its spend is booked (P 4.2)', () => {
    const world = new PegWorld()
    const claim = world.pegIn('alice', 5_000_000n)
    const plain = changeOutput(world.genesis, 0).scriptPubKey
    const first = payment({ txid: claim.txid, vout: 0 }, [
      { amountSat: 5_000_000n, scriptPubKey: plain },
    ])
    const second = payment({ txid: txid(first), vout: 0 }, [
      { amountSat: 4_000_000n, scriptPubKey: plain },
      { amountSat: 0n, scriptPubKey: depositPayloadScript(addressOf('mallory')) },
    ])
    world.bitcoin.mine([first, second])
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    // Nobody knows yet that its input was the federation's.
    const credited = claimOf(world.bitcoin, second)
    world.block({ items: { proofs: [credited.proof], pegIns: [world.item(credited)] } })
    book(world, first)
    book(world, second)
    expect(findDeposit(world.ledger, txid(second), 0)).toMatchObject({
      kind: OUTPUT_KIND.credit,
      minted: true,
    })
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 4_000_000n,
      supplySat: 8_998_000n,
      deficitSat: 5_000_000n,
    })
  })

  it('BookingInputAbsent: change is booked before what spends it', () => {
    const world = new PegWorld()
    const claim = world.pegIn('alice', 5_000_000n)
    const plain = changeOutput(world.genesis, 0).scriptPubKey
    const first = payment({ txid: claim.txid, vout: 0 }, [
      { amountSat: 4_000_000n, scriptPubKey: plain },
    ])
    const second = payment({ txid: claim.txid, vout: 0 }, [
      { amountSat: 3_000_000n, scriptPubKey: plain },
    ])
    world.bitcoin.mine([first, second])
    world.bitcoin.mine()
    book(world, first)
    const items = {
      proofs: [world.bitcoin.proofOf(second)],
      bookings: [{ proofIndex: 0 }],
    }
    expect(world.codeOf(items)).toBe('BookingInputAbsent')
  })

  it('PegInSpendsReserve: change of a payout is never a deposit, with or without a message', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    burn(world, [1_000_000n])
    const open = batch(world)
    const transaction = transactionOf(open?.versions[0]?.row.transaction)
    world.bitcoin.mine([transaction])
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const scripts = [{ epoch: 0, scriptPubKey: changeOutput(world.genesis, 0).scriptPubKey }]
    expect(parseDeposits(transaction, scripts, world.genesis.params)).toHaveLength(1)
    const claim = claimOf(world.bitcoin, transaction, {
      vout: 1,
      kind: 'refundable',
      reason: 'badPayload',
    })
    const items = { proofs: [claim.proof], pegIns: [world.item(claim)] }
    expect(world.codeOf(items)).toBe('PegInSpendsReserve')
    expect(rowOf(world.ledger, 'outputs', open?.inputs[0]?.key as Uint8Array)?.state).toBe(
      OUTPUT_STATE.live,
    )
  })
})
