/** The tree of known blocks: every header that was accepted, with what must be known to compare branches. */
import { type DecodedBlock, decodeBlock, type Header } from './block.ts'
import { WORK_PER_BLOCK } from './chain-params.ts'

/** `valid` blocks were connected once, `unconnected` ones passed all checks that need no coins. */
export type BlockStatus = 'valid' | 'unconnected' | 'invalid'

export interface BlockNode {
  readonly header: Header
  readonly hash: string
  readonly height: number
  readonly parent: BlockNode | undefined
  /** The whole block as it came; decoded again where its transactions are needed. */
  readonly raw: Uint8Array
  readonly txCount: number
  readonly chainWork: bigint
  readonly medianTime: number
  /** Order of arrival: among equal work the first seen wins. */
  readonly sequence: number
  status: BlockStatus
}

/** The block of a node. */
export function blockOf(node: BlockNode): DecodedBlock {
  const block = decodeBlock(node.raw)
  if (block === undefined) throw new Error(`block ${node.hash} does not decode any more`)
  return block
}

const MEDIAN_SPAN = 11

export function createNode(
  block: DecodedBlock,
  parent: BlockNode | undefined,
  sequence: number,
): BlockNode {
  return {
    header: block.header,
    hash: block.header.hash,
    height: parent === undefined ? 0 : parent.height + 1,
    parent,
    raw: block.raw,
    txCount: block.txs.length,
    chainWork: (parent?.chainWork ?? 0n) + WORK_PER_BLOCK,
    medianTime: medianTime(block.header.time, parent),
    sequence,
    status: 'unconnected',
  }
}

/** BIP113: the median time of the last eleven blocks, this one included. */
function medianTime(time: number, parent: BlockNode | undefined): number {
  const times = [time]
  for (let at = parent; at !== undefined && times.length < MEDIAN_SPAN; at = at.parent) {
    times.push(at.header.time)
  }
  times.sort((a, b) => a - b)
  return times[Math.floor(times.length / 2)] ?? time
}

export function ancestorAt(node: BlockNode, height: number): BlockNode | undefined {
  let at: BlockNode | undefined = node
  while (at !== undefined && at.height > height) at = at.parent
  return at
}

export function isDescendant(node: BlockNode, ancestor: BlockNode): boolean {
  return ancestorAt(node, ancestor.height) === ancestor
}
