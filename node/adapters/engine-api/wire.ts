/** Payloads, receipts and what is said about them as the Engine API writes them. Every decoder is total. */
import { z } from 'zod'
import type { ExecutionPayload, Withdrawal } from '../../../core/block/index.ts'
import { hexBytes, toHex } from '../../../crypto/index.ts'
import type { BuildRequest, Receipt } from '../../../vm/evm/index.ts'

export function hex(bytes: Uint8Array): string {
  return `0x${toHex(bytes)}`
}

export function quantity(value: number | bigint): string {
  return `0x${value.toString(16)}`
}

export const bytes = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/)
  .transform((text) => hexBytes(text.slice(2).toLowerCase()))
const sized = (length: number) => bytes.refine((value) => value.length === length)
export const hash = sized(32)
const address = sized(20)

export const wei = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,64}$/)
  .transform(BigInt)
export const count = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,14}$/)
  .transform(Number)
  .refine(Number.isSafeInteger)

const withdrawal = z.object({ index: count, validatorIndex: count, address, amount: wei })

const payload = z.object({
  parentHash: hash,
  feeRecipient: address,
  stateRoot: hash,
  receiptsRoot: hash,
  logsBloom: sized(256),
  prevRandao: hash,
  blockNumber: count,
  gasLimit: count,
  gasUsed: count,
  timestamp: count,
  extraData: bytes,
  baseFeePerGas: wei,
  blockHash: hash,
  transactions: z.array(bytes).max(65_536),
  withdrawals: z.array(withdrawal).max(1_024),
  blobGasUsed: count,
  excessBlobGas: count,
})

/** Answer of engine_getPayload, the parts that matter here. */
export const builtPayload = z.object({
  executionPayload: payload,
  executionRequests: z.array(bytes).max(16).nullish(),
})

export const payloadStatus = z.object({
  status: z.enum(['VALID', 'INVALID', 'SYNCING', 'ACCEPTED', 'INVALID_BLOCK_HASH']),
  latestValidHash: hash.nullish(),
  validationError: z.string().nullish(),
})
export type PayloadStatus = z.output<typeof payloadStatus>

export const forkchoiceAnswer = z.object({
  payloadStatus,
  payloadId: z
    .string()
    .regex(/^0x[0-9a-fA-F]{16}$/)
    .nullish(),
})

export const capabilities = z.array(z.string().max(100)).max(1_000)

export const blockName = z.object({ number: count, hash }).nullable()

const log = z.object({ address, topics: z.array(hash).max(4), data: bytes })
export const blockReceipts = z
  .array(
    z.object({
      type: count,
      status: z.enum(['0x0', '0x1']),
      cumulativeGasUsed: count,
      logs: z.array(log),
    }),
  )
  .nullable()

export function receiptsOf(read: NonNullable<z.output<typeof blockReceipts>>): Receipt[] {
  return read.map((receipt) => ({ ...receipt, status: receipt.status === '0x1' ? 1 : 0 }))
}

export function payloadOf(
  built: z.output<typeof builtPayload>,
  parentBeaconBlockRoot: Uint8Array,
): ExecutionPayload {
  const { executionPayload, executionRequests } = built
  return {
    ...executionPayload,
    withdrawals: executionPayload.withdrawals.map(({ amount, ...rest }): Withdrawal => {
      return { ...rest, amountGwei: amount }
    }),
    parentBeaconBlockRoot,
    executionRequests: executionRequests ?? [],
  }
}

/** Parameters of engine_newPayloadV4. */
export function payloadParams(payload: ExecutionPayload): readonly unknown[] {
  return [
    {
      parentHash: hex(payload.parentHash),
      feeRecipient: hex(payload.feeRecipient),
      stateRoot: hex(payload.stateRoot),
      receiptsRoot: hex(payload.receiptsRoot),
      logsBloom: hex(payload.logsBloom),
      prevRandao: hex(payload.prevRandao),
      blockNumber: quantity(payload.blockNumber),
      gasLimit: quantity(payload.gasLimit),
      gasUsed: quantity(payload.gasUsed),
      timestamp: quantity(payload.timestamp),
      extraData: hex(payload.extraData),
      baseFeePerGas: quantity(payload.baseFeePerGas),
      blockHash: hex(payload.blockHash),
      transactions: payload.transactions.map(hex),
      withdrawals: payload.withdrawals.map(withdrawalJson),
      blobGasUsed: quantity(payload.blobGasUsed),
      excessBlobGas: quantity(payload.excessBlobGas),
    },
    [],
    hex(payload.parentBeaconBlockRoot),
    payload.executionRequests.map(hex),
  ]
}

/** Parameters of engine_forkchoiceUpdatedV3; `committed` is final. */
export function forkchoiceParams(
  head: Uint8Array,
  committed: Uint8Array,
  request?: BuildRequest,
): readonly unknown[] {
  const final = hex(committed)
  const state = { headBlockHash: hex(head), safeBlockHash: final, finalizedBlockHash: final }
  if (request === undefined) return [state, null]
  return [
    state,
    {
      timestamp: quantity(request.timestamp),
      prevRandao: hex(request.prevRandao),
      suggestedFeeRecipient: hex(request.feeRecipient),
      withdrawals: request.withdrawals.map(withdrawalJson),
      parentBeaconBlockRoot: hex(request.parentBeaconBlockRoot),
    },
  ]
}

function withdrawalJson({ index, validatorIndex, address: to, amountGwei }: Withdrawal): unknown {
  return {
    index: quantity(index),
    validatorIndex: quantity(validatorIndex),
    address: hex(to),
    amount: quantity(amountGwei),
  }
}
