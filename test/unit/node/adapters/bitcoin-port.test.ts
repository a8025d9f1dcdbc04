/** The bridge's view of Bitcoin over a client that answers by hand: byte orders, absences, and what counts as sent. */
import { toDisplayHash } from '../../../../crypto/index.ts'
import { createBitcoinPort } from '../../../../node/adapters/bitcoin/index.ts'
import type { BitcoinRpc } from '../../../../node/adapters/bitcoin-rpc/index.ts'
import { BitcoinWorld, rawBlock, wholeBlock } from '../../core/peg/world.ts'

const DISPLAY = `${'00'.repeat(31)}ab`
const INTERNAL = Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 0xab : 0))

const MINED = new BitcoinWorld().mine([])

const ok = (value: unknown) => async () => ({ ok: true, value }) as never
const refused =
  (rpcCode: number, message = 'refused') =>
  async () =>
    ({ ok: false, error: { code: 'BitcoinRpcError', rpcCode, message } }) as never
const unreachable = async () =>
  ({ ok: false, error: { code: 'BitcoinUnreachable', message: 'ECONNREFUSED' } }) as never

const portOf = (methods: Partial<Record<keyof BitcoinRpc, (...args: never[]) => unknown>>) =>
  createBitcoinPort(methods as unknown as BitcoinRpc)

