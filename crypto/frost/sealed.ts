/**
 * 32 bytes that only the holder of a BIP340 key can read: a pad from a point that the two know (ElGamal's form, one key of the sender's for
 * each). It hides and does not bind: who sends it signs it, and what it holds is checked by whoever opens it.
 */
import { concatBytes } from '../bytes.ts'
import { taggedHash } from '../hash.ts'
import { drawScalar, Fn, Point, type Random, readPoint } from './scalars.ts'

export interface SealedBytes {
  /** The sender's point, made for this alone: 33 bytes. */
  readonly ephemeral: Uint8Array
  /** 32 bytes. */
  readonly ciphertext: Uint8Array
}

const EVEN = Uint8Array.of(2)

/** `recipient` is x-only, of 32 bytes; `context` says what this is for, and is the same for who opens it. Throws when it is no point. */
export function sealBytes(
  recipient: Uint8Array,
  context: Uint8Array,
  secret: Uint8Array,
  random: Random,
): SealedBytes {
  const point = readPoint(concatBytes(EVEN, recipient))
  if (point === undefined || secret.length !== 32) throw new RangeError('no key, or not 32 bytes')
  const scalar = drawScalar(random)
  const ephemeral = Point.BASE.multiply(scalar).toBytes(true)
  return { ephemeral, ciphertext: xor(secret, padOf(context, ephemeral, point.multiply(scalar))) }
}

/** Undefined where it is nothing that can be opened. Whether it is what it should be, the caller sees. */
export function openBytes(
  secretKey: Uint8Array,
  context: Uint8Array,
  { ciphertext, ephemeral }: SealedBytes,
): Uint8Array | undefined {
  const point = readPoint(ephemeral)
  if (point === undefined || ciphertext.length !== 32) return undefined
  return xor(ciphertext, padOf(context, ephemeral, point.multiply(Fn.fromBytes(secretKey))))
}

/** By x alone: which of its two secrets the recipient has does not matter. */
function padOf(context: Uint8Array, ephemeral: Uint8Array, shared: Point): Uint8Array {
  return taggedHash('millrace/sealed', context, ephemeral, shared.toBytes(true).slice(1))
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, at) => byte ^ (right[at] as number))
}
