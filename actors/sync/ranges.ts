/** Ranges of missing blocks: planned disjoint and complete, and checked when they arrive. Pure. */
import { blockHash, type CommittedBlock, CommittedBlockType } from '../../core/block/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import type { RangeFault } from './errors.ts'
import { MAX_BATCH_BYTES } from './limits.ts'

export interface Batch {
  readonly peer: string
  readonly blocks: readonly CommittedBlock[]
  readonly sizeBytes: number
}

/** Heights `from` to `to`, both included. Neither owner nor batch: to be asked for. */
export interface Range {
  readonly from: number
  readonly to: number
  readonly owner?: string
  readonly askedMs?: number
  /** Who failed at it. */
  readonly failed: readonly string[]
  readonly batch?: Batch
}

/**
 * Cuts `from`…`to` at multiples of `length` from `from`: 1000 with length 100 gives 1000–1100, 1101–1200, 1201–1300
 * (seed 003, flow 4; SY-1). Every height is in exactly one range.
 */
export function planRanges(from: number, to: number, length: number): Range[] {
  const ranges: Range[] = []
  for (let start = from, end = from + length; start <= to; end += length) {
    ranges.push({ from: start, to: Math.min(end, to), failed: [] })
    start = end + 1
  }
  return ranges
}

export function sizeOf(blocks: readonly CommittedBlock[]): number {
  return blocks.reduce((sum, block) => sum + CommittedBlockType.value_serializedSize(block), 0)
}

/**
 * What can be seen without the validators: consecutive heights from `from`, each block the child of the one before,
 * each certificate about its block. Signatures are checked when the range's turn to be imported comes.
 */
export function checkBlocks(
  blocks: readonly CommittedBlock[],
  { from, to }: Pick<Range, 'from' | 'to'>,
): RangeFault | undefined {
  if (blocks.length > to - from + 1) return 'TooManyBlocks'
  if (sizeOf(blocks) > MAX_BATCH_BYTES) return 'TooLarge'
  let parentHash: Uint8Array | undefined
  for (const [index, { block, certificate }] of blocks.entries()) {
    const { header } = block
    if (header.height !== from + index) return 'WrongHeight'
    if (parentHash !== undefined && !equalBytes(header.parentHash, parentHash)) return 'BrokenLink'
    parentHash = blockHash(header)
    const about =
      certificate.height === header.height && equalBytes(certificate.blockHash, parentHash)
    if (!about) return 'CertificateMismatch'
  }
  return undefined
}

/** The range as it was before it was asked for; `failedBy` is asked last from now on. */
export function released(range: Range, failedBy?: string): Range {
  const failed =
    failedBy === undefined || range.failed.includes(failedBy)
      ? range.failed
      : [...range.failed, failedBy]
  return { from: range.from, to: range.to, failed }
}

/** What is left above `height`. */
export function above(ranges: readonly Range[], height: number): Range[] {
  return ranges.flatMap((range) => {
    if (range.to <= height) return []
    if (range.from > height) return [range]
    const { batch } = range
    if (batch === undefined) return [released({ ...range, from: height + 1 })]
    const blocks = batch.blocks.slice(height + 1 - range.from)
    return [{ ...range, from: height + 1, batch: { ...batch, blocks, sizeBytes: sizeOf(blocks) } }]
  })
}
