/** What t members decide about the peg's books (protocol §4.5, §4.9, §5.9; PI-7, PI-11). */
import { parseTransaction, txid } from '../../../../core/bitcoin/index.ts'
import type { PegOrder } from '../../../../core/block/index.ts'
import { OUTPUT_STATE, outpointKey, rowOf } from '../../../../core/ledger/index.ts'
import {
  applyPegOrder,
  assemble,
  buildPayout,
  changeOutput,
  checkIdentity,
  checkPegOrder,
  depositPayloadScript,
  describeReserve,
  openBatches,
} from '../../../../core/peg/index.ts'
import { approvedOrder, lossOf, orderOf } from './orders.ts'
import { claimOf, depositOf, PegWorld, p2wpkh, payment, seeded } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }
const FORBIDDEN = Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? 1 : 0))
const NOTHING = new Uint8Array(0)

function give(world: PegWorld, order: PegOrder): void {
  const { genesis, height, ledger } = world
  const item = approvedOrder(genesis, order)
  const applied = applyPegOrder(genesis, ledger, height, item)
  if (!applied.ok) throw new Error(`${applied.error.code} ${applied.error.detail ?? ''}`)
  world.ledger = applied.value
  expect(checkIdentity(world.ledger)).toBeUndefined()
}

function codeOf(world: PegWorld, order: PegOrder, signers?: readonly number[]) {
  return checkPegOrder(world.genesis, world.ledger, approvedOrder(world.genesis, order, signers))
    ?.code
}

/** A deposit that is owed back and named `refundScript`. */
function owing(refundScript: Uint8Array = NOTHING) {
  const world = new PegWorld()
  const scriptPubKey = changeOutput(world.genesis, 0).scriptPubKey
  const deposit = payment('careless', [
    { amountSat: 200_000n, scriptPubKey },
    { amountSat: 0n, scriptPubKey: depositPayloadScript(FORBIDDEN, refundScript) },
  ])
  world.bitcoin.mine([deposit])
  world.bitcoin.mine([], 2)
  const claim = claimOf(world.bitcoin, deposit, {
    kind: 'refundable',
    reason: 'forbiddenAddress',
    evmAddress: FORBIDDEN,
    refundScript,
  })
  world.block({
    items: {
      bitcoinHeaders: world.bitcoin.headersAfter(0),
      proofs: [claim.proof],
      pegIns: [world.item(claim)],
    },
  })
  return { world, key: outpointKey(txid(deposit), 0) }
}

const recorded = (world: PegWorld) =>
  assemble(world.ledger, world.context(), EMPTY_QUEUE).items.records

