/**
 * RLP (Ethereum yellow paper, appendix B). The decoder is total and strict: it refuses whatever the encoder would not
 * have written, trailing bytes and nesting beyond what any structure here needs.
 */
import { toHex } from '../../crypto/index.ts'

export type RlpItem = Uint8Array | readonly RlpItem[]

const MAX_DEPTH = 8

/** Bytes of the prefix of a string or list of `length` bytes. */
export function prefixSize(length: number): number {
  if (length < 56) return 1
  if (length < 256) return 2
  if (length < 65_536) return 3
  let size = 1
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) size += 1
  return size
}

/** Writes the prefix and returns the offset after it. */
export function writePrefix(out: Uint8Array, at: number, length: number, offset: number): number {
  if (length < 56) {
    out[at] = offset + length
    return at + 1
  }
  const size = prefixSize(length) - 1
  out[at] = offset + 55 + size
  let rest = length
  for (let index = size; index > 0; index--) {
    out[at + index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return at + 1 + size
}

function isByte(bytes: Uint8Array): boolean {
  return bytes.length === 1 && (bytes[0] as number) < 0x80
}

export function encodeBytes(bytes: Uint8Array): Uint8Array {
  if (isByte(bytes)) return bytes
  const out = new Uint8Array(prefixSize(bytes.length) + bytes.length)
  out.set(bytes, writePrefix(out, 0, bytes.length, 0x80))
  return out
}

/** A list whose items are encoded already. */
export function encodeList(items: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const item of items) length += item.length
  const out = new Uint8Array(prefixSize(length) + length)
  let at = writePrefix(out, 0, length, 0xc0)
  for (const item of items) {
    out.set(item, at)
    at += item.length
  }
  return out
}

export function encodeRlp(item: RlpItem): Uint8Array {
  return item instanceof Uint8Array ? encodeBytes(item) : encodeList(item.map(encodeRlp))
}

/** Shortest big-endian form; zero is the empty string. */
export function integerBytes(value: bigint | number): Uint8Array {
  if (value === 0n || value === 0) return new Uint8Array(0)
  if (value < 256) return Uint8Array.of(Number(value))
  const hex = value.toString(16)
  return new Uint8Array(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
}

type Cursor = { readonly bytes: Uint8Array; offset: number }

/** The item that `bytes` encode, or undefined when they are no canonical encoding of one. */
export function decodeRlp(bytes: Uint8Array): RlpItem | undefined {
  const cursor = { bytes, offset: 0 }
  const item = readItem(cursor, bytes.length, 0)
  return item !== undefined && cursor.offset === bytes.length ? item : undefined
}

function readItem(cursor: Cursor, end: number, depth: number): RlpItem | undefined {
  const { bytes } = cursor
  if (cursor.offset >= end || depth > MAX_DEPTH) return undefined
  const prefix = bytes[cursor.offset] as number
  cursor.offset += 1
  if (prefix < 0x80) return bytes.subarray(cursor.offset - 1, cursor.offset)
  const isList = prefix >= 0xc0
  const length = readLength(cursor, end, prefix - (isList ? 0xc0 : 0x80))
  if (length === undefined || length > end - cursor.offset) return undefined
  const stop = cursor.offset + length
  if (!isList) {
    if (length === 1 && (bytes[cursor.offset] as number) < 0x80) return undefined
    cursor.offset = stop
    return bytes.subarray(stop - length, stop)
  }
  const items: RlpItem[] = []
  while (cursor.offset < stop) {
    const item = readItem(cursor, stop, depth + 1)
    if (item === undefined) return undefined
    items.push(item)
  }
  return items
}

function readLength(cursor: Cursor, end: number, code: number): number | undefined {
  if (code < 56) return code
  const size = code - 55
  if (size > 4 || cursor.offset + size > end || cursor.bytes[cursor.offset] === 0) return undefined
  let length = 0
  for (let index = 0; index < size; index++) {
    length = length * 256 + (cursor.bytes[cursor.offset + index] as number)
  }
  cursor.offset += size
  return length >= 56 ? length : undefined
}

/** The integer of a shortest big-endian form of at most `maxBytes`; undefined for any other bytes. */
export function decodeInteger(item: RlpItem | undefined, maxBytes: number): bigint | undefined {
  if (!(item instanceof Uint8Array) || item.length > maxBytes) return undefined
  if (item.length === 0) return 0n
  if (item[0] === 0) return undefined
  if (item.length > 6) return BigInt(`0x${toHex(item)}`)
  let value = 0
  for (const byte of item) value = value * 256 + byte
  return BigInt(value)
}
