/** One episode of catching up: what is missing, who has it, what arrived. Pure. */
import type { CommittedBlock } from '../../core/block/index.ts'
import {
  MAX_BATCH_BYTES,
  MAX_FAILURES,
  REST_FIRST_MS,
  REST_MAX_MS,
  type SyncLimits,
} from './limits.ts'
import { above, type Batch, planRanges, type Range, released } from './ranges.ts'

/** A peer as a source of blocks. */
export interface Source {
  readonly peer: string
  /** The height that it claims. */
  readonly claim: number
  /** It had nothing from here on when it claimed so much; a higher claim is tried once more. */
  readonly refuted?: { readonly from: number; readonly claim: number }
  /** It has pruned what is below. */
  readonly lowest?: number
  readonly failures: number
  readonly restUntilMs: number
}

export interface Episode {
  readonly startHeight: number
  readonly startedMs: number
  /** Imported up to here. */
  readonly height: number
  readonly sources: ReadonlyMap<string, Source>
  /** Ascending, disjoint, without gaps, from `height + 1` on. */
  readonly ranges: readonly Range[]
  /** The block at `height`, when this episode imported it. */
  readonly previous?: CommittedBlock
  /** The lowest range is being verified or imported: so many of its blocks. */
  readonly importing?: number
  readonly stalledMs?: number
  /** Of the blocks that arrived, for estimates. */
  readonly meanBytes: number
}

const FIRST_MEAN_BYTES = 4_096

export function createEpisode(height: number, nowMs: number): Episode {
  return {
    startHeight: height,
    startedMs: nowMs,
    height,
    sources: new Map(),
    ranges: [],
    meanBytes: FIRST_MEAN_BYTES,
  }
}

/** The height up to which a peer may have blocks: its claim, unless it failed to deliver on it. */
export function reachOf({ claim, refuted }: Source): number {
  return refuted === undefined || claim > refuted.claim ? claim : Math.min(claim, refuted.from - 1)
}

export function reach(episode: Episode): number {
  let highest = 0
  for (const source of episode.sources.values()) highest = Math.max(highest, reachOf(source))
  return highest
}

export function withSource(episode: Episode, source: Source): Episode {
  return { ...episode, sources: new Map(episode.sources).set(source.peer, source) }
}

/** Peers as Network lists them: new claims, the rest as it was; who left is forgotten. */
export function withPeers(
  episode: Episode,
  peers: readonly { readonly peer: string; readonly height: number }[],
): Episode {
  const sources = new Map(
    peers.map(({ peer, height }): [string, Source] => {
      const known = episode.sources.get(peer) ?? { peer, failures: 0, restUntilMs: 0 }
      return [peer, { ...known, claim: height }]
    }),
  )
  return { ...episode, sources }
}

/** A peer did not answer well. After some failures in a row its claim counts for nothing. */
export function sourceFailed(episode: Episode, peer: string, nowMs: number): Episode {
  const source = episode.sources.get(peer)
  if (source === undefined) return episode
  const failures = source.failures + 1
  const restMs = Math.min(REST_MAX_MS, REST_FIRST_MS * 2 ** (failures - 1))
  const failed = { ...source, failures, restUntilMs: nowMs + restMs }
  return withSource(
    episode,
    failures < MAX_FAILURES
      ? failed
      : { ...failed, failures: 0, refuted: { from: episode.height + 1, claim: source.claim } },
  )
}

/** A peer has nothing at a height that it claims, or something false: nothing more is asked of it from there on. */
export function sourceRefuted(episode: Episode, peer: string, from: number): Episode {
  const source = episode.sources.get(peer)
  return source === undefined
    ? episode
    : withSource(episode, { ...source, refuted: { from, claim: source.claim } })
}

/** A peer has pruned what was asked of it: it is asked for what it has, and for nothing lower (PR-3). */
export function sourcePruned(episode: Episode, peer: string, lowest: number): Episode {
  const source = episode.sources.get(peer)
  return source === undefined ? episode : withSource(episode, { ...source, lowest })
}

export function sourceAnswered(episode: Episode, peer: string): Episode {
  const source = episode.sources.get(peer)
  return source === undefined || source.failures === 0
    ? episode
    : withSource(episode, { ...source, failures: 0, restUntilMs: 0 })
}

/** Plans on to what peers may have, a bounded way ahead; forgets ranges that nobody has any more. */
export function extended(episode: Episode, limits: SyncLimits): Episode {
  const end = reach(episode)
  const ranges = episode.ranges.filter((range) => range.batch !== undefined || range.from <= end)
  const planned = ranges.at(-1)?.to ?? episode.height
  const room = limits.rangesAhead - ranges.length
  if (planned >= end || room <= 0) return { ...episode, ranges }
  const until = Math.min(end, planned + room * limits.rangeLength)
  return { ...episode, ranges: [...ranges, ...planRanges(planned + 1, until, limits.rangeLength)] }
}

