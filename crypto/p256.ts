/**
 * ECDSA verification on P-256 over a given 32-byte hash (FIPS 186-5, 6.4.2), which OpenSSL's interface to Node does not offer: it always
 * hashes first. The two scalar multiplications are done by its ECDH, which gives u1·G as a point and of u2·Q the x coordinate; what is
 * missing follows from two more x coordinates, without an inversion. About eight times as fast as pure JavaScript.
 */
import { createECDH, ECDH } from 'node:crypto'
import { p256 } from '@noble/curves/nist.js'
import { bigintFromBytes, bigintToBytes, concatBytes } from './bytes.ts'

const CURVE = 'prime256v1'
const { n: N, p: P } = p256.Point.CURVE()

/** Does (r, s) sign `hash` for the key (x, y)? False for whatever is out of range or no point of the curve. */
export function verifyP256(
  hash: Uint8Array,
  rBytes: Uint8Array,
  sBytes: Uint8Array,
  publicKey: { readonly x: Uint8Array; readonly y: Uint8Array },
): boolean {
  const [r, s] = [bigintFromBytes(rBytes), bigintFromBytes(sBytes)]
  if (r === 0n || r >= N || s === 0n || s >= N) return false
  const encodedKey = concatBytes(Uint8Array.of(4), publicKey.x, publicKey.y)
  const key = pointOf(encodedKey)
  if (key === undefined) return false
  const inverse = p256.Point.Fn.inv(s)
  const u1 = (bigintFromBytes(hash) * inverse) % N
  const u2 = (r * inverse) % N
  const first = u1 === 0n ? undefined : timesBase(u1)
  const second = timesPoint(u2, encodedKey, key)
  // Where the addition formulas do not hold, a few keys out of 2^256.
  if (first === undefined || second === undefined || first.x === second.x) {
    return verifyPlainly(hash, rBytes, sBytes, encodedKey)
  }
  if (isSumAt(first, second, r)) return true
  return r + N < P && isSumAt(first, second, r + N)
}

type Point = { readonly x: bigint; readonly y: bigint }

/** A point from its uncompressed form, if it is one of the curve. */
function pointOf(encoded: Uint8Array): Point | undefined {
  try {
    ECDH.convertKey(encoded, CURVE)
  } catch {
    return undefined
  }
  return readPoint(encoded)
}

function readPoint(encoded: Uint8Array): Point {
  return {
    x: bigintFromBytes(encoded.subarray(1, 33)),
    y: bigintFromBytes(encoded.subarray(33, 65)),
  }
}

function timesBase(scalar: bigint): Point {
  const ecdh = createECDH(CURVE)
  ecdh.setPrivateKey(bigintToBytes(scalar, 32))
  return readPoint(new Uint8Array(ecdh.getPublicKey()))
}

/** The x coordinate of k·Q gives the point up to its sign; that of (k + 1)·Q tells which it is. */
function timesPoint(scalar: bigint, encoded: Uint8Array, point: Point): Point | undefined {
  if (scalar + 1n === N) return undefined
  const ecdh = createECDH(CURVE)
  const xOf = (times: bigint): Uint8Array => {
    ecdh.setPrivateKey(bigintToBytes(times, 32))
    return new Uint8Array(ecdh.computeSecret(encoded))
  }
  const x = xOf(scalar)
  const next = bigintFromBytes(xOf(scalar + 1n))
  const compressed = concatBytes(Uint8Array.of(2), x)
  const even = ECDH.convertKey(compressed, CURVE, undefined, undefined, 'uncompressed')
  const candidate = readPoint(new Uint8Array(even as Buffer))
  if (candidate.x === point.x) return undefined
  const other = { x: candidate.x, y: P - candidate.y }
  return isSumAt(candidate, point, next) ? candidate : other
}

/** Is `x` the x coordinate of a + b? For points with different x. */
function isSumAt(a: Point, b: Point, x: bigint): boolean {
  const rise = b.y - a.y
  const run = b.x - a.x
  return (rise * rise - (x + a.x + b.x) * run * run) % P === 0n
}

function verifyPlainly(
  hash: Uint8Array,
  r: Uint8Array,
  s: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  return p256.verify(concatBytes(r, s), hash, publicKey, { prehash: false, lowS: false })
}
