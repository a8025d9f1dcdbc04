/** debug_ methods: traces of committed transactions and of calls, and committed things as bytes. */
import { z } from 'zod'
import { bloomOf, encodeHeader, encodeReceipt, type ReceiptRead } from '../../../vm/evm/index.ts'
import { absentBlock, blockNotFound, findBlock, stateUnavailable } from '../blocks.ts'
import { ApiFailure, isFailure } from '../errors.ts'
import { data } from '../hex.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import {
  type BlockRef,
  blockNumberParam,
  blockParam,
  callParam,
  hash32Param,
  traceConfigParam,
} from '../params.ts'
import type { EvmBlock } from '../port.ts'
import { askAt, callFailure } from './state.ts'

type TraceParam = z.output<typeof traceConfigParam> | null | undefined

const tooLong = () => new ApiFailure('LimitExceeded', 'the trace is too long for an answer')

async function traces(
  { ports: { evm } }: CallContext,
  height: number,
  from: number,
  to: number,
  given: TraceParam,
): Promise<readonly unknown[] | ApiFailure> {
  const config = given?.config ?? {}
  const answer = await evm.ask('traceBlock', { height, from, to, config })
  if (!answer.ok) {
    return answer.code === 'StateUnavailable' ? stateUnavailable(height - 1) : callFailure(answer)
  }
  return answer.traces.includes(undefined) ? tooLong() : answer.traces
}

async function traceTransaction(
  context: CallContext,
  hash: Uint8Array,
  given: TraceParam,
): Promise<unknown> {
  const mined = context.ports.evm.transaction(hash)
  if (mined === undefined) return new ApiFailure('ResourceNotFound', 'transaction not found')
  const { blockNumber, index } = mined
  const found = await traces(context, blockNumber, index, index, given)
  return isFailure(found) ? found : found[0]
}

async function traceBlock(
  context: CallContext,
  ref: BlockRef,
  given: TraceParam,
): Promise<unknown> {
  const block = findBlock(context.ports.evm, ref)
  if (block === undefined) return absentBlock(context.ports.evm, ref) ?? blockNotFound()
  const hashes = block.transactionHashes.map(data)
  if (hashes.length === 0) return []
  const found = await traces(context, block.payload.blockNumber, 0, hashes.length - 1, given)
  if (isFailure(found)) return found
  return found.map((result, index) => ({ txHash: hashes[index], result }))
}

async function traceCall(
  context: CallContext,
  request: z.output<typeof callParam>,
  block: BlockRef | null | undefined,
  given: TraceParam,
): Promise<unknown> {
  const supposing = { ...request, accounts: given?.accounts, block: given?.block }
  const config = given?.config ?? {}
  const answer = await askAt(context, 'traceCall', block, { request: supposing, config })
  if (isFailure(answer)) return answer
  return answer.trace === undefined ? tooLong() : answer.trace
}

function rawBlock(context: CallContext, ref: BlockRef, encode: (block: EvmBlock) => unknown) {
  const block = findBlock(context.ports.evm, ref)
  if (block !== undefined) return encode(block)
  return absentBlock(context.ports.evm, ref) ?? blockNotFound()
}

function rawReceipt({ transaction, status, cumulativeGasUsed, logs }: ReceiptRead): string {
  const { type } = transaction.transaction
  return data(encodeReceipt({ type, status, cumulativeGasUsed, logs }, bloomOf(logs)))
}

async function rawTransaction({ ports }: CallContext, hash: Uint8Array): Promise<unknown> {
  const mined = ports.evm.transaction(hash)
  if (mined !== undefined) return data(mined.transaction.raw)
  const pooled = await ports.pool.transaction(hash)
  return pooled === undefined ? '0x' : data(pooled.transaction.raw)
}

const config = traceConfigParam.nullish()

export const DEBUG_METHODS: MethodTable = {
  debug_traceTransaction: method(
    'heavy',
    z.tuple([hash32Param, config]),
    (context, [hash, given]) => traceTransaction(context, hash, given),
  ),
  debug_traceBlockByNumber: method(
    'heavy',
    z.tuple([blockNumberParam, config]),
    (context, [ref, given]) => traceBlock(context, ref, given),
  ),
  debug_traceBlockByHash: method(
    'heavy',
    z.tuple([hash32Param, config]),
    (context, [hash, given]) => traceBlock(context, { kind: 'hash', hash }, given),
  ),
  debug_traceCall: method(
    'heavy',
    z.tuple([callParam, blockParam.nullish(), config]),
    (context, [request, block, given]) => traceCall(context, request, block, given),
  ),
  debug_getRawHeader: method('state', z.tuple([blockParam]), (context, [ref]) =>
    rawBlock(context, ref, (block) => data(encodeHeader(block.payload, block))),
  ),
  debug_getRawReceipts: method('heavy', z.tuple([blockParam]), (context, [ref]) =>
    rawBlock(context, ref, ({ payload }) =>
      context.ports.evm.receiptsAt(payload.blockNumber).map(rawReceipt),
    ),
  ),
  debug_getRawTransaction: method('state', z.tuple([hash32Param]), (context, [hash]) =>
    rawTransaction(context, hash),
  ),
  /** No block of this chain was ever found bad after it was committed (protocol 2.7). */
  debug_getBadBlocks: method('light', z.tuple([]), () => []),
}
