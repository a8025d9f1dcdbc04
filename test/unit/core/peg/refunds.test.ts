import { parseTransaction, txid } from '../../../../core/bitcoin/index.ts'
import { OUTPUT_STATE, type OutputRow, outpointKey, rowOf } from '../../../../core/ledger/index.ts'
import {
  assemble,
  buildRefund,
  changeOutput,
  depositPayloadScript,
  describeReserve,
  dueRecords,
  openBatches,
} from '../../../../core/peg/index.ts'
import { type BitcoinWorld, claimOf, PegWorld, p2wpkh, payment } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }
/** A precompile: no deposit may name it. */
const FORBIDDEN = Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? 1 : 0))

function transactionOf(bytes: Uint8Array | undefined) {
  const parsed = parseTransaction(bytes ?? new Uint8Array())
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

/** A deposit that cannot be credited and names a refund script. */
class Owing extends PegWorld {
  readonly key: Uint8Array
  readonly minedAt: number
  readonly deposit: ReturnType<typeof payment>

  constructor(amountSat = 200_000n, refundScript = p2wpkh('back')) {
    super()
    const scriptPubKey = changeOutput(this.genesis, 0).scriptPubKey
    this.deposit = payment('careless', [
      { amountSat, scriptPubKey },
      { amountSat: 0n, scriptPubKey: depositPayloadScript(FORBIDDEN, refundScript) },
    ])
    this.minedAt = this.bitcoin.mine([this.deposit]).height
    this.bitcoin.mine([], 2)
    this.key = outpointKey(txid(this.deposit), 0)
    this.claim(refundScript)
  }

  claim(refundScript: Uint8Array, bitcoin: BitcoinWorld = this.bitcoin): void {
    const claim = claimOf(bitcoin, this.deposit, {
      kind: 'refundable',
      reason: 'forbiddenAddress',
      evmAddress: FORBIDDEN,
      refundScript,
    })
    this.block({
      items: {
        bitcoinHeaders: bitcoin.headersAfter(this.ledger.state.tipHeight),
        proofs: [claim.proof],
        pegIns: [this.item(claim)],
      },
    })
  }

  get row(): OutputRow {
    const row = rowOf(this.ledger, 'outputs', this.key)
    if (row === undefined) throw new Error('no row')
    return row
  }

  get batch() {
    return openBatches(this.ledger)[0]
  }

  record(unconfirmed: readonly Uint8Array[] = []): void {
    const queue = { ...EMPTY_QUEUE, unconfirmed }
    this.block({ items: assemble(this.ledger, this.context(), queue).items })
  }

  book(version: number, bitcoin: BitcoinWorld = this.bitcoin) {
    const transaction = transactionOf(this.batch?.versions[version]?.row.transaction)
    bitcoin.mine([transaction])
    bitcoin.mine()
    this.syncHeaders(bitcoin)
    this.block({
      items: { proofs: [bitcoin.proofOf(transaction)], bookings: [{ proofIndex: 0 }] },
    })
    return transaction
  }

  recordAt(rate: number) {
    const plan = buildRefund(this.ledger, this.context(), this.key, rate)
    if (!plan.ok) throw new Error(plan.error.code)
    return plan.value.record
  }
}

describe('a refund (P 5.9; PI-11)', () => {
  it('spends the deposit alone, pays all of it less the fee to its refund script, and mints nothing', () => {
    const world = new Owing()
    expect(describeReserve(world.ledger)).toMatchObject({ reserveSat: 200_000n, supplySat: 0n })
    world.record()
    const transaction = transactionOf(world.batch?.versions[0]?.row.transaction)
    expect(transaction.inputs).toMatchObject([{ txid: txid(world.deposit), vout: 0 }])
    expect(transaction.outputs).toHaveLength(1)
    expect(transaction.outputs[0]?.scriptPubKey).toEqual(p2wpkh('back'))
    const paidSat = transaction.outputs[0]?.amountSat ?? 0n
    expect(paidSat).toBeLessThan(200_000n)
    expect(paidSat).toBeGreaterThan(199_000n)
    expect(describeReserve(world.ledger).inFlight).toMatchObject([
      { kind: 'refundOwed', amountSat: 200_000n },
    ])
    world.book(0)
    expect(world.row).toMatchObject({
      state: OUTPUT_STATE.refunded,
      spentBy: txid(transaction),
    })
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 0n,
      supplySat: 0n,
      inFlight: [],
      fundSat: 0n,
      deficitSat: 0n,
    })
    expect(world.withdrawals).toEqual([])
  })

  it('is not looked at by a proposer while payments are paused, nor is its bump (PO-15)', () => {
    const world = new Owing()
    const due = (batches: readonly Uint8Array[] = []) => {
      const { ledger } = world
      const paused = { ...ledger, state: { ...ledger.state, pegOutStops: 1 } }
      return [ledger, paused].map((at) => [...dueRecords(at, world.context(), batches)].length)
    }
    expect(due()).toEqual([1, 0])
    world.record()
    world.bitcoin.mine([], 3)
    world.syncHeaders()
    const batchId = world.batch?.batchId
    expect(batchId && due([batchId])).toEqual([1, 0])
  })

  it('RefundNotOwed: one refund for each outpoint, and none for a credit (PI-11)', () => {
    const world = new Owing()
    const record = world.recordAt(2000)
    const credit = world.pegIn('alice', 300_000n)
    const credited = outpointKey(credit.txid, 0)
    expect(buildRefund(world.ledger, world.context(), credited, 2000)).toMatchObject({
      error: { code: 'RefundNotOwed' },
    })
    world.record()
    expect(world.codeOf({ records: [record] })).toBe('RefundNotOwed')
    world.book(0)
    expect(world.codeOf({ records: [record] })).toBe('RefundNotOwed')
    expect(assemble(world.ledger, world.context(), EMPTY_QUEUE).items.records).toEqual([])
  })

  it.each([
    ['none', new Uint8Array(0)],
    ['one that cannot be paid', Uint8Array.of(0x6a, 1, 2)],
  ])(
    'a deposit with %s for a refund script stays owed, and nobody is paid unasked',
    (_, script) => {
      const world = new Owing(200_000n, script)
      world.record()
      expect(openBatches(world.ledger)).toEqual([])
      expect(world.ledger.state.refundsSat).toBe(200_000n)
    },
  )

  it('RefundEatsDeposit: it waits for a rate that leaves 80 % of it (PO-8)', () => {
    const world = new Owing(10_000n)
    world.feeRates = [50_000]
    expect(buildRefund(world.ledger, world.context(), world.key, 50_000)).toMatchObject({
      error: { code: 'RefundEatsDeposit' },
    })
    expect(
      assemble(world.ledger, world.context({ feeRateSatPerKvb: 50_000 }), EMPTY_QUEUE).items
        .records,
    ).toEqual([])
    world.feeRates = [2000]
    world.record()
    expect(world.batch?.versions).toHaveLength(1)
  })

  it('RecordWrong: nothing but what the rules give, at a rate within the bounds (C-4, D7)', () => {
    const world = new Owing()
    const record = world.recordAt(2000)
    const codeOf = (change: Partial<typeof record>) =>
      world.codeOf({ records: [{ ...record, ...change }] })
    expect(codeOf({ version: 1 })).toBe('RecordWrong')
    expect(codeOf({ batchId: new Uint8Array(32) })).toBe('RecordWrong')
    expect(codeOf({ feeRateSatPerKvb: 2001 })).toBe('RecordWrong')
    expect(codeOf({ transaction: new Uint8Array(10) })).toBe('RecordWrong')
    const stranger = Uint8Array.from(record.transaction)
    stranger[stranger.length - 10] = (stranger.at(-10) ?? 0) ^ 1
    expect(codeOf({ transaction: stranger })).toBe('RecordWrong')
    expect(world.codeOf({ records: [world.recordAt(9000)] })).toBe('RecordRateOutOfBounds')
    expect(codeOf({})).toBeUndefined()
  })

  it('is bumped like a payout, from the same input; either version may confirm (PO-15)', () => {
    const world = new Owing()
    world.record()
    world.bitcoin.mine([], 3)
    world.syncHeaders()
    world.record([world.batch?.batchId as Uint8Array])
    const versions = (world.batch?.versions ?? []).map(({ row }) => transactionOf(row.transaction))
    expect(versions).toHaveLength(2)
    expect(versions[1]?.inputs).toEqual(versions[0]?.inputs)
    expect(versions[1]?.outputs[0]?.amountSat).toBeLessThan(
      versions[0]?.outputs[0]?.amountSat ?? 0n,
    )
    world.book(0)
    expect(world.row.state).toBe(OUTPUT_STATE.refunded)
    expect(world.ledger.state).toMatchObject({ reserveSat: 0n, refundsSat: 0n })
  })

  it('a reorg of its booking makes it owed again; a reorg of the deposit takes both (P 4.9)', () => {
    const world = new Owing()
    world.record()
    const before = world.bitcoin.tip.height
    world.book(0)
    const shallow = world.bitcoin.fork(before, 'shallow')
    shallow.mine([], 4)
    world.block({ items: { bitcoinHeaders: shallow.headersAfter(before) } })
    expect(world.row).toMatchObject({ state: OUTPUT_STATE.live, batchId: world.batch?.batchId })
    expect(world.ledger.state).toMatchObject({ reserveSat: 200_000n, refundsSat: 200_000n })
    world.book(0, shallow)
    expect(world.ledger.state).toMatchObject({ reserveSat: 0n, refundsSat: 0n })

    const deep = shallow.fork(world.minedAt - 1, 'deep')
    deep.mine([], 12)
    world.block({ items: { bitcoinHeaders: deep.headersAfter(world.minedAt - 1) } })
    expect(world.row.state).toBe(OUTPUT_STATE.absent)
    expect(world.ledger.state).toMatchObject({ reserveSat: 0n, refundsSat: 0n, deficitSat: 0n })
    deep.mine([world.deposit])
    deep.mine([], 2)
    world.claim(p2wpkh('back'), deep)
    expect(world.ledger.state).toMatchObject({ reserveSat: 200_000n, refundsSat: 200_000n })
    world.book(0, deep)
    expect(world.ledger.state).toMatchObject({ reserveSat: 0n, refundsSat: 0n })
  })

  it('RecordInputGone: none in the block that takes the deposit away', () => {
    const world = new Owing()
    const record = world.recordAt(2000)
    const branch = world.bitcoin.fork(world.minedAt - 1, 'other')
    branch.mine([], 4)
    expect(
      world.codeOf({
        bitcoinHeaders: branch.headersAfter(world.minedAt - 1),
        records: [record],
      }),
    ).toBe('RecordInputGone')
  })
})
