import { parseTransaction, txid } from '../../../../core/bitcoin/index.ts'
import { OUTPUT_STATE, REQUEST_STATE } from '../../../../core/ledger/index.ts'
import {
  assemble,
  buildPayout,
  changeOutput,
  describeReserve,
  findDeposit,
  findRequest,
  openBatches,
  requestId,
} from '../../../../core/peg/index.ts'
import { claimOf, depositOf, PegWorld, p2wpkh, payment } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }

/** A world with one deposit, credited and minted; the block before it is `forkHeight`. */
function credited() {
  const world = new PegWorld()
  world.bitcoin.mine([], 2)
  const forkHeight = world.bitcoin.tip.height
  const claim = world.pegIn('alice', 1_000_000n)
  return { world, claim, forkHeight, deposit: depositOf(world.genesis, 'alice', 1_000_000n) }
}

describe('a reorg of credits (P 4.9, PI-7)', () => {
  it('the coin leaves the reserve and becomes a deficit row; the mint stays; peg-ins pause', () => {
    const { world, claim, forkHeight } = credited()
    const other = world.bitcoin.fork(forkHeight, 'other')
    const second = depositOf(world.genesis, 'bob', 500_000n)
    other.mine([second])
    other.mine([], 3)
    world.block({ items: { bitcoinHeaders: other.headersAfter(forkHeight) } })
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 0n,
      supplySat: 999_000n,
      deficitSat: 1_000_000n,
      pegInsPaused: true,
    })
    expect(findDeposit(world.ledger, claim.txid, 0)).toMatchObject({ state: OUTPUT_STATE.absent })
    const paused = claimOf(other, second)
    expect(world.codeOf({ proofs: [paused.proof], pegIns: [world.item(paused)] })).toBe(
      'PegInsPaused',
    )
  })

  it('the same outpoint proven again restores it, mints nothing and lets peg-ins go on', () => {
    const { world, claim, forkHeight, deposit } = credited()
    const other = world.bitcoin.fork(forkHeight, 'other')
    other.mine([], 1)
    other.mine([deposit])
    other.mine([], 2)
    world.block({ items: { bitcoinHeaders: other.headersAfter(forkHeight) } })
    expect(world.codeOf({ proofs: [claim.proof], pegIns: [world.item(claim)] })).toBe(
      'ProofBlockUnknown',
    )
    const again = claimOf(other, deposit)
    // What was credited cannot come back as something that is owed.
    const denied = claimOf(other, deposit, {
      kind: 'refundable',
      reason: 'denied',
      evmAddress: claim.evmAddress,
    })
    expect(world.codeOf({ proofs: [denied.proof], pegIns: [world.item(denied)] })).toBe(
      'PegInDuplicate',
    )
    const items = { proofs: [again.proof], pegIns: [world.item(again)] }
    world.block({ items })
    expect(world.withdrawals).toEqual([])
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 1_000_000n,
      supplySat: 999_000n,
      deficitSat: 0n,
      pegInsPaused: false,
    })
    expect(world.codeOf(items)).toBe('PegInDuplicate')
    const branch = world.bitcoin.fork(forkHeight, 'third')
    branch.mine([deposit])
    branch.mine([], 5)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(forkHeight) } })
    expect(world.ledger.state.deficitSat).toBe(1_000_000n)
  })

  it('a credit that was not minted yet waits for its coin', () => {
    const world = new PegWorld()
    const { bitcoin, genesis } = world
    const deposits = Array.from({ length: 17 }, (_, index) =>
      depositOf(genesis, `d${index}`, 20_000n),
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
    expect(world.withdrawals).toHaveLength(16)
    const other = bitcoin.fork(0, 'other')
    other.mine(deposits.slice(16))
    other.mine([], 3)
    world.block({ items: { bitcoinHeaders: other.headersAfter(0) } })
    expect(world.withdrawals).toEqual([])
    expect(world.ledger.state).toMatchObject({ deficitSat: 340_000n, creditedSat: 20_000n })
    const again = claimOf(other, deposits[16] as (typeof deposits)[number])
    world.block({ items: { proofs: [again.proof], pegIns: [world.item(again)] } })
    expect(world.withdrawals).toHaveLength(1)
    expect(world.ledger.state).toMatchObject({ deficitSat: 320_000n, creditedSat: 0n })
  })

  it('a removed refundable leaves reserve and refunds owed, without a deficit; a donation leaves one', () => {
    const world = new PegWorld()
    const { bitcoin, genesis } = world
    const plain = changeOutput(genesis, 0).scriptPubKey
    const bad = payment('bad', [{ amountSat: 60_000n, scriptPubKey: plain }])
    const gift = depositOf(genesis, 'gift', 30_000n, new Uint8Array(20))
    bitcoin.mine([bad, gift])
    bitcoin.mine([], 2)
    const claims = [
      claimOf(bitcoin, bad, { kind: 'refundable', reason: 'badPayload' }),
      claimOf(bitcoin, gift, { kind: 'fund' }),
    ]
    world.block({
      items: {
        bitcoinHeaders: bitcoin.headersAfter(0),
        proofs: claims.map(({ proof }) => proof),
        pegIns: claims.map((claim, index) => world.item(claim, undefined, index)),
      },
    })
    expect(world.ledger.state).toMatchObject({ reserveSat: 90_000n, refundsSat: 60_000n })
    const other = bitcoin.fork(0, 'other')
    other.mine([], 4)
    world.block({ items: { bitcoinHeaders: other.headersAfter(0) } })
    expect(world.ledger.state).toMatchObject({
      reserveSat: 0n,
      refundsSat: 0n,
      fundSat: 30_000n,
      deficitSat: 30_000n,
    })
  })
})

