import { DEFAULT_LIMITS, LATE_GOSSIP_MS } from '../../../../actors/network/limits.ts'
import { networkMachine } from '../../../../actors/network/machine.ts'
import { wireNames } from '../../../../actors/network/wire.ts'
import type { CommittedBlock, ConsensusMessage } from '../../../../core/block/index.ts'
import { blockHash } from '../../../../core/block/index.ts'
import type {
  BlockBatch,
  BlockFetched,
  GetConnectedPeers,
  NetworkInbox,
  PeerList,
  RequestBlocks,
  TransactionReceived,
} from '../../../../messages/index.ts'
import { edgesOf, type Message } from '../../../../supervisor/index.ts'
import { chainOfBlocks, proposalOf, voteOf } from '../chain-of-blocks.ts'
import { addressOf, createNetwork, GENESIS, type Network, type TestNode } from './world.ts'

let network: Network
beforeEach(() => {
  network = createNetwork()
})
afterEach(() => network.stop())

const consensusTold = (node: TestNode): ConsensusMessage[] =>
  (node.told['chain'] ?? [])
    .filter(({ type }) => type === 'chain.ConsensusMessageReceived')
    .map(({ payload }) => (payload as { message: ConsensusMessage }).message)

const fetched = (node: TestNode): Uint8Array[] =>
  (node.told['chain'] ?? [])
    .filter((message): message is BlockFetched => message.type === 'chain.BlockFetched')
    .map(({ payload }) => blockHash(payload.block.header))

const typesTold = (node: TestNode, actor: string): string[] =>
  (node.told[actor] ?? []).map(({ type }: Message) => type)

async function listPeers(node: TestNode): Promise<PeerList['payload']['peers']> {
  const request: GetConnectedPeers = { type: 'network.GetConnectedPeers', payload: {} }
  const answer = node.system.ask('network', request, { timeoutMs: 1_000 })
  await network.advance(10)
  const result = await answer
  if (!result.ok) throw new Error(result.error.code)
  return result.value.payload.peers
}

async function requestBlocks(
  node: TestNode,
  peer: string,
  from: number,
  count: number,
): Promise<BlockBatch['payload']> {
  const request: RequestBlocks = { type: 'network.RequestBlocks', payload: { peer, from, count } }
  const answer = node.system.ask('network', request, { timeoutMs: 20_000 })
  await network.advance(15_000)
  const result = await answer
  if (!result.ok) throw new Error(result.error.code)
  return result.value.payload
}

/** Nodes in a line, each dialling the next. */
async function line(...names: readonly string[]): Promise<TestNode[]> {
  const nodes: TestNode[] = []
  for (const [index, name] of names.entries()) {
    const next = names[index + 1]
    nodes.push(
      await network.node(name, next === undefined ? {} : { staticPeers: [addressOf(next)] }),
    )
  }
  await network.advance(5_000)
  return nodes
}

