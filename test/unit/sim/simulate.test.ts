import { readTree } from '../../arch/sources.ts'
import { PROFILES } from '../../sim/profiles.ts'
import { createFederation, simulate } from '../../sim/simulate.ts'

const SEEDS = [1, 2, 3, 4, 5]
const PROFILE = PROFILES.short
/** What a world may know of the product: trees, ports, pure rules, the development Bitcoin; nothing that does real I/O. */
const REFUSED =
  /^(?:node\/(?!tree\.ts)|governance\/(?:program|files|config|status|links-port)|messages\/.+\/)/

describe('the simulator', () => {
  const federation = createFederation(4, 4)
  const hashes = new Map<number, string>()
  const run = async (seed: number) => {
    const report = await simulate({ seed, federation, profile: PROFILE })
    expect(report.violations).toEqual([])
    return report
  }

  it.each(SEEDS)('seed %i: no invariant breaks, and after healing all goes on', async (seed) => {
    const { coverage, logHash } = await run(seed)
    expect(coverage.commits).toBeGreaterThan(0)
    expect(coverage.pegInsDone).toBe(PROFILE.load.deposits)
    hashes.set(seed, logHash)
  })

  it('each seed gives a world of its own, and the same log, byte for byte, whatever ran before', async () => {
    expect(new Set(hashes.values()).size).toBe(SEEDS.length)
    expect((await run(2)).logHash).toBe(hashes.get(2))
  })

  it('imports trees and ports, no adapter and no program', () => {
    const imports = readTree(['test/sim']).flatMap(({ path, imports: all }) =>
      all.map(({ target }) => ({ path, target: target ?? '' })),
    )
    expect(imports.length).toBeGreaterThan(20)
    expect(imports.filter(({ target }) => REFUSED.test(target))).toEqual([])
  })
})
