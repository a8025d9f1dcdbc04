import type { CommittedBlock } from '../../core/block/index.ts'
import type {
  BlockBatchReceived,
  GetConnectedPeers,
  ImportEnded,
  PeersListed,
  PenalizePeer,
  RangeVerified,
  RequestBlocks,
  SyncCompleted,
  SyncInbox,
  SyncRequiredNotification,
  SyncStatus,
  ValidatedBlockBatch,
} from '../../messages/index.ts'
import {
  type About,
  ask,
  cancel,
  every,
  type KernelEffect,
  refOf,
  reply,
  type Step,
  tell,
} from '../../supervisor/index.ts'
import {
  type Assignment,
  advanced,
  assigned,
  createEpisode,
  type Episode,
  expired,
  extended,
  reach,
  sourceAnswered,
  sourceFailed,
  sourcePruned,
  sourceRefuted,
  withBatch,
  withPeers,
  withRange,
  withSource,
} from './episode.ts'
import { EMPTY_SCORE, LIE_SCORE } from './errors.ts'
import {
  IMPORT_ASK_MS,
  PEERS_ASK_MS,
  PROGRESS_PERIOD_MS,
  RANGE_ASK_MS,
  REASSIGN_MS,
  STALL_MS,
  type SyncLimits,
} from './limits.ts'
import { checkBlocks, type Range, released, sizeOf } from './ranges.ts'

export interface SyncContext {
  readonly limits: SyncLimits
  /** Our committed height as last heard. */
  readonly height: number
  /** Undefined in Idle. */
  readonly episode?: Episode
}

/** Verifies blocks in order, with turns for others in between. */
export interface VerifyEffect {
  readonly kind: 'verify'
  readonly previous: CommittedBlock | undefined
  readonly blocks: readonly CommittedBlock[]
  readonly from: number
}

export type SyncEffect = VerifyEffect

type SyncStep = Step<SyncContext, SyncEffect>
type Effects = readonly (SyncEffect | KernelEffect)[]

/** An episode on its way through a step: the state it is in, the events and effects so far. */
interface Walk {
  readonly episode: Episode
  readonly state: string
  readonly events: readonly string[]
  readonly effects: Effects
}

const network = refOf<GetConnectedPeers | RequestBlocks | PenalizePeer>('network')
const chain = refOf<ValidatedBlockBatch | SyncCompleted>('chain')

export function handle(
  context: SyncContext,
  message: SyncInbox,
  about: About<SyncInbox>,
): SyncStep {
  if (message.type === 'sync.GetSyncStatus') {
    return { context, effects: [reply(about.envelope, statusOf(context, about))] }
  }
  if (message.type === 'sync.SyncRequiredNotification') return required(context, message, about)
  const { episode } = context
  // Answers to a past episode.
  if (episode === undefined) return { context }
  const walk: Walk = { episode, state: about.state, events: [], effects: [] }
  switch (message.type) {
    case 'sync.PeersListed':
      return end(context, peersListed(walk, message.payload, about.nowMs), about.nowMs)
    case 'sync.ParallelBlockDownloadRequest':
      return end(context, downloadRequested(walk), about.nowMs)
    case 'sync.BlockBatchReceived':
      return end(context, batchReceived(walk, message.payload, context, about.nowMs), about.nowMs)
    case 'sync.RangeVerified':
      return end(context, rangeVerified(walk, message.payload, about.nowMs), about.nowMs)
    case 'sync.ImportEnded':
      return end(context, importEnded(walk, message.payload, about.nowMs), about.nowMs)
    case 'sync.CheckSyncProgress':
      return end(context, progressChecked(walk, about.nowMs), about.nowMs)
  }
}

/** Others have more: begins an episode, or notes heights in the one that runs. */
function required(
  context: SyncContext,
  { payload }: SyncRequiredNotification,
  about: About<SyncInbox>,
): SyncStep {
  const { height, targetHeight, peer } = payload
  const { episode } = context
  if (episode === undefined) {
    if (targetHeight <= height) return { context: { ...context, height } }
    return {
      context: { ...context, height, episode: createEpisode(height, about.nowMs) },
      effects: [
        askPeers(),
        every(PROGRESS_PERIOD_MS, 'progress', { type: 'sync.CheckSyncProgress', payload: {} }),
      ],
      event: 'REQUIRED',
    }
  }
  // The range in hand is Chain's: it says itself how far it came.
  const next = episode.importing === undefined ? advanced(episode, height) : episode
  const source = next.sources.get(peer)
  const known = { state: about.state, events: [] }
  if (source === undefined) {
    return end(context, { ...known, episode: next, effects: [askPeers()] }, about.nowMs)
  }
  const claim = Math.max(source.claim, targetHeight)
  const told = withSource(next, { ...source, claim })
  return end(context, { ...known, episode: told, effects: [] }, about.nowMs)
}

/** Does what the state calls for, and makes the step. */
function end(context: SyncContext, from: Walk, nowMs: number): SyncStep {
  const walk = settled(context, from, nowMs)
  const { episode, state, events, effects } = walk
  const height = Math.max(context.height, episode.height)
  const next: SyncContext =
    state === 'Idle' ? { limits: context.limits, height } : { ...context, height, episode }
  return events.length === 0
    ? { context: next, effects }
    : { context: next, effects, event: events }
}

