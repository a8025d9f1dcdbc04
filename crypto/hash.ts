import { hash } from 'node:crypto'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { concatBytes } from './bytes.ts'

/** SHA-256 (FIPS 180-4). */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  // One call on the whole costs less than an object that is fed part by part.
  const whole = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
  return new Uint8Array(hash('sha256', whole, 'buffer'))
}

/** Bitcoin's double SHA-256. */
export function sha256d(...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(sha256(...parts))
}

/** Ethereum's Keccak-256, the padding before FIPS 202. */
export function keccak256(...parts: readonly Uint8Array[]): Uint8Array {
  return keccak_256(parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(...parts))
}

/** BIP340's tagged hash: sha256(sha256(tag) ‖ sha256(tag) ‖ message). */
export function taggedHash(tag: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const prefix = hash('sha256', tag, 'buffer')
  return sha256(prefix, prefix, ...parts)
}
