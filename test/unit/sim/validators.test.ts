/** Validators that change under load and crashes; `node test/sim/validator-worlds.ts SEED COUNT` runs more of these worlds. */
import { ValidatorWorld } from '../../sim/validator-worlds.ts'

const MOST_MS = 240_000

it.each([
  [1, 4],
  [2, 7],
] as const)(
  'BF-13, BF-1: world %d of %d nodes agrees on validators(h), whoever decides with whatever power (P 1.4)',
  async (seed, nodes) => {
    const { decided, powers, sizes, violations } = await new ValidatorWorld(seed, nodes).run()
    expect(violations).toEqual([])
    expect(decided).toBeGreaterThan(5)
    expect(sizes.length).toBeGreaterThan(1)
    expect(powers).toContain(2)
  },
  MOST_MS,
)