describe('coming and going', () => {
  it('tells Chain of a peer once both know that they share the genesis', async () => {
    const [a, b] = (await line('a', 'b')) as [TestNode, TestNode]
    expect(typesTold(a, 'chain')).toEqual(['chain.PeerConnected'])
    expect(typesTold(b, 'chain')).toEqual(['chain.PeerConnected'])
    expect(await listPeers(a)).toEqual([{ peer: 'b', height: 0, inbound: false, score: 0 }])
    expect(await listPeers(b)).toEqual([{ peer: 'a', height: 0, inbound: true, score: 0 }])
  })

  it('disconnects a peer of another genesis with a named code, on both sides', async () => {
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    const b = await network.node('b', { genesisHash: new Uint8Array(32).fill(8) })
    await network.advance(20_000)
    expect(typesTold(a, 'chain')).toEqual([])
    expect(typesTold(b, 'chain')).toEqual([])
    expect(a.logs()).toContain('peer refused ForeignGenesis')
  })

  it('names other topics and protocols to another genesis', () => {
    const [ours, theirs] = [wireNames(GENESIS), wireNames(new Uint8Array(32))]
    expect(ours.consensus).not.toBe(theirs.consensus)
    expect(ours.status).toBe(theirs.status)
    expect(ours.consensus).toMatch(/^\/millrace\/[0-9a-f]{8}\/consensus$/)
  })

  it('disconnects a peer that does not tell its status', async () => {
    const a = await network.node('a')
    const silent = network.world.create('mute')
    const events = {
      peerConnected: () => undefined,
      peerDisconnected: () => undefined,
      frame: () => undefined,
      gossip: () => undefined,
      request: () => undefined,
    }
    const direct = { name: 'd', maxFrameBytes: 10 }
    await silent.start({ listen: [], topics: [], protocols: [], direct, maxPeers: 5, events })
    await silent.dial(addressOf('a'), 1_000)
    await network.advance(20_000)
    expect(a.logs()).toContain('peer refused NoStatus')
  })

  it('goes on trying a static peer until it comes, and again when it went', async () => {
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    await network.advance(30_000)
    expect(a.state()).toBe('Degraded')
    const b = await network.node('b')
    await network.advance(61_000)
    expect(a.state()).toBe('Running')
    expect(await listPeers(b)).toHaveLength(1)
    await b.system.stop()
    await network.advance(30_000)
    expect(a.state()).toBe('Degraded')
    await network.node('b')
    await network.advance(61_000)
    expect(a.state()).toBe('Running')
  })

  it('keeps room for its own peers: strangers above the limit are refused', async () => {
    const a = await network.node('a', {
      limits: { maxPeers: 10, maxInbound: 2 },
      staticPeers: [addressOf('friend')],
    })
    for (const name of ['s1', 's2', 's3', 'friend']) {
      await network.node(name, { staticPeers: [addressOf('a')] })
      await network.advance(500)
    }
    await network.advance(1_000)
    const peers = (await listPeers(a)).map(({ peer }) => peer)
    expect(peers.sort()).toEqual(['friend', 's1', 's2'])
    expect(a.logs()).toContain('peer refused TooManyPeers')
  })

  it('has the states of the design and no way out of Stopping', () => {
    const edges = edgesOf(networkMachine).map(({ from, to }) => `${from} > ${to}`)
    expect(edges.sort()).toEqual([
      'Degraded > Running',
      'Degraded > Stopping',
      'Initializing > Running',
      'Running > Degraded',
      'Running > Stopping',
    ])
  })
})

