/** The EVM port on top of the embedded engine's reads: header roots and sizes added, calls bounded in number and time. */
import type { Clock } from '../../supervisor/index.ts'
import {
  type AccountReads,
  type Ask,
  type BodyRoots,
  bodyRoots,
  type ChainReads,
  encodeHeader,
  type FeeRow,
} from '../../vm/evm/index.ts'
import type { CallRefusal, EvmBlock, EvmHeader, EvmView } from './port.ts'

type BlockReads = Pick<ChainReads, keyof ChainReads>

/** What of the engine is read. */
export interface EngineReads {
  readonly blocks: BlockReads
  readonly state: AccountReads
  /** Undefined where it is not kept. */
  stateAt(height: number): AccountReads | undefined
  readonly ask: Ask
}

export interface CallBounds {
  /** Calls under way or waiting; more are refused. */
  readonly calls: number
  readonly timeoutMs: number
}

export const DEFAULT_CALL_BOUNDS: CallBounds = { calls: 200, timeoutMs: 30_000 }

/** Blocks whose roots are remembered; a block never changes. */
const REMEMBERED_BLOCKS = 128
/** As many as one eth_feeHistory may ask for. */
const REMEMBERED_FEES = 1_024

/** `engine` is asked each time: after a fault the Engine actor opens another one. */
export function createEvmView(
  chainId: number,
  engine: () => EngineReads,
  clock: Clock,
  bounds: CallBounds = DEFAULT_CALL_BOUNDS,
): EvmView {
  const remembered = new Map<number, EvmBlock>()
  const fees = new Map<number, readonly FeeRow[]>()
  const headers = new Map<number, EvmHeader>()
  const bounded = createBound(clock, bounds)
  return {
    chainId,
    headHeight: () => engine().blocks.head().number,
    heightOf: (hash) => engine().blocks.heightOf(hash),
    isPruned: (height) => engine().blocks.isPruned(height),
    blockAt: (height) => {
      const known = remembered.get(height)
      if (known !== undefined) return known
      const block = readBlock(engine().blocks, height)
      if (block === undefined) return undefined
      remember(remembered, REMEMBERED_BLOCKS, height, block)
      return block
    },
    headerAt: (height) => {
      const known = headers.get(height)
      if (known !== undefined || height > engine().blocks.head().number) return known
      const payload = engine().blocks.payloadAt(height)
      if (payload === undefined) return undefined
      const { baseFeePerGas, gasLimit, gasUsed, transactions } = payload
      const header = { baseFeePerGas, gasLimit, gasUsed, transactions: transactions.length }
      remember(headers, REMEMBERED_FEES, height, header)
      return header
    },
    transactionsAt: (height) => engine().blocks.transactionsAt(height),
    transactionAt: (height, index) => engine().blocks.transactionAt(height, index),
    transaction: (hash) => engine().blocks.transaction(hash),
    receiptsAt: (height) => engine().blocks.receiptsAt(height),
    feesAt: (height) => {
      const known = fees.get(height)
      if (known !== undefined) return known
      const rows = engine().blocks.feesAt(height)
      if (height <= engine().blocks.head().number) remember(fees, REMEMBERED_FEES, height, rows)
      return rows
    },
    receipt: (hash) => engine().blocks.receipt(hash),
    logs: (range, matcher) => engine().blocks.logs(range, matcher),
    stateAt: (height) => {
      const reads = engine()
      return height === reads.blocks.head().number ? reads.state : reads.stateAt(height)
    },
    ask: (kind, question) => bounded((signal) => engine().ask(kind, question, signal)),
  }
}

function remember<T>(map: Map<number, T>, most: number, height: number, value: T): void {
  map.set(height, value)
  const [oldest] = map.keys()
  if (map.size > most && oldest !== undefined) map.delete(oldest)
}

function readBlock(blocks: BlockReads, height: number): EvmBlock | undefined {
  if (height > blocks.head().number) return undefined
  const block = blocks.blockAt(height)
  if (block === undefined) return undefined
  const roots = bodyRoots(block.payload)
  return { ...block, ...roots, sizeBytes: blockBytes(block.payload, roots) }
}

/** Bytes of the block's RLP: header, transactions, no ommers, withdrawals. */
function blockBytes(payload: EvmBlock['payload'], roots: BodyRoots): number {
  const header = encodeHeader(payload, roots).length
  const transactions = payload.transactions.reduce((sum, raw) => sum + transactionBytes(raw), 0)
  const withdrawals = payload.withdrawals.reduce((sum, row) => {
    const numbers = integerSize(row.index) + integerSize(row.validatorIndex)
    return sum + withPrefix(numbers + 21 + integerSize(row.amountGwei))
  }, 0)
  return withPrefix(header + withPrefix(transactions) + withPrefix(0) + withPrefix(withdrawals))
}

/** A legacy transaction is a list of the block's RLP, a typed one a string in it. */
function transactionBytes(raw: Uint8Array): number {
  return (raw[0] ?? 0) >= 0xc0 ? raw.length : withPrefix(raw.length)
}

/** Length of a list, or of a string above one byte, with its RLP prefix. */
function withPrefix(length: number): number {
  return length < 56 ? 1 + length : 1 + bytesOf(BigInt(length)) + length
}

function integerSize(value: number | bigint): number {
  return value < 128 ? 1 : 1 + bytesOf(BigInt(value))
}

function bytesOf(value: bigint): number {
  return Math.ceil(value.toString(16).length / 2)
}

/** Runs at most so many calls, and each only so long: then it is ended, wherever it is. */
function createBound(clock: Clock, bounds: CallBounds) {
  let running = 0
  return async <T>(start: (signal: AbortSignal) => Promise<T>): Promise<T | CallRefusal> => {
    if (running >= bounds.calls) return { ok: false, code: 'CallsBusy' }
    running += 1
    const controller = new AbortController()
    const call = start(controller.signal).finally(() => {
      running -= 1
    })
    const late = Promise.withResolvers<CallRefusal>()
    const timer = clock.setTimer(bounds.timeoutMs, () => {
      late.resolve({ ok: false, code: 'CallTimeout' })
      controller.abort()
    })
    // Once it is late, its own end is an abort that nobody waits for.
    call.catch(() => {})
    return Promise.race([late.promise, call]).finally(() => timer.cancel())
  }
}
