/**
 * The client of Bitcoin Core's JSON-RPC that all of Millrace uses, against bitcoind 26 and the development regtest
 * alike. Every call gives a value: `{ ok: true, value }` or `{ ok: false, error }`; every answer is bounded, checked
 * and converted before anyone sees it. Calls keep connections alive and end by a deadline.
 *
 * Hashes and ids are hex as RPC shows them (reversed); scripts and raw data are bytes; money is satoshi.
 */
import { z } from 'zod'
import * as shape from './answers.ts'
import {
  type BitcoinResult,
  type CallOptions,
  createTransport,
  failure,
  type TransportOptions,
} from './transport.ts'

export type {
  BitcoinTransaction,
  BlockchainInfo,
  BlockHeader,
  BlockTemplate,
  BlockWithIds,
  BlockWithTransactions,
  FeeEstimate,
  MempoolAcceptance,
  MempoolEntry,
  NetworkInfo,
  ScanResult,
  TxOut,
} from './answers.ts'
export type {
  BitcoinResult,
  BitcoinRpcFault,
  TransportOptions as BitcoinRpcOptions,
} from './transport.ts'

/** Codes of Bitcoin Core that callers tell apart. */
export const BITCOIN_RPC_CODE = {
  methodNotFound: -32601,
  /** An unknown block, transaction or address. */
  notFound: -5,
  invalidParameter: -8,
  deserialization: -22,
  /** A transaction whose inputs are missing or spent, or whose fee is above the caller's limit. */
  verifyError: -25,
  /** A transaction that rules or policy refuse; the message names the reason. */
  verifyRejected: -26,
  alreadyInChain: -27,
  inWarmup: -28,
} as const

const SCAN_TIMEOUT_MS = 120_000

export { type Compared, compareBitcoins } from './compare.ts'
export type BitcoinRpc = ReturnType<typeof createBitcoinRpc>

/** A client of the node at `url`. Makes no connection before the first call. */
export function createBitcoinRpc(options: TransportOptions) {
  const transport = createTransport(options)

  const read = async <T>(
    schema: z.ZodType<T>,
    method: string,
    params: readonly unknown[],
    callOptions?: CallOptions,
  ): Promise<BitcoinResult<T>> => {
    const answer = await transport.call(method, params, callOptions)
    if (!answer.ok) return answer
    const parsed = schema.safeParse(answer.value)
    if (parsed.success) return { ok: true, value: parsed.data }
    const [issue] = parsed.error.issues
    const where = issue?.path.join('.') ?? ''
    return failure('BitcoinBadAnswer', `${method}: ${where}: ${issue?.message ?? 'bad answer'}`)
  }

  const scanTimeoutMs = Math.max(options.timeoutMs, SCAN_TIMEOUT_MS)

  return {
    /** Any method, its answer unchecked. */
    call: (method: string, params: readonly unknown[] = []) => transport.call(method, params),
    /** Closes idle connections; the client can be used again. */
    close: () => transport.close(),

    getBlockchainInfo: () => read(shape.blockchainInfo, 'getblockchaininfo', []),
    getNetworkInfo: () => read(shape.networkInfo, 'getnetworkinfo', []),
    getBestBlockHash: () => read(shape.hash, 'getbestblockhash', []),
    getBlockCount: () => read(z.number().int().min(0), 'getblockcount', []),
    /** The best chain's block at a height; `invalidParameter` above its tip. */
    getBlockHash: (height: number) => read(shape.hash, 'getblockhash', [height]),
    /** `notFound` for a block that Bitcoin does not know. */
    getBlockHeader: (blockHash: string) =>
      read(shape.blockHeader, 'getblockheader', [blockHash, true]),
    /** The 80 bytes of a header. */
    getBlockHeaderRaw: (blockHash: string) =>
      read(shape.bytes, 'getblockheader', [blockHash, false]),
    /** The whole block as it is on the wire. */
    getBlockRaw: (blockHash: string) => read(shape.bytes, 'getblock', [blockHash, 0]),
    /** The header's fields and the ids of the transactions. */
    getBlock: (blockHash: string) => read(shape.blockWithIds, 'getblock', [blockHash, 1]),
    /** The header's fields and all transactions, with their fees. */
    getBlockWithTransactions: (blockHash: string) =>
      read(shape.blockWithTransactions, 'getblock', [blockHash, 2]),

    /** A transaction of the mempool, or of the named block: without an index Bitcoin finds no other. */
    getRawTransaction: (txid: string, blockHash?: string) =>
      read(shape.transaction, 'getrawtransaction', [txid, true, ...present(blockHash)]),
    /** The same as it is on the wire; of the mempool alone. */
    getRawTransactionBytes: (txid: string) => read(shape.bytes, 'getrawtransaction', [txid, false]),
    /** An unspent output; null where there is none. With the mempool unless told otherwise. */
    getTxOut: (txid: string, vout: number, includeMempool = true) =>
      read(shape.txOut, 'gettxout', [txid, vout, includeMempool]),
    /** Header ‖ partial Merkle tree (BIP37's merkleblock) of transactions of one block. */
    getTxOutProof: (txids: readonly string[], blockHash?: string) =>
      read(shape.bytes, 'gettxoutproof', [txids, ...present(blockHash)]),
    /** All unspent outputs of descriptors such as `addr(…)` or `raw(…)`. Slow on a large chain. */
    scanTxOutSet: (descriptors: readonly string[]) =>
      read(shape.scanResult, 'scantxoutset', ['start', descriptors], {
        timeoutMs: scanTimeoutMs,
      }),

    /** Gives the txid. Sending again what the mempool holds is no error. */
    sendRawTransaction: (raw: Uint8Array) => read(shape.hash, 'sendrawtransaction', [hex(raw)]),
    /** Whether the mempool would take transactions, in their order; one answer for each. */
    testMempoolAccept: (raws: readonly Uint8Array[]) =>
      read(shape.acceptance, 'testmempoolaccept', [raws.map(hex)]),
    /** `notFound` for a transaction that is not in the mempool. */
    getMempoolEntry: (txid: string) => read(shape.mempoolEntry, 'getmempoolentry', [txid]),
    /** The txids of the mempool. */
    getRawMempool: () => read(z.array(shape.hash), 'getrawmempool', []),
    getMempoolInfo: () => read(shape.mempoolInfo, 'getmempoolinfo', []),
    estimateSmartFee: (targetBlocks: number, mode: 'economical' | 'conservative') =>
      read(shape.feeEstimate, 'estimatesmartfee', [targetBlocks, mode]),

    /** Regtest only: mines blocks and gives their hashes. */
    generateToAddress: (blocks: number, address: string) =>
      read(z.array(shape.hash), 'generatetoaddress', [blocks, address], { repeatable: false }),
    /** Regtest only: takes a block and all after it out of the chain. */
    invalidateBlock: (blockHash: string) => read(z.null(), 'invalidateblock', [blockHash]),
    /** null for a block that became the tip, else BIP22's reason: `inconclusive`, `duplicate`, … */
    submitBlock: (raw: Uint8Array) =>
      read(z.string().nullable(), 'submitblock', [hex(raw)], { repeatable: false }),
    getBlockTemplate: () => read(shape.blockTemplate, 'getblocktemplate', [{ rules: ['segwit'] }]),
    /** Ends Bitcoin. */
    stop: () => read(z.string(), 'stop', [], { repeatable: false }),
  }
}

function present(value: string | undefined): readonly string[] {
  return value === undefined ? [] : [value]
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
