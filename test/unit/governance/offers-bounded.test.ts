import { Offers } from '../../../governance/offers.ts'
import { seeded } from '../core/peg/world.ts'

it('P 5.5: offers are bounded, whatever number of a node is told', () => {
  const offers = new Offers<object>()
  const batchId = seeded('batch')
  const name = { batchId, version: 0, attempt: 0, members: [], threshold: 1 }
  // As `vault.offer` does with the number of a question that came over the wire: any of 32 bits.
  for (let node = 0; node < 20_000; node++) {
    if (offers.refusal(node, name, 0) === undefined) offers.put(node, name, node, 0, {})
  }
  let open = 0
  for (let node = 0; node < 20_000; node++) if (offers.take(node, batchId) !== undefined) open += 1
  expect(open).toBeLessThan(1_000)
})
