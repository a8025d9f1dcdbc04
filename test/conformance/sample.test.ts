/** A seeded sample of what `npm run conformance` runs in full; SEED chooses another one. */
import { filesOf, locatedIn, runAll, SUITES } from './run.ts'
import { hasVectors, type Suite, VECTORS } from './suite.ts'

const SEED = Number(process.env['SEED'] ?? 1)
const FILES = 40
/** Folders with cases of many seconds; the command runs them. */
const SLOW = /stTimeConsuming|stQuadraticComplexity|vmPerformance|stAttack|bcForkStress|bcExploit/

/** Marsaglia's xorshift: the same sample for the same seed everywhere. */
function sample<T>(items: readonly T[], count: number): T[] {
  let state = SEED * 2_654_435_761 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  const left = [...items]
  return Array.from({ length: Math.min(count, left.length) }, () => {
    return left.splice(next() % left.length, 1)[0] as T
  })
}

interface Place {
  readonly suite: Suite | undefined
  readonly file: string
}

const places = (SUITES['evm'] ?? []).flatMap((suite) => {
  return filesOf(suite).map((file): Place => ({ suite, file }))
})
const chosen = sample(
  places.filter(({ file }) => !SLOW.test(file)),
  FILES,
)
const none: Place = { suite: undefined, file: 'none' }

const describeVectors = hasVectors('ethereum-tests') ? describe : describe.skip

describeVectors(`public vectors of ${VECTORS}, sample ${SEED}`, () => {
  it.each(chosen.length === 0 ? [none] : chosen)('$file', async ({ suite, file }) => {
    if (suite === undefined) return
    const { failures } = await runAll(locatedIn(suite, file))
    expect(failures).toEqual([])
  })
})
