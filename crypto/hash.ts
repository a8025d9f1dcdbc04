import { hash } from 'node:crypto'
import { _SHA256 } from '@noble/hashes/sha2.js'
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

const BLOCK_BYTES = 64
/** Of the one bit and of the message's length in bits (FIPS 180-4 §5.1.1). */
const LEAST_PADDING_BYTES = 9

/** The end of a message's SHA-256: what the blocks before the last one led to, and that block, padded. */
export interface Sha256Tail {
  /** 32 bytes: the chaining value. */
  readonly state: Uint8Array
  /** 64 bytes, of which the last eight are the length of the whole message in bits. */
  readonly block: Uint8Array
}

/** SHA-256's compression (FIPS 180-4 §6.2.2), one block at a time. */
class Compression extends _SHA256 {
  resume(state: Uint8Array): this {
    const word = (at: number) => Buffer.from(state).readInt32BE(4 * at)
    this.set(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
    return this
  }

  compress(blocks: Uint8Array): this {
    const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.length)
    for (let at = 0; at < blocks.length; at += BLOCK_BYTES) this.process(view, at)
    return this
  }

  state(): Uint8Array {
    const bytes = Buffer.alloc(32)
    for (const [at, word] of this.get().entries()) bytes.writeInt32BE(word | 0, 4 * at)
    return Uint8Array.from(bytes)
  }
}

export function sha256Tail(message: Uint8Array): Sha256Tail {
  const blocks = Math.ceil((message.length + LEAST_PADDING_BYTES) / BLOCK_BYTES)
  const padded = Buffer.alloc(blocks * BLOCK_BYTES)
  padded.set(message)
  padded[message.length] = 0x80
  padded.writeBigUInt64BE(8n * BigInt(message.length), padded.length - 8)
  const last = padded.length - BLOCK_BYTES
  const state = new Compression().compress(padded.subarray(0, last)).state()
  return { state, block: Uint8Array.from(padded.subarray(last)) }
}

/** The digest that a tail ends in. */
export function sha256OfTail({ block, state }: Sha256Tail): Uint8Array {
  return new Compression().resume(state).compress(block).state()
}

/** The length of the message in bits, as its last block tells it. */
export function bitsOfTail({ block }: Pick<Sha256Tail, 'block'>): bigint {
  return Buffer.from(block).readBigUInt64BE(BLOCK_BYTES - 8)
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
