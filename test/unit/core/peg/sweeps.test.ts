import { parseTransaction, serializeTransaction, txid } from '../../../../core/bitcoin/index.ts'
import {
  BATCH_KIND,
  BATCH_STATE,
  causeKey,
  DEFICIT_CAUSE,
  FUND_CAUSE,
  LedgerDraft,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  rowOf,
  SWEEP_REASON,
} from '../../../../core/ledger/index.ts'
import type { Genesis } from '../../../../core/params/index.ts'
import {
  assemble,
  BUMP_BLOCKS,
  buildBump,
  buildPayout,
  buildSweep,
  checkIdentity,
  currentOutput,
  describeReserve,
  LATE_BLOCKS,
  LATE_GROUP,
  LEAST_OUTPUTS,
  MAX_OPEN_SWEEPS,
  MAX_PAYOUT_VBYTES,
  MOST_OUTPUTS,
  oldestOutput,
  openBatches,
  type PegContext,
  validUntil,
  WATCH_BLOCKS,
} from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { type BitcoinWorld, claimOf, depositOf, PegWorld, seeded } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }
const CSV = 1000
/** With these nothing is large enough for two parts. */
const WHOLE = { minPegOutSat: 10_000_000 }

type Transaction = ReturnType<typeof transactionOf>

