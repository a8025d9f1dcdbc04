/** Block headers of Bitcoin: 80 bytes, their proof of work and the compact form of targets. */
import { bigintFromBytes, reversed, sha256d } from '../../crypto/index.ts'
import { err, ok, type Result } from '../params/index.ts'

export const HEADER_BYTES = 80

export interface BitcoinHeader {
  /** Signed, as Bitcoin reads it; no rule here depends on it. */
  readonly version: number
  /** Internal byte order. */
  readonly previousHash: Uint8Array
  readonly merkleRoot: Uint8Array
  readonly time: number
  readonly bits: number
  readonly nonce: number
}

export type HeaderError = { readonly code: 'HeaderMalformed'; readonly reason: string }

export function parseHeader(bytes: Uint8Array): Result<BitcoinHeader, HeaderError> {
  if (bytes.length !== HEADER_BYTES) {
    return err({ code: 'HeaderMalformed', reason: `${bytes.length} bytes instead of 80` })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return ok({
    version: view.getInt32(0, true),
    previousHash: bytes.slice(4, 36),
    merkleRoot: bytes.slice(36, 68),
    time: view.getUint32(68, true),
    bits: view.getUint32(72, true),
    nonce: view.getUint32(76, true),
  })
}

export function serializeHeader(header: BitcoinHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setInt32(0, header.version, true)
  bytes.set(header.previousHash, 4)
  bytes.set(header.merkleRoot, 36)
  view.setUint32(68, header.time, true)
  view.setUint32(72, header.bits, true)
  view.setUint32(76, header.nonce, true)
  return bytes
}

/** Hash of an encoded header, internal byte order. */
export function headerHash(bytes: Uint8Array): Uint8Array {
  return sha256d(bytes)
}

/** The target of a compact form; undefined for one that is negative, zero or beyond 256 bits (Core's SetCompact). */
export function targetFromBits(bits: number): bigint | undefined {
  const size = bits >>> 24
  const word = BigInt(bits & 0x007f_ffff)
  if ((bits & 0x0080_0000) !== 0) return undefined
  const target = size <= 3 ? word >> BigInt(8 * (3 - size)) : word << BigInt(8 * (size - 3))
  return target === 0n || target >= 1n << 256n ? undefined : target
}

/** The compact form, rounded down to 3 bytes (Core's GetCompact). */
export function bitsFromTarget(target: bigint): number {
  const hex = target.toString(16)
  let size = Math.ceil(hex.length / 2)
  let word = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)))
  // The top bit of the word is its sign.
  if ((word & 0x0080_0000) !== 0) {
    word >>= 8
    size += 1
  }
  return ((size << 24) | word) >>> 0
}

/** Expected hashes to find one block: 2^256 / (target + 1). 0 for bits that are no target. */
export function workOfBits(bits: number): bigint {
  const target = targetFromBits(bits)
  return target === undefined ? 0n : (1n << 256n) / (target + 1n)
}

/** Whether `hash` (internal order) is at or below the target of `bits`, and that target not above the network's limit. */
export function meetsProofOfWork(hash: Uint8Array, bits: number, powLimitBits: number): boolean {
  const target = targetFromBits(bits)
  const limit = targetFromBits(powLimitBits)
  if (target === undefined || limit === undefined || target > limit) return false
  return bigintFromBytes(reversed(hash)) <= target
}
