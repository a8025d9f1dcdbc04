/** What a member remembers of its offers (protocol §5.4, §5.5). */
import { makeOffer, type SigningTask } from '../../../core/signing/index.ts'
import { Offers } from '../../../governance/offers.ts'
import { seeded } from '../core/peg/world.ts'

const task = (batch: number, changes: Partial<SigningTask> = {}): SigningTask => ({
  genesisHash: seeded('genesis'),
  batchId: seeded(`batch ${batch}`),
  version: 0,
  attempt: 0,
  threshold: 3,
  members: [0, 1, 2, 3].map((index) => seeded(`key ${index}`)),
  inputs: [],
  ...changes,
})
const member = { index: 0, secretKey: seeded('secret'), shares: new Map() }

function put(offers: Offers, node: number, of: SigningTask, nowMs = 0): void {
  const serial = offers.serial(node, of, nowMs) ?? -1
  const made = makeOffer(of, member, serial, (length) => new Uint8Array(length).fill(7))
  if (made === undefined) throw new Error('no offer')
  const open = { task: of, keys: new Map(), txid: seeded('txid'), ...made }
  offers.put(node, of, serial, nowMs, open)
}

describe('the offers of a member', () => {
  it('one node pushes out its own oldest only, however many batches it asks about (5.5)', () => {
    const offers = new Offers()
    put(offers, 1, task(0))
    for (let batch = 0; batch < 65; batch++) put(offers, 0, task(batch))
    expect(offers.take(0, task(0).batchId)).toBeUndefined()
    expect(offers.take(0, task(1).batchId)).toBeDefined()
    expect(offers.take(1, task(0).batchId)).toBeDefined()
  })

  it('is given out once, and what it was for is remembered', () => {
    const offers = new Offers()
    put(offers, 0, task(0, { attempt: 4 }))
    expect(offers.take(0, task(0).batchId)).toBeDefined()
    expect(offers.take(0, task(0).batchId)).toBeUndefined()
    expect(offers.refusal(0, task(0, { attempt: 3 }), 9_000)).toBe('AttemptPassed')
    expect(offers.serial(0, task(0, { attempt: 5 }), 0)).toBe(1)
  })

  it('a further version begins its attempts anew, an earlier one is over for the node that went on', () => {
    const offers = new Offers()
    put(offers, 0, task(0, { attempt: 9 }))
    expect(offers.refusal(0, task(0, { version: 1 }), 4_999)).toBe('AttemptTooSoon')
    expect(offers.refusal(0, task(0, { version: 1 }), 5_000)).toBeUndefined()
    put(offers, 0, task(0, { version: 1 }), 5_000)
    expect(offers.refusal(0, task(0, { attempt: 10 }), 20_000)).toBe('AttemptPassed')
    expect(offers.refusal(1, task(0, { attempt: 10 }), 20_000)).toBeUndefined()
  })

  it('a clock that was set back makes nobody wait', () => {
    const offers = new Offers()
    put(offers, 0, task(0), 3_600_000)
    expect(offers.refusal(0, task(0, { attempt: 1 }), 1_000)).toBeUndefined()
  })
})
