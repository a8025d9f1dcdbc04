/** What of a block belongs to the history of which address, and how that is kept: the key says it all, in the order in which it happened. */
import type { ExecutionPayload } from '../../../core/block/index.ts'
import { concatBytes, equalBytes, hexBytes, uint32be, uint64be } from '../../../crypto/index.ts'
import {
  createdAddress,
  decodeTransaction,
  isTransaction,
  type Log,
  type Receipt,
} from '../../../vm/evm/index.ts'

/** Numbers on disk, too. */
export const HISTORY_KINDS = [
  'sent',
  'received',
  'created',
  'tokenSent',
  'tokenReceived',
  'credited',
] as const
/** `created`: the address is the contract. `tokenSent`, `tokenReceived`: a Transfer of ERC-20 or ERC-721. `credited`: by the chain. */
export type HistoryKind = (typeof HISTORY_KINDS)[number]

export interface HistoryEntry {
  readonly kind: HistoryKind
  readonly height: number
  /** Of what a transaction did. */
  readonly transaction?: { readonly index: number; readonly hash: Uint8Array }
  /** Of the Transfer, in the block. */
  readonly logIndex?: number
  /** Of what the chain credited. */
  readonly amountGwei?: bigint
}

export interface HistoryRow {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export const ADDRESS_BYTES = 20
/** [address][u32 height][u32 transaction][u8 kind][u32 log or withdrawal] */
export const KEY_BYTES = ADDRESS_BYTES + 13
const TRANSFER_TOPIC = hexBytes('ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef')
/** Behind all transactions of the block. */
const NO_TRANSACTION = 0xffffffff

export function* rowsOfBlock(
  payload: ExecutionPayload,
  hashes: readonly Uint8Array[],
  senders: readonly Uint8Array[],
  receipts: readonly Receipt[],
): Iterable<HistoryRow> {
  const height = payload.blockNumber
  let firstLog = 0
  for (const [index, raw] of payload.transactions.entries()) {
    const [hash, sender, receipt] = [hashes[index], senders[index], receipts[index]]
    const transaction = decodeTransaction(raw)
    if (hash === undefined || sender === undefined || !isTransaction(transaction)) continue
    const row = (address: Uint8Array, kind: HistoryKind, place = 0): HistoryRow => ({
      key: keyOf(address, height, index, kind, place),
      value: hash,
    })
    yield row(sender, 'sent')
    if (transaction.to !== undefined) yield row(transaction.to, 'received')
    else if (receipt?.status === 1) yield row(createdAddress(sender, transaction.nonce), 'created')
    const logs = receipt?.logs ?? []
    for (const [at, log] of logs.entries()) {
      const parties = transferOf(log)
      if (parties === undefined) continue
      yield row(parties.from, 'tokenSent', firstLog + at)
      yield row(parties.to, 'tokenReceived', firstLog + at)
    }
    firstLog += logs.length
  }
  for (const [at, { address, amountGwei }] of payload.withdrawals.entries()) {
    const value = uint64be(amountGwei)
    yield { key: keyOf(address, height, NO_TRANSACTION, 'credited', at), value }
  }
}

/** Both kinds of token have the parties as the first indexed arguments. */
function transferOf({
  topics,
}: Log): { readonly from: Uint8Array; readonly to: Uint8Array } | undefined {
  const [topic, from, to] = topics
  if (topic === undefined || from === undefined || to === undefined) return undefined
  if (!equalBytes(topic, TRANSFER_TOPIC)) return undefined
  return { from: from.subarray(12), to: to.subarray(12) }
}

function keyOf(
  address: Uint8Array,
  height: number,
  index: number,
  kind: HistoryKind,
  place: number,
): Uint8Array {
  const number = HISTORY_KINDS.indexOf(kind)
  return concatBytes(
    address,
    uint32be(height),
    uint32be(index),
    Uint8Array.of(number),
    uint32be(place),
  )
}

/** Undefined for a row of a newer program. */
export function decodeEntry(key: Buffer, value: Buffer): HistoryEntry | undefined {
  const height = key.readUInt32BE(ADDRESS_BYTES)
  const index = key.readUInt32BE(ADDRESS_BYTES + 4)
  const kind = HISTORY_KINDS[key.readUInt8(ADDRESS_BYTES + 8)]
  if (kind === undefined) return undefined
  if (kind === 'credited') return { kind, height, amountGwei: value.readBigUInt64BE(0) }
  const transaction = { index, hash: new Uint8Array(value) }
  const isToken = kind === 'tokenSent' || kind === 'tokenReceived'
  const logIndex = isToken ? key.readUInt32BE(ADDRESS_BYTES + 9) : undefined
  return { kind, height, transaction, ...(logIndex !== undefined && { logIndex }) }
}
