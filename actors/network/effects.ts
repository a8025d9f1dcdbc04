import { blockHash, decodeBlock, encodeBlock } from '../../core/block/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import type {
  BlockBatch,
  BlockRange,
  NetworkInbox,
  ReadBlocks,
  ReadHeldBlock,
} from '../../messages/index.ts'
import {
  type ActorRun,
  faultError,
  type MetricSink,
  type Random,
  refOf,
  watchOverload,
} from '../../supervisor/index.ts'
import type { NetworkEffect, NetworkSettings } from './context.ts'
import { NETWORK_FAULTS } from './errors.ts'
import {
  BLOCK_TIMEOUT_MS,
  DIAL_TIMEOUT_MS,
  MAX_CONSENSUS_BYTES,
  MAX_RANGE_BYTES,
  RANGE_TIMEOUT_MS,
  STATUS_TIMEOUT_MS,
  STORAGE_TIMEOUT_MS,
} from './limits.ts'
import { NETWORK_METRICS } from './metrics.ts'
import type { NetworkEvents, NetworkIdentity, NetworkPort } from './port.ts'
import {
  decodePruned,
  decodeRange,
  encodePoint,
  encodePruned,
  encodeRange,
  encodeRangeRequest,
  MAX_RANGE_ANSWER_BYTES,
  type Point,
  protocolsOf,
  STATUS_BYTES,
  topicsOf,
} from './wire.ts'

export interface NetworkPorts {
  readonly network: NetworkPort
  readonly metrics: MetricSink
}

type Run = ActorRun<NetworkInbox, NetworkPorts>

const storage = refOf<ReadBlocks>('storage')
const chain = refOf<ReadHeldBlock>('chain')

export async function openNetwork(
  run: Run,
  settings: NetworkSettings,
  listen: readonly string[],
): Promise<NetworkIdentity> {
  const { names, limits } = settings
  try {
    const identity = await run.ports.network.start({
      listen,
      topics: topicsOf(names),
      protocols: protocolsOf(names),
      direct: { name: names.direct, maxFrameBytes: MAX_CONSENSUS_BYTES },
      maxPeers: limits.maxPeers,
      events: eventsOf(run, names.consensus),
    })
    pauseUnderPressure(run)
    return identity
  } catch (cause) {
    throw faultError('ListenFailed', NETWORK_FAULTS.ListenFailed, String(cause))
  }
}

/** Who takes what peers send: while one of them has too much to do, peers wait (SU-9). */
const READERS = ['network', 'chain']

function pauseUnderPressure(run: Run): void {
  const { metrics, network } = run.ports
  watchOverload(run, READERS, (paused, path) => {
    if (paused) metrics.count(NETWORK_METRICS.readPauses, { path })
    run.log('debug', paused ? 'peers are not read' : 'peers are read again', { path })
    network.pauseReading(paused)
  })
}

/** The port's events as messages; what the mailbox refuses is let go of, so that the port waits for nothing. */
function eventsOf(run: Run, consensusTopic: string): NetworkEvents {
  const { network } = run.ports
  const post = async (message: NetworkInbox, refused?: () => void): Promise<void> => {
    const result = await run.tell(run.self, message)
    if (!result.ok) refused?.()
  }
  return {
    peerConnected: (payload) => void post({ type: 'network.PeerAppeared', payload }),
    peerDisconnected: ({ peer, code }) => {
      run.log('info', 'peer disconnected', { peer, code })
      run.ports.metrics.count(NETWORK_METRICS.disconnects, { code })
      const payload = { peer, code, chance: chanceOf(run.random) }
      void post({ type: 'network.PeerVanished', payload })
    },
    frame: ({ peer, bytes }) => {
      const payload = { peer, bytes, origin: 'stream' } as const
      void post({ type: 'network.FrameReceived', payload }, () => network.takeFrame(peer))
    },
    gossip: (gossip) => {
      const { id, topic, peer, bytes } = gossip
      const ignore = () => network.judge(id, 'ignore')
      if (topic !== consensusTopic) {
        void post({ type: 'network.GossipReceived', payload: gossip }, ignore)
        return
      }
      const payload = { peer, bytes, origin: id }
      void post({ type: 'network.FrameReceived', payload }, ignore)
    },
    request: (payload) =>
      void post({ type: 'network.RequestReceived', payload }, () =>
        network.respond(payload.id, undefined),
      ),
  }
}

export function chanceOf(random: Random): number {
  const bytes = random.bytes(4)
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32
}

