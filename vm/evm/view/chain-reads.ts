/** Committed blocks as the API asks for them. Pure over a `BlockSource`; what is bounded says so by a typed error. */
import type { ExecutionPayload } from '../../../core/block/index.ts'
import type { EngineHead } from '../engine.ts'
import { effectiveFees } from '../gas.ts'
import { keccak256 } from '../keccak.ts'
import { bloomOf, decodeStoredReceipt, type Log, type Receipt } from '../receipt.ts'
import { ReceiptIndex } from '../receipt-index.ts'
import { encodeRlp, integerBytes } from '../rlp.ts'
import { decodeTransaction, type EvmTransaction, isTransaction } from '../transaction.ts'
import { ByteCache } from './byte-cache.ts'
import type { LogMatcher } from './log-matcher.ts'

export type TransactionPosition = { readonly height: number; readonly index: number }

/** What the block store answers. */
export interface BlockSource {
  head(): EngineHead | undefined
  hashAt(height: number): Uint8Array | undefined
  heightOf(hash: Uint8Array): number | undefined
  payloadAt(height: number): ExecutionPayload | undefined
  receiptsAt(height: number): readonly Receipt[] | undefined
  /** As they are stored (`encodeStoredReceipts`). */
  receiptsRecordAt(height: number): Uint8Array | undefined
  bloomAt(height: number): Uint8Array | undefined
  sendersAt(height: number): readonly Uint8Array[]
  positionOf(transactionHash: Uint8Array): TransactionPosition | undefined
}

export type BlockRead = {
  readonly payload: ExecutionPayload
  readonly transactionHashes: readonly Uint8Array[]
}

export type TransactionRead = {
  readonly transaction: EvmTransaction
  readonly sender: Uint8Array
  readonly blockHash: Uint8Array
  readonly blockNumber: number
  readonly timestamp: number
  readonly index: number
  readonly effectiveGasPriceWei: bigint
}

export type LogRead = Log & {
  /** In the block. */
  readonly logIndex: number
  readonly transactionHash: Uint8Array
  readonly transactionIndex: number
  readonly blockHash: Uint8Array
  readonly blockNumber: number
  readonly timestamp: number
}

export type ReceiptRead = {
  readonly transaction: TransactionRead
  readonly status: 0 | 1
  readonly cumulativeGasUsed: number
  readonly gasUsed: number
  readonly contractAddress: Uint8Array | undefined
  readonly logsBloom: Uint8Array
  readonly logs: readonly LogRead[]
}

export type BlockRange = { readonly fromHeight: number; readonly toHeight: number }

/** What one unit of gas paid the author, and how much of it was used. */
export type FeeRow = { readonly tipWei: bigint; readonly gasUsed: number }

/** Transactions of a block whose fees are read; of a larger block they are taken at equal distances. */
export const MAX_FEE_ROWS = 256

export const MAX_LOG_BLOCKS = 5_000
export const MAX_LOGS = 20_000

export type LogQueryFault =
  | { readonly code: 'LogRangeTooWide'; readonly limit: number }
  | { readonly code: 'TooManyLogs'; readonly limit: number }

/** Of blocks that were read lately: decoded, and where their logs are. Some dozens of full blocks each, or thousands of small ones. */
const KEPT_BLOCK_BYTES = 32 * 1024 * 1024
const KEPT_INDEX_BYTES = 32 * 1024 * 1024
/** What a byte string costs beside its bytes. */
const OBJECT_BYTES = 200

type HeldBlock = {
  readonly payload: ExecutionPayload
  readonly senders: readonly Uint8Array[]
}

export class ChainReads {
  readonly #source: BlockSource
  readonly #blocks = new ByteCache<HeldBlock>(KEPT_BLOCK_BYTES)
  readonly #indexes = new ByteCache<ReceiptIndex>(KEPT_INDEX_BYTES)

  constructor(source: BlockSource) {
    this.#source = source
  }

  head(): EngineHead {
    const head = this.#source.head()
    if (head === undefined) throw new Error('the block store is empty')
    return head
  }

  heightOf(hash: Uint8Array): number | undefined {
    return this.#source.heightOf(hash)
  }

