/** What nodes and members need from Bitcoin, whoever answers: the bridge's view of it, and a member's own. */
import type { BitcoinPort, BitcoinResult } from '../../actors/bridge/index.ts'
import { headerHash, parseTransaction, txid } from '../../core/bitcoin/index.ts'
import { toDisplayHash } from '../../crypto/index.ts'
import type { OwnBitcoin } from '../../governance/port.ts'

export interface BitcoinUnderTest {
  readonly bitcoin: BitcoinPort
  readonly own: OwnBitcoin
  mine(blocks: number): Promise<void>
  /** Replaces the last blocks by one more. */
  reorg(depth: number): Promise<void>
  /** A valid transaction that nobody has sent. */
  payment(): Promise<Uint8Array>
  /** From now on nobody answers. */
  cut(): Promise<void>
  close(): Promise<void>
}

const UNKNOWN = new Uint8Array(32).fill(0x11)

async function value<T>(answer: Promise<BitcoinResult<T>>): Promise<T> {
  const settled = await answer
  if (!settled.ok) throw new Error(`${settled.error.code} ${settled.error.message}`)
  return settled.value
}

function idOf(raw: Uint8Array): Uint8Array {
  const parsed = parseTransaction(raw)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return txid(parsed.value)
}

export function bitcoinPortSuite(name: string, open: () => Promise<BitcoinUnderTest>): void {
  describe(`the Bitcoin ports: ${name}`, () => {
    let under: BitcoinUnderTest
    beforeEach(async () => {
      under = await open()
    })
    afterEach(() => under.close())

    it('the tip, its hash by height, its header and its block are of one block', async () => {
      const { bitcoin } = under
      const before = await value(bitcoin.tip())
      await under.mine(3)
      const tip = await value(bitcoin.tip())
      expect(tip.height).toBe(before.height + 3)
      expect(await value(bitcoin.hashAt(tip.height))).toEqual(tip.hash)
      const found = await value(bitcoin.header(tip.hash))
      expect(found?.isBest).toBe(true)
      expect(found?.header).toHaveLength(80)
      expect(headerHash(found?.header ?? UNKNOWN)).toEqual(tip.hash)
      const block = await value(bitcoin.block(tip.hash))
      expect(block?.raw.slice(0, 80)).toEqual(found?.header)
      const parent = await value(bitcoin.hashAt(tip.height - 1))
      expect(block?.raw.slice(4, 36)).toEqual(parent)
    })

    it('what is not there is undefined, not an error', async () => {
      const { bitcoin } = under
      const { height } = await value(bitcoin.tip())
      expect(await value(bitcoin.hashAt(height + 1))).toBeUndefined()
      expect(await value(bitcoin.header(UNKNOWN))).toBeUndefined()
      expect(await value(bitcoin.block(UNKNOWN))).toBeUndefined()
      expect(await value(bitcoin.inMempool(UNKNOWN))).toBe(false)
    })

    it('PI-6: after a reorg the old block is known and not on the best chain', async () => {
      const { bitcoin } = under
      await under.mine(2)
      const old = await value(bitcoin.tip())
      await under.reorg(2)
      const tip = await value(bitcoin.tip())
      expect(tip.height).toBe(old.height + 1)
      expect(await value(bitcoin.hashAt(old.height))).not.toEqual(old.hash)
      expect(await value(bitcoin.header(old.hash))).toMatchObject({ isBest: false })
      expect(await under.own.sight(old.hash, UNKNOWN)).toEqual({
        kind: 'unknown',
        code: 'BitcoinBlockNotOnBestChain',
      })
    })

    it('PO-14: sent, known and mined already are all success; nonsense is refused with a reason', async () => {
      const { bitcoin } = under
      const raw = await under.payment()
      const id = idOf(raw)
      expect(await value(bitcoin.inMempool(id))).toBe(false)
      expect(await value(bitcoin.send(raw))).toBeUndefined()
      expect(await value(bitcoin.inMempool(id))).toBe(true)
      expect(await value(bitcoin.send(raw))).toBeUndefined()
      await under.mine(1)
      expect(await value(bitcoin.inMempool(id))).toBe(false)
      expect(await value(bitcoin.send(raw))).toBeUndefined()
      expect(await value(bitcoin.send(Uint8Array.of(1, 2, 3)))).toMatch(/\w/)
    })

    it('PI-3: where a mempool is shown it holds what was sent, until a block does', async () => {
      const { bitcoin } = under
      const { mempool } = bitcoin
      if (mempool === undefined) return
      const raw = await under.payment()
      const id = toDisplayHash(idOf(raw))
      expect(await value(mempool.txids(9))).not.toContain(id)
      expect(await value(mempool.transaction(id))).toBeUndefined()
      await value(bitcoin.send(raw))
      expect(await value(mempool.txids(9))).toContain(id)
      expect(await value(mempool.transaction(id))).toEqual(raw)
      await under.mine(1)
      expect(await value(mempool.txids(9))).not.toContain(id)
      await under.cut()
      expect(await mempool.txids(9)).toMatchObject({ error: { code: 'BitcoinUnreachable' } })
      expect(await mempool.transaction(id)).toMatchObject({ error: { code: 'BitcoinUnreachable' } })
    })

    it('a fee rate is a whole number of satoshi, or there is none', async () => {
      const rate = await value(under.bitcoin.feeRate())
      expect(rate === undefined || (Number.isInteger(rate) && rate > 0)).toBe(true)
    })

    it('PI-10: a member sees a transaction in its block, with the coinbase and all ids', async () => {
      const { bitcoin, own } = under
      const raw = await under.payment()
      await value(bitcoin.send(raw))
      await under.mine(2)
      const { height } = await value(bitcoin.tip())
      const hash = (await value(bitcoin.hashAt(height - 1))) ?? UNKNOWN
      const sight = await own.sight(hash, idOf(raw))
      expect(sight).toMatchObject({ kind: 'seen', confirmations: 2, index: 1, transaction: raw })
      if (sight.kind !== 'seen') return
      expect(sight.txids).toEqual([idOf(sight.coinbase), idOf(raw)])
    })

    it('P 4.8: a member sees the coins that are there, by blocks alone', async () => {
      const { bitcoin, own } = under
      const raw = await under.payment()
      await value(bitcoin.send(raw))
      const before = await value(bitcoin.tip())
      const coin = { txid: idOf(raw), vout: 0 }
      const none = { kind: 'seen', coins: [undefined] }
      expect(await own.coins(before.hash, [coin])).toEqual(none)
      await under.mine(1)
      expect(await own.coins(before.hash, [coin, { ...coin, vout: 9 }])).toMatchObject({
        kind: 'seen',
        coins: [{ amountSat: expect.any(BigInt) }, undefined],
      })
      const unknown = { kind: 'unknown', code: 'BitcoinBlockUnknown' }
      expect(await own.coins(UNKNOWN, [coin])).toEqual(unknown)
    })

    it('PI-10: what a member cannot see has no proof', async () => {
      const { bitcoin, own } = under
      const { hash } = await value(bitcoin.tip())
      expect(await own.sight(UNKNOWN, UNKNOWN)).toEqual({
        kind: 'unknown',
        code: 'BitcoinBlockUnknown',
      })
      expect(await own.sight(hash, UNKNOWN)).toMatchObject({ kind: 'seen', index: -1, txids: [] })
    })

    it('C-2: no answer is a fault by name, and never a rejection', async () => {
      const { bitcoin, own } = under
      await under.cut()
      const answers = await Promise.all([
        bitcoin.tip(),
        bitcoin.hashAt(1),
        bitcoin.header(UNKNOWN),
        bitcoin.block(UNKNOWN),
        bitcoin.inMempool(UNKNOWN),
        bitcoin.send(UNKNOWN),
        bitcoin.feeRate(),
      ])
      for (const answer of answers) {
        expect(answer).toMatchObject({ ok: false, error: { code: 'BitcoinUnreachable' } })
      }
      expect(await own.sight(UNKNOWN, UNKNOWN)).toEqual({
        kind: 'unknown',
        code: 'BitcoinUnreachable',
      })
      expect(await own.coins(UNKNOWN, [])).toEqual({
        kind: 'unknown',
        code: 'BitcoinUnreachable',
      })
    })
  })
}