describe('consensus messages', () => {
  it('reach every node of a line, and each Chain is told once though they come twice', async () => {
    const nodes = await line('a', 'b', 'c', 'd')
    const message = voteOf(1, 0)
    await nodes[0]?.tell({ type: 'network.PropagateBlock', payload: { message } })
    await network.advance(LATE_GOSSIP_MS + 100)
    for (const node of nodes.slice(1)) expect(consensusTold(node)).toHaveLength(1)
    expect(consensusTold(nodes[0] as TestNode)).toEqual([])
  })

  it('go round by gossip only where that is of use: a height that was decided meanwhile needs it no more', async () => {
    const [a, b, c] = (await line('a', 'b', 'c')) as [TestNode, TestNode, TestNode]
    const propagate = (height: number) =>
      a.tell({ type: 'network.PropagateBlock', payload: { message: voteOf(height, 0) } })
    await propagate(1)
    await propagate(2)
    await network.advance(LATE_GOSSIP_MS / 2)
    // Directly, at once; c has no connection with a.
    expect(consensusTold(b)).toEqual([voteOf(1, 0), voteOf(2, 0)])
    expect(consensusTold(c)).toEqual([])
    const hash = new Uint8Array(32).fill(1)
    await a.tell({ type: 'network.HeadAnnounced', payload: { height: 1, hash } })
    await network.advance(LATE_GOSSIP_MS)
    expect(consensusTold(c)).toEqual([voteOf(2, 0)])
  })

  it('go by gossip at once while a static peer is missing', async () => {
    const a = await network.node('a', { staticPeers: [addressOf('b'), addressOf('away')] })
    await network.node('b', { staticPeers: [addressOf('c')] })
    const c = await network.node('c')
    await network.advance(5_000)
    await a.tell({ type: 'network.PropagateBlock', payload: { message: voteOf(1, 0) } })
    await network.advance(LATE_GOSSIP_MS / 2)
    expect(consensusTold(c)).toEqual([voteOf(1, 0)])
  })

  it('are told again when they are sent again later: Chain repeats itself per slot on purpose', async () => {
    const [a, b] = (await line('a', 'b')) as [TestNode, TestNode]
    const propagate = () =>
      a.tell({ type: 'network.PropagateBlock', payload: { message: voteOf(1, 0) } })
    await propagate()
    await network.advance(2_000)
    await propagate()
    await network.advance(100)
    expect(consensusTold(b)).toHaveLength(2)
  })

  it('a large proposal arrives, and a repeated one arrives again although gossip knows it', async () => {
    const [a, b] = (await line('a', 'b')) as [TestNode, TestNode]
    const [block] = chainOfBlocks(1, 1, 300_000)
    const message = proposalOf(block as NonNullable<typeof block>)
    const propagate = () => a.tell({ type: 'network.PropagateBlock', payload: { message } })
    await propagate()
    await network.advance(2_000)
    expect(consensusTold(b)).toHaveLength(1)
    await propagate()
    await network.advance(100)
    expect(consensusTold(b)).toHaveLength(2)
  })

  it('a forged copy before it does not keep a genuine message out, and is not passed on (T3)', async () => {
    const [a, b, c] = (await line('a', 'b', 'c')) as [TestNode, TestNode, TestNode]
    const send = (message: ConsensusMessage) =>
      a.tell({ type: 'network.PropagateBlock', payload: { message } })
    await send(voteOf(1, 0, false))
    await network.advance(50)
    await send(voteOf(1, 0, true))
    await network.advance(LATE_GOSSIP_MS + 50)
    expect(consensusTold(b)).toEqual([voteOf(1, 0, true)])
    expect(consensusTold(c)).toEqual([voteOf(1, 0, true)])
  })

  it('two different signed votes of one validator at one view both reach Chain as evidence (T3)', async () => {
    const [a, b] = (await line('a', 'b')) as [TestNode, TestNode]
    for (const salt of [1, 2]) {
      const message = voteOf(1, 0, true, salt)
      await a.tell({ type: 'network.PropagateBlock', payload: { message } })
    }
    await network.advance(100)
    expect(consensusTold(b)).toHaveLength(2)
  })

  it('a peer that goes on sending invalid ones is banned and cannot come back', async () => {
    const [a, b] = (await line('a', 'b')) as [TestNode, TestNode]
    for (let salt = 0; salt < 5; salt += 1) {
      const message = voteOf(1, 0, false, salt)
      await a.tell({ type: 'network.SendToPeer', payload: { peer: 'b', message } })
    }
    await network.advance(20_000)
    expect(b.logs()).toContain('peer banned InvalidMessage')
    expect(await listPeers(b)).toEqual([])
  })

  it('a peer that sends too much is slowed, others are not', async () => {
    const b = await network.node('b', {
      limits: {
        rates: {
          ...DEFAULT_LIMITS.rates,
          consensus: { perSecond: 10, burst: 20 },
          consensusBytes: { perSecond: 1e6, burst: 1e6 },
        },
      },
    })
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    const c = await network.node('c', { staticPeers: [addressOf('b')] })
    await network.advance(1_000)
    for (let salt = 0; salt < 60; salt += 1) {
      const message = voteOf(1, 0, true, salt)
      await a.tell({ type: 'network.SendToPeer', payload: { peer: 'b', message } })
    }
    await c.tell({ type: 'network.SendToPeer', payload: { peer: 'b', message: voteOf(9, 0) } })
    await network.advance(300)
    const told = consensusTold(b)
    expect(told.length).toBeGreaterThanOrEqual(21)
    expect(told.length).toBeLessThan(40)
    expect(told).toContainEqual(voteOf(9, 0))
  })

  it('votes are never dropped once admitted, however slow Chain is (SU-8)', async () => {
    const [a, b] = (await line('a', 'b')) as [TestNode, TestNode]
    for (let salt = 0; salt < 250; salt += 1) {
      const message = voteOf(1, 0, true, salt)
      await a.tell({ type: 'network.SendToPeer', payload: { peer: 'b', message } })
    }
    await network.advance(1_000)
    expect(consensusTold(b)).toHaveLength(250)
  })

  it('gossip about heights far below ours is not told nor passed on', async () => {
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    const b = await network.node('b', { height: 50, staticPeers: [addressOf('c')] })
    const c = await network.node('c')
    await network.advance(5_000)
    await a.tell({ type: 'network.PropagateBlock', payload: { message: voteOf(3, 0) } })
    await network.advance(100)
    // The direct copy is told: Chain answers the peer that is behind (protocol 2.6).
    expect(consensusTold(b)).toHaveLength(1)
    expect(consensusTold(c)).toEqual([])
  })
})

