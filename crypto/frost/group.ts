/**
 * A key that n signers hold in shares, any `threshold` of them sign with, and nobody has (RFC 9591), and what happens to it when a
 * scalar is added (protocol 5.3).
 */
import { bigintFromBytes } from '../bytes.ts'
import { taggedHash } from '../hash.ts'
import {
  evaluatePoints,
  Fn,
  Point,
  pointOf,
  readPoint,
  readScalar,
  scalarBytes,
} from './scalars.ts'

/** What everybody may know of the key. */
export interface GroupKey {
  readonly threshold: number
  /** Of the polynomial's coefficients, the constant one first: 33 bytes each. The first is the public key. */
  readonly commitments: readonly Uint8Array[]
  /** By signer, from 1 on: 33 bytes. */
  readonly verifyingShares: ReadonlyMap<number, Uint8Array>
}

export interface KeyShare {
  readonly signer: number
  /** 32 bytes. */
  readonly secret: Uint8Array
}

const ODD = 3

/** BIP340's 32 bytes of the group's key. */
export function groupPublicKey({ commitments: [first] }: GroupKey): Uint8Array {
  if (first === undefined) throw new RangeError('a group key without commitments')
  return first.slice(1)
}

/** From the commitments alone, which are points. */
export function groupKeyFrom(
  commitments: readonly Uint8Array[],
  signers: readonly number[],
): GroupKey {
  const points = commitments.map(pointOf)
  const verifyingShares = new Map(
    signers.map((signer) => [signer, evaluatePoints(points, signer).toBytes(true)]),
  )
  return { threshold: commitments.length, commitments, verifyingShares }
}

/** One signer's verifying share, 33 bytes; undefined where it is infinity, which commitments that somebody chose can make it. */
export function verifyingShareAt(
  commitments: readonly Uint8Array[],
  signer: number,
): Uint8Array | undefined {
  const point = evaluatePoints(commitments.map(pointOf), signer)
  return point.is0() ? undefined : point.toBytes(true)
}

/** Whether the share is one of this key (RFC 9591, Appendix C.2, vss_verify). */
export function isShareOf(group: GroupKey, { signer, secret }: KeyShare): boolean {
  return isValueAt(group.commitments, signer, secret)
}

/** Whether `secret` is the committed polynomial's value at `at`. */
export function isValueAt(
  commitments: readonly Uint8Array[],
  at: number,
  secret: Uint8Array,
): boolean {
  const scalar = readScalar(secret)
  const points = commitments.map(readPoint)
  if (scalar === undefined || scalar === 0n || points.includes(undefined)) return false
  return Point.BASE.multiply(scalar).equals(evaluatePoints(points as Point[], at))
}

/**
 * The group's key plus `scalar`·G (32 bytes), its x taken with even y first. Done once for a deposit's own key and once more for the
 * output. Throws RangeError when the scalar is 0 or ≥ n, or the sum is infinity.
 */
export function addToGroup(group: GroupKey, scalar: Uint8Array): GroupKey {
  const offset = Point.BASE.multiply(checked(scalar))
  const isNegated = hasOddKey(group)
  const even = (bytes: Uint8Array) => (isNegated ? pointOf(bytes).negate() : pointOf(bytes))
  return {
    threshold: group.threshold,
    commitments: group.commitments.map((bytes, index) => {
      return (index === 0 ? even(bytes).add(offset) : even(bytes)).toBytes(true)
    }),
    verifyingShares: new Map(
      [...group.verifyingShares].map(([signer, bytes]) => {
        return [signer, even(bytes).add(offset).toBytes(true)]
      }),
    ),
  }
}

/** A share of `group` becomes one of `addToGroup(group, scalar)`. Throws as that does. */
export function addToShare(group: GroupKey, share: KeyShare, scalar: Uint8Array): KeyShare {
  const secret = bigintFromBytes(share.secret)
  const even = hasOddKey(group) ? Fn.neg(secret) : secret
  return { signer: share.signer, secret: scalarBytes(Fn.add(even, checked(scalar))) }
}

/** BIP341's tweak of an output without scripts: what ZF FROST gives every key that it makes. */
export function scriptlessTweak(group: GroupKey): Uint8Array {
  return taggedHash('TapTweak', groupPublicKey(group))
}

function hasOddKey({ commitments: [first] }: GroupKey): boolean {
  return first?.[0] === ODD
}

function checked(bytes: Uint8Array): bigint {
  const scalar = readScalar(bytes)
  if (scalar === undefined || scalar === 0n)
    throw new RangeError('no scalar to add: 0, or n or more')
  return scalar
}
