/** Bitcoin's headers as chain state (protocol §4.1): how a block extends the in-block chain or switches its branch. */
import { equalBytes, toDisplayHash } from '../../crypto/index.ts'
import {
  headerHash,
  medianTime,
  meetsProofOfWork,
  nextBits,
  parseHeader,
  RETARGET_BLOCKS,
  workOfBits,
} from '../bitcoin/index.ts'
import { MAX_BITCOIN_HEADERS } from '../block/index.ts'
import {
  type Entry,
  type HeaderRow,
  heightKey,
  type Ledger,
  LedgerDraft,
  ZERO_HASH,
} from '../ledger/index.ts'
import type { Genesis } from '../params/index.ts'
import type { PegContext } from './context.ts'
import { fault, type PegError } from './errors.ts'
import { undoBitcoinBlock } from './undo.ts'

/** Most headers in a block that extends the tip. */
export const MAX_EXTENSION_HEADERS = 144
/** Most blocks that a switch removes without an approval. */
export const MAX_REMOVED_BLOCKS = 100
const MAX_FUTURE_SECONDS = 7200
const MEDIAN_TIMES = 11

/** The valid beginning of a list of headers, and what is wrong with the next one. */
interface HeaderRun {
  readonly rows: readonly Entry<HeaderRow>[]
  readonly fault?: PegError
}

/** Hash and height of the block that a header of the best chain stands for; undefined beyond the ends. */
export function bestHash(draft: LedgerDraft, height: number): Uint8Array | undefined {
  return height > draft.state.tipHeight ? undefined : draft.get('chain', heightKey(height))?.hash
}

/** The row of a header on the best chain. */
export function bestHeader(draft: LedgerDraft, hash: Uint8Array): HeaderRow | undefined {
  const row = draft.get('headers', hash)
  if (row === undefined) return undefined
  const best = bestHash(draft, row.height)
  return best !== undefined && equalBytes(best, hash) ? row : undefined
}

/** Adds this block's headers to the draft; leaves it unchanged when one of them breaks a rule. */
export function applyHeaders(
  draft: LedgerDraft,
  context: PegContext,
  headers: readonly Uint8Array[],
): PegError | undefined {
  if (headers.length === 0) return undefined
  const run = readHeaders(draft, context, headers)
  return run.fault ?? connect(draft, context, run.rows)
}

/** Adds as many of the headers as the rules allow and returns them. */
export function applyHeaderPrefix(
  draft: LedgerDraft,
  context: PegContext,
  headers: readonly Uint8Array[],
): { readonly taken: readonly Uint8Array[]; readonly fault?: PegError } {
  const known = headers.findIndex((header) => bestHeader(draft, headerHash(header)) === undefined)
  if (known < 0) return { taken: [] }
  const first = headers[known] as Uint8Array
  const extendsTip = equalBytes(first.subarray(4, 36), draft.state.tipHash)
  const most = extendsTip ? MAX_EXTENSION_HEADERS : MAX_BITCOIN_HEADERS
  const offered = headers.slice(known, known + most)
  const run = readHeaders(draft, context, offered)
  const broken = run.fault === undefined ? {} : { fault: run.fault }
  if (run.rows.length === 0) return { taken: [], ...broken }
  const refused = connect(draft, context, run.rows)
  if (refused !== undefined) return { taken: [], fault: run.fault ?? refused }
  return { taken: offered.slice(0, run.rows.length), ...broken }
}

/** Checks each header against the one before it. */
function readHeaders(
  draft: LedgerDraft,
  context: PegContext,
  headers: readonly Uint8Array[],
): HeaderRun {
  const rows: Entry<HeaderRow>[] = []
  const first = parseHeader(headers[0] as Uint8Array)
  if (!first.ok) return { rows, fault: fault('HeaderMalformed', first.error.reason) }
  let parentHash = first.value.previousHash
  let parent = draft.get('headers', parentHash)
  if (parent === undefined) {
    return { rows, fault: fault('HeaderParentUnknown', toDisplayHash(parentHash)) }
  }
  const times = lastTimes(draft, context.genesis, parent)
  for (const bytes of headers) {
    const entry = readHeader(context, bytes, parentHash, parent, times)
    if ('code' in entry) return { rows, fault: entry }
    rows.push(entry)
    parentHash = entry.key
    parent = entry.row
    times.push(timeOf(entry.row))
    if (times.length > MEDIAN_TIMES) times.shift()
  }
  return { rows }
}

