/**
 * A lost share made again by `threshold` others, none of whom learns it, and without the key ever being in one place (ZF FROST,
 * "repairable threshold scheme", after Laing and Stinson 2018, section 3.1).
 */
import { bigintFromBytes } from '../bytes.ts'
import { type KeyShare, verifyingShareAt } from './group.ts'
import {
  drawScalar,
  Fn,
  lagrange,
  Point,
  pointOf,
  type Random,
  readPoint,
  readScalar,
  scalarBytes,
} from './scalars.ts'

/**
 * Step 1, at each helper: its part of the lost share, split into one summand of 32 bytes for every helper, itself included. `helpers`
 * are distinct and do not hold the lost one.
 */
export function splitForRepair(
  share: KeyShare,
  helpers: readonly number[],
  lost: number,
  random: Random,
): ReadonlyMap<number, Uint8Array> {
  const others = helpers.filter((helper) => helper !== share.signer)
  if (others.length !== helpers.length - 1 || new Set(helpers).size !== helpers.length) {
    throw new RangeError(`signer ${share.signer} must help once`)
  }
  if (helpers.includes(lost)) throw new RangeError(`signer ${lost} cannot help itself`)
  const part = Fn.mul(lagrange(helpers, share.signer, lost), bigintFromBytes(share.secret))
  const drawn = new Map(others.map((helper) => [helper, drawScalar(random)]))
  const rest = [...drawn.values()].reduce((left, summand) => Fn.sub(left, summand), part)
  drawn.set(share.signer, rest)
  return new Map([...drawn].map(([helper, summand]) => [helper, scalarBytes(summand)]))
}

/**
 * Step 2, at each helper: the sum of what all helpers gave it, for the one who lost its share; step 3, there: the sum of those is the
 * share. Undefined where one of them is no scalar. What comes out is checked with `isShareOf`.
 */
export function sumForRepair(summands: Iterable<Uint8Array>): Uint8Array | undefined {
  let sum = 0n
  for (const bytes of summands) {
    const scalar = readScalar(bytes)
    if (scalar === undefined) return undefined
    sum = Fn.add(sum, scalar)
  }
  return scalarBytes(sum)
}

/** What everybody may see of a summand or a sum: its point, 33 bytes. Undefined where it is no scalar, or 0. */
export function commitToSummand(summand: Uint8Array): Uint8Array | undefined {
  const scalar = readScalar(summand)
  return scalar === undefined || scalar === 0n
    ? undefined
    : Point.BASE.multiply(scalar).toBytes(true)
}

/**
 * Whether a helper's summands, by what it committed to, add up to its part of the lost share: that is known to everybody, so a helper that
 * gives others than its own is named before anything is added up. `commitments` are the key's.
 */
export function isRepairSplit(
  commitments: readonly Uint8Array[],
  helper: number,
  helpers: readonly number[],
  lost: number,
  summands: readonly Uint8Array[],
): boolean {
  const points = summands.map(readPoint)
  const verifying = verifyingShareAt(commitments, helper)
  if (verifying === undefined || points.includes(undefined)) return false
  const sum = (points as Point[]).reduce((left, point) => left.add(point), Point.ZERO)
  return sum.equals(pointOf(verifying).multiplyUnsafe(lagrange(helpers, helper, lost)))
}

/** Whether a sum is of the summands that helpers committed to for its giver. */
export function isSumOf(sum: Uint8Array, summands: readonly Uint8Array[]): boolean {
  const scalar = readScalar(sum)
  const points = summands.map(readPoint)
  if (scalar === undefined || scalar === 0n || points.includes(undefined)) return false
  const total = (points as Point[]).reduce((left, point) => left.add(point), Point.ZERO)
  return Point.BASE.multiply(scalar).equals(total)
}
