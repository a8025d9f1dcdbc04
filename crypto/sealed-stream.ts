/**
 * A long byte stream under a password: scrypt (RFC 7914) for the key, AES-256-GCM (NIST SP 800-38D) for chunks. A chunk's nonce holds its
 * number and whether it is the last one, so that chunks cannot be left out, moved, or cut off at the end; the header is authenticated with
 * every one of them. Salt and prefix are random and used for one stream only.
 */
import { createCipheriv, createDecipheriv, scryptSync } from 'node:crypto'
import { concatBytes, uint32be } from './bytes.ts'
import { KEYSTORE_COST, type ScryptCost } from './keystore.ts'

export const STREAM_SALT_BYTES = 32
export const STREAM_PREFIX_BYTES = 7
const TAG_BYTES = 16
/** What a chunk is longer than its plaintext. */
export const CHUNK_OVERHEAD_BYTES = TAG_BYTES

/** What all chunks of a stream share. */
export interface StreamKey {
  readonly key: Uint8Array
  readonly prefix: Uint8Array
  /** Authenticated with every chunk. */
  readonly header: Uint8Array
}

/** The key of a password; takes half a second and 128 MiB on purpose. */
export function streamKey(
  password: string,
  salt: Uint8Array,
  cost: ScryptCost = KEYSTORE_COST,
): Uint8Array {
  const { n: N, r, p } = cost
  const maxmem = 128 * N * r + 128 * r * p + (1 << 20)
  return new Uint8Array(scryptSync(password.normalize('NFKC'), salt, 32, { N, r, p, maxmem }))
}

function nonceOf({ prefix }: StreamKey, index: number, isLast: boolean): Uint8Array {
  return concatBytes(prefix, uint32be(index), Uint8Array.of(isLast ? 1 : 0))
}

export function sealChunk(
  stream: StreamKey,
  index: number,
  isLast: boolean,
  plaintext: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', stream.key, nonceOf(stream, index, isLast))
  cipher.setAAD(stream.header)
  return concatBytes(cipher.update(plaintext), cipher.final(), cipher.getAuthTag())
}

/** Undefined: another password, or not the chunk that was sealed at this place. */
export function openChunk(
  stream: StreamKey,
  index: number,
  isLast: boolean,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  const nonce = nonceOf(stream, index, isLast)
  const options = { authTagLength: TAG_BYTES }
  const decipher = createDecipheriv('aes-256-gcm', stream.key, nonce, options)
  decipher.setAAD(stream.header)
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  try {
    return concatBytes(
      decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)),
      decipher.final(),
    )
  } catch {
    return undefined
  }
}
