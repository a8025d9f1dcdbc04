/** eth_ methods about blocks, transactions and fees. */
import { z } from 'zod'
import { nextBaseFee } from '../../../vm/evm/index.ts'
import { absentBlock, blockNotFound, findBlock, heightOf } from '../blocks.ts'
import { ApiFailure, rejectionFailure } from '../errors.ts'
import { nextBaseFeeWei, rewardsOf, suggestedTipWei } from '../fees.ts'
import { data, quantity } from '../hex.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import {
  type BlockRef,
  blockNumberParam,
  blockParam,
  bytesParam,
  hash32Param,
  smallQuantity,
} from '../params.ts'
import type { EvmHeader } from '../port.ts'
import {
  blockToJson,
  minedTransactionToJson,
  pooledTransactionToJson,
  receiptToJson,
} from '../shapes/evm.ts'
import { nextTurn } from '../turns.ts'

const none = z.tuple([])
const hashRef = (hash: Uint8Array): BlockRef => ({ kind: 'hash', hash })

function blockJson({ ports: { evm } }: CallContext, ref: BlockRef, full: boolean): unknown {
  const block = findBlock(evm, ref)
  if (block === undefined) return absentBlock(evm, ref)
  return blockToJson(block, full ? evm.transactionsAt(block.payload.blockNumber) : undefined)
}

function transactionCount({ ports: { evm } }: CallContext, ref: BlockRef): unknown {
  const height = heightOf(evm, ref)
  const header = height === undefined ? undefined : evm.headerAt(height)
  return header === undefined ? absentBlock(evm, ref) : quantity(header.transactions)
}

function transactionAt({ ports: { evm } }: CallContext, ref: BlockRef, index: number): unknown {
  const height = heightOf(evm, ref)
  const mined = height === undefined ? undefined : evm.transactionAt(height, index)
  return mined === undefined ? absentBlock(evm, ref) : minedTransactionToJson(mined)
}

async function transactionByHash({ ports }: CallContext, hash: Uint8Array): Promise<unknown> {
  const mined = ports.evm.transaction(hash)
  if (mined !== undefined) return minedTransactionToJson(mined)
  const pooled = await ports.pool.transaction(hash)
  return pooled === undefined ? null : pooledTransactionToJson(pooled)
}

/** A number, or the plain JSON number that some libraries send. */
const blockCountParam = z.union([smallQuantity, z.number().int().min(1)])
const percentilesParam = z
  .array(z.number().min(0).max(100))
  .max(100)
  .refine(
    (list) => list.every((value, at) => at === 0 || value >= (list[at - 1] as number)),
    'percentiles must ascend',
  )

async function feeHistory(
  { ports: { evm }, limits, clock }: CallContext,
  wanted: number,
  newest: BlockRef,
  percentiles: readonly number[],
): Promise<unknown> {
  const last = heightOf(evm, newest)
  if (last === undefined || last > evm.headHeight()) return blockNotFound()
  const count = Math.min(wanted, limits.feeHistoryBlocks, last + 1)
  const headers: EvmHeader[] = []
  const rewards: string[][] = []
  let sinceMs = clock.nowMs()
  for (let height = last - count + 1; height <= last; height++) {
    // What is not remembered is read and decoded: others have the thread meanwhile.
    if (clock.nowMs() - sinceMs >= limits.logSliceMs) {
      await nextTurn()
      sinceMs = clock.nowMs()
    }
    const header = evm.headerAt(height)
    if (header === undefined || evm.isPruned(height)) {
      return absentBlock(evm, { kind: 'number', number: height }) ?? blockNotFound()
    }
    headers.push(header)
    if (percentiles.length === 0) continue
    rewards.push(rewardsOf(evm.feesAt(height), percentiles).map(quantity))
  }
  const fees = headers.map(({ baseFeePerGas }) => baseFeePerGas)
  const following = nextBaseFee(headers.at(-1) as EvmHeader)
  return {
    oldestBlock: quantity(last - count + 1),
    baseFeePerGas: [...fees, following].map(quantity),
    gasUsedRatio: headers.map(({ gasUsed, gasLimit }) => gasUsed / gasLimit),
    baseFeePerBlobGas: Array(count + 1).fill('0x0'),
    blobGasUsedRatio: Array(count).fill(0),
    ...(percentiles.length === 0 ? {} : { reward: rewards }),
  }
}

async function send({ ports }: CallContext, raw: Uint8Array): Promise<unknown> {
  if (raw.length === 0) return new ApiFailure('InvalidParams', 'param 1: empty transaction')
  const result = await ports.submitTransaction(raw)
  return result.ok ? data(result.hash) : rejectionFailure(result.error)
}

