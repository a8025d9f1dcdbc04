import { parseTransaction } from '../../../../core/bitcoin/index.ts'
import { ledgerChanges, ledgerFromRows, ledgerRoot } from '../../../../core/ledger/index.ts'
import {
  assemble,
  describeReserve,
  findRequest,
  openBatches,
  requestId,
} from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { approve, claimOf, depositOf, PegWorld } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }

describe('a coin goes to the EVM and back', () => {
  it('keeps reserve = supply + in flight at every step and ends with nothing in flight but the fund', () => {
    const world = new PegWorld()
    const { genesis, bitcoin } = world
    const deposit = depositOf(genesis, 'alice', 5_000_000n)
    bitcoin.mine([deposit])
    bitcoin.mine([], 2)
    const claim = claimOf(bitcoin, deposit)
    const queue = {
      headers: bitcoin.headersAfter(0),
      pegIns: [{ claim, approval: approve(genesis, claim) }],
      bookings: [],
    }
    const assembled = assemble(world.ledger, world.context(), queue)
    expect(assembled.refused).toEqual([])
    const rows = []
    world.block({ items: assembled.items })
    rows.push(...ledgerChanges(world.ledger))
    expect(world.withdrawals).toEqual([
      { index: 0, validatorIndex: 0, address: claim.evmAddress, amountGwei: 49_990_000n },
    ])
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 5_000_000n,
      supplySat: 4_999_000n,
      inFlightSat: 1000n,
      fundSat: 1000n,
      inFlight: [{ id: 'fund', kind: 'fund', amountSat: 1000n }],
    })

    const id = requestId(genesis, world.evmBlockHash(), 3)
    world.block({ burns: [world.burn('bob', 2_000_000n, undefined, 3)] })
    rows.push(...ledgerChanges(world.ledger))
    expect(findRequest(world.ledger, id)).toMatchObject({ amountSat: 2_000_000n, state: 0 })
    expect(assemble(world.ledger, world.context(), EMPTY_QUEUE).items.records).toEqual([])
    world.timestamp += 10
    const due = assemble(world.ledger, world.context(), EMPTY_QUEUE)
    expect(due.items.records).toHaveLength(1)
    world.block({ items: due.items })
    rows.push(...ledgerChanges(world.ledger))

    const [batch] = openBatches(world.ledger)
    const parsed = parseTransaction(batch?.versions[0]?.row.transaction ?? new Uint8Array())
    if (!parsed.ok) throw new Error(parsed.error.reason)
    bitcoin.mine([parsed.value], 1)
    bitcoin.mine([], 1)
    const booking = assemble(world.ledger, world.context(), {
      ...EMPTY_QUEUE,
      headers: bitcoin.headersAfter(0),
      bookings: [bitcoin.proofOf(parsed.value)],
    })
    expect(booking.refused).toEqual([])
    world.block({ items: booking.items })
    rows.push(...ledgerChanges(world.ledger))
    const paidSat = parsed.value.outputs[0]?.amountSat ?? 0n
    expect(findRequest(world.ledger, id)).toMatchObject({ state: 2, paidSat })
    const report = describeReserve(world.ledger)
    expect(report.supplySat).toBe(2_999_000n)
    expect(report.reserveSat).toBe(report.supplySat + report.inFlightSat)
    expect(report.inFlightSat).toBe(report.fundSat)
    expect(openBatches(world.ledger)).toEqual([])

    const rebuilt = ledgerFromRows(genesis, rows)
    if (!rebuilt.ok) throw new Error(rebuilt.error.detail)
    expect(toHex(ledgerRoot(rebuilt.value))).toBe(toHex(ledgerRoot(world.ledger)))
  })
})