describe('pressure (SU-9)', () => {
  it('peers are not read while the mailbox is above 80 %, and again below 70 %', async () => {
    const node = await network.node('a')
    const pauses = network.world.pausesOf('a')
    expect(pauses).toEqual([])
    const message: NetworkInbox = {
      type: 'network.GossipReceived',
      payload: { id: 1, topic: 'none', peer: 'b', bytes: new Uint8Array(1) },
    }
    for (let index = 0; index < 3_000; index++) void node.tell(message)
    expect(pauses).toEqual([])
    for (let index = 0; index < 400; index++) void node.tell(message)
    expect(pauses).toEqual([true])
    await network.advance(1_000)
    expect(pauses).toEqual([true, false])
  })
})

describe('transactions and approvals', () => {
  it('travel one hop until a pool has kept them (MP-5)', async () => {
    const nodes = await line('a', 'b', 'c')
    const raw = Uint8Array.of(1, 2, 3)
    const received = (node: TestNode | undefined) =>
      (node?.told['engine'] ?? []) as TransactionReceived[]
    await nodes[0]?.tell({ type: 'network.GossipTransaction', payload: { raw } })
    await nodes[0]?.tell({ type: 'network.GossipTransaction', payload: { raw: Uint8Array.of(9) } })
    await network.advance(100)
    expect(received(nodes[1]).map(({ payload }) => payload)).toMatchObject([{ raw, peer: 'a' }])
    expect(received(nodes[2])).toEqual([])
    const id = received(nodes[1])[0]?.payload.id ?? -1
    await nodes[1]?.tell({ type: 'network.TransactionJudged', payload: { id, verdict: 'accept' } })
    await network.advance(100)
    expect(received(nodes[2]).map(({ payload }) => payload)).toMatchObject([{ raw, peer: 'b' }])
  })
})

describe('heads', () => {
  it('a peer that is ahead makes Sync look, one that is a block ahead does not', async () => {
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    const b = await network.node('b')
    await network.advance(1_000)
    const announce = (height: number) =>
      b.tell({ type: 'network.HeadAnnounced', payload: { height, hash: new Uint8Array(32) } })
    await announce(1)
    await network.advance(100)
    expect(a.told['sync']).toEqual([])
    await announce(7)
    await network.advance(100)
    const payload = { height: 0, targetHeight: 7, peer: 'b' }
    expect(a.told['sync']).toEqual([{ type: 'sync.SyncRequiredNotification', payload }])
    expect(await listPeers(a)).toMatchObject([{ peer: 'b', height: 7 }])
  })
})

describe('blocks on request', () => {
  it('come from storage, as many as there are', async () => {
    await network.node('b', { blocks: chainOfBlocks(1, 30), height: 30 })
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    await network.advance(1_000)
    const batch = await requestBlocks(a, 'b', 11, 100)
    expect(batch.blocks.map(({ block }) => block.header.height)).toEqual(
      Array.from({ length: 20 }, (_, index) => 11 + index),
    )
    expect(await requestBlocks(a, 'b', 31, 10)).toEqual({ blocks: [] })
    expect(await requestBlocks(a, 'nobody', 1, 10)).toEqual({ blocks: [], code: 'NotConnected' })
  })

  it('one that only its hash is known of comes from a peer whose Chain holds it, after a restart too (2.5)', async () => {
    const [{ block }] = chainOfBlocks(5, 5) as [CommittedBlock]
    await network.node('b', { held: block })
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    await network.advance(5_000)
    const hash = blockHash(block.header)
    await a.tell({ type: 'network.FetchBlock', payload: { height: 5, hash, peers: ['b'] } })
    await network.advance(1_000)
    expect(fetched(a)).toEqual([hash])
  })

  it('one of another hash than was asked for is not told', async () => {
    const [{ block }, other] = chainOfBlocks(5, 6) as [CommittedBlock, CommittedBlock]
    await network.node('b', { held: other.block })
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    await network.advance(5_000)
    const hash = blockHash(block.header)
    await a.tell({ type: 'network.FetchBlock', payload: { height: 5, hash, peers: ['b'] } })
    await network.advance(1_000)
    expect(fetched(a)).toEqual([])
  })

  it('one that is committed comes by its hash from storage', async () => {
    const blocks = chainOfBlocks(1, 3)
    await network.node('b', { blocks, height: 3 })
    const a = await network.node('a', { staticPeers: [addressOf('b')] })
    await network.advance(1_000)
    const block = blocks[1] as (typeof blocks)[number]
    const hash = blockHash(block.block.header)
    await a.tell({ type: 'network.FetchBlock', payload: { height: 2, hash } })
    await network.advance(1_000)
    expect(fetched(a)).toEqual([hash])
  })
})
