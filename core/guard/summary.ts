/** A guard file as an operator sees it: plain data, hex without 0x. */
import { toHex } from '../../crypto/index.ts'
import { GUARD_VERSION, type GuardFile } from './codec.ts'
import type { GuardEntry, GuardView } from './rules.ts'

export interface SignedRecord {
  readonly kind: GuardEntry['kind']
  readonly height?: number
  readonly view?: number
  readonly slot?: number
  readonly hash?: string
}

export interface GuardSummary {
  readonly version: number
  readonly sizeBytes: number
  /** Bytes behind the last record that reads: of a record being written, or torn by a crash. */
  readonly tornBytes: number
  /** The lowest height that may be signed. */
  readonly floorHeight: number
  /** The highest slot of a block of its own, and the highest height and view signed at. Null: none. */
  readonly highestSlot: number | null
  readonly height: number | null
  readonly view: number | null
  readonly lock: {
    readonly view: number
    readonly hash: string
    readonly blockHeld: boolean
  } | null
  /** Blocks kept until the height is committed. */
  readonly blocks: readonly string[]
  /** The last ones, oldest first. */
  readonly records: readonly SignedRecord[]
}

export function summarizeGuard(
  file: GuardFile,
  sizeBytes: number,
  lastRecords: number,
): GuardSummary {
  const { view, entries, goodBytes } = file
  return {
    version: GUARD_VERSION,
    sizeBytes,
    tornBytes: sizeBytes - goodBytes,
    floorHeight: view.floor,
    highestSlot: orNull(view.slot),
    height: orNull(view.height),
    view: orNull(view.view),
    lock: lockOf(view),
    blocks: [...view.blocks.keys()],
    records: entries.slice(-lastRecords).map(describeEntry),
  }
}

function orNull(value: number): number | null {
  return value < 0 ? null : value
}

function lockOf({ lock, blocks }: GuardView): GuardSummary['lock'] {
  if (lock === undefined) return null
  const hash = toHex(lock.hash)
  return { view: lock.view, hash, blockHeld: blocks.has(hash) }
}

function describeEntry(entry: GuardEntry): SignedRecord {
  const { kind } = entry
  switch (kind) {
    case 'floor':
      return { kind, height: entry.floor, ...(entry.slot >= 0 && { slot: entry.slot }) }
    case 'block':
      return { kind, height: entry.height, hash: toHex(entry.hash) }
    case 'viewChange':
      return { kind, height: entry.height, view: entry.view }
    case 'propose':
      return { ...voteOf(entry), slot: entry.slot }
    case 'prepare':
    case 'commit':
      return voteOf(entry)
  }
}

function voteOf({
  kind,
  height,
  view,
  hash,
}: Extract<GuardEntry, { view: number; hash: Uint8Array }>): SignedRecord {
  return { kind, height, view, hash: toHex(hash) }
}