export function withRange(episode: Episode, range: Range): Episode {
  return {
    ...episode,
    ranges: episode.ranges.map((other) => (other.from === range.from ? range : other)),
  }
}

/** Puts a batch into its range; what it lacks at the end becomes a range of its own. */
export function withBatch(episode: Episode, range: Range, batch: Batch): Episode {
  const to = range.from + batch.blocks.length - 1
  const filled: Range = { from: range.from, to, failed: range.failed, batch }
  const rest: Range[] = to < range.to ? [{ from: to + 1, to: range.to, failed: [] }] : []
  const meanBytes = (episode.meanBytes * 3 + batch.sizeBytes / batch.blocks.length) / 4
  return {
    ...episode,
    meanBytes,
    ranges: episode.ranges.flatMap((other) =>
      other.from === range.from ? [filled, ...rest] : [other],
    ),
  }
}

/** Our committed height moved, by import or by the node's own votes. */
export function advanced(episode: Episode, height: number): Episode {
  if (height <= episode.height) return episode
  const { previous, ...rest } = episode
  const lowest = episode.ranges.find((range) => range.from <= height && height <= range.to)
  const imported = lowest?.batch?.blocks[height - lowest.from]
  return {
    ...rest,
    height,
    ranges: above(episode.ranges, height),
    ...(imported === undefined ? {} : { previous: imported }),
  }
}

/** Takes back ranges whose owner left or did not answer in time. */
export function expired(episode: Episode, nowMs: number, reassignMs: number): Episode {
  return episode.ranges.reduce((next, range) => {
    if (range.owner === undefined) return next
    const late = nowMs - (range.askedMs ?? nowMs) >= reassignMs
    if (!late && next.sources.has(range.owner)) return next
    const failed = late ? sourceFailed(next, range.owner, nowMs) : next
    return withRange(failed, released(range, range.owner))
  }, episode)
}

export interface Assignment {
  readonly peer: string
  readonly from: number
  readonly count: number
}

/**
 * Gives ranges to peers, the lowest first. The lowest missing one gets an owner whenever any peer may have it,
 * resting and busy ones included, unless what waits below it fills the look-ahead already; the others only within
 * the limits of requests and bytes (SY-1, SY-3, SY-5).
 */
export function assigned(
  episode: Episode,
  limits: SyncLimits,
  nowMs: number,
): { readonly episode: Episode; readonly assignments: readonly Assignment[] } {
  const load = new Map<string, number>()
  let underWay = 0
  let bytes = 0
  const estimate = (range: Range) =>
    Math.min(MAX_BATCH_BYTES, (range.to - range.from + 1) * episode.meanBytes)
  for (const range of episode.ranges) {
    bytes += range.batch?.sizeBytes ?? (range.owner === undefined ? 0 : estimate(range))
    if (range.owner === undefined) continue
    underWay += 1
    load.set(range.owner, (load.get(range.owner) ?? 0) + 1)
  }
  const assignments: Assignment[] = []
  let lowest = true
  const ranges = episode.ranges.map((range) => {
    if (range.batch !== undefined) return range
    const first = lowest
    lowest = false
    if (range.owner !== undefined) return range
    const tooMuch = bytes + estimate(range) > limits.lookAheadBytes
    if (tooMuch && range !== episode.ranges[0]) return range
    if (!first && underWay >= limits.requests) return range
    const peer = chooseSource(episode, range, load, first ? undefined : { limits, nowMs })
    if (peer === undefined) return range
    underWay += 1
    bytes += estimate(range)
    load.set(peer, (load.get(peer) ?? 0) + 1)
    assignments.push({ peer, from: range.from, count: range.to - range.from + 1 })
    return { ...range, owner: peer, askedMs: nowMs }
  })
  return { episode: { ...episode, ranges }, assignments }
}

/** The best peer: one that did not fail at this range, does not rest, has the least to do; then by name. */
function chooseSource(
  episode: Episode,
  range: Range,
  load: ReadonlyMap<string, number>,
  bounds: { readonly limits: SyncLimits; readonly nowMs: number } | undefined,
): string | undefined {
  let best: { readonly peer: string; readonly rank: readonly number[] } | undefined
  for (const source of episode.sources.values()) {
    if (reachOf(source) < range.from || (source.lowest ?? 0) > range.from) continue
    const busy = load.get(source.peer) ?? 0
    if (bounds !== undefined) {
      if (busy >= bounds.limits.requestsPerPeer || source.restUntilMs > bounds.nowMs) continue
    }
    const rank = [range.failed.includes(source.peer) ? 1 : 0, source.failures, busy]
    if (best === undefined || isLess(rank, best.rank)) best = { peer: source.peer, rank }
  }
  return best?.peer
}

function isLess(left: readonly number[], right: readonly number[]): boolean {
  for (const [index, value] of left.entries()) {
    const other = right[index] as number
    if (value !== other) return value < other
  }
  return false
}
