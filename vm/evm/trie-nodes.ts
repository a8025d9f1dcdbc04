/** RLP of trie nodes (yellow paper, appendix D), each written into one buffer, and the root of a list without a trie in memory. */
import { EMPTY_TRIE_ROOT } from './account.ts'
import { keccak256 } from './keccak.ts'
import { encodeBytes, prefixSize, writePrefix } from './rlp.ts'

const EMPTY_STRING = 0x80
export const HASH_REFERENCE_BYTES = 33
const BRANCH_CHILDREN = 16

/** Hex-prefix encoding of the digits of `key` from `from` on (yellow paper, appendix C). */
export function compactKey(key: string, from: number, isLeaf: boolean): Uint8Array {
  const length = key.length - from
  const isOdd = length % 2
  const out = new Uint8Array((length >> 1) + 1)
  out[0] = (isLeaf ? 0x20 : 0) + (isOdd === 1 ? 0x10 + digit(key, from) : 0)
  for (let at = from + isOdd; at < key.length; at += 2) {
    out[((at - from) >> 1) + 1] = (digit(key, at) << 4) | digit(key, at + 1)
  }
  return out
}

export function digit(key: string, at: number): number {
  const code = key.charCodeAt(at)
  return code < 58 ? code - 48 : code - 87
}

function isByte(bytes: Uint8Array): boolean {
  return bytes.length === 1 && (bytes[0] as number) < 0x80
}

function stringSize(bytes: Uint8Array): number {
  return isByte(bytes) ? 1 : prefixSize(bytes.length) + bytes.length
}

function writeString(out: Uint8Array, at: number, bytes: Uint8Array): number {
  const start = isByte(bytes) ? at : writePrefix(out, at, bytes.length, 0x80)
  out.set(bytes, start)
  return start + bytes.length
}

export function encodeLeaf(path: Uint8Array, value: Uint8Array): Uint8Array {
  const length = stringSize(path) + stringSize(value)
  const out = new Uint8Array(prefixSize(length) + length)
  writeString(out, writeString(out, writePrefix(out, 0, length, 0xc0), path), value)
  return out
}

/** The child as it stands in its parent: encoded already. */
export function encodeExtension(path: Uint8Array, child: Uint8Array): Uint8Array {
  const length = stringSize(path) + child.length
  const out = new Uint8Array(prefixSize(length) + length)
  out.set(child, writeString(out, writePrefix(out, 0, length, 0xc0), path))
  return out
}

/** A branch without a value; its children as they stand in it. */
export function encodeBranch(children: readonly (Uint8Array | undefined)[]): Uint8Array {
  let length = 1
  for (const child of children) length += child?.length ?? 1
  const out = new Uint8Array(prefixSize(length) + length)
  let at = writePrefix(out, 0, length, 0xc0)
  for (const child of children) {
    if (child === undefined) out[at++] = EMPTY_STRING
    else {
      out.set(child, at)
      at += child.length
    }
  }
  out[at] = EMPTY_STRING
  return out
}

/** What stands for a node in its parent: its own encoding below 32 bytes, else its hash. */
export function referenceTo(encoded: Uint8Array): Uint8Array {
  if (encoded.length < 32) return encoded
  const out = new Uint8Array(HASH_REFERENCE_BYTES)
  out[0] = 0xa0
  out.set(keccak256(encoded), 1)
  return out
}

type Item = { readonly key: string; readonly value: Uint8Array }

/** Root of a list: the trie of its items under RLP of their indexes (transactions, receipts, withdrawals). */
export function orderedRoot(items: readonly Uint8Array[]): Uint8Array {
  if (items.length === 0) return EMPTY_TRIE_ROOT
  // In the order of the keys: 1 … 127, which stand for themselves, 0, which is the empty string, and then the longer ones.
  const sorted: Item[] = []
  const add = (index: number) => {
    const value = items[index]
    if (value !== undefined) sorted.push({ key: indexKey(index), value })
  }
  for (let index = 1; index < Math.min(128, items.length); index++) add(index)
  add(0)
  for (let index = 128; index < items.length; index++) add(index)
  return keccak256(encodeRange(sorted, 0, sorted.length, 0))
}

function indexKey(index: number): string {
  if (index === 0) return '80'
  const hex = index.toString(16)
  const digits = hex.length % 2 === 0 ? hex : `0${hex}`
  return index < 128 ? digits : Buffer.from(encodeBytes(Buffer.from(digits, 'hex'))).toString('hex')
}

/** The node of the items from `from` to `to`, whose keys agree in their first `depth` digits. */
function encodeRange(items: readonly Item[], from: number, to: number, depth: number): Uint8Array {
  const { key, value } = items[from] as Item
  if (to - from === 1) return encodeLeaf(compactKey(key, depth, true), value)
  const last = (items[to - 1] as Item).key
  let shared = depth
  while (key.charCodeAt(shared) === last.charCodeAt(shared)) shared += 1
  if (shared > depth) {
    const path = compactKey(key.slice(0, shared), depth, false)
    return encodeExtension(path, referenceTo(encodeRange(items, from, to, shared)))
  }
  const children: (Uint8Array | undefined)[] = new Array(BRANCH_CHILDREN).fill(undefined)
  let start = from
  while (start < to) {
    const nibble = digit((items[start] as Item).key, depth)
    let end = start + 1
    while (end < to && digit((items[end] as Item).key, depth) === nibble) end += 1
    children[nibble] = referenceTo(encodeRange(items, start, end, depth + 1))
    start = end
  }
  return encodeBranch(children)
}
