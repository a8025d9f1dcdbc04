/** validators(h) as it follows from the genesis and the blocks, worked out here and not asked of any node (protocol §1.4, BF-1). */
import { type CommittedBlock, hashValidators } from '../../core/block/index.ts'
import type { Genesis, Validator } from '../../core/params/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import type { World } from './world.ts'

/** What block h decides acts at h + 2. */
const DELAY = 2

export class ValidatorBook {
  readonly #world: World
  /** By height; known two heights ahead of the last block. */
  readonly #sets: (readonly Validator[])[]
  /** How many are decided. */
  changes = 0
  /** The last block. */
  tip: CommittedBlock | undefined

  constructor(world: World, { validators }: Genesis) {
    this.#world = world
    this.#sets = Array.from({ length: DELAY + 1 }, () => validators)
    if (new Set(validators.map(({ power }) => power)).size > 1) world.fault('unevenPowers')
  }

  /** Undefined for a height that is too far ahead. */
  at(height: number): readonly Validator[] | undefined {
    return this.#sets[height]
  }

  /** The last that is decided, whether it acts yet or not. */
  get latest(): readonly Validator[] {
    return this.#sets.at(-1) as readonly Validator[]
  }

  /** The first node stores a height. */
  decided(committed: CommittedBlock): void {
    const { body, header } = committed.block
    this.tip = committed
    const { height } = header
    const [set, next] = [this.#sets[height], this.#sets[height + 1]]
    const isRight =
      set !== undefined &&
      next !== undefined &&
      equalBytes(header.validatorsHash, hashValidators(set)) &&
      equalBytes(header.nextValidatorsHash, hashValidators(next))
    this.#world.check('RightValidators', isRight, () => {
      return `block ${height} names other validators than the blocks before it give`
    })
    let after = next ?? this.latest
    for (const { address, blsKey, power } of body.validatorChanges) {
      this.changes += 1
      const present = after.find((validator) => equalBytes(validator.blsKey, blsKey))
      const changed = { address, blsKey, power }
      if (present === undefined) {
        this.#world.fault('validatorJoins')
        after = [...after, changed]
      } else if (power === 0) {
        this.#world.fault('validatorLeaves')
        after = after.filter((validator) => validator !== present)
      } else {
        this.#world.fault('powerMoves')
        after = after.map((validator) => (validator === present ? changed : validator))
      }
    }
    this.#sets[height + DELAY] = after
  }
}

/** The voting power of these keys, in hex, each counted once. */
export function powerOfKeys(validators: readonly Validator[], keys: Iterable<string>): number {
  const counted = new Set(keys)
  return totalOf(validators.filter(({ blsKey }) => counted.has(toHex(blsKey))))
}

export function totalOf(validators: readonly Pick<Validator, 'power'>[]): number {
  return validators.reduce((sum, { power }) => sum + power, 0)
}

/** More than two thirds of the power. */
export function quorumOf(validators: readonly Pick<Validator, 'power'>[]): number {
  return Math.floor((2 * totalOf(validators)) / 3) + 1
}