describe('whom a deposit goes back to that named nobody (5.9, PI-11)', () => {
  it('is what t members say: then it is paid there, once, and the books balance', () => {
    const { world, key } = owing()
    expect(recorded(world)).toEqual([])
    give(world, orderOf('refundTo', key, { scriptPubKey: p2wpkh('owner') }))
    world.block({ items: { records: recorded(world) } })
    const version = openBatches(world.ledger)[0]?.versions[0]?.row.transaction
    const parsed = parseTransaction(version ?? NOTHING)
    if (!parsed.ok) throw new Error(parsed.error.reason)
    expect(parsed.value.outputs.map(({ scriptPubKey }) => scriptPubKey)).toEqual([p2wpkh('owner')])
    world.bitcoin.mine([parsed.value])
    world.bitcoin.mine()
    world.syncHeaders()
    const proofs = [world.bitcoin.proofOf(parsed.value)]
    world.block({ items: { proofs, bookings: [{ proofIndex: 0 }] } })
    expect(rowOf(world.ledger, 'outputs', key)?.state).toBe(OUTPUT_STATE.refunded)
    expect(describeReserve(world.ledger)).toMatchObject({ reserveSat: 0n, supplySat: 0n })
  })

  it('OrderRefundNotOwed: not of one that named somebody, of a credit, of none, or a second time', () => {
    const to = { scriptPubKey: p2wpkh('thief') }
    const named = owing(p2wpkh('back'))
    expect(codeOf(named.world, orderOf('refundTo', named.key, to))).toBe('OrderRefundNotOwed')
    const credited = new PegWorld()
    const claim = credited.pegIn('alice', 500_000n)
    const creditKey = outpointKey(claim.txid, 0)
    expect(codeOf(credited, orderOf('refundTo', creditKey, to))).toBe('OrderRefundNotOwed')
    const { world, key } = owing()
    const none = outpointKey(seeded('none'), 0)
    expect(codeOf(world, orderOf('refundTo', none, to))).toBe('OrderRefundNotOwed')
    give(world, orderOf('refundTo', key, { scriptPubKey: p2wpkh('owner') }))
    expect(codeOf(world, orderOf('refundTo', key, to))).toBe('OrderRefundNotOwed')
  })

  it('OrderScriptUnpayable, OrderKindUnknown: it can be paid, and an order has the fields of its kind alone', () => {
    const { world, key } = owing()
    const scriptPubKey = p2wpkh('owner')
    const codes = [
      orderOf('refundTo', key),
      orderOf('refundTo', key, { scriptPubKey: Uint8Array.of(0x6a, 1, 1) }),
      orderOf('refundTo', key, { scriptPubKey, fundSat: 1n }),
      orderOf('refundTo', key.subarray(1), { scriptPubKey }),
      orderOf('reorgLoss', key, { scriptPubKey }),
      orderOf('strayLoss', key),
      { ...orderOf('refundTo', key, { scriptPubKey }), kind: 4 },
    ].map((order) => codeOf(world, order))
    expect(codes.slice(0, 2)).toEqual(['OrderScriptUnpayable', 'OrderScriptUnpayable'])
    expect(new Set(codes.slice(2))).toEqual(new Set(['OrderKindUnknown']))
    expect(codeOf(world, orderOf('refundTo', key, { scriptPubKey }))).toBeUndefined()
  })

  it('needs t of the members, over exactly this order (D14)', () => {
    const { world, key } = owing()
    const order = orderOf('refundTo', key, { scriptPubKey: p2wpkh('owner') })
    expect(codeOf(world, order, [0, 1])).toBe('ApprovalQuorumMissing')
    const item = approvedOrder(world.genesis, order)
    const bent = { ...item, scriptPubKey: p2wpkh('thief') }
    expect(checkPegOrder(world.genesis, world.ledger, bent)?.code).toBe('ApprovalSignatureWrong')
    expect(applyPegOrder(world.genesis, world.ledger, 1, bent).ok).toBe(false)
  })
})