describe('a reorg of bookings (P 4.1, PO-16)', () => {
  /** A payout, recorded and mined after `forkHeight`, booked. */
  function booked() {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    const id = requestId(world.genesis, world.evmBlockHash(), 0)
    world.block({ burns: [world.burn('bob', 1_000_000n)] })
    world.timestamp += 10
    world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
    const parsed = parseTransaction(
      openBatches(world.ledger)[0]?.versions[0]?.row.transaction ?? new Uint8Array(),
    )
    if (!parsed.ok) throw new Error('no transaction')
    const before = world.ledger
    const forkHeight = world.bitcoin.tip.height
    world.bitcoin.mine([parsed.value])
    world.bitcoin.mine()
    world.syncHeaders()
    book(world, parsed.value)
    return { world, id, transaction: parsed.value, forkHeight, before }
  }

  function book(world: PegWorld, transaction: ReturnType<typeof payment>, bitcoin = world.bitcoin) {
    world.block({
      items: { proofs: [bitcoin.proofOf(transaction)], bookings: [{ proofIndex: 0 }] },
    })
  }

  it('the batch is open again with its locks, the requests unpaid, the change gone; it is booked once more', () => {
    const { world, id, transaction, forkHeight, before } = booked()
    expect(findRequest(world.ledger, id)?.state).toBe(REQUEST_STATE.paid)
    const other = world.bitcoin.fork(forkHeight, 'other')
    other.mine([], 1)
    other.mine([transaction])
    other.mine([], 1)
    world.block({ items: { bitcoinHeaders: other.headersAfter(forkHeight) } })
    expect(findRequest(world.ledger, id)?.state).toBe(REQUEST_STATE.batched)
    expect(openBatches(world.ledger)).toEqual(openBatches(before))
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 5_000_000n,
      fundSat: 1000n,
    })
    expect(findDeposit(world.ledger, txid(transaction), 1)).toMatchObject({
      state: OUTPUT_STATE.absent,
    })
    book(world, transaction, other)
    expect(findRequest(world.ledger, id)?.state).toBe(REQUEST_STATE.paid)
    expect(openBatches(world.ledger)).toEqual([])
  })

  it('change that a later batch holds stays its input while its own transaction is proven again', () => {
    const { world, transaction, forkHeight } = booked()
    world.block({ burns: [world.burn('carol', 2_000_000n)] })
    world.timestamp += 10
    world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
    const [batch] = openBatches(world.ledger)
    expect(batch?.inputs[0]?.row).toMatchObject({ kind: 3, batchId: batch?.batchId })
    const other = world.bitcoin.fork(forkHeight, 'other')
    other.mine([transaction])
    other.mine([], 2)
    world.block({ items: { bitcoinHeaders: other.headersAfter(forkHeight) } })
    expect(openBatches(world.ledger)).toHaveLength(2)
    book(world, transaction, other)
    const [again] = openBatches(world.ledger)
    expect(again?.inputs[0]?.row).toMatchObject({
      state: OUTPUT_STATE.live,
      batchId: batch?.batchId,
    })
  })

  it('a removed stray spend gives back its inputs and its deficit, and peg-outs go on', () => {
    const world = new PegWorld()
    const claim = world.pegIn('alice', 5_000_000n)
    const forkHeight = world.bitcoin.tip.height
    const theft = payment({ txid: claim.txid, vout: 0 }, [
      { amountSat: 4_000_000n, scriptPubKey: p2wpkh('thief') },
    ])
    world.bitcoin.mine([theft])
    world.bitcoin.mine()
    world.syncHeaders()
    book(world, theft)
    expect(world.ledger.state).toMatchObject({ deficitSat: 5_000_000n, pegOutStops: 1 })
    const other = world.bitcoin.fork(forkHeight, 'other')
    other.mine([], 3)
    world.block({ items: { bitcoinHeaders: other.headersAfter(forkHeight) } })
    expect(world.ledger.state).toMatchObject({
      deficitSat: 0n,
      pegOutStops: 0,
      reserveSat: 5_000_000n,
    })
  })

  it('what spends change is undone before the change, though one Bitcoin block holds both', () => {
    const world = new PegWorld()
    world.pegIn('alice', 5_000_000n)
    world.block({ burns: [world.burn('bob', 1_000_000n)] })
    world.timestamp += 10
    world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
    const parsed = parseTransaction(
      openBatches(world.ledger)[0]?.versions[0]?.row.transaction ?? new Uint8Array(),
    )
    if (!parsed.ok) throw new Error('no transaction')
    const forkHeight = world.bitcoin.tip.height
    const theft = payment({ txid: txid(parsed.value), vout: 1 }, [
      { amountSat: 1_000_000n, scriptPubKey: p2wpkh('thief') },
    ])
    world.bitcoin.mine([parsed.value, theft])
    world.bitcoin.mine()
    world.syncHeaders()
    book(world, parsed.value)
    book(world, theft)
    const other = world.bitcoin.fork(forkHeight, 'other')
    other.mine([], 3)
    world.block({ items: { bitcoinHeaders: other.headersAfter(forkHeight) } })
    expect(world.ledger.state).toMatchObject({ reserveSat: 5_000_000n, deficitSat: 0n })
    expect(findDeposit(world.ledger, txid(parsed.value), 1)?.state).toBe(OUTPUT_STATE.absent)
  })

  it('a removed stray gives a batch its lock back', () => {
    const world = new PegWorld()
    const claim = world.pegIn('alice', 5_000_000n)
    world.block({ burns: [world.burn('bob', 1_000_000n)] })
    world.timestamp += 10
    world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
    const before = openBatches(world.ledger)
    const forkHeight = world.bitcoin.tip.height
    const theft = payment({ txid: claim.txid, vout: 0 }, [
      { amountSat: 4_000_000n, scriptPubKey: p2wpkh('thief') },
    ])
    world.bitcoin.mine([theft])
    world.bitcoin.mine()
    world.syncHeaders()
    book(world, theft)
    const other = world.bitcoin.fork(forkHeight, 'other')
    other.mine([], 3)
    world.block({ items: { bitcoinHeaders: other.headersAfter(forkHeight) } })
    expect(openBatches(world.ledger)).toEqual(before)
  })

  it("RecordInputGone: a record whose input this block's headers took away", () => {
    const world = new PegWorld()
    world.bitcoin.mine()
    const forkHeight = world.bitcoin.tip.height
    world.pegIn('alice', 5_000_000n)
    world.block({ burns: [world.burn('bob', 1_000_000n)] })
    world.timestamp += 10
    const plan = buildPayout(world.ledger, world.context(), 2000)
    if (plan === undefined) throw new Error('not due')
    const other = world.bitcoin.fork(forkHeight, 'other')
    other.mine([], 4)
    const headers = other.headersAfter(forkHeight)
    expect(world.codeOf({ bitcoinHeaders: headers, records: [plan.record] })).toBe(
      'RecordInputGone',
    )
    const { items } = assemble(world.ledger, world.context(), { ...EMPTY_QUEUE, headers })
    expect(items.records).toEqual([])
  })
})
