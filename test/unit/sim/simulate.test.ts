import { readTree } from '../../arch/sources.ts'
import { createFederation, simulate } from '../../sim/simulate.ts'

const SEEDS = [1, 2, 3, 4, 5]
const FAULTS_MS = 8_000
/** What a world may know of the product: trees, ports, pure rules, the development Bitcoin; nothing that does real I/O. */
const REFUSED =
  /^(?:node\/(?!tree\.ts)|governance\/(?:program|files|config|status|links-port)|messages\/.+\/)/

describe('the simulator', () => {
  const federation = createFederation(4, 4)
  const run = (seed: number, keepLog = false) =>
    simulate({ seed, federation, faultsMs: FAULTS_MS, keepLog })

  it.each(SEEDS)('seed %i: no invariant breaks, and after healing all goes on', async (seed) => {
    const report = await run(seed)
    expect(report.violations).toEqual([])
    expect(report.coverage.commits).toBeGreaterThan(0)
    expect(report.coverage.pegInsDone).toBeGreaterThan(0)
  })

  it('the same seed gives the same log, byte for byte, whatever ran before', async () => {
    const first = await run(6, true)
    await run(7)
    const second = await run(6, true)
    expect(second.lines).toEqual(first.lines)
    expect(second.logHash).toBe(first.logHash)
  })

  it('another seed gives another world', async () => {
    const [one, other] = [await run(6), await run(7)]
    expect(other.logHash).not.toBe(one.logHash)
  })

  it('imports trees and ports, no adapter and no program', () => {
    const imports = readTree(['test/sim']).flatMap(({ path, imports: all }) =>
      all.map(({ target }) => ({ path, target: target ?? '' })),
    )
    expect(imports.length).toBeGreaterThan(20)
    expect(imports.filter(({ target }) => REFUSED.test(target))).toEqual([])
  })
})
