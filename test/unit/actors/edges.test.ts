/**
 * SU-14: every edge of every actor's diagram, and of the peg operations', is taken by the real handlers in a running kernel. A
 * scenario names the edges that it takes; the last test fails when a machine has an edge that no scenario names.
 */
import type { PrePrepare } from '../../../core/block/index.ts'
import { voteMessage } from '../../../core/block/index.ts'
import { proposerIndex } from '../../../core/pbft/index.ts'
import { blsSign } from '../../../crypto/index.ts'
import { BRIDGE_ADDRESS } from '../../../vm/evm/index.ts'
import { burnData } from '../core/chain/journey.ts'
import { certify, townGenesis, validatorKeys } from '../core/chain/town.ts'
import { depositOf, p2wpkh } from '../core/peg/world.ts'
import { Village } from '../node/village.ts'
import { keyOf, signed } from '../vm/evm/fixtures.ts'
import { ChainStage } from './chain/stage.ts'
import { chainOfBlocks } from './chain-of-blocks.ts'
import { ALL_EDGES, EdgeRecorder } from './edge-recorder.ts'
import { addressOf, createNetwork } from './network/world.ts'
import { StreamWorld } from './stream/world.ts'
import { createSyncWorld, honest } from './sync/world.ts'

const alice = keyOf('alice')
const recorder = new EdgeRecorder()
const named = new Set<string>()

/** A scenario and the edges that it takes, in the test's name. */
function takes(edges: readonly string[], scenario: string, run: () => Promise<void>): void {
  for (const edge of edges) {
    if (named.has(edge)) throw new Error(`${edge} is named twice`)
    named.add(edge)
  }
  it(`${scenario}: ${edges.join(', ')}`, async () => {
    recorder.taken.clear()
    await run()
    expect([...recorder.taken]).toEqual(expect.arrayContaining([...edges]))
  })
}

async function inVillage(
  run: (village: Village) => Promise<void>,
  before: (village: Village) => void = () => {},
): Promise<void> {
  const village = new Village()
  recorder.follow(village.tree.system)
  before(village)
  await village.start()
  try {
    await run(village)
  } finally {
    await village.stop()
  }
}

async function onStage(place: number, run: (stage: ChainStage) => Promise<void>): Promise<void> {
  const stage = await ChainStage.open(place)
  recorder.follow(stage.system)
  try {
    await run(stage)
  } finally {
    await stage.stop()
  }
}

const depositIn = (village: Village) =>
  depositOf(village.genesis, 'first', 100_000_000n, alice.address)

async function fund(village: Village): Promise<void> {
  village.mine(1, [depositIn(village)])
  village.mine(3)
  await village.until(() => village.ledger.state.mintedSat > 0n)
}

async function burn(village: Village): Promise<void> {
  const raw = signed(alice, {
    nonce: 0,
    to: BRIDGE_ADDRESS,
    gas: 1_000_000n,
    value: 2_000_000n * 10n ** 10n,
    data: burnData(p2wpkh('bob')),
    chainId: village.genesis.execution.chainId,
  })
  await village.submit(raw, 'burn')
}

const modesOf = (village: Village) => village.tree.live.operations.map(({ mode }) => mode)
const logged = (village: Village, event: string) =>
  village.ports.log.records.some((record) => record.event === event)

/** The town's next block as its author proposes it. */
async function proposalIn({ town }: ChainStage): Promise<PrePrepare> {
  const { block, head } = await town.make()
  const { height, slot } = block.header
  const author = proposerIndex(town.head.header.slot, slot - town.head.header.slot - 1, 4)
  const keys = validatorKeys[author]
  if (keys === undefined) throw new Error('no such validator')
  const message = voteMessage(town.genesis.hash, 'proposal', height, 0, head.hash)
  const signature = blsSign(keys.secretKey, message)
  return { height, view: 0, block, certificate: [], signature }
}

async function propose(stage: ChainStage): Promise<void> {
  const value = await proposalIn(stage)
  await stage.toSlot(value.block.header.slot)
  await stage.tell({
    type: 'chain.ConsensusMessageReceived',
    payload: { message: { kind: 'prePrepare', value }, peer: 'peer', verified: true },
  })
}

