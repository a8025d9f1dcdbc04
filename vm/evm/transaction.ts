/**
 * Signed EVM transactions: legacy with and without EIP-155, EIP-2930, EIP-1559 and EIP-7702. Blob transactions are
 * refused (protocol 6.1). Decoding is total; recovery of the sender is apart, because it is done in batches elsewhere.
 */
import { concatBytes } from '../../crypto/index.ts'
import { keccak256 } from './keccak.ts'
import { decodeInteger, decodeRlp, encodeRlp, integerBytes, type RlpItem } from './rlp.ts'

export type AccessListItem = {
  readonly address: Uint8Array
  readonly storageKeys: readonly Uint8Array[]
}

/** EIP-7702. Values beyond their bounds make one tuple ineffective, not the transaction invalid. */
export type Authorization = {
  readonly chainId: bigint
  readonly address: Uint8Array
  readonly nonce: bigint
  readonly yParity: bigint
  readonly r: bigint
  readonly s: bigint
}

export type Signature = { readonly yParity: number; readonly r: bigint; readonly s: bigint }

export type EvmTransaction = {
  readonly type: 0 | 1 | 2 | 4
  readonly raw: Uint8Array
  readonly hash: Uint8Array
  /** Absent in a legacy transaction that names no chain. */
  readonly chainId: bigint | undefined
  readonly nonce: bigint
  /** Legacy and EIP-2930: both are the gas price. */
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
  readonly gasLimit: bigint
  /** Absent when a contract is created. */
  readonly to: Uint8Array | undefined
  readonly value: bigint
  readonly data: Uint8Array
  readonly accessList: readonly AccessListItem[]
  readonly authorizations: readonly Authorization[]
  readonly signature: Signature
  /** What was signed; computed when it is asked for, by the one who recovers the sender. */
  readonly signingHash: () => Uint8Array
}

export type TransactionFault = {
  readonly code: 'TransactionMalformed' | 'TransactionTypeRefused'
  readonly reason: string
}

const SECP256K1_N =
  0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n
/** Larger `s` are the other form of the same signature (EIP-2). */
export const HIGHEST_S = SECP256K1_N / 2n
const NONCE_LIMIT = 2n ** 64n - 1n

export function decodeTransaction(raw: Uint8Array): EvmTransaction | TransactionFault {
  const first = raw[0]
  if (first === undefined) return malformed('empty')
  if (first >= 0xc0) return decodeLegacy(raw)
  if (first === 1 || first === 2 || first === 4) return decodeTyped(first, raw)
  const reason = first === 3 ? 'blob transactions are refused' : `type ${first}`
  return { code: 'TransactionTypeRefused', reason }
}

export function isTransaction(value: EvmTransaction | TransactionFault): value is EvmTransaction {
  return 'hash' in value
}

function malformed(reason: string): TransactionFault {
  return { code: 'TransactionMalformed', reason }
}

function decodeLegacy(raw: Uint8Array): EvmTransaction | TransactionFault {
  const items = decodeRlp(raw)
  if (items === undefined || items instanceof Uint8Array || items.length !== 9) {
    return malformed('not a legacy transaction')
  }
  const core = readCore(items, { nonce: 0, fee: 1, tip: 1, gas: 2, to: 3, value: 4, data: 5 })
  const v = decodeInteger(items[6], 8)
  if (core === undefined || v === undefined) return malformed('field out of range')
  const unprotected = v === 27n || v === 28n
  if (!unprotected && v < 35n) return malformed('v')
  const chainId = unprotected ? undefined : (v - 35n) / 2n
  const yParity = Number(unprotected ? v - 27n : (v - 35n) % 2n)
  const signature = readSignature(yParity, items[7], items[8])
  if (signature === undefined) return malformed('signature out of range')
  const signed = items.slice(0, 6)
  if (chainId !== undefined)
    signed.push(integerBytes(chainId), new Uint8Array(0), new Uint8Array(0))
  const signingHash = () => keccak256(encodeRlp(signed))
  const rest = { accessList: [], authorizations: [], signature, signingHash }
  return { type: 0, raw, hash: keccak256(raw), chainId, ...core, ...rest }
}

const TYPED_LAYOUT = {
  1: { nonce: 1, tip: 2, fee: 2, gas: 3, to: 4, value: 5, data: 6, accessList: 7, signature: 8 },
  2: { nonce: 1, tip: 2, fee: 3, gas: 4, to: 5, value: 6, data: 7, accessList: 8, signature: 9 },
  4: { nonce: 1, tip: 2, fee: 3, gas: 4, to: 5, value: 6, data: 7, accessList: 8, signature: 10 },
} as const