export async function perform(effect: NetworkEffect, run: Run): Promise<NetworkInbox | undefined> {
  const { network } = run.ports
  switch (effect.kind) {
    case 'send':
      for (const peer of effect.peers) network.send(peer, effect.bytes)
      return undefined
    case 'publish':
      try {
        await network.publish(effect.topic, effect.bytes)
      } catch (cause) {
        run.log('warn', 'publish failed', { topic: effect.topic, reason: String(cause) })
      }
      return undefined
    case 'judge':
      run.ports.metrics.count(NETWORK_METRICS.judged, { verdict: effect.verdict })
      network.judge(effect.id, effect.verdict)
      return undefined
    case 'takeFrame':
      network.takeFrame(effect.peer)
      return undefined
    case 'disconnect':
      run.log('info', 'peer refused', { peer: effect.peer, code: effect.code })
      network.disconnect(effect.peer, effect.code)
      return undefined
    case 'ban':
      run.log('warn', 'peer banned', { peer: effect.peer, code: effect.code })
      run.ports.metrics.count(NETWORK_METRICS.bans, { code: effect.code })
      network.ban(effect.peer, effect.forMs)
      return undefined
    case 'dial': {
      const { address } = effect
      const connected = (await network.dial(address, DIAL_TIMEOUT_MS)).ok
      return {
        type: 'network.DialEnded',
        payload: { address, connected, chance: chanceOf(run.random) },
      }
    }
    case 'askStatus':
      return askStatus(network, effect)
    case 'respond':
      network.respond(effect.id, effect.bytes)
      return undefined
    case 'serveRange': {
      const range = await readBlocks(run, effect.from, effect.count)
      network.respond(effect.id, range && encodeAnswer(range))
      return { type: 'network.RequestServed', payload: { id: effect.id } }
    }
    case 'serveBlock': {
      network.respond(effect.id, await readBlock(run, effect.point))
      return { type: 'network.RequestServed', payload: { id: effect.id } }
    }
    case 'fetchRange': {
      const { replyTo, peer } = effect
      const batch = await fetchRange(network, effect)
      return { type: 'network.RangeFetched', payload: { replyTo, peer, batch } }
    }
    case 'fetchBlock':
      return fetchBlock(network, effect, run)
  }
}

async function askStatus(
  network: NetworkPort,
  { peer, protocol, status }: Extract<NetworkEffect, { kind: 'askStatus' }>,
): Promise<NetworkInbox> {
  const limits = { timeoutMs: STATUS_TIMEOUT_MS, maxBytes: STATUS_BYTES }
  const answer = await network.request(peer, protocol, status, limits)
  const payload = answer.ok ? { peer, bytes: answer.value } : { peer }
  return { type: 'network.StatusReceived', payload }
}

async function fetchRange(
  network: NetworkPort,
  { peer, protocol, from, count }: Extract<NetworkEffect, { kind: 'fetchRange' }>,
): Promise<BlockBatch['payload']> {
  const limits = { timeoutMs: RANGE_TIMEOUT_MS, maxBytes: MAX_RANGE_ANSWER_BYTES }
  const request = encodeRangeRequest({ from, count })
  const answer = await network.request(peer, protocol, request, limits)
  if (!answer.ok) return { blocks: [], code: answer.code }
  const lowest = decodePruned(answer.value)
  // Who has pruned less than what was asked for does not answer so.
  if (lowest !== undefined && lowest > from) return { blocks: [], code: 'Pruned', lowest }
  const blocks = decodeRange(answer.value, count)
  return blocks === undefined ? { blocks: [], code: 'Malformed' } : { blocks }
}

/** One peer after another until one has it. */
async function fetchBlock(
  network: NetworkPort,
  { peers, protocol, point }: Extract<NetworkEffect, { kind: 'fetchBlock' }>,
  run: Run,
): Promise<undefined> {
  const limits = { timeoutMs: BLOCK_TIMEOUT_MS, maxBytes: MAX_CONSENSUS_BYTES }
  for (const peer of peers) {
    if (run.signal.aborted) return
    const answer = await network.request(peer, protocol, encodePoint(point), limits)
    const block = answer.ok ? decodeBlock(answer.value) : answer
    if (!block.ok || !equalBytes(blockHash(block.value.header), point.hash)) continue
    await run.tell('chain', { type: 'chain.BlockFetched', payload: { block: block.value, peer } })
    return
  }
}

async function readBlocks(
  run: Run,
  from: number,
  count: number,
): Promise<BlockRange['payload'] | undefined> {
  const request: ReadBlocks = {
    type: 'storage.ReadBlocks',
    payload: { from, count, maxBytes: MAX_RANGE_BYTES },
  }
  const answer = await run.ask(storage, request, { timeoutMs: STORAGE_TIMEOUT_MS })
  return answer.ok ? answer.value.payload : undefined
}

function encodeAnswer({ blocks, prunedBelow }: BlockRange['payload']): Uint8Array {
  return prunedBelow === undefined ? encodeRange(blocks) : encodePruned(prunedBelow)
}

/** As Chain holds it while its height is open, or as it is stored. */
async function readBlock(run: Run, point: Point): Promise<Uint8Array | undefined> {
  const request: ReadHeldBlock = { type: 'chain.ReadHeldBlock', payload: point }
  const held = await run.ask(chain, request, { timeoutMs: BLOCK_TIMEOUT_MS })
  const found = held.ok ? held.value.payload.block : undefined
  const block = found ?? (await readBlocks(run, point.height, 1))?.blocks[0]?.block
  if (block === undefined || !equalBytes(blockHash(block.header), point.hash)) return undefined
  return encodeBlock(block)
}
