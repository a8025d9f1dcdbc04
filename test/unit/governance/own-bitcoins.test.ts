/** OP-5, N13: a member with two Bitcoins of its own. */
import type { CoinsSight, DepositSight } from '../../../bridge/index.ts'
import { serializeTransaction, txid } from '../../../core/bitcoin/index.ts'
import { toDisplayHash } from '../../../crypto/index.ts'
import { createOwnBitcoin, joinOwnBitcoins } from '../../../governance/own-bitcoin.ts'
import { BitcoinWorld, depositOf, testGenesis } from '../core/peg/world.ts'

const bytes = new Uint8Array(0)
const seen = (confirmations: number, index = 1, transaction = bytes): DepositSight => {
  return { kind: 'seen', confirmations, txids: [], index, transaction, coinbase: bytes }
}
const without = (stale: { readonly isStale?: true } = {}): DepositSight => {
  return { kind: 'unknown', code: 'BitcoinBlockUnknown', ...stale }
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

  it('N13: is unknown where one has the block always at its tip: nobody alone keeps a member waiting without a word', async () => {
    const disagrees = unknown('BitcoinDisagrees')
    expect(await sightOf(seen(1), seen(8))).toEqual(disagrees)
    expect(await sightOf(seen(2), seen(8))).toEqual(seen(2))
  })

  it.each(['BitcoinUnreachable', 'BitcoinTimeout'])(
    'is what the other shows, where one says %s',
    async (code) => {
      expect(await sightOf(unknown(code), seen(6))).toEqual(seen(6))
      expect(await sightOf(seen(6), unknown(code))).toEqual(seen(6))
    },
  )

  it('is what the other shows, where one says that it has heard of no block for a day', async () => {
    expect(await sightOf(without({ isStale: true }), seen(6))).toEqual(seen(6))
  })

  it('N13: is unknown while one has no such block, whatever the others tell of its height', async () => {
    const disagrees = unknown('BitcoinDisagrees')
    // A liar may call the block one of the far future, to which the honest one has only not come yet.
    const high = Object.assign(seen(100_000), { height: 10_000_000 })
    const low = Object.assign(without(), { tipHeight: 100 })
    expect(await sightOf(high, low)).toEqual(disagrees)
    expect(await sightOf(without(), seen(6), seen(7))).toEqual(disagrees)
  })

  it('is unknown, if the two tell its bytes differently: by its witness a spend of the reserve is known', async () => {
    const [one, other] = [Uint8Array.of(1), Uint8Array.of(2)]
    const disagrees = unknown('BitcoinDisagrees')
    expect(await sightOf(seen(6, 1, one), seen(7, 1, other))).toEqual(disagrees)
    expect(await sightOf(seen(7, 1, one), seen(6, 1, one))).toEqual(seen(6, 1, one))
  })

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

  it('is unknown, if a coin has another amount or script on one: nobody alone stops a member', async () => {
    const disagrees = { kind: 'unknown', code: 'BitcoinDisagrees' }
    for (const lie of [{ amountSat: 6n }, { scriptPubKey: Uint8Array.of(1) }]) {
      const other: CoinsSight = { kind: 'seen', coins: [{ ...coin, ...lie }] }
      expect(await coinsOf(other, there)).toEqual(disagrees)
      expect(await coinsOf(there, other)).toEqual(disagrees)
    }
    expect(await coinsOf(there, { kind: 'seen', coins: [{ ...coin }] })).toEqual(there)
  })
})

describe('PI-10: what one Bitcoin shows of a deposit is what its block holds', () => {
  const world = new BitcoinWorld()
  const paid = depositOf(testGenesis(), 'alice', 2_000_000n)
  const { hash, header, transactions } = world.mine([paid])
  const ids = transactions.map((each) => toDisplayHash(txid(each)))
  const raws = new Map(transactions.map((each, at) => [ids[at], serializeTransaction(each)]))
  const ok = <T>(value: T) => ({ ok: true, value }) as const
  const NOW_MS = 1_700_000_000_000

  /** Of an endpoint with this block, which tells what it is told to. */
  const own = (changes: Record<string, (...args: never[]) => unknown> = {}) =>
    createOwnBitcoin(
      {
        getBlock: async () => ok({ confirmations: 6, txids: ids }),
        getBlockHeaderRaw: async () => ok(header),
        getRawTransaction: async (id: string) => ok({ raw: raws.get(id) }),
        getBlockchainInfo: async () => ok({ medianTime: NOW_MS / 1_000 }),
        ...changes,
      } as unknown as Parameters<typeof createOwnBitcoin>[0],
      () => NOW_MS,
    )
  const bad = unknown('BitcoinBadAnswer')

  it('with the bytes that have its id', async () => {
    const sight = await own().sight(hash, txid(paid))
    expect(sight).toMatchObject({ kind: 'seen', index: 1, transaction: raws.get(ids[1]) })
  })

  it.each<[string, Record<string, (...args: never[]) => unknown>]>([
    ['one id less', { getBlock: async () => ok({ confirmations: 6, txids: ids.slice(0, 1) }) }],
    ['no ids', { getBlock: async () => ok({ confirmations: 6, txids: [] }) }],
    [
      'an id in the place of another',
      { getBlock: async () => ok({ confirmations: 6, txids: [ids[0], ids[0]] }) },
    ],
    [
      'the header of another block',
      { getBlockHeaderRaw: async () => ok(header.slice().fill(1, 76)) },
    ],
    ['another transaction', { getRawTransaction: async () => ok({ raw: raws.get(ids[0]) }) }],
    ['no transaction', { getRawTransaction: async () => ok({ raw: Uint8Array.of(1) }) }],
  ])('%s is a bad answer, and another endpoint is heard', async (_, changes) => {
    const liar = own(changes)
    expect(await liar.sight(hash, txid(paid))).toEqual(bad)
    const joined = joinOwnBitcoins([liar, own()])
    expect(await joined.sight(hash, txid(paid))).toMatchObject({ kind: 'seen', index: 1 })
  })

  it('OP-5: who has no such block says whether it has heard of any for a day', async () => {
    const refused = { ok: false, error: { code: 'BitcoinRpcError', rpcCode: -5, message: '' } }
    const at = (agoMs: number) =>
      own({
        getBlock: async () => refused,
        getBlockchainInfo: async () => ok({ medianTime: (NOW_MS - agoMs) / 1_000 }),
      }).sight(hash, txid(paid))
    expect(await at(24 * 3_600_000)).toEqual(without())
    expect(await at(24 * 3_600_000 + 1_000)).toEqual(without({ isStale: true }))
  })
})
