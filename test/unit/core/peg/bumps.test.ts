import { parseTransaction, transactionWeight, txid } from '../../../../core/bitcoin/index.ts'
import {
  LedgerDraft,
  OUTPUT_STATE,
  outpointKey,
  REQUEST_STATE,
  rowOf,
  SPEND_STATE,
} from '../../../../core/ledger/index.ts'
import {
  applyPegOrder,
  assemble,
  buildBump,
  checkIdentity,
  describeReserve,
  dueBump,
  findRequest,
  inputWeight,
  openBatches,
  type PegCode,
  requestId,
} from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { approvedOrder, orderOf } from './orders.ts'
import { type BitcoinWorld, PegWorld, seeded } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }

function transactionOf(bytes: Uint8Array | undefined) {
  const parsed = parseTransaction(bytes ?? new Uint8Array())
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

/** One batch of two requests, recorded and not confirmed. */
class Stuck extends PegWorld {
  readonly batchId: Uint8Array
  readonly ids: readonly Uint8Array[]

  constructor(amountsSat: readonly bigint[] = [1_000_000n, 500_000n], depositSat = 5_000_000n) {
    super()
    this.pegIn('alice', depositSat)
    this.pegIn('rest', 100_000n)
    this.ids = amountsSat.map((_, index) => requestId(this.genesis, this.evmBlockHash(), index))
    this.block({
      burns: amountsSat.map((sat, index) => this.burn(`b${index}`, sat, undefined, index)),
    })
    this.timestamp += 10
    this.block({ items: assemble(this.ledger, this.context(), EMPTY_QUEUE).items })
    this.batchId = this.batch.batchId
  }

  get batch() {
    const [batch] = openBatches(this.ledger)
    if (batch === undefined) throw new Error('no batch')
    return batch
  }

  version(index: number) {
    const id = rowOf(this.ledger, 'batches', this.batchId)?.versions[index]
    return transactionOf(id && rowOf(this.ledger, 'spends', id)?.transaction)
  }

  /** Bitcoin goes on without the batch. */
  pass(blocks: number, bitcoin: BitcoinWorld = this.bitcoin): void {
    bitcoin.mine([], blocks)
    this.syncHeaders(bitcoin)
  }

  /** A block of a proposer whose Bitcoin does not mine the batch. */
  bump(feeRateSatPerKvb = 2000): void {
    const context = this.context({ feeRateSatPerKvb })
    const queue = { ...EMPTY_QUEUE, unconfirmed: [this.batchId] }
    const { items } = assemble(this.ledger, context, queue)
    if (items.records.length !== 1) throw new Error('no bump')
    this.block({ items })
  }

  feeSat(index: number): bigint {
    const { inputs, outputs } = this.version(index)
    const inSat = inputs.reduce((sum, { txid, vout }) => {
      const key = Uint8Array.of(...txid, 0, 0, 0, vout)
      return sum + (rowOf(this.ledger, 'outputs', key)?.amountSat ?? 0n)
    }, 0n)
    return inSat - outputs.reduce((sum, { amountSat }) => sum + amountSat, 0n)
  }

  /** The proof of a version in a block that is M deep. */
  bookVersion(index: number, bitcoin: BitcoinWorld = this.bitcoin): void {
    const transaction = this.version(index)
    bitcoin.mine([transaction])
    bitcoin.mine()
    this.syncHeaders(bitcoin)
    this.block({
      items: { proofs: [bitcoin.proofOf(transaction)], bookings: [{ proofIndex: 0 }] },
    })
  }

  codeAt(rate: number): PegCode | undefined {
    const plan = buildBump(this.ledger, this.context(), this.batchId, rate)
    return plan.ok ? this.codeOf({ records: [plan.value.record] }) : plan.error.code
  }
}

describe('a bump (P 4.5; PO-15)', () => {
  it('pays the same requests from the same inputs, each less by its part of the higher fee', () => {
    const world = new Stuck()
    world.pass(3)
    world.bump(3500)
    const [before, after] = [world.version(0), world.version(1)]
    expect(after.inputs).toEqual(before.inputs)
    expect(after.outputs.map(({ scriptPubKey }) => scriptPubKey)).toEqual(
      before.outputs.map(({ scriptPubKey }) => scriptPubKey),
    )
    for (const index of [0, 1]) {
      expect(after.outputs[index]?.amountSat).toBeLessThan(before.outputs[index]?.amountSat ?? 0n)
    }
    expect(world.batch.versions.map(({ row }) => [row.version, row.feeRateSatPerKvb])).toEqual([
      [0, 2000],
      [1, 3500],
    ])
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('BumpTooEarly: not before 3 Bitcoin blocks after the last version, whichever that is', () => {
    const world = new Stuck()
    world.pass(2)
    expect(world.codeAt(3000)).toBe('BumpTooEarly')
    world.pass(1)
    expect(world.codeAt(3000)).toBeUndefined()
    world.bump(3000)
    expect(world.codeAt(4000)).toBe('BumpTooEarly')
    world.pass(3)
    expect(world.codeAt(4000)).toBeUndefined()
  })

  it('BumpRateOutOfBounds: at least 1 sat/vB more, at most twice it and four times the reference', () => {
    const world = new Stuck()
    world.pass(3)
    world.feeRates = [2000]
    expect([2999, 3000, 4000, 4001].map((rate) => world.codeAt(rate))).toEqual([
      'BumpRateOutOfBounds',
      undefined,
      undefined,
      'BumpRateOutOfBounds',
    ])
    world.feeRates = [800]
    expect([3200, 3201].map((rate) => world.codeAt(rate))).toEqual([
      undefined,
      'BumpRateOutOfBounds',
    ])
  })

  it('the least step is what Bitcoin’s nodes relay a replacement for, to the satoshi (BIP125, rules 3 and 4)', () => {
    for (const requests of [1, 2, 3, 4]) {
      const world = new Stuck(Array.from({ length: requests }, () => 300_000n))
      world.pass(3)
      world.bump(3000)
      const extraSat = world.feeSat(1) - world.feeSat(0)
      // Twice the rate is thrice the step from 1 sat/vB up: the fee is the rate times whole vB.
      expect(world.feeSat(0)).toBe(2n * extraSat)
    }
  })

  it('BumpFeeTooLow: where the last version gave its dust to the miner, the next one gives more still', () => {
    const codes = new Set<PegCode | undefined>()
    for (const dustSat of [544n, 545n]) {
      const world = new Stuck([400_000n, 300_000n, 300_000n - dustSat], 1_000_000n)
      expect(world.version(0).outputs).toHaveLength(3)
      world.pass(3)
      for (let rate = 3000; rate < 3050; rate++) {
        codes.add(world.codeAt(rate))
        const plan = buildBump(world.ledger, world.context(), world.batchId, rate)
        if (!plan.ok) continue
        const { minerFeeSat, transaction } = plan.value
        const weight = transactionWeight(transaction) + inputWeight(world.genesis, 0) - 4 * 41
        expect(minerFeeSat - world.feeSat(0)).toBeGreaterThanOrEqual(Math.ceil(weight / 4))
      }
    }
    expect(codes).toEqual(new Set([undefined, 'BumpFeeTooLow']))
  })

  it('BumpEatsPayment: a rate at which a request would get less than 80 % is none (PO-8)', () => {
    const world = new Stuck([10_000n])
    const rates = [4000, 8000, 16_000, 32_000]
    for (const rate of rates) {
      world.pass(3)
      world.feeRates = [rate]
      const code = world.codeAt(rate)
      if (code !== undefined) {
        expect(code).toBe('BumpEatsPayment')
        const plan = dueBump(world.ledger, world.context({ feeRateSatPerKvb: rate }), world.batchId)
        expect(plan?.record.feeRateSatPerKvb ?? 0).toBeLessThan(rate)
        return
      }
      world.bump(rate)
    }
    throw new Error('it never ate the payment')
  })

  it('RecordWrong: nothing but what the rules give (C-4)', () => {
    const world = new Stuck()
    world.pass(3)
    const plan = buildBump(world.ledger, world.context(), world.batchId, 3000)
    if (!plan.ok) throw new Error(plan.error.code)
    const { record } = plan.value
    expect(world.codeOf({ records: [{ ...record, version: 2 }] })).toBe('RecordWrong')
    expect(world.codeOf({ records: [{ ...record, feeRateSatPerKvb: 3001 }] })).toBe('RecordWrong')
    expect(world.codeOf({ records: [{ ...record, batchId: new Uint8Array(32) }] })).toBe(
      'BumpBatchClosed',
    )
    expect(world.codeOf({ records: [{ ...record, kind: 0 }] })).toBe('RecordNotDue')
    expect(world.codeOf({ records: [record] })).toBeUndefined()
  })

  it('BumpBatchClosed: none beside the booking of another version', () => {
    const world = new Stuck()
    const first = world.version(0)
    world.bitcoin.mine([first])
    world.pass(3)
    const plan = buildBump(world.ledger, world.context(), world.batchId, 3000)
    if (!plan.ok) throw new Error(plan.error.code)
    const items = {
      proofs: [world.bitcoin.proofOf(first)],
      bookings: [{ proofIndex: 0 }],
      records: [plan.value.record],
    }
    expect(world.codeOf(items)).toBe('BumpBatchClosed')
  })

  it('BumpVersionsExhausted: a batch has at most 32 versions', () => {
    const world = new Stuck([4_000_000n])
    let rate = 2000
    const next = () => rate + Math.max(1000, Math.ceil(rate / 8))
    for (let version = 1; version < 32; version++) {
      rate = next()
      world.pass(3)
      world.feeRates = [rate]
      world.bump(rate)
    }
    expect(world.batch.versions).toHaveLength(32)
    world.pass(3)
    world.feeRates = [rate]
    expect(world.codeAt(next())).toBe('BumpVersionsExhausted')
    // Four are left for its cancel.
    const cancel = approvedOrder(world.genesis, orderOf('cancel', world.batchId))
    const applied = applyPegOrder(world.genesis, world.ledger, world.height, cancel)
    if (!applied.ok) throw new Error(applied.error.code)
    world.ledger = applied.value
    world.block({ funds: [{ logIndex: 0, amountWei: 1_000_000n * 10n ** 10n }] })
    world.bump(next())
    expect(world.batch.versions).toHaveLength(33)
    // Small steps do not use the versions up: the last is worth many times the first.
    expect(rate).toBeGreaterThan(38 * 2000)
  })

  it('BumpRateOutOfBounds: a step is an eighth at least', () => {
    const world = new Stuck([4_000_000n])
    for (const rate of [4000, 8000, 16_000]) {
      world.pass(3)
      world.feeRates = [rate]
      world.bump(rate)
    }
    world.pass(3)
    world.feeRates = [16_000]
    expect([17_000, 17_999, 18_000].map((rate) => world.codeAt(rate))).toEqual([
      'BumpRateOutOfBounds',
      'BumpRateOutOfBounds',
      undefined,
    ])
  })

  it('a proposer bumps only what its own Bitcoin has not mined, at its own estimate within the bounds', () => {
    const world = new Stuck()
    world.pass(3)
    const recordsAt = (rate: number, unconfirmed: readonly Uint8Array[]) =>
      assemble(world.ledger, world.context({ feeRateSatPerKvb: rate }), {
        ...EMPTY_QUEUE,
        unconfirmed,
      }).items.records.map(({ feeRateSatPerKvb }) => feeRateSatPerKvb)
    expect(recordsAt(3500, [])).toEqual([])
    expect(recordsAt(3500, [world.batchId])).toEqual([3500])
    expect(recordsAt(1, [world.batchId])).toEqual([3000])
    expect(recordsAt(1_000_000, [world.batchId])).toEqual([4000])
    expect(recordsAt(3500, [new Uint8Array(32)])).toEqual([])
  })
})

describe('room for bumps (PO-8, PO-15)', () => {
  it('a request that three times the rate would eat waits for a lower one: its batch could not be bumped', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    world.pegIn('rest', 100_000n)
    const burns = [1_000_000n, 10_000n].map((sat, at) => world.burn(`b${at}`, sat, undefined, at))
    world.block({ burns })
    world.timestamp += 10
    const recordAt = (rate: number) => {
      world.feeRates = [rate]
      const context = world.context({ feeRateSatPerKvb: rate })
      const { items } = assemble(world.ledger, context, EMPTY_QUEUE)
      return { items, outputs: transactionOf(items.records[0]?.transaction).outputs }
    }
    const [big, small] = burns.map(({ bytes }) => bytes)
    const first = recordAt(10_000)
    expect(first.outputs).toHaveLength(2)
    expect(first.outputs[0]?.scriptPubKey).toEqual(big)
    world.block({ items: first.items })
    const batchId = openBatches(world.ledger)[0]?.batchId as Uint8Array
    for (const rate of [20_000, 40_000]) {
      world.bitcoin.mine([], 3)
      world.syncHeaders()
      world.feeRates = [rate]
      const context = world.context({ feeRateSatPerKvb: rate })
      const plan = dueBump(world.ledger, context, batchId)
      expect(plan?.record.feeRateSatPerKvb).toBe(rate)
      world.block({ items: { records: plan === undefined ? [] : [plan.record] } })
    }
    expect(recordAt(2000).outputs[0]?.scriptPubKey).toEqual(small)
  })
})

describe('a proposer (C-4)', () => {
  it('leaves out a booking after which the books would not balance, and keeps what is beside it', () => {
    const world = new Stuck()
    const transaction = world.version(0)
    world.bitcoin.mine([transaction])
    world.bitcoin.mine()
    const queue = {
      headers: world.bitcoin.headersAfter(world.ledger.state.tipHeight),
      pegIns: [],
      bookings: [world.bitcoin.proofOf(transaction)],
    }
    const { state } = world.ledger
    const broken = { ...world.ledger, state: { ...state, mintedSat: state.mintedSat + 1n } }
    const { items, refused } = assemble(broken, world.context(), queue)
    expect(refused).toMatchObject([{ kind: 'booking', code: 'IdentityBroken' }])
    expect([items.bookings, items.proofs]).toEqual([[], []])
    expect(items.bitcoinHeaders).toHaveLength(2)
    const whole = assemble(world.ledger, world.context(), queue)
    expect(whole.items.bookings).toHaveLength(1)
    world.block({ items: whole.items })
    expect(findRequest(world.ledger, world.ids[0] as Uint8Array)?.state).toBe(REQUEST_STATE.paid)
  })
})

describe('any version may confirm (PO-15, PO-16)', () => {
  it.each([0, 1, 2])(
    'version %i of three: each request is paid once, and the books balance',
    (index) => {
      const world = new Stuck()
      for (const rate of [3000, 4500]) {
        world.pass(3)
        world.bump(rate)
      }
      world.bookVersion(index)
      const winner = world.version(index)
      for (const [place, id] of world.ids.entries()) {
        expect(findRequest(world.ledger, id)).toMatchObject({
          state: REQUEST_STATE.paid,
          paidBy: txid(winner),
          paidSat: winner.outputs[place]?.amountSat,
        })
      }
      expect(openBatches(world.ledger)).toEqual([])
      const report = describeReserve(world.ledger)
      expect(report.inFlightSat).toBe(report.fundSat)
      expect(report.reserveSat).toBe(100_000n + (winner.outputs[2]?.amountSat ?? 0n))
      const others = [0, 1, 2].filter((other) => other !== index)
      for (const other of others) {
        const id = txid(world.version(other))
        expect(rowOf(world.ledger, 'spends', id)?.state).toBe(SPEND_STATE.recorded)
      }
    },
  )

  it('a reorg that brings another version: the books follow it, and no id is paid twice (PO-16)', () => {
    const world = new Stuck()
    world.pass(3)
    world.bump(3000)
    const fork = world.bitcoin.tip.height
    world.bookVersion(1)
    expect(findRequest(world.ledger, world.ids[0] as Uint8Array)?.state).toBe(REQUEST_STATE.paid)
    const branch = world.bitcoin.fork(fork, 'other')
    branch.mine([world.version(0)])
    branch.mine([], 3)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(fork) } })
    expect(findRequest(world.ledger, world.ids[0] as Uint8Array)?.state).toBe(REQUEST_STATE.batched)
    const first = world.version(0)
    world.block({
      items: { proofs: [branch.proofOf(first)], bookings: [{ proofIndex: 0 }] },
    })
    expect(findRequest(world.ledger, world.ids[0] as Uint8Array)).toMatchObject({
      state: REQUEST_STATE.paid,
      paidBy: txid(first),
    })
    expect(describeReserve(world.ledger).reserveSat).toBe(
      100_000n + (first.outputs[2]?.amountSat ?? 0n),
    )
  })
})

