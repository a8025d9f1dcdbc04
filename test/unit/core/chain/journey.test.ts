import { decodeBlock, encodeBlock } from '../../../../core/block/index.ts'
import {
  type ChainHead,
  checkBlock,
  commitVerdict,
  completeBlock,
  genesisHead,
  headFromStored,
} from '../../../../core/chain/index.ts'
import { ledgerChanges, ledgerFromRows, ledgerRoot } from '../../../../core/ledger/index.ts'
import { describeReserve } from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { type Journey, travel } from './journey.ts'
import { EMPTY_QUEUE, openTownEngine, Town } from './town.ts'

describe('a coin’s journey in blocks', () => {
  let journey: Journey
  beforeAll(async () => {
    journey = await travel()
  })

  it('each block carries what its step is', () => {
    const { pegIn, burned, recorded, booked, late } = journey
    const shape = ({ block: { header, body } }: Journey['pegIn']) => ({
      slots: header.slot,
      headers: body.bitcoinHeaders.length,
      pegIns: body.pegIns.length,
      withdrawals: body.payload.withdrawals.length,
      transactions: body.payload.transactions.length,
      records: body.records.length,
      bookings: body.bookings.length,
    })
    const empty = {
      headers: 0,
      pegIns: 0,
      withdrawals: 0,
      transactions: 0,
      records: 0,
      bookings: 0,
    }
    const first = journey.town.genesis.slot + 1
    expect([pegIn, burned, recorded, booked, late].map(shape)).toEqual([
      { ...empty, slots: first, headers: 3, pegIns: 1, withdrawals: 1 },
      { ...empty, slots: first + 1, transactions: 1 },
      { ...empty, slots: first + 2, records: 1 },
      { ...empty, slots: first + 3, headers: 2, bookings: 1 },
      { ...empty, slots: first + 6 },
    ])
  })

  it('C-1, BP-8: 1 sat is minted as 10 gwei, less the fee', () => {
    expect(journey.pegIn.block.body.payload.withdrawals[0]).toMatchObject({
      index: 0,
      validatorIndex: 0,
      amountGwei: 49_990_000n,
    })
  })

  it('PO-18: reserve = supply + in flight after every block, each term from rows', () => {
    const heads = [journey.pegIn, journey.burned, journey.recorded, journey.booked, journey.late]
    const books = heads.map(({ head }) => describeReserve(head.ledger))
    for (const book of books) {
      const listedSat = book.inFlight.reduce((sum, { amountSat }) => sum + amountSat, 0n)
      expect(book.inFlightSat).toBe(listedSat)
      expect(book.reserveSat).toBe(book.supplySat + listedSat)
    }
    expect(books.map(({ supplySat }) => supplySat)).toEqual([
      4_999_000n,
      2_999_000n,
      2_999_000n,
      2_999_000n,
      2_999_000n,
    ])
    expect(books.at(-1)?.inFlight.map(({ kind }) => kind)).toEqual(['fund'])
  })

  it('C-4: another node that executes all of it anew gets the same heads, from bytes alone', async () => {
    const { town } = journey
    const { genesis } = town
    const { engine } = await openTownEngine(genesis)
    let parent: ChainHead = genesisHead(genesis)
    for (const committed of town.chain) {
      expect(commitVerdict(genesis, parent, committed).kind).toBe('valid')
      const decoded = decodeBlock(encodeBlock(committed.block))
      if (!decoded.ok) throw new Error(decoded.error.reason)
      const begun = checkBlock(genesis, parent, decoded.value)
      if (!begun.ok) throw new Error(begun.error.code)
      const { payload } = decoded.value.body
      const executed = await engine.execute({ payload })
      if (executed.status !== 'VALID') throw new Error(executed.code)
      const completed = completeBlock(genesis, parent, begun.value, executed.outcome)
      if (!completed.ok) throw new Error(completed.error.code)
      await engine.commit(payload.blockHash)
      parent = completed.value
    }
    expect(toHex(parent.hash)).toBe(toHex(town.head.hash))
    expect(toHex(ledgerRoot(parent.ledger))).toBe(toHex(ledgerRoot(town.head.ledger)))
    expect(parent.feeRates).toEqual(town.head.feeRates)
    expect(parent.evm).toEqual(town.head.evm)
  })

  it('C-3: the same keys and items make the same bytes again', async () => {
    const again = await travel()
    expect(again.town.chain.map(({ block }) => toHex(encodeBlock(block)))).toEqual(
      journey.town.chain.map(({ block }) => toHex(encodeBlock(block))),
    )
  })

  it('a head from stored rows is the head that was', () => {
    const { town } = journey
    const heads = [journey.pegIn, journey.burned, journey.recorded, journey.booked, journey.late]
    const rows = heads.flatMap(({ head }) => ledgerChanges(head.ledger))
    const ledger = ledgerFromRows(town.genesis, rows)
    if (!ledger.ok) throw new Error(ledger.error.detail)
    const last = town.chain.at(-1)
    if (last === undefined) throw new Error('no block')
    const restored = headFromStored(last, ledger.value, town.head.feeRates)
    expect(restored.hash).toEqual(town.head.hash)
    expect(restored.evm).toEqual(town.head.evm)
    expect(ledgerRoot(restored.ledger)).toEqual(ledgerRoot(town.head.ledger))
  })

  it('4.0: a proposer of a later view leaves its queue for another block', async () => {
    const town = await Town.open()
    const queue = town.deposit('waiting', 50_000n)
    const late = await town.make({ queue, skip: 2 })
    expect(late.block.body.pegIns).toEqual([])
    expect(late.block.body.bitcoinHeaders).toEqual([])
    const first = await town.make({ queue })
    expect(first.block.body.pegIns).toHaveLength(1)
    expect((await town.make({ queue: EMPTY_QUEUE })).block.body.pegIns).toEqual([])
  })
})
