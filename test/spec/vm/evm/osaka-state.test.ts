/** Osaka's state tests of execution-spec-tests: the state root and the hash of the logs after one transaction. */
import { filesOf, locatedIn, runAll } from '../../../conformance/run.ts'
import { stateTests } from '../../../conformance/state-tests.ts'
import { hasVectors, SKIPPED, type Suite } from '../../../conformance/suite.ts'

const suite = stateTests.find(({ name }) => name === 'execution-spec-tests') as Suite
const files = filesOf(suite).filter((file) => file.includes('/osaka/'))
const describeVectors = hasVectors('execution-spec-tests/osaka') ? describe : describe.skip

describeVectors('execution-spec-tests, Osaka', () => {
  it.each(files.length === 0 ? ['no vectors'] : files)('%s', async (file) => {
    const { run, failures, skipped } = await runAll(locatedIn(suite, file))
    const passedOver = Object.values(skipped).reduce((sum, count) => sum + count, 0)
    expect(failures).toEqual([])
    expect(run + passedOver).toBeGreaterThan(0)
    // Protocol 6.1: no blob transaction is valid here.
    expect(passedOver).toBe(skipped[SKIPPED.blobs] ?? 0)
  })
})