function transactionOf(bytes: Uint8Array) {
  const parsed = parseTransaction(bytes)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

/** A federation whose coins move. */
class Moving extends PegWorld {
  /** An output that was minted, as if it had been deposited conflictDepth blocks ago. */
  give(name: string, amountSat: bigint, changes: Partial<OutputRow> = {}): Uint8Array {
    const { conflictDepth } = this.genesis.params
    if (this.ledger.state.tipHeight < conflictDepth) this.deepen(conflictDepth)
    const draft = new LedgerDraft(this.ledger, true)
    const key = outpointKey(seeded(`given ${name}`), 0)
    draft.put('outputs', key, {
      kind: OUTPUT_KIND.credit,
      reason: 0,
      state: OUTPUT_STATE.live,
      amountSat,
      scriptPubKey: currentOutput(this.genesis, this.ledger).scriptPubKey,
      epoch: this.ledger.state.epoch,
      tweaked: false,
      evmAddress: new Uint8Array(20),
      refundScript: new Uint8Array(0),
      refundTo: new Uint8Array(0),
      approvals: [],
      bitcoinHash: new Uint8Array(32),
      bitcoinHeight: this.ledger.state.tipHeight - conflictDepth + 1,
      transactionIndex: 0,
      height: this.height,
      timestamp: this.timestamp,
      minted: true,
      mintHeight: this.height,
      withdrawalIndex: 0,
      feeSat: 0n,
      batchId: new Uint8Array(32),
      spentBy: new Uint8Array(32),
      ...changes,
    })
    this.ledger = draft.finish()
    return key
  }

  /** The fund gets this much. */
  donate(amountSat: bigint): void {
    this.block({ funds: [{ logIndex: 0, amountWei: amountSat * 10n ** 10n }] })
  }

  /** What a proposer would put into the next block beside queues. */
  due(unconfirmed: readonly Uint8Array[] = []) {
    return assemble(this.ledger, this.context(), { ...EMPTY_QUEUE, unconfirmed }).items
  }

  /** A block with what is due; the newest open batch. */
  record(unconfirmed: readonly Uint8Array[] = []) {
    const items = this.due(unconfirmed)
    if (items.records.length === 0) throw new Error('nothing is due')
    this.block({ items })
    const id = items.records[0]?.batchId as Uint8Array
    const batch = openBatches(this.ledger).find(({ batchId }) => `${batchId}` === `${id}`)
    if (batch === undefined) throw new Error('no batch')
    const versions = batch.versions.map(({ row }) => transactionOf(row.transaction))
    return { ...batch, transactions: versions, transaction: versions.at(-1) as Transaction }
  }

  /** In a block that is M deep, and booked. */
  book(transaction: Transaction, bitcoin: BitcoinWorld = this.bitcoin): void {
    bitcoin.mine([transaction])
    bitcoin.mine()
    this.syncHeaders(bitcoin)
    this.block({
      items: { proofs: [bitcoin.proofOf(transaction)], bookings: [{ proofIndex: 0 }] },
    })
  }

  /** A longer branch from a block on, and the ledger follows it. */
  reorg(forkHeight: number, blocks: number): BitcoinWorld {
    const branch = this.bitcoin.fork(forkHeight, 'branch')
    branch.mine([], blocks)
    this.block({ items: { bitcoinHeaders: branch.headersAfter(forkHeight) } })
    return branch
  }

  deepen(blocks: number): void {
    for (let left = blocks; left > 0; left -= 100) {
      this.bitcoin.mine([], Math.min(left, 100))
      this.syncHeaders()
    }
  }

  oldest(feeRateSatPerKvb = 2000) {
    return oldestOutput(this.genesis, this.ledger, feeRateSatPerKvb)
  }

  oldestPercent(feeRateSatPerKvb = 2000): number {
    return this.oldest(feeRateSatPerKvb)?.percent ?? 0
  }

  get reserve() {
    return [...this.ledger.open.reserve.values()].map(({ row }) => row)
  }

  get epochs(): number[] {
    return [...new Set(this.reserve.map(({ epoch }) => epoch))].sort()
  }
}

/** The same with more members, whose leaf A is large. */
function elevenOfFifteen(genesis: Genesis): Genesis {
  const [member] = genesis.members
  if (member === undefined) throw new Error('no member')
  const members = Array.from({ length: 15 }, () => member)
  return { ...genesis, members, memberThreshold: 11 }
}

/** Two deposits, an old key and a new one. */
function handedOver(changes: ConstructorParameters<typeof PegWorld>[0] = {}): Moving {
  const world = new Moving(changes)
  world.pegIn('alice', 1_000_000n)
  world.pegIn('bob', 400_000n)
  world.pegIn('carol', 300_000n)
  world.newKey()
  return world
}

describe('a sweep at a handover (P 5.8; PO-19)', () => {
  it('moves what is under an old key to the newest one, pays nobody, and its fee is the fund’s (PO-21)', () => {
    const world = handedOver()
    const before = describeReserve(world.ledger)
    const first = world.record()
    expect(first.row).toMatchObject({ kind: BATCH_KIND.sweep, reason: SWEEP_REASON.handover })
    expect(first.requests).toEqual([])
    const { scriptPubKey } = currentOutput(world.genesis, world.ledger)
    expect(first.transaction.outputs.map((output) => output.scriptPubKey)).toEqual([scriptPubKey])
    const [output] = first.transaction.outputs
    const spentSat = first.inputs.reduce((sum, { row }) => sum + row.amountSat, 0n)
    const feeSat = spentSat - (output?.amountSat ?? 0n)
    expect(feeSat).toBeGreaterThan(0n)
    world.book(first.transaction)
    const after = describeReserve(world.ledger)
    expect(after).toMatchObject({
      reserveSat: before.reserveSat - feeSat,
      supplySat: before.supplySat,
      fundSat: before.fundSat - feeSat,
      deficitSat: 0n,
    })
    const key = causeKey(FUND_CAUSE.payout, first.batchId)
    expect(rowOf(world.ledger, 'fund', key)).toMatchObject({ incomeSat: 0n, spentSat: feeSat })
    expect(rowOf(world.ledger, 'batches', first.batchId)?.state).toBe(BATCH_STATE.booked)
  })

  it('goes on in chunks until the old key holds nothing, and then nothing is due', () => {
    const world = handedOver()
    for (let chunk = 0; chunk < 5 && world.epochs.includes(0); chunk++) {
      world.book(world.record().transaction)
      expect(checkIdentity(world.ledger)).toBeUndefined()
    }
    expect(world.epochs).toEqual([1])
    expect(world.due().records).toEqual([])
  })

  it('holds no more than half of the reserve beside a single output, in four transactions at most', () => {
    const world = new Moving()
    for (let index = 0; index < 12; index++) world.give(`coin ${index}`, 1_000_000n)
    world.donate(100_000n)
    world.newKey()
    const held = () =>
      world.reserve.filter(({ batchId }) => batchId.some((byte) => byte !== 0)).length
    world.record()
    expect(held()).toBe(6)
    expect(world.due().records).toEqual([])
    const single = new Moving()
    single.give('whale', 90_000_000n)
    for (let index = 0; index < 20; index++) single.give(`coin ${index}`, 100_000n)
    single.donate(100_000n)
    single.newKey()
    single.record()
    for (let more = 1; more < MAX_OPEN_SWEEPS; more++) {
      if (single.due().records.length > 0) single.record()
    }
    expect(single.due().records).toEqual([])
  })

  it('has at most 50 inputs and 10,000 vB', () => {
    const world = new Moving()
    for (let index = 0; index < 130; index++) world.give(`coin ${index}`, 1_000_000n)
    world.donate(1_000_000n)
    world.newKey()
    const first = world.record()
    // 230 weight units an input by the key, four times as many by leaf A of the first epoch.
    expect(first.inputs.length).toBe(50)
    expect(serializeTransaction(first.transaction).length).toBeLessThan(MAX_PAYOUT_VBYTES)
    world.record()
    expect(world.due().records).toEqual([])
  })

  it('lets who waits for a payment go first, and payments go on beside it', () => {
    const world = handedOver()
    world.pegIn('spare', 2_000_000n)
    world.newKey()
    world.block({ burns: [world.burn('dora', 100_000n)] })
    world.timestamp += 10
    const paying = world.record()
    expect(paying.row.kind).toBe(BATCH_KIND.payout)
    const plan = buildSweep(world.ledger, world.context(), 2000)
    expect(plan?.reason).toBe(SWEEP_REASON.handover)
    world.record()
    world.block({ burns: [world.burn('emil', 50_000n)] })
    world.timestamp += 10
    const second = world.record()
    expect(second.row.kind).toBe(BATCH_KIND.payout)
    expect(second.inputs.every(({ row }) => row.epoch === 0)).toBe(true)
    world.book(second.transaction)
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('is refused while a payment is due, even from a proposer who likes it better', () => {
    const world = handedOver()
    const plan = buildSweep(world.ledger, world.context(), 2000)
    if (plan === undefined) throw new Error('not due')
    world.block({ burns: [world.burn('dora', 100_000n)] })
    world.timestamp += 10
    const record = { ...plan.record }
    expect(world.codeOf({ records: [record] })).toBe('SweepNotDue')
  })

  it('takes the change of an old batch that is booked after it', () => {
    const world = new Moving()
    world.pegIn('alice', 1_000_000n)
    world.block({ burns: [world.burn('bob', 300_000n)] })
    world.timestamp += 10
    const paying = world.record()
    world.newKey()
    expect(world.due().records).toEqual([])
    world.block()
    world.book(paying.transaction)
    expect(world.epochs).toEqual([0])
    world.deepen(1)
    const sweep = world.record()
    expect(sweep.row.reason).toBe(SWEEP_REASON.handover)
    world.book(sweep.transaction)
    expect(world.epochs).toEqual([1])
  })

  it('goes on while a spend without a record stops payments', () => {
    const world = handedOver()
    const draft = new LedgerDraft(world.ledger, true)
    // As a booked stray counts.
    draft.put('spends', seeded('stray'), {
      kind: 1,
      state: 1,
      batchId: new Uint8Array(32),
      version: 0,
      epoch: 0,
      feeRateSatPerKvb: 0,
      transaction: new Uint8Array(0),
      height: 1,
      timestamp: 1,
      bitcoinHash: new Uint8Array(32),
      bitcoinHeight: 1,
      transactionIndex: 0,
      spent: [],
      entered: [],
      released: [],
      accepted: false,
    })
    world.ledger = draft.finish()
    world.block({ burns: [world.burn('dora', 100_000n)] })
    world.timestamp += 10
    const sweep = world.record()
    expect(sweep.row.kind).toBe(BATCH_KIND.sweep)
    world.deepen(3)
    expect(world.record([sweep.batchId]).versions).toHaveLength(2)
  })
})

describe('a sweep that a block carries (P 4.5)', () => {
  it('is the one that ledger and rate give, or the block is invalid', () => {
    const world = handedOver()
    const plan = buildSweep(world.ledger, world.context(), 2000)
    if (plan === undefined) throw new Error('not due')
    const { record, transaction } = plan
    const [output] = transaction.outputs
    if (output === undefined) throw new Error('no output')
    const other = (changes: Partial<Transaction>) => ({
      records: [{ ...record, transaction: serializeTransaction({ ...transaction, ...changes }) }],
    })
    expect(world.codeOf({ records: [record] })).toBeUndefined()
    const thief = { ...output, scriptPubKey: Uint8Array.of(0, 20, ...new Uint8Array(20)) }
    expect(world.codeOf(other({ outputs: [thief] }))).toBe('RecordWrong')
    const less = { ...output, amountSat: output.amountSat - 1n }
    expect(world.codeOf(other({ outputs: [less] }))).toBe('RecordWrong')
    expect(world.codeOf(other({ inputs: transaction.inputs.slice(1) }))).toBe('RecordWrong')
    expect(world.codeOf({ records: [{ ...record, batchId: seeded('other') }] })).toBe('RecordWrong')
    expect(world.codeOf({ records: [{ ...record, version: 1 }] })).toBe('RecordWrong')
    expect(world.codeOf({ records: [{ ...record, feeRateSatPerKvb: 9000 }] })).toBe(
      'RecordRateOutOfBounds',
    )
    expect(world.codeOf({ records: [record, record] })).toBe('RecordExtra')
  })

  it('is invalid where nothing is due', () => {
    const world = handedOver()
    const record = buildSweep(world.ledger, world.context(), 2000)?.record
    if (record === undefined) throw new Error('not due')
    const before = new Moving()
    before.pegIn('alice', 1_000_000n)
    expect(before.codeOf({ records: [record] })).toBe('SweepNotDue')
  })

  it('is bumped while Bitcoin does not take it, within what the fund pays', () => {
    const world = handedOver()
    const sweep = world.record()
    world.deepen(3)
    const bumped = world.record([sweep.batchId])
    expect(bumped.versions).toHaveLength(2)
    const [first, second] = bumped.transactions
    expect(second?.inputs[0]).toEqual(first?.inputs[0])
    expect(second?.outputs[0]?.amountSat).toBeLessThan(first?.outputs[0]?.amountSat ?? 0n)
    const fund = describeReserve(world.ledger).fundSat
    world.book(bumped.transaction)
    expect(describeReserve(world.ledger).fundSat).toBeLessThan(fund)
  })

  it('is not bumped beyond that', () => {
    const rich = handedOver({ pegInFeeSat: 0 })
    const plan = buildSweep(rich.ledger, rich.context(), 2000)
    const world = handedOver({ pegInFeeSat: 0, advanceCapSat: Number(plan?.minerFeeSat) })
    const sweep = world.record()
    world.deepen(3)
    expect(world.due([sweep.batchId]).records).toEqual([])
    const bump = buildBump(world.ledger, world.context(), sweep.batchId, 4000)
    expect(bump.ok ? undefined : bump.error.code).toBe('SweepFundShort')
  })

  it('is taken back when a reorg removes it, and every coin is where it was', () => {
    const world = handedOver()
    const before = describeReserve(world.ledger)
    const fork = world.bitcoin.tip.height
    const sweep = world.record()
    world.book(sweep.transaction)
    const branch = world.reorg(fork, 4)
    const { inFlight: _, ...totals } = describeReserve(world.ledger)
    expect(totals).toMatchObject({ reserveSat: before.reserveSat, fundSat: before.fundSat })
    expect(rowOf(world.ledger, 'batches', sweep.batchId)?.state).toBe(BATCH_STATE.open)
    const change = rowOf(world.ledger, 'outputs', outpointKey(txid(sweep.transaction), 0))
    expect(change?.state).toBe(OUTPUT_STATE.absent)
    world.book(sweep.transaction, branch)
    expect(world.reserve.some(({ epoch }) => epoch === 1)).toBe(true)
  })
})

describe('a sweep and reorgs (P 4.5; PO-16)', () => {
  /** A handover of six deposits, of which the last go away with a reorg. */
  function robbed(lost: number) {
    const world = new Moving({ pegInFeeSat: 2000 })
    for (let index = 0; index < 6 - lost; index++) world.pegIn(`kept ${index}`, 200_000n)
    const fork = world.bitcoin.tip.height
    for (let index = 0; index < lost; index++) world.pegIn(`lost ${index}`, 200_000n)
    world.newKey()
    world.give('whale', 5_000_000n)
    const sweep = world.record()
    expect(sweep.inputs).toHaveLength(6)
    const branch = world.reorg(fork, world.bitcoin.tip.height - fork + BUMP_BLOCKS)
    return { world, sweep, branch }
  }

  it.each([1, 3, 5])('one that lost %i of its six coins goes on with the others', (lost) => {
    const { branch, sweep, world } = robbed(lost)
    const fundSat = describeReserve(world.ledger).fundSat
    const bumped = world.record([sweep.batchId])
    expect(bumped.versions).toHaveLength(2)
    const kept = sweep.transaction.inputs.slice(0, 6 - lost)
    expect(bumped.transaction.inputs).toEqual(kept)
    const feeSat = BigInt(kept.length) * 200_000n - (bumped.transaction.outputs[0]?.amountSat ?? 0n)
    world.book(bumped.transaction, branch)
    expect(rowOf(world.ledger, 'batches', sweep.batchId)?.state).toBe(BATCH_STATE.booked)
    expect(checkIdentity(world.ledger)).toBeUndefined()
    expect(describeReserve(world.ledger).fundSat).toBe(fundSat - feeSat)
    expect(world.reserve.some(({ batchId }) => batchId.some((byte) => byte !== 0))).toBe(false)
  })

  it('spends what is conflictDepth deep, and nothing that a reorg may take, however little of it there is', () => {
    const world = new Moving()
    world.give('deep', 100_000n)
    const { tipHeight } = world.ledger.state
    for (const age of [1, 2]) {
      world.give(`young ${age}`, 100_000n, { bitcoinHeight: tipHeight - age + 1 })
    }
    world.newKey()
    world.give('whale', 5_000_000n)
    expect(world.record().inputs.map(({ row }) => row.bitcoinHeight)).toEqual([tipHeight - 2])
    expect(world.due().records).toEqual([])
    world.deepen(1)
    expect(world.record().inputs.map(({ row }) => row.bitcoinHeight)).toEqual([tipHeight - 1])
  })
})

describe('a payout (P 4.5, 5.3; PO-7)', () => {
  it('fits one transaction by leaf A too, but for one request that alone takes more coins', () => {
    const world = new Moving()
    world.newKey()
    for (let index = 0; index < 30; index++) world.give(`coin ${index}`, 100_000n)
    const burns = Array.from({ length: 30 }, (_, index) =>
      world.burn(`user ${index}`, 100_000n, undefined, index),
    )
    world.block({ burns })
    world.timestamp += 10
    const build = (genesis: Genesis) =>
      buildPayout(world.ledger, world.context({ genesis }), 2000)?.inputs.length
    expect(build(world.genesis)).toBe(30)
    // 366.25 vB and an output of 31 for each, and 53.5.
    expect(build(elevenOfFifteen(world.genesis))).toBe(25)
    const one = new Moving()
    one.newKey()
    for (let index = 0; index < 30; index++) one.give(`coin ${index}`, 100_000n)
    one.block({ burns: [one.burn('rich', 2_950_000n), one.burn('dora', 10_000n, undefined, 1)] })
    one.timestamp += 10
    const context = one.context({ genesis: elevenOfFifteen(one.genesis) })
    const plan = buildPayout(one.ledger, context, 2000)
    expect([plan?.inputs.length, plan?.requests.length]).toEqual([30, 1])
  })
})

describe('a renewal (P 5.7; PO-22)', () => {
  it('is due at 45 % of the recovery delay, takes along what is at 40 %, and leaves nothing older than half', () => {
    const world = new Moving(WHOLE)
    const old = world.pegIn('alice', 1_000_000n)
    world.deepen(40)
    world.pegIn('bob', 1_000_000n)
    world.deepen(100)
    world.pegIn('carol', 4_000_000n)
    const bornAt = rowOf(world.ledger, 'outputs', outpointKey(old.txid, 0))?.bitcoinHeight ?? 0
    world.deepen((CSV * 9) / 20 - (world.ledger.state.tipHeight - bornAt) - 2)
    expect(world.due().records).toEqual([])
    expect(world.oldestPercent()).toBe(44)
    world.deepen(1)
    const sweep = world.record()
    expect(sweep.row.reason).toBe(SWEEP_REASON.renewal)
    expect(sweep.inputs).toHaveLength(2)
    world.book(sweep.transaction)
    expect(world.oldestPercent()).toBeLessThan(40)
    expect(world.due().records).toEqual([])
  })

  it('spends no more than leaf A can, for a key may have lost its shares (PO-22; BIP431)', () => {
    const world = new Moving()
    world.newKey()
    for (let index = 0; index < 30; index++) world.give(`old ${index}`, 100_000n)
    world.deepen(450)
    world.give('whale', 10_000_000n)
    world.donate(1_000_000n)
    const inputs = (genesis: Genesis) =>
      buildSweep(world.ledger, world.context({ genesis }), 2000)?.inputs.length
    expect(inputs(world.genesis)).toBe(30)
    // 366.25 vB an input, and 10.5 + 20 outputs of 43.
    expect(inputs(elevenOfFifteen(world.genesis))).toBe(24)
  })

  it('has a place, and a quarter of the reserve, that sweeps which could wait leave to it', () => {
    const world = new Moving()
    const inRows = (height: number) => ({ bitcoinHeight: height })
    for (let index = 0; index < 4; index++) world.give(`old ${index}`, 2_000_000n, inRows(3))
    world.deepen(446)
    const { tipHeight } = world.ledger.state
    for (let index = 0; index <= MOST_OUTPUTS; index++) {
      world.give(`coin ${index}`, 100_000n, inRows(tipHeight - 100))
    }
    world.donate(10_000_000n)
    const heldSat = () =>
      world.reserve
        .filter(({ batchId }) => batchId.some((byte) => byte !== 0))
        .reduce((sum, { amountSat }) => sum + amountSat, 0n)
    const reasons: number[] = []
    for (let block = 0; block < MAX_OPEN_SWEEPS && world.due().records.length > 0; block++) {
      reasons.push(world.record().row.reason)
      expect(heldSat() * 4n).toBeLessThanOrEqual(world.ledger.state.reserveSat)
    }
    expect(reasons).toEqual([SWEEP_REASON.consolidation, SWEEP_REASON.consolidation])
    world.deepen(10)
    const sweep = world.record()
    expect(sweep.row.reason).toBe(SWEEP_REASON.renewal)
    expect(heldSat() * 2n).toBeLessThanOrEqual(world.ledger.state.reserveSat)
  })

  it('has the last of four places, whatever the handover leaves', () => {
    const world = new Moving()
    for (let index = 0; index < 250; index++) world.give(`old ${index}`, 20_000n)
    world.deepen(440)
    world.newKey()
    world.give('whale', 90_000_000n)
    world.donate(1_000_000n)
    const { handover, renewal } = SWEEP_REASON
    const reasons = Array.from({ length: 3 }, () => world.record().row.reason)
    expect(reasons).toEqual([handover, handover, handover])
    expect(world.due().records).toEqual([])
    world.deepen(10)
    expect(world.record().row.reason).toBe(renewal)
    expect(world.due().records).toEqual([])
  })

  it('goes on, one output at a time, while the split of most of the reserve waits', () => {
    const world = new Moving({ maxPegInSat: 10_000_000 })
    world.give('old', 1_000_000n)
    world.deepen(440)
    world.give('whale', 90_000_000n)
    world.donate(1_000_000n)
    expect(world.record().row.reason).toBe(SWEEP_REASON.split)
    world.deepen(10)
    const sweep = world.record()
    expect(sweep.row.reason).toBe(SWEEP_REASON.renewal)
    expect(sweep.inputs).toHaveLength(1)
  })

  it('is alerted of by what a sweep could take: not by deposits that go back, nor by dust', () => {
    const world = new Moving()
    world.give('owed', 1_000_000n, { kind: OUTPUT_KIND.refundable, minted: false })
    world.give('dust', 800n)
    world.deepen(600)
    expect(world.oldestPercent(2000)).toBe(0)
    // At a rate at which it is worth its fee it is a coin like others.
    expect(world.oldestPercent(1000)).toBe(60)
    world.give('coin', 100_000n, { bitcoinHeight: world.ledger.state.tipHeight - 99 })
    expect(world.oldestPercent(2000)).toBe(10)
  })

  it('says of the oldest output what its renewal waits for: its time, a block, members and Bitcoin, or the fund', () => {
    const world = new Moving({ pegInFeeSat: 0, advanceCapSat: 300 })
    const key = world.give('old', 100_000n)
    world.give('young', 100_000n, { bitcoinHeight: 3 })
    expect(world.oldest()).toEqual({ key, amountSat: 100_000n, percent: 0, waitsFor: 'age' })
    world.deepen(450)
    expect(world.oldest()).toMatchObject({ percent: 45, waitsFor: 'fund' })
    world.donate(100_000n)
    expect(world.oldest()).toMatchObject({ key, waitsFor: 'block' })
    world.record()
    expect(world.oldest()).toMatchObject({ key, waitsFor: 'batch' })
    expect(new Moving().oldest()).toBeUndefined()
  })

  it('does not wait for payments, nor for the fund as long as the advance goes', () => {
    const world = new Moving({ pegInFeeSat: 0 })
    world.pegIn('alice', 1_000_000n)
    world.deepen(450)
    world.block({ burns: [world.burn('bob', 100_000n)] })
    world.timestamp += 10
    expect(buildSweep(world.ledger, world.context(), 2000)?.reason).toBe(SWEEP_REASON.renewal)
    const record = buildSweep(world.ledger, world.context(), 2000)?.record
    if (record === undefined) throw new Error('not due')
    world.block({ items: { records: [record] } })
    const [batch] = openBatches(world.ledger)
    const transaction = transactionOf(batch?.versions[0]?.row.transaction ?? new Uint8Array())
    world.book(transaction)
    const { deficitSat, fundSat } = describeReserve(world.ledger)
    const feeSat = 1_000_000n - (transaction.outputs[0]?.amountSat ?? 0n)
    expect({ deficitSat, fundSat }).toEqual({ deficitSat: feeSat, fundSat: 0n })
    const advance = causeKey(DEFICIT_CAUSE.advance, new Uint8Array(0))
    expect(rowOf(world.ledger, 'deficits', advance)?.amountSat).toBe(feeSat)
    world.pegIn('dora', 100_000n)
    const poor = new Moving({ pegInFeeSat: 0, advanceCapSat: 100 })
    poor.pegIn('alice', 1_000_000n)
    poor.deepen(450)
    expect(poor.due().records).toEqual([])
  })
})

describe('deposits to an old key (P 4.2, 5.8)', () => {
  it('are credited up to 52,560 Bitcoin blocks after the next key was made, and no later', () => {
    const lastAt = (height: (world: Moving) => number) => {
      const world = new Moving()
      const transaction = depositOf(world.genesis, 'late', 1_000_000n)
      world.bitcoin.mine([transaction])
      world.bitcoin.mine([], 2)
      world.syncHeaders()
      const claim = claimOf(world.bitcoin, transaction)
      world.newKey(height(world) - WATCH_BLOCKS)
      expect(validUntil(world.ledger.open.keys, 0)).toBe(height(world))
      expect(validUntil(world.ledger.open.keys, 1)).toBeUndefined()
      return world.codeOf({ proofs: [claim.proof], pegIns: [world.item(claim)] })
    }
    expect(lastAt(() => 1)).toBeUndefined()
    expect(lastAt(() => 0)).toBe('PegInEpochOver')
  })

  function late(world: Moving, count: number, amountSat = 100_000n): void {
    const old = {
      epoch: 0,
      height: world.height,
      scriptPubKey: currentOutput(world.genesis, {
        ...world.ledger,
        state: { ...world.ledger.state, epoch: 0 },
      }).scriptPubKey,
    }
    for (let index = 0; index < count; index++) {
      world.give(`late ${world.height} ${index}`, amountSat, old)
    }
  }

  function settled(): Moving {
    const world = new Moving(WHOLE)
    world.give('first', 1_000_000n)
    world.donate(1_000_000n)
    world.newKey()
    world.book(world.record().transaction)
    world.give('rich', 10_000_000n)
    world.block()
    return world
  }

  it('wait for a group', () => {
    const world = settled()
    late(world, LATE_GROUP - 1)
    expect(world.due().records).toEqual([])
    world.block()
    late(world, 1)
    const sweep = world.record()
    expect(sweep.row.reason).toBe(SWEEP_REASON.late)
    expect(sweep.inputs).toHaveLength(LATE_GROUP)
  })

  it('or for 144 Bitcoin blocks', () => {
    const world = settled()
    late(world, 1)
    world.deepen(LATE_BLOCKS - world.genesis.params.conflictDepth)
    expect(world.due().records).toEqual([])
    world.deepen(1)
    expect(world.record().row.reason).toBe(SWEEP_REASON.late)
  })

  it('wait while two sweeps are open', () => {
    const world = settled()
    for (const isTaken of [true, true, false]) {
      late(world, LATE_GROUP, 20_000n)
      expect(world.due().records).toHaveLength(isTaken ? 1 : 0)
      if (isTaken) world.record()
    }
  })

  it('stay where they are not worth a fifth of their fee', () => {
    const world = settled()
    late(world, LATE_GROUP, 1500n)
    expect(world.due().records).toEqual([])
  })
})

describe('the number of outputs (PO-17, PO-21)', () => {
  function crowd(changes: ConstructorParameters<typeof PegWorld>[0] = {}): Moving {
    const world = new Moving(changes)
    for (let index = 0; index <= MOST_OUTPUTS; index++) {
      world.give(`coin ${index}`, 100_000n + BigInt(index))
    }
    return world
  }

  it('above 200 the smallest are made one, when rates are low and the fund pays it', () => {
    const world = crowd()
    expect(world.due().records).toEqual([])
    world.donate(1_000_000n)
    const sweep = world.record()
    expect(sweep.row.reason).toBe(SWEEP_REASON.consolidation)
    const amounts = sweep.inputs.map(({ row }) => row.amountSat).sort()
    expect(amounts).toEqual(amounts.map((_, index) => 100_000n + BigInt(index)))
    world.book(sweep.transaction)
    expect(world.ledger.open.reserve.size).toBe(MOST_OUTPUTS + 2 - amounts.length)
    expect(world.due().records).toEqual([])
  })

  it('P 4.5: the conflict input of a consolidation is the deepest that it spends, not the smallest', () => {
    const world = new Moving()
    world.deepen(20)
    const { tipHeight } = world.ledger.state
    for (let index = 0; index <= MOST_OUTPUTS; index++) {
      // The smaller, the newer: who deposits last chooses what is spent.
      const bitcoinHeight = tipHeight - 3 - (index >> 5)
      world.give(`coin ${index}`, 100_000n + BigInt(index), { bitcoinHeight })
    }
    world.donate(1_000_000n)
    const sweep = world.record()
    expect(sweep.row.reason).toBe(SWEEP_REASON.consolidation)
    const heights = sweep.inputs.map(({ row }) => row.bitcoinHeight)
    expect(heights).toEqual([...heights].sort((left, right) => left - right))
    expect(new Set(heights).size).toBeGreaterThan(1)
  })

  it('two sweeps of many small outputs wait at a time, and no third', () => {
    const world = crowd()
    world.give('whale', 500_000_000n)
    world.donate(1_000_000n)
    for (const inputs of [50, 50]) expect(world.record().inputs).toHaveLength(inputs)
    expect(world.due().records).toEqual([])
  })

  it('a high reference rate puts it off', () => {
    const world = crowd()
    world.donate(10_000_000n)
    const rates = { recentFeeRates: [6000], feeRateSatPerKvb: 6000 }
    expect(buildSweep(world.ledger, world.context(rates), 6000)).toBeUndefined()
    expect(buildSweep(world.ledger, world.context(rates), 3000)).toBeUndefined()
    expect(buildSweep(world.ledger, world.context(), 2000)).toBeDefined()
  })

  it('nothing of it while more than a quarter of the reserve is on its way', () => {
    const world = crowd()
    world.give('whale', 60_000_000n)
    world.donate(1_000_000n)
    world.block({ burns: [world.burn('dora', 1_000_000n)] })
    world.timestamp += 10
    const paying = world.record()
    expect(paying.row.kind).toBe(BATCH_KIND.payout)
    const heldSat = paying.inputs.reduce((sum, { row }) => sum + row.amountSat, 0n)
    expect(heldSat * 4n).toBeGreaterThan(world.ledger.state.reserveSat)
    expect(world.due().records).toEqual([])
  })

  it('below 20 the largest is split into even parts, as many as lack, none below 100 of the smallest payouts', () => {
    const world = new Moving()
    world.give('whale', 65_000_003n)
    world.donate(100_000n)
    const sweep = world.record()
    expect(sweep.row.reason).toBe(SWEEP_REASON.split)
    const amounts = sweep.transaction.outputs.map(({ amountSat }) => amountSat)
    expect(amounts).toHaveLength(LEAST_OUTPUTS)
    expect(new Set(amounts.slice(1)).size).toBe(1)
    world.deepen(3)
    const bumped = world.record([sweep.batchId])
    expect(bumped.transaction.outputs).toHaveLength(LEAST_OUTPUTS)
    world.book(bumped.transaction)
    expect(world.reserve).toHaveLength(LEAST_OUTPUTS)
    world.deepen(3)
    expect(world.due().records).toEqual([])
    const few = new Moving({ minPegOutSat: 100_000 })
    few.give('whale', 65_000_003n)
    few.donate(100_000n)
    expect(few.record().transaction.outputs).toHaveLength(6)
  })

  it('no split takes the coin that a burn waits for (PO-17)', () => {
    const world = new Moving()
    world.give('whale', 65_000_003n)
    world.donate(100_000n)
    expect(world.due().records).toHaveLength(1)
    world.block({ burns: [world.burn('bob', 1_000_000n)] })
    expect(world.due().records).toEqual([])
    world.timestamp += 10
    expect(world.record().row.kind).toBe(BATCH_KIND.payout)
  })

  it('after the split a payout holds one of the parts, and the next one finds others', () => {
    const world = new Moving()
    world.give('whale', 65_000_000n)
    world.donate(100_000n)
    world.book(world.record().transaction)
    for (const name of ['dora', 'emil', 'frida']) {
      world.block({ burns: [world.burn(name, 1_000_000n)] })
      world.timestamp += 10
      const paying = world.record()
      expect(paying.row.kind).toBe(BATCH_KIND.payout)
      expect(paying.inputs).toHaveLength(1)
    }
  })

  it('what is no two parts of a twentieth of the reserve stays whole', () => {
    const world = new Moving()
    for (let index = 0; index < 15; index++) world.give(`coin ${index}`, 4_000_000n)
    world.donate(100_000n)
    expect(world.due().records).toEqual([])
    world.give('large', 8_000_000n)
    expect(world.record().transaction.outputs).toHaveLength(2)
  })

  it('a handover makes the same parts while rates are low and the fund pays them, else one', () => {
    const outputs = (world: Moving, rates: Partial<PegContext> = {}) => {
      world.give('whale', 65_000_000n)
      world.newKey()
      const plan = buildSweep(world.ledger, world.context(rates), 3000)
      expect(plan?.reason).toBe(SWEEP_REASON.handover)
      return plan?.transaction.outputs.length
    }
    const dear = { recentFeeRates: [6000], feeRateSatPerKvb: 6000 }
    expect(outputs(new Moving())).toBe(LEAST_OUTPUTS)
    expect(outputs(new Moving(), dear)).toBe(1)
    expect(outputs(new Moving({ advanceCapSat: 700 }))).toBe(1)
  })

  it('of equal outputs the first is split, in whatever order they came', () => {
    const names = ['one', 'two', 'three', 'four']
    const keys = [names, names.toReversed()].map((order) => {
      const world = new Moving({ maxPegInSat: 10_000_000 })
      const given = order.map((name) => toHex(world.give(name, 30_000_000n)))
      world.donate(100_000n)
      const key = toHex(world.record().inputs[0]?.key ?? new Uint8Array())
      expect(key).toBe([...given].sort()[0])
      return key
    })
    expect(keys[0]).toBe(keys[1])
  })

  it('after 1,000 sweeps the reserve still is what is owed (PO-21)', () => {
    const changes = { advanceCapSat: 0, payoutConfirmations: 1, conflictDepth: 1 }
    const world = new Moving({ ...WHOLE, ...changes })
    world.give('coin', 50_000_000n)
    world.donate(1_000_000n)
    for (let count = 0; count < 1000; count++) {
      world.newKey()
      const { transaction } = world.record()
      const { header } = world.bitcoin.mine([transaction])
      const proofs = [world.bitcoin.proofOf(transaction)]
      world.block({ items: { bitcoinHeaders: [header], proofs, bookings: [{ proofIndex: 0 }] } })
    }
    const { deficitSat, inFlightSat, reserveSat, supplySat } = describeReserve(world.ledger)
    expect(reserveSat).toBe(supplySat + inFlightSat)
    expect(deficitSat).toBe(0n)
    expect(reserveSat).toBeGreaterThanOrEqual(supplySat)
  })
})
