import { hash } from 'node:crypto'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { concatBytes } from './bytes.ts'

/** SHA-256 (FIPS 180-4). */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(digest(whole(parts)))
}

/** One call on the whole costs less than an object that is fed part by part. */
function whole(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
}

function digest(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}

/** Bitcoin's double SHA-256. */
export function sha256d(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(digest(digest(whole(parts))))
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
