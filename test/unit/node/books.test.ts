/** PO-18: the ledger as CSV. */

import { txid } from '../../../core/bitcoin/index.ts'
import type { CommittedBlock } from '../../../core/block/index.ts'
import { splitOutpoint } from '../../../core/ledger/index.ts'
import { type BookRow, bookRows, bookTotals } from '../../../core/peg/index.ts'
import { toDisplayHash } from '../../../crypto/index.ts'
import { certifiedAt } from '../../../node/adapters/chain-store/index.ts'
import { booksFault, csvLines } from '../../../node/books/index.ts'
import { travel } from '../core/chain/journey.ts'
import { certify } from '../core/chain/town.ts'
import { addressOf, PegWorld, p2wpkh, payment } from '../core/peg/world.ts'

const HEAD =
  'set,id,cause,state,height,time,bitcoin_height,settled_by,evm_address,bitcoin_address,amount_sat,fee_sat,' +
  'adds_reserve_sat,adds_minted_sat,adds_burned_sat,adds_credited_sat,adds_unpaid_sat,adds_refunds_sat,adds_fund_sat,adds_deficit_sat'

function bookkeeping(): PegWorld {
  const world = new PegWorld()
  world.pegIn('alice', 5_000_000n)
  world.block()
  world.block({ burns: [world.burn('bob', 2_000_000n)] })
  return world
}

const linesOf = (rows: Iterable<BookRow>) => [...csvLines(rows, 'regtest')]

describe('the books as CSV', () => {
  const { ledger } = bookkeeping()
  const lines = linesOf(bookRows(ledger))

  it('has a line for every cause, each with its time, ended as RFC 4180 says', () => {
    expect(lines[0]).toBe(`${HEAD}\r\n`)
    const cells = lines.slice(1).map((line) => line.replace('\r\n', '').split(','))
    expect(cells.map(([set, , cause]) => [set, cause])).toEqual([
      ['outputs', 'credit'],
      ['requests', 'burn'],
      ['fund', 'pegInFee'],
    ])
    const [deposit = [], burn = [], fee = []] = cells
    expect(deposit[5]).toMatch(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
    expect(deposit[8]).toBe(`0x${Buffer.from(addressOf('alice')).toString('hex')}`)
    expect(burn[9]).toMatch(/^bcrt1q/)
    expect(fee[1]).toBe(deposit[1])
  })

  it('adds up to the sums of the ledger, by itself', () => {
    const names = HEAD.split(',').slice(12)
    const sums = names.map((_, at) =>
      lines
        .slice(1)
        .reduce((sum, line) => sum + BigInt(line.trimEnd().split(',')[12 + at] ?? ''), 0n),
    )
    const { state } = ledger
    expect(sums).toEqual([
      state.reserveSat,
      state.mintedSat,
      state.burnedSat,
      state.creditedSat,
      state.unpaidSat,
      state.refundsSat,
      state.fundSat,
      state.deficitSat,
    ])
    expect(state.unpaidSat).toBe(2_000_000n)
  })

  it('a row that is left out is seen in the sums', () => {
    const rows = [...bookRows(ledger)]
    for (const left of rows) {
      const totals = bookTotals(rows.filter((row) => row !== left))
      expect(totals).not.toEqual(bookTotals(rows))
    }
  })

  it('names a deficit as the command takes it that books its loss', () => {
    const world = bookkeeping()
    const [coin] = [...world.ledger.open.reserve.values()]
    if (coin === undefined) throw new Error('no coin')
    const outputs = [{ amountSat: 1n, scriptPubKey: p2wpkh('thief') }]
    const theft = payment(splitOutpoint(coin.key), outputs)
    world.bitcoin.mine([theft])
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const proofs = [world.bitcoin.proofOf(theft)]
    world.block({ items: { proofs, bookings: [{ proofIndex: 0 }] } })
    const rows = [...bookRows(world.ledger)]
    const name = toDisplayHash(txid(theft))
    expect(rows.find(({ set }) => set === 'deficits')?.id).toBe(name)
    expect(rows.find(({ set }) => set === 'spends')?.id).toBe(name)
  })

  it('quotes what would be more than one cell', () => {
    const [row] = bookRows(ledger)
    if (row === undefined) throw new Error('no row')
    const [, line] = linesOf([{ ...row, cause: 'a, "b"' }])
    expect(line).toContain(',"a, ""b""",')
  })
})

describe('what the books are of (PO-18)', () => {
  it('is the ledger that the validators of the head signed, and no other', async () => {
    const { town } = await travel()
    const { genesis, head } = town
    const { ledger } = head
    const { height } = head.header
    const [before, top] = town.chain.slice(-2) as [CommittedBlock, CommittedBlock]
    const faultOf = ({ block: { header }, certificate }: CommittedBlock) =>
      booksFault(genesis, { ledger, head: { header, certificate }, certifiedAt: () => undefined })
    expect(faultOf(top)).toBeUndefined()
    const forged: readonly CommittedBlock['certificate'][] = [
      certify(genesis, height, head.hash, [0, 1]),
      { ...top.certificate, signature: before.certificate.signature },
      // Good ones, of other blocks.
      before.certificate,
      certify(genesis, height, before.certificate.blockHash),
      certify(genesis, height + 1, head.hash),
    ]
    for (const certificate of forged) {
      expect(faultOf({ ...top, certificate })).toMatch(
        `block ${height} was not decided by the validators of this chain: Certificate`,
      )
    }
    expect(faultOf(before)).toBe(`the rows do not have the root of block ${height - 1}`)
  })
})

it('PO-18: a block that somebody wrote and that is none is damage, told in one line, and no crash', () => {
  const bytes = Uint8Array.of(1, 2, 3)
  const stored = { hash: new Uint8Array(32), bytes }
  const damage = expect.objectContaining({ code: 'StoreDamaged' })
  const read = (store: object) => () => certifiedAt(store as Parameters<typeof certifiedAt>[0], 7)
  expect(read({ readBlock: () => stored })).toThrow(damage)
  expect(read({ readBlock: () => undefined, readHeader: () => stored })).toThrow(damage)
})
