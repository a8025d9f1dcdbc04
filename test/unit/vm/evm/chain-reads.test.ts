import type { ExecutionPayload } from '../../../../core/block/index.ts'
import { equalBytes, sha256 } from '../../../../crypto/index.ts'
import { seededRandom } from '../../../../devnet/launcher/chaos.ts'
import {
  type BlockSource,
  bloomOf,
  ChainReads,
  decodeStoredReceipts,
  encodeStoredReceipts,
  keccak256,
  type Log,
  LogMatcher,
  type Receipt,
} from '../../../../vm/evm/index.ts'
import { ReceiptIndex } from '../../../../vm/evm/receipt-index.ts'
import { ByteCache } from '../../../../vm/evm/view/byte-cache.ts'
import { keyOf, signed } from './fixtures.ts'

const alice = keyOf('alice')
const SEED = 20_261_122

/** Few different ones, and two that have the same mark. */
const ADDRESSES = [1, 2, 3].map((byte) => new Uint8Array(20).fill(byte))
const TOPICS = [4, 5, 6, 7].map((byte) => new Uint8Array(32).fill(byte, 31))
const TWIN = new Uint8Array(32).fill(9, 0, 1).fill(7, 31)

function town(blocks: number, next: () => number) {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T
  const many = (most: number) => Array.from({ length: Math.floor(next() * (most + 1)) })
  const log = (): Log => ({
    address: pick(ADDRESSES),
    topics: many(4).map(() => pick([...TOPICS, TWIN])),
    data: new Uint8Array(Math.floor(next() * 70)).fill(0x80),
  })
  let nonce = 0
  const all = Array.from({ length: blocks }, (_, height) => {
    const transactions = many(5).map(() => signed(alice, { nonce: nonce++, to: alice.address }))
    const receipts = transactions.map((_, index): Receipt => {
      return { type: 2, status: 1, cumulativeGasUsed: (index + 1) * 300, logs: many(3).map(log) }
    })
    const payload = {
      blockNumber: height,
      blockHash: sha256(Uint8Array.of(height)),
      timestamp: height,
      baseFeePerGas: 1n,
      transactions,
    } as unknown as ExecutionPayload
    return { payload, receipts }
  })
  const pruned = { below: 0 }
  const counts = { payloads: 0, records: 0 }
  const at = (height: number) => (height < pruned.below ? undefined : all[height])
  const source: BlockSource = {
    head: () => ({ number: blocks - 1, hash: all.at(-1)?.payload.blockHash as Uint8Array }),
    hashAt: (height) => all[height]?.payload.blockHash,
    heightOf: () => undefined,
    payloadAt(height) {
      counts.payloads += 1
      return at(height)?.payload
    },
    receiptsAt: (height) => at(height)?.receipts,
    receiptsRecordAt(height) {
      counts.records += 1
      const block = at(height)
      return block && encodeStoredReceipts(block.receipts)
    },
    bloomAt: (height) => {
      const block = at(height)
      return block && bloomOf(block.receipts.flatMap(({ logs }) => logs))
    },
    sendersAt: (height) => at(height)?.payload.transactions.map(() => alice.address) ?? [],
    positionOf(hash) {
      for (const [height, { payload }] of all.entries()) {
        const index = payload.transactions.findIndex((raw) => equalBytes(keccak256(raw), hash))
        if (index >= 0) return { height, index }
      }
      return undefined
    },
  }
  return { all, source, pruned, counts, pick, many }
}

type Asked = ConstructorParameters<typeof LogMatcher>

function isAsked(log: Log, [addresses, topics]: Asked): boolean {
  const isIn = (items: readonly Uint8Array[], item: Uint8Array | undefined) =>
    item !== undefined && items.some((one) => equalBytes(one, item))
  if (addresses.length > 0 && !isIn(addresses, log.address)) return false
  return topics.every((wanted, position) => {
    if (wanted === null || wanted.length === 0) return position < log.topics.length
    return isIn(wanted, log.topics[position])
  })
}

