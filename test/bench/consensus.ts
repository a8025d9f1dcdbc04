/**
 * Bench `consensus`: how long a block takes from the proposal's first byte to the quorum-th durable commit, on four real nodes whose
 * engine takes any bytes (consensus-node.ts), in turns with bare processes that do the messages, synced writes and signatures of a block and
 * nothing else (consensus-floor.ts): the nodes work at the start of a slot, the floor in its middle. Then processor time of an empty
 * block, what a dead proposer costs, certificates beside single signatures, and the messages of larger federations.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { proposerIndex, quorum } from '../../core/pbft/index.ts'
import { networkPeerId } from '../../node/adapters/libp2p/index.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import { TestFederation } from '../e2e/federation.ts'
import { Children, monotonicMs } from './children.ts'
import type { FloorOrder, FloorSetting, FloorTold } from './consensus-floor.ts'
import type { Counted, NodeOrder, NodeTold } from './consensus-node.ts'
import { certificateChecks, messagesOfSizes } from './consensus-sizes.ts'
import { type BenchOptions, type Figure, median, quantile } from './figures.ts'
import { cpuShare, machineUsage } from './processes.ts'

const NODE = fileURLToPath(new URL('consensus-node.ts', import.meta.url))
const FLOOR = fileURLToPath(new URL('consensus-floor.ts', import.meta.url))
/** Every second block carries a megabyte. */
const PAYLOADS = [0, 1024 * 1024] as const
const AIMS = { p50: 1.5, p99: 3, cpuMs: 15 } as const
/** The compiler and the connections have their turn first. */
const WARM_UP_BLOCKS = 20
/** Blocks of which the processor time is measured, and those with a dead node, as shares of all. */
const CPU_SHARE = 0.5
const DEAD_SHARE = 0.25
const FIRST_PORT = 20_000
const PORT_SPREAD = 9_000
const PATIENCE_MS = 300_000

type Durable = Extract<NodeTold, { kind: 'durable' }>

/** What a federation of processes told of one block or round. */
interface Journey {
  proposedMs?: number
  readonly durable: { readonly node: number; readonly atMs: number; readonly told?: Durable }[]
}

export async function consensusBench(options: BenchOptions): Promise<readonly Figure[]> {
  const { nodes, blocks, tell } = options
  const federation = await TestFederation.prepare({ nodes, members: 1 })
  const heard = new Map<number, Journey>()
  const rounds = new Map<number, Journey>()
  const roundBytes = new Map<number, number>()
  let floor: Children<FloorOrder, FloorTold> | undefined
  const node = new Children<NodeOrder, NodeTold>(
    NODE,
    federation.urls.map((_, index) => [
      '--config',
      join(federation.files.nodeDirectory(index), 'config.json'),
    ]),
    (told, index) => noteOf(heard, told, index),
  )
  try {
    await node.all('running')
    const floors = await startFloor(nodes, federation.directory, (told, index) => {
      noteOf(rounds, told, index)
    })
    floor = floors
    tell(`${nodes} nodes and as many bare processes: ${federation.directory}`)
    node.order({ kind: 'payloads', payloadBytes: PAYLOADS })
    const { slotMs } = federation.genesis.params
    await until(() => highest(heard) >= WARM_UP_BLOCKS)
    const machineBefore = machineUsage()
    const before = await countedOf(node)
    const first = highest(heard) + 1
    tell(`${blocks} blocks, every second of one MiB, in turns with the floor`)
    for (let round = 0; highest(heard) < first + blocks; round++) {
      // The middle of the next slot.
      await pause(slotMs - (Date.now() % slotMs) + slotMs / 2)
      const payloadBytes = PAYLOADS[round % PAYLOADS.length] as number
      roundBytes.set(round, payloadBytes)
      floors.order({ kind: 'propose', round, payloadBytes }, [round % nodes])
    }
    await pause(2 * slotMs)
    const after = await countedOf(node)
    const machine = cpuShare(machineBefore, machineUsage())
    const needed = quorum(federation.genesis.validators)
    const measured = [...heard].filter(([height]) => height >= first && height < first + blocks)
    const latency = PAYLOADS.flatMap((payloadBytes) => {
      const ours = measured
        .filter(([, { durable }]) => durable[0]?.told?.payloadBytes === payloadBytes)
        .flatMap(([, journey]) => latencyOf(journey, needed))
      const bare = [...rounds]
        .filter(([round]) => round >= WARM_UP_BLOCKS && roundBytes.get(round) === payloadBytes)
        .flatMap(([, journey]) => latencyOf(journey, needed))
      return latencyFigures(payloadBytes, ours, bare)
    })
    floors.stop()
    floor = undefined
    node.order({ kind: 'payloads', payloadBytes: [0] })
    await pause(2 * slotMs)
    const cpu = await emptyBlocks(node, heard, Math.ceil(blocks * CPU_SHARE), options)
    const dead = await deadProposer(node, federation, heard, Math.ceil(blocks * DEAD_SHARE), tell)
    tell('certificates and messages by the number of validators')
    return [
      ...latency,
      {
        metric: 'all_cpu',
        unit: '% of a core',
        better: 'lower',
        ours: machine,
        note: 'the whole machine meanwhile: beyond what the nodes use, the times are worth less',
      },
      ...workPerBlock(before, after),
      ...cpu,
      ...dead,
      ...certificateChecks(options.rounds),
      ...messagesOfSizes(),
    ]
  } finally {
    floor?.stop()
    node.signal(nodes - 1, 'SIGCONT')
    node.stop()
    await pause(1_000)
    await federation.stop()
  }
}