function syncing({ ports }: CallContext): unknown {
  const { startHeight, currentHeight, targetHeight } = ports.sync()
  if (targetHeight <= currentHeight) return false
  return {
    startingBlock: quantity(startHeight),
    currentBlock: quantity(currentHeight),
    highestBlock: quantity(targetHeight),
  }
}

export const CHAIN_METHODS: MethodTable = {
  eth_chainId: method('light', none, ({ ports }) => quantity(ports.evm.chainId)),
  eth_syncing: method('light', none, syncing),
  eth_accounts: method('light', none, () => []),
  eth_blockNumber: method('light', none, ({ ports }) => quantity(ports.evm.headHeight())),
  eth_gasPrice: method('state', none, ({ ports: { evm, pool } }) => {
    return quantity(nextBaseFeeWei(evm) + suggestedTipWei(evm, pool.tipFloorWei()))
  }),
  eth_baseFee: method('light', none, ({ ports }) => quantity(nextBaseFeeWei(ports.evm))),
  /** Blobs are refused (protocol 6.1); the least that one could cost. */
  eth_blobBaseFee: method('light', none, () => '0x1'),
  eth_maxPriorityFeePerGas: method('state', none, ({ ports: { evm, pool } }) => {
    return quantity(suggestedTipWei(evm, pool.tipFloorWei()))
  }),
  eth_feeHistory: method(
    'heavy',
    z.tuple([blockCountParam, blockNumberParam, percentilesParam.nullish()]),
    (context, [count, newest, percentiles]) =>
      feeHistory(context, count, newest, percentiles ?? []),
  ),
  eth_getBlockByNumber: method(
    'state',
    z.tuple([blockNumberParam, z.boolean().optional()]),
    (context, [ref, full]) => blockJson(context, ref, full ?? false),
  ),
  eth_getBlockByHash: method(
    'state',
    z.tuple([hash32Param, z.boolean().optional()]),
    (context, [hash, full]) => blockJson(context, hashRef(hash), full ?? false),
  ),
  eth_getBlockReceipts: method('heavy', z.tuple([blockParam]), ({ ports: { evm } }, [ref]) => {
    const height = heightOf(evm, ref)
    if (height === undefined || height > evm.headHeight()) return null
    if (evm.isPruned(height)) return new ApiFailure('HistoryPruned')
    return evm.receiptsAt(height).map(receiptToJson)
  }),
  eth_getBlockTransactionCountByNumber: method(
    'state',
    z.tuple([blockNumberParam]),
    (context, [ref]) => transactionCount(context, ref),
  ),
  eth_getBlockTransactionCountByHash: method('state', z.tuple([hash32Param]), (context, [hash]) =>
    transactionCount(context, hashRef(hash)),
  ),
  eth_getUncleCountByBlockNumber: method('state', z.tuple([blockNumberParam]), (context, [ref]) =>
    findBlock(context.ports.evm, ref) === undefined ? null : '0x0',
  ),
  eth_getUncleCountByBlockHash: method('state', z.tuple([hash32Param]), (context, [hash]) =>
    findBlock(context.ports.evm, hashRef(hash)) === undefined ? null : '0x0',
  ),
  /** No block here has uncles. */
  eth_getUncleByBlockNumberAndIndex: method(
    'light',
    z.tuple([blockNumberParam, smallQuantity]),
    () => null,
  ),
  eth_getUncleByBlockHashAndIndex: method(
    'light',
    z.tuple([hash32Param, smallQuantity]),
    () => null,
  ),
  eth_getTransactionByBlockNumberAndIndex: method(
    'state',
    z.tuple([blockNumberParam, smallQuantity]),
    (context, [ref, index]) => transactionAt(context, ref, index),
  ),
  eth_getTransactionByBlockHashAndIndex: method(
    'state',
    z.tuple([hash32Param, smallQuantity]),
    (context, [hash, index]) => transactionAt(context, hashRef(hash), index),
  ),
  eth_getTransactionByHash: method('state', z.tuple([hash32Param]), (context, [hash]) =>
    transactionByHash(context, hash),
  ),
  eth_getTransactionReceipt: method('state', z.tuple([hash32Param]), ({ ports }, [hash]) => {
    const receipt = ports.evm.receipt(hash)
    return receipt === undefined ? null : receiptToJson(receipt)
  }),
  eth_sendRawTransaction: method('send', z.tuple([bytesParam]), (context, [raw]) =>
    send(context, raw),
  ),
}