  /** Is it a block whose transactions, receipts and logs are no longer kept? */
  isPruned(height: number): boolean {
    const isCommitted = this.#source.hashAt(height) !== undefined
    return isCommitted && this.#source.bloomAt(height) === undefined
  }

  /** Without the hashes of its transactions. */
  payloadAt(height: number): ExecutionPayload | undefined {
    return this.#held(height)?.payload
  }

  blockAt(height: number): BlockRead | undefined {
    const payload = this.payloadAt(height)
    return payload && { payload, transactionHashes: payload.transactions.map(keccak256) }
  }

  blockByHash(hash: Uint8Array): BlockRead | undefined {
    const height = this.#source.heightOf(hash)
    return height === undefined ? undefined : this.blockAt(height)
  }

  transaction(hash: Uint8Array): TransactionRead | undefined {
    const position = this.#source.positionOf(hash)
    return position && this.transactionAt(position.height, position.index)
  }

  transactionAt(height: number, index: number): TransactionRead | undefined {
    const block = this.#held(height)
    return block && readTransaction(block, index)
  }

  /** All transactions of a block in order. */
  transactionsAt(height: number): readonly TransactionRead[] {
    const block = this.#held(height)
    if (block === undefined) return []
    return block.payload.transactions.map((_, index) => {
      return readTransaction(block, index) as TransactionRead
    })
  }

  receipt(hash: Uint8Array): ReceiptRead | undefined {
    const position = this.#source.positionOf(hash)
    if (position === undefined) return undefined
    const { height, index } = position
    const record = this.#source.receiptsRecordAt(height)
    const block = this.#held(height)
    const transaction = block && readTransaction(block, index)
    if (record === undefined || transaction === undefined) return undefined
    const places = this.#indexAt(height, record)
    const receipt = decodeStoredReceipt(places.partOf(record, index))
    const before = index === 0 ? undefined : decodeStoredReceipt(places.partOf(record, index - 1))
    return readReceipt(
      transaction,
      receipt,
      before?.cumulativeGasUsed ?? 0,
      places.logsBefore(index),
    )
  }

  /** All receipts of a block in order. */
  receiptsAt(height: number): readonly ReceiptRead[] {
    const receipts = this.#source.receiptsAt(height) ?? []
    const transactions = this.transactionsAt(height)
    let logsBefore = 0
    let gasBefore = 0
    return receipts.map((receipt, index) => {
      const transaction = transactions[index] as TransactionRead
      const read = readReceipt(transaction, receipt, gasBefore, logsBefore)
      logsBefore += receipt.logs.length
      gasBefore = receipt.cumulativeGasUsed
      return read
    })
  }

  /** Fees of a block, the lowest tip first. */
  feesAt(height: number): readonly FeeRow[] {
    const payload = this.payloadAt(height)
    if (payload === undefined || payload.transactions.length === 0) return []
    const receipts = this.#source.receiptsAt(height) ?? []
    const { transactions, baseFeePerGas } = payload
    const count = Math.min(MAX_FEE_ROWS, transactions.length)
    const rows = Array.from({ length: count }, (_, at): FeeRow => {
      const index = Math.floor((at * transactions.length) / count)
      const transaction = decodeTransaction(transactions[index] as Uint8Array)
      const before = receipts[index - 1]?.cumulativeGasUsed ?? 0
      const gasUsed = (receipts[index]?.cumulativeGasUsed ?? before) - before
      if (!isTransaction(transaction)) return { tipWei: 0n, gasUsed }
      return { tipWei: effectiveFees(transaction, baseFeePerGas).tipWei, gasUsed }
    })
    return rows.sort((left, right) => (left.tipWei < right.tipWei ? -1 : 1))
  }

  /** At most MAX_LOG_BLOCKS blocks and MAX_LOGS logs. */
  logs(
    { fromHeight, toHeight }: BlockRange,
    matcher: LogMatcher,
  ): readonly LogRead[] | LogQueryFault {
    const last = Math.min(toHeight, this.head().number)
    if (last - fromHeight + 1 > MAX_LOG_BLOCKS) {
      return { code: 'LogRangeTooWide', limit: MAX_LOG_BLOCKS }
    }
    const found: LogRead[] = []
    for (let height = fromHeight; height <= last; height++) {
      this.#addLogs(found, height, matcher)
      if (found.length > MAX_LOGS) return { code: 'TooManyLogs', limit: MAX_LOGS }
    }
    return found
  }

