/** Scalars and points of secp256k1 (SEC 2) as FROST's rooms exchange them: 32 bytes, and 33 bytes compressed. */
import { schnorr } from '@noble/curves/secp256k1.js'
import { bigintFromBytes, bigintToBytes } from '../bytes.ts'

export const Point = schnorr.Point
export type Point = InstanceType<typeof Point>
export const { Fn } = Point

/** `length` bytes that nobody can foresee. */
export type Random = (length: number) => Uint8Array

/** Random bytes that a scalar is drawn from, so many that its bias is below 2⁻¹²⁸. */
const SCALAR_SEED_BYTES = 48

/** From 1 to n − 1. */
export function drawScalar(random: Random): bigint {
  return bigintFromBytes(schnorr.utils.randomSecretKey(random(SCALAR_SEED_BYTES)))
}

export const scalarBytes = (scalar: bigint): Uint8Array => bigintToBytes(scalar, 32)

/** Undefined unless it is 32 bytes of a number below n. */
export function readScalar(bytes: Uint8Array): bigint | undefined {
  if (bytes.length !== 32) return undefined
  const scalar = bigintFromBytes(bytes)
  return scalar < Fn.ORDER ? scalar : undefined
}

/** Undefined unless it is 33 bytes of a point on the curve; infinity has no such form. */
export function readPoint(bytes: Uint8Array): Point | undefined {
  if (bytes.length !== 33) return undefined
  try {
    return Point.fromBytes(bytes)
  } catch {
    return undefined
  }
}

/** Whether they are 33 bytes of a point on the curve. */
export function isPoint(bytes: Uint8Array): boolean {
  return readPoint(bytes) !== undefined
}

/** Bytes that were checked when they came in. */
export function pointOf(bytes: Uint8Array): Point {
  const point = readPoint(bytes)
  if (point === undefined) throw new RangeError('not a compressed point of secp256k1')
  return point
}

/** Of `coefficients`, the constant term first. */
export function evaluate(coefficients: readonly bigint[], at: number): bigint {
  const x = BigInt(at)
  return coefficients.reduceRight((sum, coefficient) => Fn.add(Fn.mul(sum, x), coefficient), 0n)
}

/** The same polynomial in the exponent; public values only. */
export function evaluatePoints(commitments: readonly Point[], at: number): Point {
  const x = BigInt(at)
  return commitments.reduceRight((sum, point) => sum.multiplyUnsafe(x).add(point), Point.ZERO)
}

/** Lagrange's coefficient of `of` for the value at `at`, among distinct `signers`. */
export function lagrange(signers: readonly number[], of: number, at: number): bigint {
  let [numerator, denominator] = [1n, 1n]
  for (const other of signers) {
    if (other === of) continue
    numerator = Fn.mul(numerator, Fn.create(BigInt(at - other)))
    denominator = Fn.mul(denominator, Fn.create(BigInt(of - other)))
  }
  return Fn.div(numerator, denominator)
}
