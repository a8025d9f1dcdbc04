/** Committed blocks as the API asks for them. Pure over a `BlockSource`; what is bounded says so by a typed error. */
import type { ExecutionPayload } from '../../../core/block/index.ts'
import { equalBytes } from '../../../crypto/index.ts'
import type { EngineHead } from '../engine.ts'
import { effectiveFees } from '../gas.ts'
import { keccak256 } from '../keccak.ts'
import { bloomMayHold, bloomOf, type Log, type Receipt } from '../receipt.ts'
import { encodeRlp, integerBytes } from '../rlp.ts'
import { decodeTransaction, type EvmTransaction, isTransaction } from '../transaction.ts'

export type TransactionPosition = { readonly height: number; readonly index: number }

/** What the block store answers. */
export interface BlockSource {
  head(): EngineHead | undefined
  hashAt(height: number): Uint8Array | undefined
  heightOf(hash: Uint8Array): number | undefined
  payloadAt(height: number): ExecutionPayload | undefined
  receiptsAt(height: number): readonly Receipt[] | undefined
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

export type LogFilter = {
  readonly fromHeight: number
  readonly toHeight: number
  /** Any of them; empty: any address. */
  readonly addresses: readonly Uint8Array[]
  /** By position; each null or a list of which any fits. */
  readonly topics: readonly (readonly Uint8Array[] | null)[]
}

/** What one unit of gas paid the author, and how much of it was used. */
export type FeeRow = { readonly tipWei: bigint; readonly gasUsed: number }

/** Transactions of a block whose fees are read; of a larger block they are taken at equal distances. */
export const MAX_FEE_ROWS = 256

export const MAX_LOG_BLOCKS = 5_000
export const MAX_LOGS = 20_000

export type LogQueryFault =
  | { readonly code: 'LogRangeTooWide'; readonly limit: number }
  | { readonly code: 'TooManyLogs'; readonly limit: number }

export class ChainReads {
  readonly #source: BlockSource

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
    return this.#source.payloadAt(height)
  }

  blockAt(height: number): BlockRead | undefined {
    const payload = this.#source.payloadAt(height)
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
    const payload = this.#source.payloadAt(height)
    return payload && this.#read(payload, this.#source.sendersAt(height), index)
  }

  /** All transactions of a block in order. */
  transactionsAt(height: number): readonly TransactionRead[] {
    const payload = this.#source.payloadAt(height)
    if (payload === undefined) return []
    const senders = this.#source.sendersAt(height)
    return payload.transactions.map((_, index) => {
      return this.#read(payload, senders, index) as TransactionRead
    })
  }

  receipt(hash: Uint8Array): ReceiptRead | undefined {
    const position = this.#source.positionOf(hash)
    return position && this.receiptsAt(position.height)[position.index]
  }

  /** All receipts of a block in order. */
  receiptsAt(height: number): readonly ReceiptRead[] {
    const receipts = this.#source.receiptsAt(height) ?? []
    const transactions = this.transactionsAt(height)
    let logIndex = 0
    let gasBefore = 0
    return receipts.map((receipt, index) => {
      const transaction = transactions[index] as TransactionRead
      const logs = receipt.logs.map((log, at) => logRead(log, logIndex + at, transaction))
      const gasUsed = receipt.cumulativeGasUsed - gasBefore
      logIndex += logs.length
      gasBefore = receipt.cumulativeGasUsed
      return {
        transaction,
        status: receipt.status,
        cumulativeGasUsed: receipt.cumulativeGasUsed,
        gasUsed,
        contractAddress: contractAddress(transaction),
        logsBloom: bloomOf(receipt.logs),
        logs,
      }
    })
  }

  /** Fees of a block, the lowest tip first. */
  feesAt(height: number): readonly FeeRow[] {
    const payload = this.#source.payloadAt(height)
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
  logs(filter: LogFilter): readonly LogRead[] | LogQueryFault {
    const last = Math.min(filter.toHeight, this.head().number)
    if (last - filter.fromHeight + 1 > MAX_LOG_BLOCKS) {
      return { code: 'LogRangeTooWide', limit: MAX_LOG_BLOCKS }
    }
    const found: LogRead[] = []
    for (let height = filter.fromHeight; height <= last; height++) {
      const bloom = this.#source.bloomAt(height)
      if (bloom === undefined || !bloomMayMatch(bloom, filter)) continue
      for (const { logs } of this.receiptsAt(height)) {
        for (const log of logs) if (matches(log, filter)) found.push(log)
      }
      if (found.length > MAX_LOGS) return { code: 'TooManyLogs', limit: MAX_LOGS }
    }
    return found
  }

  #read(
    payload: ExecutionPayload,
    senders: readonly Uint8Array[],
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

function bloomMayMatch(bloom: Uint8Array, { addresses, topics }: LogFilter): boolean {
  const anyOf = (items: readonly Uint8Array[]) => items.some((item) => bloomMayHold(bloom, item))
  if (addresses.length > 0 && !anyOf(addresses)) return false
  return topics.every((wanted) => wanted === null || wanted.length === 0 || anyOf(wanted))
}

function matches(log: Log, { addresses, topics }: LogFilter): boolean {
  const isIn = (items: readonly Uint8Array[], item: Uint8Array) =>
    items.some((candidate) => equalBytes(candidate, item))
  if (addresses.length > 0 && !isIn(addresses, log.address)) return false
  if (topics.length > log.topics.length) return false
  return topics.every((wanted, position) => {
    if (wanted === null || wanted.length === 0) return true
    return isIn(wanted, log.topics[position] as Uint8Array)
  })
}
