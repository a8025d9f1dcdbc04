/** Evidence on its way: one hop until a pool kept it, and at the sender's cost (2.9, BP-17, T3). */
import { DEFAULT_LIMITS } from '../../../../actors/network/limits.ts'
import type { Evidence } from '../../../../core/block/index.ts'
import type { EvidenceReceived } from '../../../../messages/index.ts'
import { addressOf, createNetwork, type Network, type TestNode } from './world.ts'

let network: Network
beforeEach(() => {
  network = createNetwork()
})
afterEach(() => network.stop())

const evidenceOf = (round: number): Evidence => {
  const signed = (byte: number) => ({
    height: 5,
    hash: new Uint8Array(32).fill(byte),
    signature: new Uint8Array(96).fill(byte),
  })
  return {
    phase: 2,
    validator: new Uint8Array(48).fill(7),
    round,
    first: signed(1),
    second: signed(2),
  }
}

const received = (node: TestNode | undefined) =>
  (node?.told['chain'] ?? []).filter(
    (message): message is EvidenceReceived => message.type === 'chain.EvidenceReceived',
  )
const tellOf = (node: TestNode, round: number) =>
  node.tell({ type: 'network.GossipEvidence', payload: { evidence: evidenceOf(round) } })

async function line(): Promise<readonly [TestNode, TestNode, TestNode]> {
  const a = await network.node('a', { staticPeers: [addressOf('b')] })
  const b = await network.node('b', { staticPeers: [addressOf('c')] })
  const c = await network.node('c')
  await network.advance(5_000)
  return [a, b, c]
}

describe('gossiped evidence', () => {
  it('travels one hop until a pool has kept it, whole', async () => {
    const [a, b, c] = await line()
    await tellOf(a, 1)
    await network.advance(100)
    expect(received(b).map(({ payload }) => payload)).toMatchObject([
      { peer: 'a', evidence: evidenceOf(1) },
    ])
    expect(received(c)).toEqual([])
    const id = received(b)[0]?.payload.id ?? -1
    await b.tell({ type: 'network.EvidenceJudged', payload: { id, verdict: 'accept' } })
    await network.advance(100)
    expect(received(c).map(({ payload }) => payload)).toMatchObject([
      { peer: 'b', evidence: evidenceOf(1) },
    ])
  })

  it('that convicts nobody costs its sender the connection, and goes no further (T3)', async () => {
    const [a, b, c] = await line()
    for (let round = 0; round < 8; round++) {
      await tellOf(a, round)
      await network.advance(100)
      const id = received(b).at(-1)?.payload.id ?? -1
      await b.tell({ type: 'network.EvidenceJudged', payload: { id, verdict: 'reject' } })
      await network.advance(100)
    }
    expect(received(b)).toHaveLength(6)
    expect(received(c)).toEqual([])
    expect(b.logs()).toContain('peer banned InvalidMessage')
  })

  it('goes to one peer alone over its stream, bounded as well; what is none is malformed', async () => {
    const [a, b, c] = await line()
    const send = (round: number) =>
      a.tell({ type: 'network.SendEvidence', payload: { peer: 'b', evidence: evidenceOf(round) } })
    await send(1)
    await network.advance(100)
    expect(received(b).map(({ payload }) => payload)).toEqual([
      { id: undefined, peer: 'a', evidence: evidenceOf(1) },
    ])
    for (let round = 2; round < 200; round++) await send(round)
    await network.advance(100)
    const { burst } = DEFAULT_LIMITS.rates.evidence
    expect(received(b).length).toBeGreaterThanOrEqual(burst)
    expect(received(b).length).toBeLessThanOrEqual(burst + 1)
    expect(received(c)).toEqual([])
    expect(b.logs()).not.toContain('peer banned InvalidMessage')
  })

  it('is bounded per peer before anything of it is verified (BF-8)', async () => {
    const [a, b] = await line()
    for (let round = 0; round < 200; round++) await tellOf(a, round)
    await network.advance(100)
    const { burst } = DEFAULT_LIMITS.rates.evidence
    expect(received(b).length).toBeGreaterThanOrEqual(burst)
    expect(received(b).length).toBeLessThanOrEqual(burst + 1)
  })
})