describe('committed blocks as they are read', () => {
  it(`logs are those that reading all receipts finds, in order and place (seed ${SEED})`, () => {
    const { all, source, pick, many } = town(12, seededRandom(SEED))
    const reads = new ChainReads(source)
    const every = all.flatMap(({ payload }) =>
      reads.receiptsAt(payload.blockNumber).flatMap(({ logs }) => logs),
    )
    expect(every.length).toBeGreaterThan(30)
    let found = 0
    for (let round = 0; round < 300; round++) {
      const asked: Asked = [
        many(2).map(() => pick(ADDRESSES)),
        many(4).map(() => pick([null, [], [pick(TOPICS)], [TWIN], [pick(TOPICS), TWIN]])),
      ]
      const logs = reads.logs({ fromHeight: 0, toHeight: 99 }, new LogMatcher(...asked))
      expect(logs).toEqual(every.filter((log) => isAsked(log, asked)))
      found += 'code' in logs ? 0 : logs.length
    }
    expect(found).toBeGreaterThan(300)
  })

  it('a query that is asked again reads and decodes no receipts but those that it finds', () => {
    const { source, counts } = town(12, seededRandom(SEED))
    const reads = new ChainReads(source)
    const nobodys = new LogMatcher([], [[TWIN], [TWIN], [TWIN], [TWIN]])
    reads.logs({ fromHeight: 0, toHeight: 11 }, nobodys)
    const before = counts.records
    expect(reads.logs({ fromHeight: 0, toHeight: 11 }, nobodys)).toEqual([])
    expect(counts.records).toBe(before)
  })

  it('one receipt is the one that all receipts of its block have there', () => {
    const { all, source, counts } = town(12, seededRandom(SEED))
    const reads = new ChainReads(source)
    for (const { payload } of all) {
      const receipts = reads.receiptsAt(payload.blockNumber)
      for (const [index, raw] of payload.transactions.entries()) {
        const { transaction: one, ...receipt } = reads.receipt(keccak256(raw)) ?? fail()
        const { transaction: same, ...expected } = receipts[index] ?? fail()
        expect(receipt).toEqual(expected)
        expect([one.index, one.blockNumber]).toEqual([same.index, same.blockNumber])
      }
    }
    // A block is read once, not for each of its transactions.
    expect(counts.payloads).toBe(all.length)
  })

  it('PR-3: a block that was pruned is gone, though it was read before', () => {
    const { all, source, pruned } = town(12, seededRandom(SEED))
    const reads = new ChainReads(source)
    const full = all.findIndex(({ receipts }) => receipts.some(({ logs }) => logs.length > 0))
    const raw = all[full]?.payload.transactions[0] as Uint8Array
    const range = { fromHeight: full, toHeight: full }
    expect(reads.logs(range, new LogMatcher([], []))).not.toEqual([])
    expect(reads.receipt(keccak256(raw))).toBeDefined()
    pruned.below = full + 1
    expect(reads.logs(range, new LogMatcher([], []))).toEqual([])
    expect(reads.receipt(keccak256(raw))).toBeUndefined()
    expect(reads.payloadAt(full)).toBeUndefined()
    expect(reads.transactionAt(full, 0)).toBeUndefined()
  })
})

describe('the index of a block’s receipts', () => {
  it('names what the receipts hold, and its parts are the receipts', () => {
    const { all } = town(30, seededRandom(SEED + 1))
    for (const { receipts } of all) {
      const record = encodeStoredReceipts(receipts)
      const index = ReceiptIndex.of(record)
      expect(index.receiptCount).toBe(receipts.length)
      expect(index.logCount).toBe(receipts.flatMap(({ logs }) => logs).length)
      let log = 0
      for (const [at, { logs }] of receipts.entries()) {
        expect(index.logsBefore(at)).toBe(log)
        for (const _ of logs) expect(index.receiptOf(log++)).toBe(at)
      }
    }
  })

  it('a record that ends too soon is damaged, wherever it ends', () => {
    const receipts = town(30, seededRandom(SEED + 2)).all.flatMap((block) => block.receipts)
    const record = encodeStoredReceipts(receipts)
    expect(decodeStoredReceipts(record)).toEqual(receipts)
    for (let end = 0; end < record.length; end += 7) {
      expect(() => ReceiptIndex.of(record.subarray(0, end))).toThrow('damaged receipts')
    }
  })
})

describe('what readers hold', () => {
  it('stays within its bytes, and lets go what was asked for longest ago', () => {
    const cache = new ByteCache<string>(100)
    cache.set(1, 'a', 40)
    cache.set(2, 'b', 40)
    expect(cache.get(1)).toBe('a')
    cache.set(3, 'c', 40)
    expect([cache.get(1), cache.get(2), cache.get(3)]).toEqual(['a', undefined, 'c'])
    expect(cache.bytes).toBe(80)
    cache.set(3, 'd', 10)
    expect(cache.bytes).toBe(50)
    cache.set(4, 'larger than all', 101)
    expect([cache.get(4), cache.bytes]).toEqual([undefined, 0])
  })
})

function fail(): never {
  throw new Error('it is not there')
}
