/**
 * Where this node may have signed, kept apart from the guard's file (protocol 2.8): a guard that knows less was restored from before that,
 * and has forgotten signatures. Written when the guard knows of the height and view durably, and before the first signature there.
 */
import {
  bigintFromBytes,
  concatBytes,
  equalBytes,
  taggedHash,
  uint32be,
  uint64be,
} from '../../crypto/index.ts'

export interface SigningMark {
  readonly height: number
  readonly view: number
}

export const NO_MARK: SigningMark = { height: 0, view: 0 }
export const MARK_BYTES = 32

const NUMBER_BYTES = 12

export function encodeSigningMark(owner: Uint8Array, { height, view }: SigningMark): Uint8Array {
  const numbers = concatBytes(uint64be(height), uint32be(view))
  return concatBytes(numbers, checksumOf(owner, numbers))
}

/** Undefined where the bytes are none, damaged, or another key's. */
export function decodeSigningMark(owner: Uint8Array, bytes: Uint8Array): SigningMark | undefined {
  if (bytes.length !== MARK_BYTES) return undefined
  const numbers = bytes.subarray(0, NUMBER_BYTES)
  if (!equalBytes(bytes.subarray(NUMBER_BYTES), checksumOf(owner, numbers))) return undefined
  const height = Number(bigintFromBytes(numbers.subarray(0, 8)))
  const view = Number(bigintFromBytes(numbers.subarray(8)))
  return Number.isSafeInteger(height) ? { height, view } : undefined
}

export function isAboveMark({ height, view }: SigningMark, mark: SigningMark): boolean {
  return height > mark.height || (height === mark.height && view > mark.view)
}

function checksumOf(owner: Uint8Array, numbers: Uint8Array): Uint8Array {
  return taggedHash('millrace/signing-mark', owner, numbers).subarray(0, MARK_BYTES - NUMBER_BYTES)
}
