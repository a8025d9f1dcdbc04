/** Bitcoin's Merkle tree over txids (internal byte order), with the index that a branch proves. */
import { equalBytes } from './bytes.ts'
import { sha256d } from './hash.ts'

/** Its nodes, 32 bytes each: the leaves, then level by level up to the root. In one piece, as it goes from thread to thread. */
export interface BitcoinMerkleTree {
  readonly leaves: number
  readonly nodes: Uint8Array
}

const NODE_BYTES = 32

/** The tree over leaves of 32 bytes; an odd level repeats its last node. */
export function bitcoinMerkleTree(leaves: readonly Uint8Array[]): BitcoinMerkleTree {
  const widths = levelWidths(leaves.length)
  const nodes = new Uint8Array(NODE_BYTES * widths.reduce((sum, width) => sum + width, 0))
  for (const [index, leaf] of leaves.entries()) nodes.set(leaf, NODE_BYTES * index)
  let from = 0
  let parent = NODE_BYTES * leaves.length
  for (const width of widths) {
    const end = from + NODE_BYTES * width
    for (let at = from; at < end && width > 1; at += 2 * NODE_BYTES) {
      const pair = nodes.subarray(at, Math.min(end, at + 2 * NODE_BYTES))
      nodes.set(pair.length === NODE_BYTES ? sha256d(pair, pair) : sha256d(pair), parent)
      parent += NODE_BYTES
    }
    from = end
  }
  return { leaves: leaves.length, nodes }
}

/** Nodes of each level, from the leaves to the root. */
function levelWidths(leaves: number): number[] {
  const widths = [leaves]
  for (let width = leaves; width > 1; ) {
    width = Math.ceil(width / 2)
    widths.push(width)
  }
  return widths
}

/** A copy, so that it does not keep the whole tree alive. */
function nodeAt({ nodes }: BitcoinMerkleTree, index: number): Uint8Array {
  return nodes.slice(NODE_BYTES * index, NODE_BYTES * (index + 1))
}

/** Throws for a tree without leaves. */
export function bitcoinMerkleRoot({ leaves, nodes }: BitcoinMerkleTree): Uint8Array {
  if (leaves === 0) throw new Error('a Merkle tree needs a leaf')
  return nodes.slice(-NODE_BYTES)
}

export function bitcoinMerkleLeaf(tree: BitcoinMerkleTree, index: number): Uint8Array | undefined {
  return index >= 0 && index < tree.leaves ? nodeAt(tree, index) : undefined
}

/** The siblings from leaf `index` up to the root. */
export function bitcoinMerkleBranch(tree: BitcoinMerkleTree, index: number): Uint8Array[] {
  if (index < 0 || index >= tree.leaves) throw new Error(`no leaf ${index}`)
  const branch: Uint8Array[] = []
  let [from, position] = [0, index]
  for (const width of levelWidths(tree.leaves).slice(0, -1)) {
    branch.push(nodeAt(tree, from + Math.min(position ^ 1, width - 1)))
    from += width
    position >>= 1
  }
  return branch
}

/**
 * Whether `leaf` stands at `index` under `root`. The index must fit the branch, so that one leaf has one
 * index; a right-hand sibling equal to its left would allow a second one and is refused (CVE-2012-2459).
 */
export function verifyBitcoinBranch(
  leaf: Uint8Array,
  index: number,
  branch: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (branch.length > 32 || !Number.isSafeInteger(index) || index < 0) return false
  if (index >= 2 ** branch.length) return false
  let node = leaf
  let position = index
  for (const sibling of branch) {
    const isRight = position % 2 === 1
    if (isRight && equalBytes(sibling, node)) return false
    node = isRight ? sha256d(sibling, node) : sha256d(node, sibling)
    position = Math.floor(position / 2)
  }
  return equalBytes(node, root)
}