describe('SU-14 the ChainActor', () => {
  takes(
    [
      'chain: Initializing —GENESIS_LOADED→ Syncing',
      'chain: Syncing —CAUGHT_UP→ Active',
      'chain: Active —ASSIGNED_SLOT→ Producing',
      'chain: Producing —BLOCK_PRODUCED→ Active',
    ],
    'starts, and makes the block of its slot',
    () =>
      onStage(0, async (stage) => {
        await stage.start()
        await stage.toSlot(stage.town.head.header.slot + 1)
      }),
  )

  takes(
    ['chain: Producing —PRODUCTION_ERROR→ Failed', 'chain: Failed —RECOVER→ Syncing'],
    'an engine that builds nothing, until the next slot',
    () =>
      onStage(0, async (stage) => {
        await stage.start()
        stage.engineAnswers = false
        const slot = stage.town.head.header.slot + 1
        await stage.toSlot(slot)
        expect(stage.state).toBe('Failed')
        stage.engineAnswers = true
        await stage.toSlot(slot + 1)
        expect(stage.state).not.toBe('Failed')
      }),
  )

  takes(
    ['chain: Active —RECEIVED_BLOCK→ Importing', 'chain: Importing —BLOCK_IMPORTED→ Active'],
    'another validator’s block',
    () =>
      onStage(2, async (stage) => {
        await stage.start()
        await propose(stage)
        expect(stage.state).toBe('Active')
      }),
  )

  takes(['chain: Importing —IMPORT_ERROR→ Failed'], 'a block that cannot be executed now', () =>
    onStage(2, async (stage) => {
      await stage.start()
      stage.engineAnswers = false
      await propose(stage)
      expect(stage.state).toBe('Failed')
    }),
  )

  takes(
    ['chain: Active —FELL_BEHIND→ Syncing', 'chain: Syncing —SYNC_ERROR→ Failed'],
    'a batch from Sync that the engine does not take',
    () =>
      onStage(2, async (stage) => {
        await stage.start()
        const { block, head } = await stage.town.make()
        const certificate = certify(stage.town.genesis, 1, head.hash)
        stage.engineAnswers = false
        await stage.give({ block, certificate })
        expect(stage.state).toBe('Failed')
        stage.engineAnswers = true
        await stage.ports.clock.advance(1_000)
        await stage.give({ block, certificate })
        expect(stage.state).toBe('Syncing')
      }),
  )

  takes(
    ['chain: Initializing —GENESIS_ERROR→ Failed', 'chain: Failed —TERMINAL_ERROR→ Terminated'],
    'a store of another genesis',
    () =>
      onStage(0, async (stage) => {
        const { block, head } = await stage.town.make()
        const { paramsHash } = townGenesis({ minPegInSat: 20_000 })
        const foreign = { ...block, header: { ...block.header, paramsHash } }
        const certificate = certify(stage.town.genesis, 1, head.hash)
        stage.stored = { head: { block: foreign, certificate } }
        await stage.start()
        expect(stage.state).toBe('Terminated')
      }),
  )
})

describe('SU-14 the BridgeActor', () => {
  takes(['bridge: Initializing —CONNECTED→ Monitoring'], 'Bitcoin answers', () =>
    inVillage((village) => village.slots(2)),
  )

  takes(
    ['bridge: Initializing —CONNECTION_ERROR→ Failed', 'bridge: Failed —RECOVERED→ Monitoring'],
    'Bitcoin is away at the start, then back',
    () =>
      inVillage(
        async (village) => {
          await village.slots(2)
          village.mood.reachable = true
          await village.slots(2)
        },
        ({ mood }) => {
          mood.reachable = false
        },
      ),
  )

  takes(['bridge: Failed —TERMINAL_ERROR→ Terminated'], 'restarts do not help', () =>
    inVillage(async (village) => {
      Object.defineProperty(village.bitcoin, 'blocks', {
        get: () => {
          throw new Error('a bug of the adapter')
        },
      })
      const life = () => village.tree.system.snapshot().find(({ path }) => path === 'bridge')?.life
      for (let second = 0; second < 300 && life() !== 'Terminated'; second++) {
        await village.ports.clock.advance(1_000)
      }
      expect(life()).toBe('Terminated')
    }),
  )
})

