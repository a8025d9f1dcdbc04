/** Voting power: quorum and fault bound (BF-1), and a set of validators indexed by key. */
import { toHex } from '../../crypto/index.ts'
import type { Validator } from '../params/index.ts'

type Powered = Pick<Validator, 'power'>

export function totalPower(validators: readonly Powered[]): number {
  return validators.reduce((sum, { power }) => sum + power, 0)
}

/** q = floor(2P/3) + 1: two quorums share more than f. */
export function quorum(validators: readonly Powered[]): number {
  return Math.floor((2 * totalPower(validators)) / 3) + 1
}

/** f: the largest power with 3f < P that may lie. 0 for fewer than four equal validators. */
export function maxFaulty(validators: readonly Powered[]): number {
  return Math.ceil(totalPower(validators) / 3) - 1
}

/** validators(h) with what is derived from it. A position means something at this height only (1.4, T11). */
export interface ValidatorSet {
  readonly validators: readonly Validator[]
  readonly quorum: number
  /** f + 1: at least one of these is honest. */
  readonly honest: number
  readonly positions: ReadonlyMap<string, number>
}

export function createValidatorSet(validators: readonly Validator[]): ValidatorSet {
  return {
    validators,
    quorum: quorum(validators),
    honest: maxFaulty(validators) + 1,
    positions: new Map(validators.map(({ blsKey }, position) => [toHex(blsKey), position])),
  }
}

export function positionOf(set: ValidatorSet, key: Uint8Array): number | undefined {
  return set.positions.get(toHex(key))
}

/** Power of distinct positions. */
export function powerOf(set: ValidatorSet, positions: Iterable<number>): number {
  let sum = 0
  for (const position of positions) sum += set.validators[position]?.power ?? 0
  return sum
}
