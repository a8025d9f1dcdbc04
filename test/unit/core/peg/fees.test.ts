import { seededRandom } from '../../../../devnet/launcher/chaos.ts'
import { PegWorld } from './world.ts'

const SEED = 9

it(`BP-9: over any range of blocks the pool grows by what they burned, above 128 bits too (seed ${SEED})`, () => {
  const next = seededRandom(SEED)
  const world = new PegWorld()
  world.pegIn('alice', 1_000_000n)
  const pools = [world.ledger.state.feePoolWei]
  const burned: bigint[] = []
  for (let block = 0; block < 40; block++) {
    const feesBurnedWei = BigInt(Math.floor(next() * 2 ** 50)) << BigInt(Math.floor(next() * 100))
    world.block({ feesBurnedWei })
    burned.push(feesBurnedWei)
    pools.push(world.ledger.state.feePoolWei)
  }
  for (let from = 0; from < burned.length; from++) {
    for (let to = from; to <= burned.length; to++) {
      const sum = burned.slice(from, to).reduce((left, right) => left + right, 0n)
      expect((pools[to] as bigint) - (pools[from] as bigint)).toBe(sum)
    }
  }
  expect((pools.at(-1) as bigint) > 2n ** 128n).toBe(true)
})
