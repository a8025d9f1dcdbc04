import { concatBytes } from '../../crypto/index.ts'
import { keccak256 } from './keccak.ts'
import {
  decodeInteger,
  decodeRlp,
  encodeBytes,
  encodeList,
  encodeRlp,
  integerBytes,
  prefixSize,
  type RlpItem,
  writePrefix,
} from './rlp.ts'

export type Log = {
  readonly address: Uint8Array
  readonly topics: readonly Uint8Array[]
  readonly data: Uint8Array
}

export type Receipt = {
  readonly type: number
  /** 1: executed, 0: reverted or out of gas. */
  readonly status: 0 | 1
  readonly cumulativeGasUsed: number
  readonly logs: readonly Log[]
}

export const BLOOM_BYTES = 256

function addToBloom(bloom: Uint8Array, item: Uint8Array): void {
  const hash = keccak256(item)
  for (let pair = 0; pair < 6; pair += 2) {
    const bit = (((hash[pair] as number) << 8) | (hash[pair + 1] as number)) & 2047
    const at = BLOOM_BYTES - 1 - (bit >> 3)
    bloom[at] = (bloom[at] as number) | (1 << (bit & 7))
  }
}

/** Shared, and so never changed. */
const NO_BLOOM = new Uint8Array(BLOOM_BYTES)

export function bloomOf(logs: readonly Log[]): Uint8Array {
  if (logs.length === 0) return NO_BLOOM
  const bloom = new Uint8Array(BLOOM_BYTES)
  for (const log of logs) {
    addToBloom(bloom, log.address)
    for (const topic of log.topics) addToBloom(bloom, topic)
  }
  return bloom
}

export function joinBlooms(blooms: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(BLOOM_BYTES)
  for (const bloom of blooms) {
    if (bloom === NO_BLOOM) continue
    for (let at = 0; at < BLOOM_BYTES; at++)
      joined[at] = (joined[at] as number) | (bloom[at] as number)
  }
  return joined
}

/** The form under the receipts root (EIP-2718). */
export function encodeReceipt(receipt: Receipt, bloom: Uint8Array): Uint8Array {
  if (receipt.logs.length === 0) return withoutLogs(receipt)
  const payload = encodeList([
    encodeBytes(integerBytes(receipt.status)),
    encodeBytes(integerBytes(receipt.cumulativeGasUsed)),
    encodeBytes(bloom),
    encodeRlp(receipt.logs.map(logFields)),
  ])
  return receipt.type === 0 ? payload : concatBytes(Uint8Array.of(receipt.type), payload)
}

/** The empty bloom and the empty list of logs, as they end a receipt. */
const NO_LOGS = concatBytes(encodeBytes(new Uint8Array(BLOOM_BYTES)), Uint8Array.of(0xc0))

function withoutLogs({ type, status, cumulativeGasUsed }: Receipt): Uint8Array {
  const gas = encodeBytes(integerBytes(cumulativeGasUsed))
  const length = 1 + gas.length + NO_LOGS.length
  const head = type === 0 ? 0 : 1
  const out = new Uint8Array(head + prefixSize(length) + length)
  if (head === 1) out[0] = type
  const at = writePrefix(out, head, length, 0xc0)
  out[at] = status === 1 ? 1 : 0x80
  out.set(gas, at + 1)
  out.set(NO_LOGS, at + 1 + gas.length)
  return out
}

function logFields(log: Log): RlpItem {
  return [log.address, log.topics, log.data]
}

/** What the store keeps of a block's receipts: no bloom, it follows from the logs. */
export function encodeStoredReceipts(receipts: readonly Receipt[]): Uint8Array {
  return encodeRlp(
    receipts.map((receipt) => [
      integerBytes(receipt.type),
      integerBytes(receipt.status),
      integerBytes(receipt.cumulativeGasUsed),
      receipt.logs.map(logFields),
    ]),
  )
}

/** Reads what `encodeStoredReceipts` wrote. Throws on anything else: the store is damaged. */
export function decodeStoredReceipts(bytes: Uint8Array): Receipt[] {
  return listOf(decodeRlp(bytes)).map(receiptOf)
}

/** One of them, by its part of the record. */
export function decodeStoredReceipt(bytes: Uint8Array): Receipt {
  return receiptOf(decodeRlp(bytes))
}

function receiptOf(item: RlpItem | undefined): Receipt {
  const [type, status, gas, logs] = listOf(item)
  return {
    type: numberOf(type),
    status: numberOf(status) === 1 ? 1 : 0,
    cumulativeGasUsed: numberOf(gas),
    logs: listOf(logs).map((log) => {
      const [address, topics, data] = listOf(log)
      return {
        address: bytesOf(address),
        topics: listOf(topics).map(bytesOf),
        data: bytesOf(data),
      }
    }),
  }
}

function listOf(item: RlpItem | undefined): readonly RlpItem[] {
  if (item === undefined || item instanceof Uint8Array) throw new Error('damaged receipts')
  return item
}

function bytesOf(item: RlpItem | undefined): Uint8Array {
  if (!(item instanceof Uint8Array)) throw new Error('damaged receipts')
  return item.slice()
}

function numberOf(item: RlpItem | undefined): number {
  const value = decodeInteger(item, 6)
  if (value === undefined) throw new Error('damaged receipts')
  return Number(value)
}
