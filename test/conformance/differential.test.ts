/** The short form of `npm run conformance -- differential`; SEED chooses other programs. */
import { againstLibrary } from './differential.ts'

const SEED = Number(process.env['SEED'] ?? 1)

it(`random programs run as in stock @ethereumjs/vm on its own state: roots, receipts, gas; seed ${SEED}`, async () => {
  const { difference, succeeded, transactions } = await againstLibrary(SEED, 72)
  expect({ seed: SEED, difference }).toEqual({ seed: SEED, difference: undefined })
  expect(succeeded).toBeGreaterThan(transactions / 5)
})
