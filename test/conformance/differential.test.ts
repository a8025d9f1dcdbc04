/** The short form of `npm run conformance -- differential`; SEED chooses other programs. */
import { againstLibrary, replayed } from './differential.ts'

const SEED = Number(process.env['SEED'] ?? 1)

it(`random programs run as in stock @ethereumjs/vm on its own state: roots, receipts, gas; seed ${SEED}`, async () => {
  const { difference, succeeded, transactions } = await againstLibrary(SEED, 48)
  expect({ seed: SEED, difference }).toEqual({ seed: SEED, difference: undefined })
  expect(succeeded).toBeGreaterThan(transactions / 5)
})

it(`a loaded chain replayed from genesis gives the same state, receipts and roots; seed ${SEED}`, async () => {
  const stores = await replayed(SEED, 3)
  for (const part of ['accounts', 'values', 'codes', 'nodes', 'hashes'] as const) {
    expect(stores.replayed.state[part]).toEqual(stores.built.state[part])
  }
  expect(stores.replayed.blocks).toEqual(stores.built.blocks)
  expect(stores.built.blocks.length).toBe(5)
})