describe('SU-14 a deposit', () => {
  takes(
    [
      'pegIn: Monitoring —BITCOIN_TX_DETECTED→ ProcessingPegIn',
      'pegIn: ProcessingPegIn —VALIDATION_PASSED→ WaitingApproval',
      'pegIn: WaitingApproval —GOVERNANCE_APPROVED→ Monitoring',
    ],
    'is minted',
    () => inVillage(fund),
  )

  takes(['pegIn: ProcessingPegIn —VALIDATION_FAILED→ Monitoring'], 'goes in a reorg', () =>
    inVillage(async (village) => {
      const fork = village.bitcoin.fork(0, 'other')
      village.mine(1, [depositIn(village)])
      village.mine(1)
      await village.until(() => modesOf(village).includes('ProcessingPegIn'))
      fork.mine([], 8)
      village.bitcoin = fork
      await village.until(() => logged(village, 'deposit orphaned'))
    }),
  )

  takes(['pegIn: WaitingApproval —GOVERNANCE_DENIED→ Monitoring'], 'is denied', () =>
    inVillage(async (village) => {
      village.mood.denies.add(0).add(1)
      village.mine(1, [depositIn(village)])
      village.mine(3)
      await village.until(() => logged(village, 'deposit denied'))
    }),
  )
})

describe('SU-14 a payout', () => {
  takes(
    [
      'pegOut: Monitoring —BURN_DETECTED→ ProcessingPegOut',
      'pegOut: ProcessingPegOut —TX_CREATED→ CollectingSignatures',
      'pegOut: CollectingSignatures —SIGNATURES_COLLECTED→ Broadcasting',
      'pegOut: Broadcasting —TX_BROADCASTED→ Monitoring',
    ],
    'is paid',
    () =>
      inVillage(async (village) => {
        await fund(village)
        await burn(village)
        await village.until(() => village.mempool.size > 0)
      }),
  )

  takes(
    ['pegOut: ProcessingPegOut —TX_CREATION_FAILED→ Monitoring'],
    'a coordinator without Bitcoin lets the turn pass, and takes the next one',
    () =>
      inVillage(async (village) => {
        await fund(village)
        village.mood.reachable = false
        await village.slots(2)
        await burn(village)
        await village.until(() => logged(village, 'payout not begun'))
        expect(village.asked.some(({ message }) => message.body.kind === 'signatureRequest')).toBe(
          false,
        )
        village.mood.reachable = true
        await village.until(() => village.mempool.size > 0)
      }),
  )

  takes(
    ['pegOut: CollectingSignatures —SIGNATURE_TIMEOUT→ Monitoring'],
    'members that do not sign',
    () =>
      inVillage(async (village) => {
        await fund(village)
        village.mood.signsNot.add(0).add(1)
        await burn(village)
        await village.until(() => modesOf(village).includes('CollectingSignatures'))
        await village.slots(16)
      }),
  )

  takes(
    ['pegOut: Broadcasting —BROADCAST_ERROR→ Failed', 'pegOut: Failed —RECOVERED→ Monitoring'],
    'Bitcoin refuses the transaction',
    () =>
      inVillage(async (village) => {
        await fund(village)
        village.mood.refuses = 'min relay fee not met'
        await burn(village)
        await village.until(() => logged(village, 'broadcast refused'))
      }),
  )
})

describe('SU-14 Engine and Storage', () => {
  takes(
    [
      'engine: Initializing —READY→ Running',
      'storage: Initializing —READY→ Running',
      'network: Initializing —READY→ Running',
      'stream: Initializing —READY→ Running',
      'engine: Running —STOP→ Stopping',
      'storage: Running —STOP→ Stopping',
    ],
    'start and stop with the node',
    () => inVillage((village) => village.slots(1)),
  )

  const modeOf = (village: Village, actor: string) =>
    village.tree.system.snapshot().find(({ path }) => path === actor)?.state

  takes(
    ['engine: Running —DEGRADED→ Degraded', 'engine: Degraded —RECOVERED→ Running'],
    'an engine that answers with faults of its own, until it does not',
    () =>
      inVillage(async (village) => {
        village.mood.engineFaults = true
        await village.until(() => modeOf(village, 'engine') === 'Degraded')
        village.mood.engineFaults = false
        await village.until(() => modeOf(village, 'engine') === 'Running')
      }),
  )

  takes(
    ['storage: Running —DEGRADED→ Degraded', 'storage: Degraded —RECOVERED→ Running'],
    'a disk that is slow, then quick',
    () =>
      inVillage(async (village) => {
        village.mood.slowDiskMs = 1_500
        await village.until(() => modeOf(village, 'storage') === 'Degraded')
        village.mood.slowDiskMs = 0
        await village.until(() => modeOf(village, 'storage') === 'Running')
      }),
  )

  takes(
    ['engine: Degraded —STOP→ Stopping', 'storage: Degraded —STOP→ Stopping'],
    'a stop while they are degraded',
    () =>
      inVillage(async (village) => {
        village.mood.slowDiskMs = 1_500
        await village.until(() => modeOf(village, 'storage') === 'Degraded')
        village.mood.engineFaults = true
        await village.until(() => modeOf(village, 'engine') === 'Degraded')
      }),
  )
})