describe('inputs of a bump', () => {
  /** A batch with two inputs; the second is in a Bitcoin block of its own, the last before the batch. */
  function twoInputs() {
    const world = new PegWorld()
    world.pegIn('deep', 50_000n)
    world.pegIn('spare', 800_000n)
    const claim = world.pegIn('late', 900_000n)
    world.block({ burns: [world.burn('bob', 700_000n)] })
    world.timestamp += 10
    world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
    const [batch] = openBatches(world.ledger)
    if (batch?.inputs.length !== 2) throw new Error('not two inputs')
    return { world, claim, batch }
  }

  it('stay as they are, whatever else came into the reserve', () => {
    const { world, batch } = twoInputs()
    world.pegIn('richer', 5_000_000n)
    const plan = buildBump(world.ledger, world.context(), batch.batchId, 3000)
    expect(plan.ok && plan.value.inputs.map(({ key }) => key)).toEqual(batch.row.inputs)
  })

  it('when one left the reserve the rest is chosen anew, and what any version spends stays locked until one is booked (PO-10)', () => {
    const { world, claim, batch } = twoInputs()
    const at = world.bitcoin.blocks.findIndex(
      ({ hash }) => toHex(hash) === toHex(claim.proof.blockHash),
    )
    const branch = world.bitcoin.fork(at - 1, 'without')
    branch.mine([], 12)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(at - 1) } })
    const context = world.context()
    const queue = { ...EMPTY_QUEUE, unconfirmed: [batch.batchId] }
    const { items } = assemble(world.ledger, context, queue)
    world.block({ items })
    const after = openBatches(world.ledger)[0]
    const [deep, late] = batch.row.inputs as [Uint8Array, Uint8Array]
    expect(after?.versions).toHaveLength(2)
    const second = transactionOf(after?.versions[1]?.row.transaction)
    const spent = second.inputs.map(({ txid: id }) => toHex(id))
    expect(spent).toHaveLength(2)
    expect(spent[0]).toBe(toHex(deep.subarray(0, 32)))
    expect(spent[1]).not.toBe(toHex(late.subarray(0, 32)))
    expect(after?.row.inputs).toHaveLength(3)
    for (const key of after?.row.inputs ?? []) {
      expect(rowOf(world.ledger, 'outputs', key)?.batchId).toEqual(batch.batchId)
    }
    const held = rowOf(world.ledger, 'batches', batch.batchId)?.inputs ?? []
    branch.mine([second])
    branch.mine()
    world.syncHeaders(branch)
    world.block({ items: { proofs: [branch.proofOf(second)], bookings: [{ proofIndex: 0 }] } })
    for (const key of held) {
      expect(rowOf(world.ledger, 'outputs', key)?.batchId).toEqual(new Uint8Array(32))
    }
    // A reorg of the booking: what it freed is the batch's again.
    const fork = branch.tip.height - 2
    const third = branch.fork(fork, 'third')
    third.mine([], 4)
    world.block({ items: { bitcoinHeaders: third.headersAfter(fork) } })
    expect(rowOf(world.ledger, 'batches', batch.batchId)?.inputs).toEqual(held)
    for (const key of held) {
      expect(rowOf(world.ledger, 'outputs', key)?.batchId).toEqual(batch.batchId)
    }
  })

  it('pays no more than a version that Bitcoin cannot mine any more, however large that was (P 4.5)', () => {
    const world = new PegWorld()
    world.pegIn('deep', 50_000n)
    const big = world.pegIn('big', 5_000_000n)
    const hold = (batchId: Uint8Array) => {
      const key = outpointKey(big.txid, big.vout)
      const draft = new LedgerDraft(world.ledger, true)
      const row = rowOf(world.ledger, 'outputs', key)
      if (row === undefined) throw new Error('no row')
      draft.put('outputs', key, { ...row, batchId })
      world.ledger = draft.finish()
    }
    hold(seeded('another batch'))
    for (let index = 0; index < 9; index++) world.pegIn(`small ${index}`, 100_000n)
    const fork = world.bitcoin.tip.height
    world.pegIn('lost', 100_001n)
    world.block({ burns: [world.burn('bob', 900_000n)] })
    world.timestamp += 10
    world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
    hold(new Uint8Array(32))
    const [batch] = openBatches(world.ledger)
    if (batch?.inputs.length !== 10) throw new Error('not ten inputs')
    world.bitcoin.mine([], 3)
    world.syncHeaders()
    const codeAt = (rate: number) => {
      const plan = buildBump(world.ledger, world.context(), batch.batchId, rate)
      return plan.ok ? plan.value.inputs.length : plan.error.code
    }
    expect(codeAt(3000)).toBe(10)
    const branch = world.bitcoin.fork(fork, 'without')
    branch.mine([], 12)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(fork) } })
    // Two inputs at twice the rate give the miner less than ten did.
    expect([3000, 4000].map(codeAt)).toEqual([2, 2])
    const plan = dueBump(world.ledger, world.context(), batch.batchId)
    expect(plan?.record.feeRateSatPerKvb).toBe(3000)
    const [first] = openBatches(world.ledger)[0]?.versions ?? []
    const before = transactionOf(first?.row.transaction).outputs
    const spentSat = batch.inputs.reduce((sum, { row }) => sum + row.amountSat, 0n)
    const feeSat = spentSat - before.reduce((sum, { amountSat }) => sum + amountSat, 0n)
    expect(plan?.minerFeeSat).toBeLessThan(feeSat)
  })

  it.each([
    ['none where that is more than Bitcoin relays by leaf A', 34, 'BumpInputGone'],
    ['one where it is not', 22, undefined],
  ])('BumpInputGone: of the coins that are left there is %s (P 4.5)', (_, scriptBytes, code) => {
    const world = new PegWorld()
    world.pegIn('deep', 50_000n)
    for (let index = 0; index < 45; index++) world.pegIn(`small ${index}`, 90_000n)
    const fork = world.bitcoin.tip.height
    world.pegIn('lost', 9_000_000n)
    const script = (name: string) =>
      Uint8Array.of(...(scriptBytes === 34 ? [0, 32] : [0, 20]), ...seeded(name)).subarray(
        0,
        scriptBytes,
      )
    const burns = Array.from({ length: 100 }, (_, index) =>
      world.burn('many', 40_000n, script(`to ${index}`), index),
    )
    world.block({ burns })
    world.timestamp += 10
    world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
    const [batch] = openBatches(world.ledger)
    if (batch?.inputs.length !== 2) throw new Error('not two inputs')
    const branch = world.bitcoin.fork(fork, 'without')
    branch.mine([], 12)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(fork) } })
    const plan = buildBump(world.ledger, world.context(), batch.batchId, 3000)
    expect(plan.ok ? undefined : plan.error.code).toBe(code)
    // 4,000,000 sat are the first and 44 of 90,000.
    const byLeaf = 45 * inputWeight(world.genesis, 0) + 4 * (9 + scriptBytes) * 100 + 42 + 4 * 43
    expect(Math.ceil(byLeaf / 4) > 10_000).toBe(code !== undefined)
  })

  it('BumpInputGone: without the conflict input there is no further version', () => {
    const world = new Stuck()
    const key = world.batch.row.inputs[0] as Uint8Array
    const height = rowOf(world.ledger, 'outputs', key)?.bitcoinHeight ?? 0
    const branch = world.bitcoin.fork(height - 1, 'without')
    branch.mine([], 12)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(height - 1) } })
    expect(rowOf(world.ledger, 'outputs', key)?.state).toBe(OUTPUT_STATE.absent)
    expect(world.codeAt(3000)).toBe('BumpInputGone')
  })
})