/** What is missing is asked for, and in Bodies the lowest range is imported when it is here. */
function settled({ limits }: SyncContext, walk: Walk, nowMs: number): Walk {
  if (walk.state !== 'Bodies' && walk.state !== 'Importing') return walk
  const { episode, assignments } = assigned(extended(walk.episode, limits), limits, nowMs)
  const asked = { ...walk, episode, effects: [...walk.effects, ...assignments.map(askBlocks)] }
  if (walk.state === 'Importing') return asked
  const lowest = episode.ranges[0]
  if (lowest === undefined) return go(asked, 'DRAINED', 'Headers', askPeers())
  return lowest.batch === undefined ? asked : verify(asked, lowest.batch.blocks, lowest.from)
}

function verify(walk: Walk, blocks: readonly CommittedBlock[], from: number): Walk {
  const { previous } = walk.episode
  const episode = { ...walk.episode, importing: blocks.length }
  return go({ ...walk, episode }, 'IMPORT', 'Importing', { kind: 'verify', previous, blocks, from })
}

function go(walk: Walk, event: string, state: string, ...effects: Effects): Walk {
  return {
    ...walk,
    state,
    events: [...walk.events, event],
    effects: [...walk.effects, ...effects],
  }
}

function stalled(walk: Walk, nowMs: number): Walk {
  const { importing, ...episode } = walk.episode
  return go({ ...walk, episode: { ...episode, stalledMs: nowMs } }, 'STALLED', 'Stalled')
}

function peersListed(walk: Walk, { peers }: PeersListed['payload'], nowMs: number): Walk {
  const listed = peers === undefined ? walk : { ...walk, episode: withPeers(walk.episode, peers) }
  if (walk.state !== 'Headers') return listed
  // Without peers nothing shows that nothing is missing.
  if (peers === undefined || peers.length === 0) return stalled(listed, nowMs)
  const { episode } = listed
  const to = Math.max(
    reach(episode),
    episode.ranges[0]?.batch === undefined ? 0 : episode.height + 1,
  )
  if (to > episode.height) {
    const payload = { from: episode.height + 1, to }
    const effects = [tell('sync', { type: 'sync.ParallelBlockDownloadRequest', payload })]
    return { ...listed, effects: [...listed.effects, ...effects] }
  }
  const completed: SyncCompleted = {
    type: 'sync.SyncCompleted',
    payload: { height: episode.height },
  }
  return go(listed, 'COMPLETED', 'Idle', cancel('progress'), tell(chain, completed))
}

function downloadRequested(walk: Walk): Walk {
  return walk.state === 'Headers' ? go(walk, 'PLANNED', 'Bodies') : walk
}

function batchReceived(
  walk: Walk,
  { peer, from, batch }: BlockBatchReceived['payload'],
  { limits }: SyncContext,
  nowMs: number,
): Walk {
  const { episode } = walk
  const range = episode.ranges.find((other) => other.from === from && other.owner === peer)
  if (range === undefined) return walk
  const giveBack = (next: Episode): Episode => withRange(next, released(range, peer))
  if (batch.code === 'Pruned' && batch.lowest !== undefined) {
    return { ...walk, episode: giveBack(sourcePruned(episode, peer, batch.lowest)) }
  }
  if (batch.code !== undefined) {
    return { ...walk, episode: giveBack(sourceFailed(episode, peer, nowMs)) }
  }
  if (batch.blocks.length === 0) {
    const emptied = { ...walk, episode: giveBack(sourceRefuted(episode, peer, from)) }
    return penalize(emptied, peer, 'EmptyRange', EMPTY_SCORE)
  }
  const fault = checkBlocks(batch.blocks, range)
  if (fault !== undefined) {
    const dropped = { ...walk, episode: giveBack(sourceRefuted(episode, peer, from)) }
    return penalize(dropped, peer, fault, LIE_SCORE)
  }
  const sizeBytes = sizeOf(batch.blocks)
  const held = episode.ranges.reduce((sum, other) => sum + (other.batch?.sizeBytes ?? 0), 0)
  // Nothing could go on without the very first one.
  if (range !== episode.ranges[0] && held + sizeBytes > limits.lookAheadBytes) {
    return { ...walk, episode: withRange(episode, released(range)) }
  }
  const arrived = { peer, blocks: batch.blocks, sizeBytes }
  return { ...walk, episode: withBatch(sourceAnswered(episode, peer), range, arrived) }
}

/** Certificates were checked: the blocks that hold go to Chain, the rest is asked for again. */
function rangeVerified(walk: Walk, verified: RangeVerified['payload'], nowMs: number): Walk {
  const lowest = walk.episode.ranges[0]
  if (walk.state !== 'Importing' || lowest?.batch === undefined) return walk
  if (lowest.from !== verified.from) return walk
  const { valid, code, fault } = verified
  const { peer, blocks } = lowest.batch
  if (code !== undefined && fault === 'local') return stalled(walk, nowMs)
  const checked = code === undefined ? walk : lieFound(walk, lowest, peer, valid, code)
  if (valid === 0) return imported(checked)
  const episode = { ...checked.episode, importing: valid }
  return {
    ...checked,
    episode,
    effects: [...checked.effects, importBlocks(blocks.slice(0, valid))],
  }
}

