/** OP-5, N13: a member with two Bitcoins of its own. */
import type { CoinsSight, DepositSight } from '../../../bridge/index.ts'
import { joinOwnBitcoins } from '../../../governance/own-bitcoin.ts'

const bytes = new Uint8Array(0)
const HEIGHT = 100
const seen = (confirmations: number, index = 1): DepositSight => {
  const transactions = { transaction: bytes, coinbase: bytes }
  return { kind: 'seen', confirmations, txids: [], index, ...transactions, height: HEIGHT }
}
const without = (tipHeight?: number): DepositSight => {
  const code = 'BitcoinBlockUnknown'
  return { kind: 'unknown', code, ...(tipHeight !== undefined && { tipHeight }) }
}
const unknown = (code: string): DepositSight => ({ kind: 'unknown', code })
const nothing: CoinsSight = { kind: 'unknown', code: 'BitcoinUnreachable' }
const sightOf = (...sights: readonly DepositSight[]) =>
  joinOwnBitcoins(
    sights.map((sight) => ({ sight: async () => sight, coins: async () => nothing })),
  ).sight(bytes, bytes)
const coinsOf = (...sights: readonly CoinsSight[]) =>
  joinOwnBitcoins(
    sights.map((sight) => ({ sight: async () => unknown(''), coins: async () => sight })),
  ).coins(bytes, [])

describe('OP-5: what a member sees of a deposit by two endpoints', () => {
  it('is what the shorter chain has of confirmations', async () => {
    expect(await sightOf(seen(7), seen(6))).toEqual(seen(6))
  })

  it.each(['BitcoinUnreachable', 'BitcoinTimeout'])(
    'is what the other shows, where one says %s',
    async (code) => {
      expect(await sightOf(unknown(code), seen(6))).toEqual(seen(6))
      expect(await sightOf(seen(6), unknown(code))).toEqual(seen(6))
    },
  )

  it('is what the other shows, where one is behind the block', async () => {
    expect(await sightOf(without(HEIGHT - 1), seen(6))).toEqual(seen(6))
  })

  it.each([[HEIGHT], [HEIGHT + 6], [undefined]])(
    'is unknown, if one at height %p answers that it has no such block',
    async (tipHeight) => {
      const disagrees = unknown('BitcoinDisagrees')
      expect(await sightOf(seen(6), without(tipHeight))).toEqual(disagrees)
      expect(await sightOf(without(tipHeight), seen(6), seen(7))).toEqual(disagrees)
    },
  )

  it('is unknown, if the block is on the best chain of one and not of the other', async () => {
    const disagrees = unknown('BitcoinDisagrees')
    expect(await sightOf(seen(6), unknown('BitcoinBlockNotOnBestChain'))).toEqual(disagrees)
  })

  it('is unknown, if the transaction is in the block of one and not of the other', async () => {
    expect(await sightOf(seen(6), seen(6, -1))).toEqual(unknown('BitcoinDisagrees'))
  })

  it('is unknown with the reason of the one that says most', async () => {
    const offChain = unknown('BitcoinBlockNotOnBestChain')
    expect(await sightOf(unknown('BitcoinTimeout'), offChain)).toEqual(offChain)
    expect(await sightOf(unknown('BitcoinTimeout'))).toEqual(unknown('BitcoinTimeout'))
  })
})

describe('OP-5: what a member sees of the reserve by two endpoints', () => {
  const coin = { amountSat: 5n, scriptPubKey: bytes }
  const there: CoinsSight = { kind: 'seen', coins: [coin] }
  const spent: CoinsSight = { kind: 'seen', coins: [undefined] }

  it('is what the one shows that answers', async () => {
    expect(await coinsOf(nothing, there)).toEqual(there)
    expect(await coinsOf(spent, nothing)).toEqual(spent)
    expect(await coinsOf(nothing, nothing)).toEqual(nothing)
  })

  it.each(['BitcoinBlockUnknown', 'BitcoinBlockNotOnBestChain'])(
    'is unknown, if one says %s of the tip',
    async (code) => {
      const disagrees = { kind: 'unknown', code: 'BitcoinDisagrees' }
      expect(await coinsOf(there, { kind: 'unknown', code })).toEqual(disagrees)
      expect(await coinsOf({ kind: 'unknown', code }, spent)).toEqual(disagrees)
    },
  )

  it('is unknown, if a coin is there on one and not on the other', async () => {
    expect(await coinsOf(there, spent)).toEqual({ kind: 'unknown', code: 'BitcoinDisagrees' })
  })
})