async function startFloor(
  count: number,
  directory: string,
  heard: (told: FloorTold, index: number) => void,
): Promise<Children<FloorOrder, FloorTold>> {
  const seeds = Array.from({ length: count }, () => randomBytes(32))
  const peerIds = await Promise.all(seeds.map((seed) => networkPeerId(new Uint8Array(seed))))
  const ports: number[] = []
  for (let next = FIRST_PORT + randomInt(PORT_SPREAD); ports.length < count; next += 1) {
    const found = await findPort({ host: '127.0.0.1', port: next }, { fallback: true })
    if (!found.ok) throw new Error(`no free port from ${next} on`)
    ports.push(found.value)
    next = found.value
  }
  const settings = seeds.map((_, index): FloorSetting => {
    const inHex = seeds.map((seed) => seed.toString('hex'))
    return { index, seeds: inHex, ports, peerIds, directory: join(directory, 'floor') }
  })
  const floor = new Children<FloorOrder, FloorTold>(
    FLOOR,
    settings.map((setting) => [JSON.stringify(setting)]),
    heard,
  )
  await floor.all('listening')
  const connected = floor.all('connected')
  floor.order({ kind: 'connect' })
  await connected
  return floor
}

function noteOf(journeys: Map<number, Journey>, told: NodeTold | FloorTold, node: number): void {
  if (told.kind !== 'proposed' && told.kind !== 'durable') return
  const at = 'round' in told ? told.round : told.height
  const journey = journeys.get(at) ?? { durable: [] }
  journeys.set(at, journey)
  if (told.kind === 'durable') {
    const height = 'height' in told ? { told } : {}
    journey.durable.push({ node, atMs: told.atMs, ...height })
  } else if (journey.proposedMs === undefined || told.atMs < journey.proposedMs) {
    journey.proposedMs = told.atMs
  }
}

/** The highest block that some node has. */
function highest(journeys: ReadonlyMap<number, Journey>): number {
  return Math.max(
    0,
    ...[...journeys].flatMap(([at, { durable }]) => (durable.length > 0 ? at : [])),
  )
}

/** First byte of the proposal to the quorum-th durable commit; nothing for a block that a later view decided. */
function latencyOf({ proposedMs, durable }: Journey, needed: number): number[] {
  const ends = durable.map(({ atMs }) => atMs).sort((left, right) => left - right)
  const end = ends[needed - 1]
  if (proposedMs === undefined || end === undefined) return []
  return durable.some(({ told }) => (told?.view ?? 0) > 0) ? [] : [end - proposedMs]
}

function latencyFigures(
  payloadBytes: number,
  ours: readonly number[],
  bare: readonly number[],
): Figure[] {
  const name = payloadBytes === 0 ? 'empty' : '1mib'
  const figure = (share: number, aim: number): Figure => ({
    metric: `commit_latency_${name}_p${share * 100}`,
    unit: 'ms',
    better: 'lower',
    ours: quantile(ours, share),
    peers: { floor: quantile(bare, share) },
    note: `proposal to quorum-th durable commit, ${ours.length} blocks, floor ${bare.length}; aim ${aim} x the floor, here ${(quantile(ours, share) / quantile(bare, share)).toFixed(2)}`,
  })
  return [figure(0.5, AIMS.p50), figure(0.99, AIMS.p99)]
}

async function countedOf(node: Children<NodeOrder, NodeTold>): Promise<Counted[]> {
  const answers = node.all('counted')
  node.order({ kind: 'count' })
  return (await answers).map(({ counted }) => counted)
}