/** Cuts a batch at its first bad block and lets its sender pay; batches of others stay (SY-4). */
function lieFound(walk: Walk, range: Range, peer: string, valid: number, code: string): Walk {
  const cut = range.from + valid
  const rest = released({ ...range, from: cut }, peer)
  const kept: Range[] = []
  if (valid > 0 && range.batch !== undefined) {
    const blocks = range.batch.blocks.slice(0, valid)
    const batch = { ...range.batch, blocks, sizeBytes: sizeOf(blocks) }
    kept.push({ from: range.from, to: cut - 1, failed: range.failed, batch })
  }
  const refuted = sourceRefuted(walk.episode, peer, cut)
  const episode = { ...refuted, ranges: [...kept, rest, ...refuted.ranges.slice(1)] }
  return penalize({ ...walk, episode }, peer, code, LIE_SCORE)
}

function importEnded(
  walk: Walk,
  { height, code, fault }: ImportEnded['payload'],
  nowMs: number,
): Walk {
  const { importing } = walk.episode
  if (walk.state !== 'Importing' || importing === undefined) return walk
  const lowest = walk.episode.ranges[0] as Range
  const peer = lowest.batch?.peer
  const next = { ...walk, episode: advanced(walk.episode, height ?? 0) }
  const whole = next.episode.height >= lowest.from + importing - 1
  if (whole) return imported(next)
  if (fault !== 'peer' || peer === undefined) return stalled(next, nowMs)
  const left = next.episode.ranges[0] as Range
  return imported(lieFound(next, left, peer, 0, code ?? 'Rejected'))
}

function imported(walk: Walk): Walk {
  const { importing, ...episode } = walk.episode
  return go({ ...walk, episode }, 'IMPORTED', 'Bodies')
}

function progressChecked(walk: Walk, nowMs: number): Walk {
  const { episode } = walk
  if (walk.state === 'Stalled') {
    if (nowMs - (episode.stalledMs ?? 0) < STALL_MS) return walk
    const { stalledMs, ...rest } = episode
    return go({ ...walk, episode: rest }, 'RETRY', 'Headers', askPeers())
  }
  return { ...walk, episode: expired(episode, nowMs, REASSIGN_MS) }
}

function penalize(walk: Walk, peer: string, code: string, score: number): Walk {
  const message: PenalizePeer = { type: 'network.PenalizePeer', payload: { peer, code, score } }
  return { ...walk, effects: [...walk.effects, tell(network, message)] }
}

function askPeers(): KernelEffect {
  const request: GetConnectedPeers = { type: 'network.GetConnectedPeers', payload: {} }
  return ask(network, request, {
    timeoutMs: PEERS_ASK_MS,
    onReply: (result): PeersListed => ({
      type: 'sync.PeersListed',
      payload: result.ok ? { peers: result.value.payload.peers } : {},
    }),
  })
}

function askBlocks({ peer, from, count }: Assignment): KernelEffect {
  const request: RequestBlocks = { type: 'network.RequestBlocks', payload: { peer, from, count } }
  return ask(network, request, {
    timeoutMs: RANGE_ASK_MS,
    onReply: (result): BlockBatchReceived => ({
      type: 'sync.BlockBatchReceived',
      payload: {
        peer,
        from,
        batch: result.ok ? result.value.payload : { blocks: [], code: result.error.code },
      },
    }),
  })
}

function importBlocks(blocks: readonly CommittedBlock[]): KernelEffect {
  const request: ValidatedBlockBatch = { type: 'sync.ValidatedBlockBatch', payload: { blocks } }
  return ask(chain, request, {
    timeoutMs: IMPORT_ASK_MS,
    onReply: (result): ImportEnded => ({
      type: 'sync.ImportEnded',
      payload: result.ok ? result.value.payload : { code: result.error.code, fault: 'local' },
    }),
  })
}

function statusOf({ height, episode }: SyncContext, { state, nowMs }: About): SyncStatus {
  if (episode === undefined) {
    const payload = { state, startHeight: height, currentHeight: height, targetHeight: height }
    return { type: 'sync.SyncStatus', payload: { ...payload, peers: 0, blocksPerSecond: 0 } }
  }
  const delivered = episode.ranges.findLast((range) => range.batch !== undefined)
  const targetHeight = Math.max(episode.height, delivered?.to ?? 0)
  const seconds = Math.max(1, nowMs - episode.startedMs) / 1_000
  const blocksPerSecond = (episode.height - episode.startHeight) / seconds
  return {
    type: 'sync.SyncStatus',
    payload: {
      state,
      startHeight: episode.startHeight,
      currentHeight: episode.height,
      targetHeight,
      peers: episode.sources.size,
      blocksPerSecond,
      ...(blocksPerSecond === 0
        ? {}
        : { secondsLeft: (targetHeight - episode.height) / blocksPerSecond }),
    },
  }
}