function readHeader(
  { genesis, timestamp }: PegContext,
  bytes: Uint8Array,
  parentHash: Uint8Array,
  parent: HeaderRow,
  times: readonly number[],
): Entry<HeaderRow> | PegError {
  const parsed = parseHeader(bytes)
  if (!parsed.ok) return fault('HeaderMalformed', parsed.error.reason)
  const { bits, previousHash, time } = parsed.value
  const hash = headerHash(bytes)
  const name = toDisplayHash(hash)
  if (!equalBytes(previousHash, parentHash)) return fault('HeaderParentUnknown', name)
  const parentBits = bitsOf(parent)
  const expected = nextBits(
    genesis.bitcoin,
    { ...parent, time: timeOf(parent), bits: parentBits },
    time,
  )
  if (bits !== expected) return fault('HeaderBitsWrong', name)
  if (!meetsProofOfWork(hash, bits, genesis.bitcoin.powLimitBits)) {
    return fault('HeaderWorkMissing', name)
  }
  if (time <= medianTime(times)) return fault('HeaderTimeTooOld', name)
  if (time > timestamp + MAX_FUTURE_SECONDS) return fault('HeaderTimeTooNew', name)
  const height = parent.height + 1
  const startsPeriod = height % RETARGET_BLOCKS === 0
  const row: HeaderRow = {
    header: bytes,
    height,
    chainWork: parent.chainWork + workOfBits(bits),
    periodTime: startsPeriod ? time : parent.periodTime,
    periodBits: startsPeriod ? bits : parent.periodBits,
  }
  return { key: hash, row }
}

/** Makes checked headers the end of the best chain; a branch first undoes what the removed blocks did. */
function connect(
  draft: LedgerDraft,
  context: PegContext,
  rows: readonly Entry<HeaderRow>[],
): PegError | undefined {
  const first = rows[0] as Entry<HeaderRow>
  const last = rows.at(-1) as Entry<HeaderRow>
  const forkHeight = first.row.height - 1
  const forkHash = first.row.header.slice(4, 36)
  if (equalBytes(forkHash, draft.state.tipHash)) {
    if (rows.length > MAX_EXTENSION_HEADERS) return fault('HeadersTooMany', `${rows.length}`)
  } else {
    const refused = switchFault(draft, forkHash, forkHeight, last.row)
    if (refused !== undefined) return refused
    disconnect(draft, context, forkHeight)
  }
  for (const { key, row } of rows) {
    draft.put('headers', key, row)
    draft.put('chain', heightKey(row.height), { hash: key })
  }
  draft.update({ tipHash: last.key, tipHeight: last.row.height })
  return undefined
}

function switchFault(
  draft: LedgerDraft,
  forkHash: Uint8Array,
  forkHeight: number,
  last: HeaderRow,
): PegError | undefined {
  const tip = draft.get('headers', draft.state.tipHash) as HeaderRow
  if (bestHeader(draft, forkHash) === undefined) {
    return fault('BranchFromStale', toDisplayHash(forkHash))
  }
  if (last.chainWork <= tip.chainWork) return fault('BranchWithoutMoreWork')
  const removed = draft.state.tipHeight - forkHeight
  return removed > MAX_REMOVED_BLOCKS
    ? fault('BranchNeedsApproval', `${removed} blocks`)
    : undefined
}

/** Takes the blocks above `forkHeight` off the best chain, newest first. */
function disconnect(draft: LedgerDraft, context: PegContext, forkHeight: number): void {
  for (let height = draft.state.tipHeight; height > forkHeight; height--) {
    undoBitcoinBlock(draft, context, bestHash(draft, height) as Uint8Array)
    draft.put('chain', heightKey(height), { hash: ZERO_HASH })
  }
}

/** Times of up to 11 headers that end with `row`, oldest first. */
function lastTimes(draft: LedgerDraft, genesis: Genesis, row: HeaderRow): number[] {
  const { checkpoint } = genesis.bitcoin
  const times: number[] = []
  let current: HeaderRow = row
  while (times.length < MEDIAN_TIMES && current.height > checkpoint.height) {
    times.unshift(timeOf(current))
    current = draft.get('headers', current.header.slice(4, 36)) as HeaderRow
  }
  const missing = MEDIAN_TIMES - times.length
  return missing === 0 ? times : [...checkpoint.times.slice(-missing), ...times]
}

function timeOf({ header }: HeaderRow): number {
  return new DataView(header.buffer, header.byteOffset, header.byteLength).getUint32(68, true)
}

function bitsOf({ header }: HeaderRow): number {
  return new DataView(header.buffer, header.byteOffset, header.byteLength).getUint32(72, true)
}

/** A point of the in-block chain, for asking a Bitcoin node what follows. */
export interface HeaderPoint {
  readonly height: number
  /** Internal byte order. */
  readonly hash: Uint8Array
}

/**
 * Points of the best chain from its tip back to the checkpoint: the last ten, then ever wider apart. The first of them that
 * is on a Bitcoin node's best chain is where the next headers start.
 */
export function nextHeaderLocator(ledger: Ledger, genesis: Genesis): HeaderPoint[] {
  const draft = new LedgerDraft(ledger)
  const lowest = genesis.bitcoin.checkpoint.height
  const points: HeaderPoint[] = []
  let step = 1
  for (let height = ledger.state.tipHeight; height > lowest; height -= step) {
    points.push({ height, hash: bestHash(draft, height) as Uint8Array })
    if (points.length >= 10) step *= 2
  }
  points.push({ height: lowest, hash: bestHash(draft, lowest) as Uint8Array })
  return points
}