  /** Only receipts of which a log may fit are decoded, and only their transactions looked at. */
  #addLogs(found: LogRead[], height: number, matcher: LogMatcher): void {
    const bloom = this.#source.bloomAt(height)
    if (bloom === undefined || !matcher.mayBeIn(bloom)) return
    const known = this.#indexes.get(height)
    const candidates = known && matcher.candidates(known)
    if (candidates?.length === 0) return
    const record = this.#source.receiptsRecordAt(height)
    if (record === undefined) return
    const index = known ?? this.#indexAt(height, record)
    let receipt = { at: -1, logs: [] as readonly Log[] }
    for (const log of candidates ?? matcher.candidates(index)) {
      const at = index.receiptOf(log)
      if (at !== receipt.at) {
        receipt = { at, logs: decodeStoredReceipt(index.partOf(record, at)).logs }
      }
      const candidate = receipt.logs[log - index.logsBefore(at)] as Log
      if (!matcher.fits(candidate)) continue
      found.push(logRead(candidate, log, this.transactionAt(height, at) as TransactionRead))
    }
  }

  /** The block itself; what was pruned is gone, whatever is still held of it. */
  #held(height: number): HeldBlock | undefined {
    const known = this.#blocks.get(height)
    if (known !== undefined) {
      if (this.#source.bloomAt(height) !== undefined) return known
      this.#blocks.delete(height)
      return undefined
    }
    const payload = this.#source.payloadAt(height)
    if (payload === undefined) return undefined
    const held = { payload, senders: this.#source.sendersAt(height) }
    const { transactions } = payload
    const size = transactions.reduce(
      (sum, raw) => sum + raw.length + 2 * OBJECT_BYTES,
      OBJECT_BYTES,
    )
    this.#blocks.set(height, held, size)
    return held
  }

  #indexAt(height: number, record: Uint8Array): ReceiptIndex {
    const known = this.#indexes.get(height)
    if (known !== undefined) return known
    const index = ReceiptIndex.of(record)
    this.#indexes.set(height, index, index.bytes + OBJECT_BYTES)
    return index
  }
}

function readTransaction(
  { payload, senders }: HeldBlock,
  index: number,
): TransactionRead | undefined {
  const raw = payload.transactions[index]
  const sender = senders[index]
  if (raw === undefined || sender === undefined) return undefined
  const transaction = decodeTransaction(raw)
  if (!isTransaction(transaction)) throw new Error(`damaged block ${payload.blockNumber}`)
  return {
    transaction,
    sender,
    blockHash: payload.blockHash,
    blockNumber: payload.blockNumber,
    timestamp: payload.timestamp,
    index,
    effectiveGasPriceWei: effectiveFees(transaction, payload.baseFeePerGas).priceWei,
  }
}

function readReceipt(
  transaction: TransactionRead,
  { status, cumulativeGasUsed, logs }: Receipt,
  gasBefore: number,
  logsBefore: number,
): ReceiptRead {
  return {
    transaction,
    status,
    cumulativeGasUsed,
    gasUsed: cumulativeGasUsed - gasBefore,
    contractAddress: contractAddress(transaction),
    logsBloom: bloomOf(logs),
    logs: logs.map((log, at) => logRead(log, logsBefore + at, transaction)),
  }
}

function logRead(log: Log, logIndex: number, transaction: TransactionRead): LogRead {
  return {
    ...log,
    logIndex,
    transactionHash: transaction.transaction.hash,
    transactionIndex: transaction.index,
    blockHash: transaction.blockHash,
    blockNumber: transaction.blockNumber,
    timestamp: transaction.timestamp,
  }
}

/** Where a creating transaction puts its contract. */
export function createdAddress(sender: Uint8Array, nonce: bigint): Uint8Array {
  return keccak256(encodeRlp([sender, integerBytes(nonce)])).slice(12)
}

function contractAddress({ transaction, sender }: TransactionRead): Uint8Array | undefined {
  return transaction.to === undefined ? createdAddress(sender, transaction.nonce) : undefined
}