function decodeTyped(type: 1 | 2 | 4, raw: Uint8Array): EvmTransaction | TransactionFault {
  const layout = TYPED_LAYOUT[type]
  const items = decodeRlp(raw.subarray(1))
  if (items === undefined || items instanceof Uint8Array || items.length !== layout.signature + 3) {
    return malformed(`not a transaction of type ${type}`)
  }
  const chainId = decodeInteger(items[0], 32)
  const core = readCore(items, layout)
  if (chainId === undefined || core === undefined) return malformed('field out of range')
  if (core.maxPriorityFeePerGas > core.maxFeePerGas) return malformed('tip above the fee cap')
  const accessList = readAccessList(items[layout.accessList])
  const authorizations = type === 4 ? readAuthorizations(items[9]) : []
  if (accessList === undefined) return malformed('access list')
  if (authorizations === undefined) return malformed('authorization list')
  if (type === 4 && (authorizations.length === 0 || core.to === undefined)) {
    return malformed('type 4 needs a destination and an authorization')
  }
  const yParity = decodeInteger(items[layout.signature], 1)
  const [r, s] = [items[layout.signature + 1], items[layout.signature + 2]]
  const signature = readSignature(Number(yParity ?? 2n), r, s)
  if (signature === undefined) return malformed('signature out of range')
  const signingHash = () => {
    const payload = encodeRlp(items.slice(0, layout.signature))
    return keccak256(concatBytes(Uint8Array.of(type), payload))
  }
  const rest = { accessList, authorizations, signature, signingHash }
  return { type, raw, hash: keccak256(raw), chainId, ...core, ...rest }
}

type CoreLayout = {
  readonly nonce: number
  readonly fee: number
  readonly tip: number
  readonly gas: number
  readonly to: number
  readonly value: number
  readonly data: number
}

function readCore(items: readonly RlpItem[], at: CoreLayout) {
  const nonce = decodeInteger(items[at.nonce], 8)
  const maxFeePerGas = decodeInteger(items[at.fee], 32)
  const maxPriorityFeePerGas = decodeInteger(items[at.tip], 32)
  const gasLimit = decodeInteger(items[at.gas], 8)
  const value = decodeInteger(items[at.value], 32)
  const destination = items[at.to]
  const data = items[at.data]
  if (nonce === undefined || nonce >= NONCE_LIMIT) return undefined
  if (maxFeePerGas === undefined || maxPriorityFeePerGas === undefined) return undefined
  if (gasLimit === undefined || value === undefined) return undefined
  if (!(destination instanceof Uint8Array) || !(data instanceof Uint8Array)) return undefined
  if (destination.length !== 0 && destination.length !== 20) return undefined
  const to = destination.length === 0 ? undefined : destination
  return { nonce, maxFeePerGas, maxPriorityFeePerGas, gasLimit, to, value, data }
}

function readSignature(
  yParity: number,
  rItem: RlpItem | undefined,
  sItem: RlpItem | undefined,
): Signature | undefined {
  const r = decodeInteger(rItem, 32)
  const s = decodeInteger(sItem, 32)
  if (r === undefined || s === undefined || yParity > 1) return undefined
  if (r === 0n || r >= SECP256K1_N || s === 0n || s > HIGHEST_S) return undefined
  return { yParity, r, s }
}

function readAccessList(item: RlpItem | undefined): AccessListItem[] | undefined {
  if (item === undefined || item instanceof Uint8Array) return undefined
  const list: AccessListItem[] = []
  for (const entry of item) {
    if (entry instanceof Uint8Array || entry.length !== 2) return undefined
    const [address, keys] = entry
    if (!(address instanceof Uint8Array) || address.length !== 20) return undefined
    if (keys === undefined || keys instanceof Uint8Array) return undefined
    const storageKeys: Uint8Array[] = []
    for (const key of keys) {
      if (!(key instanceof Uint8Array) || key.length !== 32) return undefined
      storageKeys.push(key)
    }
    list.push({ address, storageKeys })
  }
  return list
}

function readAuthorizations(item: RlpItem | undefined): Authorization[] | undefined {
  if (item === undefined || item instanceof Uint8Array) return undefined
  const list: Authorization[] = []
  for (const entry of item) {
    if (entry instanceof Uint8Array || entry.length !== 6) return undefined
    const chainId = decodeInteger(entry[0], 32)
    const address = entry[1]
    const nonce = decodeInteger(entry[2], 8)
    const yParity = decodeInteger(entry[3], 1)
    const r = decodeInteger(entry[4], 32)
    const s = decodeInteger(entry[5], 32)
    if (!(address instanceof Uint8Array) || address.length !== 20) return undefined
    if (chainId === undefined || nonce === undefined || yParity === undefined) return undefined
    if (r === undefined || s === undefined) return undefined
    list.push({ chainId, address, nonce, yParity, r, s })
  }
  return list
}
