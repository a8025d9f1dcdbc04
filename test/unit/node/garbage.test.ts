/** D10, C-7: whatever comes in from outside, no actor of the node fails and blocks go on. */
import { wireNames } from '../../../actors/network/wire.ts'
import { createSeededRandom } from '../../../supervisor/testing/index.ts'
import { Village } from './village.ts'

describe('D10, C-7: garbage from peers', () => {
  it('frames, gossip and requests of any bytes leave the node as it was', async () => {
    const village = await new Village().start()
    await village.slots(2)
    const { events } = village
    if (events === undefined) throw new Error('the network does not listen')
    const random = createSeededRandom(3)
    const names = wireNames(village.genesis.hash)
    const topics = [names.consensus, names.transactions, names.approvals, '/other']
    const protocols = [names.status, names.blocks, names.block, '/other']
    const real = village.sent.map(({ bytes }) => bytes)
    expect(real.length).toBeGreaterThan(2)
    const bytesOf = (round: number): Uint8Array => {
      const [length = 0, place = 0, high = 0, value = 0] = random.bytes(4)
      if (round % 3 === 0) return random.bytes(length)
      const changed = Uint8Array.from(real[place % real.length] as Uint8Array)
      changed[((high << 8) | length) % changed.length] = value
      return round % 3 === 1 ? changed : changed.subarray(0, (place << 3) % changed.length)
    }
    for (let peer = 0; peer < 5; peer++) {
      events.peerConnected({ peer: `peer ${peer}`, address: '/ip4/127.0.0.1/tcp/1', inbound: true })
    }
    for (let round = 0; round < 400; round++) {
      const peer = `peer ${round % 5}`
      events.frame({ peer, bytes: bytesOf(round) })
      const topic = topics[round % topics.length] as string
      events.gossip({ id: round, topic, peer, bytes: bytesOf(round + 1) })
      const protocol = protocols[round % protocols.length] as string
      events.request({ id: round, peer, protocol, bytes: bytesOf(round + 2) })
      if (round % 40 === 0) await village.ports.clock.advance(100)
    }
    const before = village.height
    await village.slots(3)
    expect(village.height).toBeGreaterThanOrEqual(before + 3)
    for (const { path, life, restarts } of village.tree.system.snapshot()) {
      expect([path, life, restarts]).toEqual([path, 'Running', 0])
    }
    expect(village.ledger.state.mintedSat).toBe(0n)
    await village.stop()
  })
})
