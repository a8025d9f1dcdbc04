/** Proofs that two points have one discrete logarithm (BIP374). */
import { bigintFromBytes, concatBytes, equalBytes } from '../bytes.ts'
import { taggedHash } from '../hash.ts'
import { Fn, Point, readPoint, readScalar, scalarBytes } from './scalars.ts'

export const DLEQ_PROOF_BYTES = 64

export interface DleqStatement {
  /** A = a·G, 33 bytes. */
  readonly publicKey: Uint8Array
  /** B, 33 bytes. */
  readonly base: Uint8Array
  /** C = a·B, 33 bytes. */
  readonly product: Uint8Array
}

export interface DleqOptions {
  /** 32 bytes that the proof is for as well. */
  readonly message?: Uint8Array
  /** G [secp256k1's]. */
  readonly generator?: Uint8Array
}

const GENERATOR = Point.BASE.toBytes(true)

/**
 * `secret` is a's 32 bytes, `auxiliary` 32 bytes of fresh randomness. Undefined where there is nothing to prove: a of 0 or ≥ n, a base
 * that is no point.
 */
export function proveDleq(
  secret: Uint8Array,
  base: Uint8Array,
  auxiliary: Uint8Array,
  { message = new Uint8Array(0), generator = GENERATOR }: DleqOptions = {},
): { readonly statement: DleqStatement; readonly proof: Uint8Array } | undefined {
  const scalar = readScalar(secret)
  const [pointB, pointG] = [readPoint(base), readPoint(generator)]
  if (scalar === undefined || scalar === 0n || pointB === undefined || pointG === undefined) {
    return undefined
  }
  const publicKey = pointG.multiply(scalar).toBytes(true)
  const product = pointB.multiply(scalar).toBytes(true)
  const statement = { publicKey, base, product }
  const masked = taggedHash('BIP0374/aux', auxiliary).map(
    (byte, at) => byte ^ (secret[at] as number),
  )
  const nonce = Fn.create(
    bigintFromBytes(taggedHash('BIP0374/nonce', masked, publicKey, product, message)),
  )
  if (nonce === 0n) return undefined
  const commitments = [pointG.multiply(nonce), pointB.multiply(nonce)].map((point) => {
    return point.toBytes(true)
  })
  const challenge = challengeOf(statement, generator, commitments, message)
  const response = Fn.add(nonce, Fn.mul(Fn.create(bigintFromBytes(challenge)), scalar))
  return { statement, proof: concatBytes(challenge, scalarBytes(response)) }
}

/** False for anything that is no proof of it. Never throws. */
export function verifyDleq(
  statement: DleqStatement,
  proof: Uint8Array,
  { message = new Uint8Array(0), generator = GENERATOR }: DleqOptions = {},
): boolean {
  if (proof.length !== DLEQ_PROOF_BYTES) return false
  const points = [generator, statement.publicKey, statement.base, statement.product].map(readPoint)
  const response = readScalar(proof.subarray(32))
  const [pointG, pointA, pointB, pointC] = points
  if (!pointG || !pointA || !pointB || !pointC || response === undefined) return false
  const challenge = proof.subarray(0, 32)
  const scalar = Fn.create(bigintFromBytes(challenge))
  const first = pointG.multiplyUnsafe(response).subtract(pointA.multiplyUnsafe(scalar))
  const second = pointB.multiplyUnsafe(response).subtract(pointC.multiplyUnsafe(scalar))
  if (first.is0() || second.is0()) return false
  const commitments = [first.toBytes(true), second.toBytes(true)]
  return equalBytes(challenge, challengeOf(statement, generator, commitments, message))
}

function challengeOf(
  { publicKey, base, product }: DleqStatement,
  generator: Uint8Array,
  commitments: readonly Uint8Array[],
  message: Uint8Array,
): Uint8Array {
  const parts = [publicKey, base, product, generator, ...commitments, message]
  return taggedHash('BIP0374/challenge', ...parts)
}
