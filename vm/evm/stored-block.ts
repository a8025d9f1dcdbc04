import type { ExecutionPayload } from '../../core/block/index.ts'
import { decodeInteger, decodeRlp, encodeRlp, integerBytes, type RlpItem } from './rlp.ts'

/** A payload as the block store keeps it: RLP of its fields in order. */
export function encodeStoredPayload(payload: ExecutionPayload): Uint8Array {
  return encodeRlp([
    payload.parentHash,
    payload.feeRecipient,
    payload.stateRoot,
    payload.receiptsRoot,
    payload.logsBloom,
    payload.prevRandao,
    integerBytes(payload.blockNumber),
    integerBytes(payload.gasLimit),
    integerBytes(payload.gasUsed),
    integerBytes(payload.timestamp),
    payload.extraData,
    integerBytes(payload.baseFeePerGas),
    payload.blockHash,
    payload.transactions,
    payload.withdrawals.map((withdrawal) => [
      integerBytes(withdrawal.index),
      integerBytes(withdrawal.validatorIndex),
      withdrawal.address,
      integerBytes(withdrawal.amountGwei),
    ]),
    payload.parentBeaconBlockRoot,
    payload.executionRequests,
  ])
}

/** Reads what `encodeStoredPayload` wrote. Throws on anything else: the store is damaged. */
export function decodeStoredPayload(bytes: Uint8Array): ExecutionPayload {
  const fields = listOf(decodeRlp(bytes))
  if (fields.length !== 17) throw new Error('damaged block record')
  return {
    parentHash: bytesOf(fields[0]),
    feeRecipient: bytesOf(fields[1]),
    stateRoot: bytesOf(fields[2]),
    receiptsRoot: bytesOf(fields[3]),
    logsBloom: bytesOf(fields[4]),
    prevRandao: bytesOf(fields[5]),
    blockNumber: numberOf(fields[6]),
    gasLimit: numberOf(fields[7]),
    gasUsed: numberOf(fields[8]),
    timestamp: numberOf(fields[9]),
    extraData: bytesOf(fields[10]),
    baseFeePerGas: integerOf(fields[11], 32),
    blockHash: bytesOf(fields[12]),
    transactions: listOf(fields[13]).map(bytesOf),
    withdrawals: listOf(fields[14]).map((item) => {
      const [index, validatorIndex, address, amountGwei] = listOf(item)
      return {
        index: numberOf(index),
        validatorIndex: numberOf(validatorIndex),
        address: bytesOf(address),
        amountGwei: integerOf(amountGwei, 8),
      }
    }),
    blobGasUsed: 0,
    excessBlobGas: 0,
    parentBeaconBlockRoot: bytesOf(fields[15]),
    executionRequests: listOf(fields[16]).map(bytesOf),
  }
}

function listOf(item: RlpItem | undefined): readonly RlpItem[] {
  if (item === undefined || item instanceof Uint8Array) throw new Error('damaged block record')
  return item
}

function bytesOf(item: RlpItem | undefined): Uint8Array {
  if (!(item instanceof Uint8Array)) throw new Error('damaged block record')
  return item.slice()
}

function integerOf(item: RlpItem | undefined, maxBytes: number): bigint {
  const value = decodeInteger(item, maxBytes)
  if (value === undefined) throw new Error('damaged block record')
  return value
}

function numberOf(item: RlpItem | undefined): number {
  return Number(integerOf(item, 7))
}
