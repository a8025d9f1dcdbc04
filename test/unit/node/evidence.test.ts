/** The life of evidence in a whole node: told by a peer, kept over a restart, carried by a block, once (2.9, BP-17). */
import { wireNames } from '../../../actors/network/wire.ts'
import {
  EVIDENCE_BYTES,
  type Evidence,
  encodeEvidence,
  voteMessage,
} from '../../../core/block/index.ts'
import { createEvidence } from '../../../core/pbft/index.ts'
import { type BlsKeyPair, blsKeyPair, blsSign } from '../../../crypto/index.ts'
import { createChainView } from '../../../node/views/index.ts'
import { validatorKeys } from '../core/chain/town.ts'
import { seeded } from '../core/peg/world.ts'
import { Disks, Village } from './village.ts'

const opened: Village[] = []
async function village(disks = new Disks()): Promise<Village> {
  const started = await new Village({}, disks).start()
  opened.push(started)
  started.events?.peerConnected({ peer: 'peer', address: '/ip4/127.0.0.1/tcp/1', inbound: true })
  return started
}
afterEach(async () => {
  for (const each of opened.splice(0)) await each.stop()
})

const liar = validatorKeys[0] as BlsKeyPair

/** Two commits of one place by `keys`. */
function twice({ genesis }: Village, height: number, view: number, keys = liar): Evidence {
  const [first, second] = ['one', 'other'].map((name) => {
    const hash = seeded(name)
    const message = voteMessage(genesis.hash, 'commit', height, view, hash)
    return { height, hash, signature: blsSign(keys.secretKey, message) }
  })
  if (first === undefined || second === undefined) throw new Error('two')
  return createEvidence('commit', keys.publicKey, view, first, second)
}

let id = 0
async function gossip(town: Village, bytes: Uint8Array): Promise<void> {
  const topic = wireNames(town.genesis.hash).evidence
  id += 1
  town.events?.gossip({ id, topic, peer: 'peer', bytes })
  await town.ports.clock.advance(10)
}

const logged = (town: Village, event: string) =>
  town.ports.log.records.filter((record) => record.event === event)

function pageOf(town: Village) {
  const { genesis, ports, tree } = town
  const options = { genesis, live: tree.live, clock: ports.clock, self: undefined }
  return createChainView({ ...options, store: () => tree.store() }).evidence(0, 10)
}

describe('evidence in a node', () => {
  it('is carried by the next block, once, and readers see where it is (BP-17)', async () => {
    const town = await village()
    await town.slots(2)
    const evidence = twice(town, town.height, 5)
    await gossip(town, encodeEvidence(evidence))
    expect(pageOf(town)).toMatchObject({ waitingTotal: 1, carriedTotal: 0, waiting: [evidence] })
    expect(logged(town, 'a validator signed twice')).toMatchObject([
      { level: 'warn', fields: { phase: 'commit', view: 5, source: 'gossip' } },
    ])
    const before = town.height
    await town.slots(3)
    const { carried, waitingTotal } = pageOf(town)
    expect(waitingTotal).toBe(0)
    expect(carried).toMatchObject([{ round: 5, offenceHeight: before, height: before + 1 }])
    expect(logged(town, 'a block convicts a validator')).toHaveLength(1)
    await gossip(town, encodeEvidence(evidence))
    await town.slots(2)
    expect(pageOf(town)).toMatchObject({ waitingTotal: 0, carriedTotal: 1 })
    expect(logged(town, 'a validator signed twice')).toHaveLength(1)
  })

  it('that waits is still there after a restart, and what a block carried does not come back (BP-17)', async () => {
    const town = await village()
    await town.slots(2)
    const [carried, waits] = [1, 2].map((view) => twice(town, town.height, view)) as Evidence[]
    if (carried === undefined || waits === undefined) throw new Error('two')
    await gossip(town, encodeEvidence(carried))
    await town.slots(2)
    expect(pageOf(town).carriedTotal).toBe(1)
    town.mood.engineFaults = true
    await gossip(town, encodeEvidence(waits))
    await town.slots(1)
    expect(pageOf(town)).toMatchObject({ waitingTotal: 1, carriedTotal: 1 })
    await town.stop()
    opened.pop()
    const again = await village(town.disks)
    expect(pageOf(again)).toMatchObject({ waiting: [waits], carriedTotal: 1 })
    await again.until(() => pageOf(again).carriedTotal === 2)
    expect(pageOf(again).waitingTotal).toBe(0)
  })

  it('that convicts nobody is not kept (T3)', async () => {
    const town = await village()
    await town.slots(2)
    const forged = { ...twice(town, town.height, 5), round: 6 }
    const stranger = twice(town, town.height, 5, blsKeyPair(seeded('stranger')))
    for (const one of [forged, stranger]) await gossip(town, encodeEvidence(one))
    await gossip(town, new Uint8Array(EVIDENCE_BYTES - 1))
    await town.slots(2)
    expect(pageOf(town)).toMatchObject({ waitingTotal: 0, carriedTotal: 0 })
    expect(logged(town, 'a validator signed twice')).toEqual([])
  })
})