/** What one node does for one block, on an average of nodes and blocks. */
function workPerBlock(before: readonly Counted[], after: readonly Counted[]): Figure[] {
  const figure = (metric: string, unit: string, of: (counted: Counted) => number, note: string) => {
    return { metric, unit, better: 'lower', ours: perBlock(before, after, of), note } as const
  }
  return [
    figure('checks_per_block', 'pairings', ({ checks }) => checks, 'of one signature'),
    figure(
      'aggregate_checks_per_block',
      'pairings',
      ({ aggregateChecks }) => aggregateChecks,
      'of an aggregate, certificates and quorums of votes',
    ),
    figure('signatures_per_block', 'signatures', ({ signatures }) => signatures, 'made'),
    figure('frames_per_block', 'frames', ({ frames }) => frames, 'to a peer each'),
    figure(
      'frame_bytes_per_block',
      'bytes',
      ({ frameBytes }) => frameBytes,
      'every second block is of 1 MiB',
    ),
    figure(
      'publications_per_block',
      'messages',
      ({ publications }) => publications,
      'by gossip, each to every peer',
    ),
  ]
}

function perBlock(
  before: readonly Counted[],
  after: readonly Counted[],
  of: (counted: Counted) => number,
): number {
  const sum = (value: (counted: Counted) => number) =>
    after.reduce((total, counted, at) => total + value(counted) - value(before[at] as Counted), 0)
  return sum(of) / sum(({ height }) => height)
}

async function emptyBlocks(
  node: Children<NodeOrder, NodeTold>,
  heard: ReadonlyMap<number, Journey>,
  blocks: number,
  { tell }: BenchOptions,
): Promise<Figure[]> {
  tell(`${blocks} empty blocks, nothing beside them`)
  const before = await countedOf(node)
  const first = highest(heard)
  await until(() => highest(heard) >= first + blocks, PATIENCE_MS + blocks * 2_000)
  const after = await countedOf(node)
  return [
    {
      metric: 'cpu_per_empty_block',
      unit: 'ms',
      better: 'lower',
      ours: perBlock(before, after, ({ cpuMs }) => cpuMs),
      peers: { aim: AIMS.cpuMs },
      note: 'all threads of a node, all it did in these slots',
    },
    {
      metric: 'checks_per_empty_block',
      unit: 'pairings',
      better: 'lower',
      ours: perBlock(before, after, ({ checks, aggregateChecks }) => checks + aggregateChecks),
      note: 'of one signature or of an aggregate',
    },
  ]
}

/** One node stands still: what its turns cost the others. */
async function deadProposer(
  node: Children<NodeOrder, NodeTold>,
  { genesis }: TestFederation,
  heard: ReadonlyMap<number, Journey>,
  blocks: number,
  tell: (line: string) => void,
): Promise<Figure[]> {
  tell(`${blocks} blocks while one node stands still`)
  const { slotMs } = genesis.params
  const dead = genesis.validators.length - 1
  const living = genesis.validators.map((_, index) => index).slice(0, dead)
  const first = highest(heard) + 2
  node.signal(dead, 'SIGSTOP')
  await until(() => highest(heard) >= first + blocks, PATIENCE_MS + blocks * 4_000)
  node.signal(dead, 'SIGCONT')
  const afterStart: number[] = []
  const views: number[] = []
  for (let height = first; height < first + blocks; height++) {
    const parent = heard.get(height - 1)?.durable.find(({ told }) => told !== undefined)?.told
    const own = (heard.get(height)?.durable ?? []).filter(({ node: who }) => living.includes(who))
    if (parent === undefined || proposerIndex(parent.slot, 0, living.length + 1) !== dead) continue
    const ends = own.flatMap(({ told }) => told?.wallMs ?? []).sort((left, right) => left - right)
    const end = ends[quorum(genesis.validators) - 1]
    if (end === undefined) continue
    afterStart.push(end - (parent.slot + 1) * slotMs)
    views.push(own[0]?.told?.view ?? 0)
  }
  if (afterStart.length === 0) throw new Error('the dead node had no turn')
  return [
    {
      metric: 'view_change',
      unit: 'ms',
      better: 'lower',
      ours: median(afterStart),
      note: `start of the dead proposer's view to the quorum-th commit, a view is ${slotMs} ms, ${afterStart.length} turns, decided in views ${[...new Set(views)].join(' ')}`,
    },
    {
      metric: 'view_change_after_view',
      unit: 'ms',
      better: 'lower',
      ours: median(afterStart.map((ms) => ms - slotMs)),
      note: 'from the start of view 1',
    },
  ]
}

async function until(holds: () => boolean, patienceMs = PATIENCE_MS): Promise<void> {
  const end = monotonicMs() + patienceMs
  while (!holds()) {
    if (monotonicMs() > end) throw new Error('the chain stands')
    await pause(20)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
