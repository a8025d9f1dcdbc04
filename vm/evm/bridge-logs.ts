/**
 * What the Bridge contract's logs say (protocol 4.4, 4.7; PO-1). A log counts iff the Bridge itself emitted it in a
 * successful transaction, its first topic is exact and its data are the canonical ABI encoding without a byte more.
 */
import { bigintFromBytes, equalBytes, hexBytes } from '../../crypto/index.ts'
import type { Log, Receipt } from './receipt.ts'

export const BRIDGE_ADDRESS = hexBytes('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')
/** keccak256("RequestPegOut(address,bytes,uint256)") */
export const REQUEST_PEG_OUT_TOPIC = hexBytes(
  'aa1c6070bc915de33c0fbc36ecf77b1e4fc1ebce832b2da62b6fe25f5a7dd5b0',
)
/** keccak256("CancelPegOut(address,bytes32)") */
export const CANCEL_PEG_OUT_TOPIC = hexBytes(
  '530f842deafc0003a5da37d51ea070211ef674426b2f41429d5dddb15611b1f4',
)
/** keccak256("Fund(uint256)") */
export const FUND_TOPIC = hexBytes(
  '27b2dc149fd3048bc27eadaaf660801a04305c72845da74066a17b72d6c5bb66',
)
/** Longest destination that a request may carry, an address as text or a script. */
export const MAX_DESTINATION_BYTES = 90

export type Burn = {
  /** Index of the log in its block. */
  readonly logIndex: number
  readonly evmAddress: Uint8Array
  /** As the burner gave it: a scriptPubKey or the text of an address. */
  readonly bytes: Uint8Array
  readonly valueWei: bigint
}

export type Cancel = {
  readonly logIndex: number
  readonly evmAddress: Uint8Array
  readonly id: Uint8Array
}

/** Value given to the operating fund: a burn that becomes a fund row. */
export type Funding = { readonly logIndex: number; readonly amountWei: bigint }

export type BridgeLogs = {
  readonly burns: readonly Burn[]
  readonly cancels: readonly Cancel[]
  readonly funds: readonly Funding[]
}

/** Reads the receipts of one block, in block order. */
export function bridgeLogs(receipts: readonly Receipt[]): BridgeLogs {
  const burns: Burn[] = []
  const cancels: Cancel[] = []
  const funds: Funding[] = []
  let logIndex = 0
  for (const receipt of receipts) {
    for (const log of receipt.logs) {
      if (receipt.status === 1 && equalBytes(log.address, BRIDGE_ADDRESS)) {
        const burn = readBurn(log, logIndex)
        const cancel = readCancel(log, logIndex)
        const fund = readFunding(log, logIndex)
        if (burn) burns.push(burn)
        if (cancel) cancels.push(cancel)
        if (fund) funds.push(fund)
      }
      logIndex += 1
    }
  }
  return { burns, cancels, funds }
}

function isEvent(log: Log, topic: Uint8Array, topics: number): boolean {
  const [first] = log.topics
  return first !== undefined && log.topics.length === topics && equalBytes(first, topic)
}

/** data = offset 64 ‖ value ‖ length ‖ bytes, padded with zeros to whole words. */
function readBurn(log: Log, logIndex: number): Burn | undefined {
  if (!isEvent(log, REQUEST_PEG_OUT_TOPIC, 2) || log.data.length < 96) return undefined
  const evmAddress = readAddress(log.topics[1])
  const offset = bigintFromBytes(log.data.subarray(0, 32))
  const valueWei = bigintFromBytes(log.data.subarray(32, 64))
  const length = bigintFromBytes(log.data.subarray(64, 96))
  if (evmAddress === undefined || offset !== 64n) return undefined
  if (length > BigInt(MAX_DESTINATION_BYTES)) return undefined
  const end = 96 + Number(length)
  if (log.data.length !== 96 + Math.ceil(Number(length) / 32) * 32) return undefined
  if (log.data.subarray(end).some((byte) => byte !== 0)) return undefined
  return { logIndex, evmAddress, bytes: log.data.slice(96, end), valueWei }
}

function readCancel(log: Log, logIndex: number): Cancel | undefined {
  if (!isEvent(log, CANCEL_PEG_OUT_TOPIC, 3) || log.data.length !== 0) return undefined
  const evmAddress = readAddress(log.topics[1])
  const id = log.topics[2]
  return evmAddress && id ? { logIndex, evmAddress, id } : undefined
}

function readFunding(log: Log, logIndex: number): Funding | undefined {
  if (!isEvent(log, FUND_TOPIC, 1) || log.data.length !== 32) return undefined
  return { logIndex, amountWei: bigintFromBytes(log.data) }
}

function readAddress(topic: Uint8Array | undefined): Uint8Array | undefined {
  if (topic === undefined || topic.subarray(0, 12).some((byte) => byte !== 0)) return undefined
  return topic.slice(12)
}
