import { txid } from '../../../../core/bitcoin/index.ts'
import { requestId, shareSlots } from '../../../../core/peg/index.ts'
import { compareBytes } from '../../../../crypto/index.ts'
import { addressOf, claimOf, depositOf, PegWorld, testGenesis } from './world.ts'

describe('withdrawals (P 4.3, BP-8)', () => {
  it.each([
    [
      { pegIns: 20, refunds: 20, fees: 5 },
      { pegIns: 8, refunds: 6, fees: 2 },
    ],
    [
      { pegIns: 20, refunds: 0, fees: 0 },
      { pegIns: 16, refunds: 0, fees: 0 },
    ],
    [
      { pegIns: 20, refunds: 3, fees: 0 },
      { pegIns: 13, refunds: 3, fees: 0 },
    ],
    [
      { pegIns: 2, refunds: 20, fees: 1 },
      { pegIns: 2, refunds: 13, fees: 1 },
    ],
    [
      { pegIns: 0, refunds: 0, fees: 9 },
      { pegIns: 0, refunds: 0, fees: 2 },
    ],
    [
      { pegIns: 9, refunds: 7, fees: 0 },
      { pegIns: 9, refunds: 7, fees: 0 },
    ],
    [
      { pegIns: 9, refunds: 8, fees: 0 },
      { pegIns: 9, refunds: 7, fees: 0 },
    ],
  ])('%j wait: %j are minted', (waiting, minted) => {
    expect(shareSlots(waiting)).toEqual(minted)
  })

  it('twenty deposits are minted 16 and 4, by place in Bitcoin, with an index that goes on', () => {
    const world = new PegWorld()
    const { genesis, bitcoin } = world
    const names = Array.from({ length: 20 }, (_, index) => `d${index}`)
    const deposits = names.map((name) => depositOf(genesis, name, 20_000n))
    bitcoin.mine(deposits)
    bitcoin.mine([], 2)
    const claims = deposits.map((deposit) => claimOf(bitcoin, deposit)).reverse()
    world.block({
      items: {
        bitcoinHeaders: bitcoin.headersAfter(0),
        proofs: claims.map(({ proof }) => proof),
        pegIns: claims.map((claim, index) => world.item(claim, undefined, index)),
      },
    })
    expect(world.withdrawals).toHaveLength(16)
    expect(world.withdrawals.map(({ address }) => address)).toEqual(
      names.slice(0, 16).map(addressOf),
    )
    expect(world.withdrawals.map(({ index }) => index)).toEqual([...Array(16).keys()])
    world.block()
    expect(world.withdrawals.map(({ address }) => address)).toEqual(names.slice(16).map(addressOf))
    expect(world.withdrawals.map(({ index }) => index)).toEqual([16, 17, 18, 19])
    world.block()
    expect(world.withdrawals).toEqual([])
    expect(new Set(deposits.map((deposit) => String(txid(deposit)))).size).toBe(20)
  })

  it('refund mints go by request id, beside a peg-in to the same address as a row of its own (D3)', () => {
    const world = new PegWorld()
    const { genesis, bitcoin } = world
    world.pegIn('alice', 5_000_000n)
    const ids = [0, 1, 2].map((index) => requestId(genesis, world.evmBlockHash(), index))
    const bad = (index: number) =>
      world.burn('alice', 20_000n + BigInt(index), new Uint8Array(3), index)
    world.block({ burns: [bad(0), bad(1), bad(2)] })
    const deposit = depositOf(genesis, 'second', 30_000n, addressOf('alice'))
    bitcoin.mine([deposit])
    bitcoin.mine([], 2)
    const claim = claimOf(bitcoin, deposit)
    world.block({
      items: {
        bitcoinHeaders: bitcoin.headersAfter(world.ledger.state.tipHeight),
        proofs: [claim.proof],
        pegIns: [world.item(claim)],
      },
    })
    const order = ids
      .map((id, index) => ({ id, index }))
      .sort((left, right) => compareBytes(left.id, right.id))
      .map(({ index }) => 10n * (19_500n + BigInt(index)))
    expect(
      world.withdrawals.map(({ validatorIndex, amountGwei }) => [validatorIndex, amountGwei]),
    ).toEqual([
      [0, 290_000n],
      [1, order[0]],
      [1, order[1]],
      [1, order[2]],
    ])
  })
})

describe('T14: the fee of a peg-in', () => {
  it('never takes all of a deposit: the least one mints what is left, and no genesis has a fee that reaches it', () => {
    const world = new PegWorld()
    world.pegIn('least', 10_000n)
    expect(world.withdrawals.map(({ amountGwei }) => amountGwei)).toEqual([90_000n])
    expect(() => testGenesis({ pegInFeeSat: 10_000 })).toThrow('pegInFeeSat reaches minPegInSat')
    expect(testGenesis({ pegInFeeSat: 9_999 }).params.pegInFeeSat).toBe(9_999n)
  })
})