describe('SU-14 the NetworkActor', () => {
  async function inNetwork(
    run: (network: ReturnType<typeof createNetwork>) => Promise<void>,
  ): Promise<void> {
    const network = createNetwork()
    await run(network)
    await network.stop()
  }

  takes(
    [
      'network: Running —DEGRADED→ Degraded',
      'network: Degraded —RECOVERED→ Running',
      'network: Running —STOP→ Stopping',
    ],
    'its static peer is away, then there',
    () =>
      inNetwork(async (network) => {
        const a = await network.node('a', { staticPeers: [addressOf('b')] })
        recorder.follow(a.system)
        await network.advance(30_000)
        expect(a.state()).toBe('Degraded')
        await network.node('b')
        await network.advance(61_000)
        expect(a.state()).toBe('Running')
      }),
  )

  takes(['network: Degraded —STOP→ Stopping'], 'stops while it is alone', () =>
    inNetwork(async (network) => {
      const a = await network.node('a', { staticPeers: [addressOf('b')] })
      recorder.follow(a.system)
      await network.advance(30_000)
      expect(a.state()).toBe('Degraded')
    }),
  )
})

describe('SU-14 the StreamActor', () => {
  async function inStream(run: (world: StreamWorld) => Promise<void>): Promise<void> {
    const world = new StreamWorld()
    recorder.follow(world.system)
    await world.start()
    await run(world)
    await world.stop()
  }

  takes(
    [
      'stream: Running —DEGRADED→ Degraded',
      'stream: Degraded —RECOVERED→ Running',
      'stream: Degraded —STOP→ Stopping',
    ],
    'members come and go',
    () =>
      inStream(async (world) => {
        await world.connect(0, 1, 2)
        await world.disconnect(1)
      }),
  )

  takes(['stream: Running —STOP→ Stopping'], 'stops among its members', () =>
    inStream((world) => world.connect(0, 1, 2, 3)),
  )
})

describe('SU-14 the SyncActor', () => {
  const blocks = chainOfBlocks(1_000, 1_100)

  takes(
    [
      'sync: Idle —REQUIRED→ Headers',
      'sync: Headers —PLANNED→ Bodies',
      'sync: Bodies —IMPORT→ Importing',
      'sync: Importing —IMPORTED→ Bodies',
      'sync: Bodies —DRAINED→ Headers',
      'sync: Headers —COMPLETED→ Idle',
    ],
    'an episode',
    async () => {
      const world = await createSyncWorld()
      recorder.follow(world.system)
      world.peers.set('alfa', honest(blocks))
      await world.require(999, 1_100)
      await world.advance(5_000)
      expect(world.completed).toEqual([1_100])
    },
  )

  takes(
    ['sync: Headers —STALLED→ Stalled', 'sync: Stalled —RETRY→ Headers'],
    'without a peer, until one comes',
    async () => {
      const world = await createSyncWorld()
      recorder.follow(world.system)
      await world.require(999, 1_100)
      await world.advance(10_000)
      world.peers.set('alfa', honest(blocks))
      await world.advance(10_000)
      expect(world.completed).toEqual([1_100])
    },
  )

  takes(['sync: Importing —STALLED→ Stalled'], 'an import that fails here', async () => {
    const world = await createSyncWorld()
    recorder.follow(world.system)
    world.peers.set('alfa', honest(blocks))
    world.onImport = () => ({ height: 999, code: 'ChainBusy', fault: 'local' })
    await world.require(999, 1_100)
    await world.advance(2_000)
  })
})

describe('SU-14', () => {
  it('every edge of every machine has a scenario that takes it, and no scenario names another', () => {
    expect([...named].sort()).toEqual([...ALL_EDGES].sort())
  })
})
