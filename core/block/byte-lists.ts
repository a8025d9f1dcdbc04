/**
 * SSZ lists of byte lists, whose roots are computed level by level over all items at once: one call of the native hasher for each level
 * instead of one for each level of each item. What they encode and hash to is what the library’s own type does. Items and lists hold at
 * least two chunks.
 */
import { hasher, zeroHash } from '@chainsafe/persistent-merkle-tree'
import { type ByteListType, ListCompositeType } from '@chainsafe/ssz'

const CHUNK = 32
const BLOCK = 64

export class ByteListsType extends ListCompositeType<ByteListType> {
  override hashTreeRootInto(value: Uint8Array[], output: Uint8Array, offset: number): void {
    const items = withLengths(
      rootsOf(value, depthOf(this.elementType.maxChunkCount)),
      value.map(({ length }) => length),
    )
    const root = rootsOf([items], depthOf(this.maxChunkCount))
    output.set(withLengths(root, [value.length]), offset)
  }
}

/** Levels above the chunks of a tree for so many. */
function depthOf(maxChunks: number): number {
  let depth = 0
  for (let chunks = 1; chunks < maxChunks; chunks *= 2) depth += 1
  return depth
}

/** The roots of trees of this depth over the chunks of each item, one after another. */
function rootsOf(items: readonly Uint8Array[], depth: number): Uint8Array {
  const counts = Uint32Array.from(items, ({ length }) => Math.max(1, Math.ceil(length / BLOCK)))
  const total = counts.reduce((sum, count) => sum + count, 0)
  const blocks = new Uint8Array(total * BLOCK)
  const nodes = new Uint8Array(total * CHUNK)
  let at = 0
  for (const [index, item] of items.entries()) {
    blocks.set(item, at)
    at += (counts[index] as number) * BLOCK
  }
  for (let level = 1; level < depth; level++) {
    hasher.hashInto(blocks.subarray(0, at), nodes.subarray(0, at >> 1))
    at = pairUp(nodes, blocks, counts, zeroHash(level))
  }
  hasher.hashInto(blocks.subarray(0, at), nodes.subarray(0, at >> 1))
  return nodes.subarray(0, at >> 1)
}

/** The nodes of each item as blocks of the next level, an odd one beside an empty tree. How many bytes. */
function pairUp(
  nodes: Uint8Array,
  blocks: Uint8Array,
  counts: Uint32Array,
  empty: Uint8Array,
): number {
  let [from, to] = [0, 0]
  for (const [index, count] of counts.entries()) {
    const end = from + count * CHUNK
    blocks.set(nodes.subarray(from, end), to)
    from = end
    to += count * CHUNK
    if (count % 2 === 1) {
      blocks.set(empty, to)
      to += CHUNK
    }
    counts[index] = (count + 1) >> 1
  }
  return to
}

/** Each root hashed with a length. */
function withLengths(roots: Uint8Array, lengths: readonly number[]): Uint8Array {
  const blocks = Buffer.alloc(lengths.length * BLOCK)
  const mixed = new Uint8Array(lengths.length * CHUNK)
  for (const [index, length] of lengths.entries()) {
    blocks.set(roots.subarray(index * CHUNK, (index + 1) * CHUNK), index * BLOCK)
    blocks.writeUIntLE(length, index * BLOCK + CHUNK, 6)
  }
  if (lengths.length > 0) hasher.hashInto(blocks, mixed)
  return mixed
}