describe('the Bitcoin port', () => {
  it('hashes are in internal order here and in display order there', async () => {
    const asked: string[] = []
    const port = portOf({
      getBlockchainInfo: ok({ blocks: 7, bestBlockHash: DISPLAY }),
      getBlockHash: ok(DISPLAY),
      getBlockRaw: (async (hash: string) => {
        asked.push(hash)
        return { ok: true, value: rawBlock(MINED) }
      }) as never,
      getMempoolEntry: (async (hash: string) => {
        asked.push(hash)
        return { ok: true, value: {} }
      }) as never,
    })
    expect(await port.tip()).toEqual({ ok: true, value: { height: 7, hash: INTERNAL } })
    expect(await port.hashAt(7)).toEqual({ ok: true, value: INTERNAL })
    expect(await port.block(MINED.hash)).toEqual({ ok: true, value: wholeBlock(MINED) })
    expect(await port.inMempool(INTERNAL)).toEqual({ ok: true, value: true })
    expect(asked).toEqual([toDisplayHash(MINED.hash), DISPLAY])
  })

  it('PI-12: a block without its transactions, or another one, is a bad answer', async () => {
    const raw = rawBlock(MINED)
    for (const told of [raw.slice(0, 81).fill(0, 80), raw.slice(0, -1), raw.fill(9, 4, 5)]) {
      const port = portOf({ getBlockRaw: ok(told) })
      expect(await port.block(MINED.hash)).toMatchObject({
        ok: false,
        error: { code: 'BitcoinBadAnswer' },
      })
    }
  })

  it('"there is none" is an answer, and only the code that says so', async () => {
    const none = portOf({
      getBlockHash: refused(-8),
      getBlockHeaderRaw: refused(-5),
      getBlockHeader: refused(-5),
      getBlockRaw: refused(-5),
      getMempoolEntry: refused(-5),
    })
    expect(await none.hashAt(99)).toEqual({ ok: true, value: undefined })
    expect(await none.header(INTERNAL)).toEqual({ ok: true, value: undefined })
    expect(await none.block(INTERNAL)).toEqual({ ok: true, value: undefined })
    expect(await none.inMempool(INTERNAL)).toEqual({ ok: true, value: false })
    const warming = portOf({
      getBlockHash: refused(-28),
      getBlockHeaderRaw: refused(-28),
      getBlockHeader: refused(-28),
      getBlockRaw: refused(-28),
      getMempoolEntry: refused(-28),
    })
    for (const answer of [
      await warming.hashAt(1),
      await warming.header(INTERNAL),
      await warming.block(INTERNAL),
      await warming.inMempool(INTERNAL),
    ]) {
      expect(answer).toMatchObject({ ok: false, error: { rpcCode: -28 } })
    }
  })

  it('a header is on the best chain when Core counts confirmations for it', async () => {
    const { hash, header } = MINED
    for (const [confirmations, isBest] of [
      [1, true],
      [100, true],
      [-1, false],
      [0, false],
    ] as const) {
      const port = portOf({ getBlockHeaderRaw: ok(header), getBlockHeader: ok({ confirmations }) })
      expect(await port.header(hash)).toEqual({ ok: true, value: { header, isBest } })
    }
  })

  it('C-7: the header of another block is a bad answer', async () => {
    const methods = {
      getBlockHeaderRaw: ok(MINED.header),
      getBlockHeader: ok({ confirmations: 1 }),
    }
    expect(await portOf(methods).header(INTERNAL)).toMatchObject({
      ok: false,
      error: { code: 'BitcoinBadAnswer' },
    })
  })

  it('PO-14: in the chain already is success; a refusal is its reason; no answer stays a fault', async () => {
    const send = (sendRawTransaction: () => Promise<never>) =>
      portOf({ sendRawTransaction }).send(Uint8Array.of(1))
    expect(await send(ok(DISPLAY))).toEqual({ ok: true, value: undefined })
    expect(await send(refused(-27))).toEqual({ ok: true, value: undefined })
    expect(await send(refused(-25, 'bad-txns-inputs-missingorspent'))).toEqual({
      ok: true,
      value: 'bad-txns-inputs-missingorspent',
    })
    expect(await send(refused(-26, 'min relay fee not met'))).toEqual({
      ok: true,
      value: 'min relay fee not met',
    })
    expect(await send(unreachable)).toMatchObject({
      ok: false,
      error: { code: 'BitcoinUnreachable' },
    })
  })

  it('PO-8: the rate is the median of the estimates, in sat per kvB, and none that a full mempool refuses', async () => {
    const rate = (economical: unknown, conservative: unknown, minFeeSatPerKvb = 1_000n) =>
      portOf({
        estimateSmartFee: (_: number, mode: string) =>
          ok(mode === 'economical' ? economical : conservative)(),
        getMempoolInfo: ok({ minFeeSatPerKvb }),
      }).feeRate()
    const [low, high] = [{ feeRateSatPerKvb: 2_500n }, { feeRateSatPerKvb: 5_001n }]
    expect(await rate(low, high)).toEqual({ ok: true, value: 3_750 })
    expect(await rate(low, high, 9_000n)).toEqual({ ok: true, value: 9_000 })
    expect(await rate({}, high)).toEqual({ ok: true, value: 5_001 })
    expect(await rate({}, {})).toEqual({ ok: true, value: undefined })
    const mempool = { getMempoolInfo: ok({ minFeeSatPerKvb: 1_000n }) }
    const away = portOf({ estimateSmartFee: unreachable, ...mempool })
    expect(await away.feeRate()).toMatchObject({ ok: false })
    const half = portOf({ estimateSmartFee: ok(low), getMempoolInfo: unreachable })
    expect(await half.feeRate()).toMatchObject({ ok: false })
  })

  it('PI-3: the list of the mempool is asked for only while few enough wait', async () => {
    let lists = 0
    const waiting = (size: number) =>
      portOf({
        getMempoolInfo: ok({ size }),
        getRawMempool: (() => {
          lists += 1
          return ok([DISPLAY])()
        }) as never,
      }).mempool?.txids(5)
    expect(await waiting(5)).toEqual({ ok: true, value: [DISPLAY] })
    expect(await waiting(6)).toMatchObject({ ok: false, error: { code: 'MempoolTooLarge' } })
    expect(lists).toBe(1)
    expect(await portOf({ getMempoolInfo: unreachable }).mempool?.txids(5)).toMatchObject({
      error: { code: 'BitcoinUnreachable' },
    })
  })

  it('an unreachable Bitcoin is a fault by name in every call', async () => {
    const port = portOf({
      getBlockchainInfo: unreachable,
      getBlockHash: unreachable,
      getBlockHeaderRaw: unreachable,
      getBlockHeader: unreachable,
      getBlockRaw: unreachable,
      getMempoolEntry: unreachable,
    })
    for (const answer of [
      await port.tip(),
      await port.hashAt(1),
      await port.header(INTERNAL),
      await port.block(INTERNAL),
      await port.inMempool(INTERNAL),
    ]) {
      expect(answer).toMatchObject({ ok: false, error: { code: 'BitcoinUnreachable' } })
    }
  })
})