describe('a deposit that Bitcoin lost, booked as a loss (4.9, PI-7)', () => {
  /** Credited, minted, and then gone. The fund has the fee of 1,000 sat. */
  function lost() {
    const world = new PegWorld()
    world.bitcoin.mine([], 2)
    const fork = world.bitcoin.tip.height
    const claim = world.pegIn('alice', 1_000_000n)
    const other = world.bitcoin.fork(fork, 'other')
    other.mine([], 4)
    world.block({ items: { bitcoinHeaders: other.headersAfter(fork) } })
    expect(world.ledger.state.pegInStops).toBe(1)
    return { world, other, key: outpointKey(claim.txid, 0) }
  }

  it('stays as a row, less what the fund bears, and peg-ins go on', () => {
    const { world, other, key } = lost()
    give(world, lossOf(world.ledger, 'reorgLoss', key, 600n))
    expect(world.ledger.state.pegInStops).toBe(0)
    expect(describeReserve(world.ledger)).toMatchObject({ deficitSat: 999_400n, fundSat: 400n })
    world.block()
    const next = depositOf(world.genesis, 'bob', 500_000n)
    other.mine([next])
    other.mine([], 2)
    const claim = claimOf(other, next)
    world.block({
      items: {
        bitcoinHeaders: other.headersAfter(world.ledger.state.tipHeight),
        proofs: [claim.proof],
        pegIns: [world.item(claim)],
      },
    })
    expect(describeReserve(world.ledger).reserveSat).toBe(500_000n)
  })

  it('OrderNoLoss, OrderFundTooSmall: an open one, once; the fund bears no more than it has', () => {
    const { world, key } = lost()
    expect(codeOf(world, lossOf(world.ledger, 'reorgLoss', key, 1_001n))).toBe('OrderFundTooSmall')
    expect(codeOf(world, lossOf(world.ledger, 'reorgLoss', key, 1_000n))).toBeUndefined()
    const none = outpointKey(seeded('none'), 0)
    expect(codeOf(world, lossOf(world.ledger, 'reorgLoss', none))).toBe('OrderNoLoss')
    give(world, lossOf(world.ledger, 'reorgLoss', key))
    expect(codeOf(world, lossOf(world.ledger, 'reorgLoss', key))).toBe('OrderNoLoss')
  })

  it.each([0n, 600n])(
    'is none when the deposit comes back; the fund gets its %s sat again',
    (fundSat) => {
      const { world, other, key } = lost()
      give(world, lossOf(world.ledger, 'reorgLoss', key, fundSat))
      const deposit = depositOf(world.genesis, 'alice', 1_000_000n)
      other.mine([deposit])
      other.mine([], 2)
      const claim = claimOf(other, deposit)
      world.block({
        items: {
          bitcoinHeaders: other.headersAfter(world.ledger.state.tipHeight),
          proofs: [claim.proof],
          pegIns: [world.item(claim)],
        },
      })
      expect(describeReserve(world.ledger)).toMatchObject({
        deficitSat: 0n,
        fundSat: 1_000n,
        reserveSat: 1_000_000n,
      })
    },
  )
})

describe('a spend of the reserve that no record explains, booked as a loss (4.5)', () => {
  function robbed() {
    const world = new PegWorld()
    const claim = world.pegIn('alice', 1_000_000n)
    world.pegIn('bob', 800_000n)
    const theft = payment({ txid: claim.txid, vout: 0 }, [
      { amountSat: 999_000n, scriptPubKey: p2wpkh('thief') },
    ])
    const fork = world.bitcoin.tip.height
    world.bitcoin.mine([theft])
    world.bitcoin.mine()
    world.syncHeaders()
    const proofs = [world.bitcoin.proofOf(theft)]
    world.block({ items: { proofs, bookings: [{ proofIndex: 0 }] } })
    expect(world.ledger.state.pegOutStops).toBe(1)
    return { world, fork, id: txid(theft) }
  }

  it('keeps its deficit, and payouts go on', () => {
    const { world, id } = robbed()
    world.block({ burns: [world.burn('carol', 300_000n)] })
    world.timestamp += 10
    expect(buildPayout(world.ledger, world.context(), 2000)).toBeUndefined()
    give(world, lossOf(world.ledger, 'strayLoss', id, 2_000n))
    expect(describeReserve(world.ledger)).toMatchObject({ deficitSat: 998_000n, fundSat: 0n })
    expect(buildPayout(world.ledger, world.context(), 2000)).toBeDefined()
    expect(codeOf(world, lossOf(world.ledger, 'strayLoss', id))).toBe('OrderNoLoss')
    expect(codeOf(world, lossOf(world.ledger, 'strayLoss', seeded('none')))).toBe('OrderNoLoss')
    world.block({ items: { records: recorded(world) } })
    expect(openBatches(world.ledger)).toHaveLength(1)
  })

  it('is none when a reorg takes the spend away; booked again it stops payouts again', () => {
    const { world, fork, id } = robbed()
    give(world, lossOf(world.ledger, 'strayLoss', id, 2_000n))
    const other = world.bitcoin.fork(fork, 'other')
    other.mine([], 3)
    world.block({ items: { bitcoinHeaders: other.headersAfter(fork) } })
    expect(describeReserve(world.ledger)).toMatchObject({
      deficitSat: 0n,
      fundSat: 2_000n,
      reserveSat: 1_800_000n,
    })
    expect(rowOf(world.ledger, 'spends', id)?.accepted).toBe(false)
  })
})
