/** Partial Merkle trees: the proof that gettxoutproof gives (BIP37's merkleblock). */
import { type DecodedBlock, merkleRoot, txHash } from './block.ts'
import { compactSize, concatBytes } from './bytes.ts'

/** Header ‖ number of transactions ‖ hashes ‖ flag bits, for the transactions whose ids are in `wanted`. */
export function encodeMerkleProof(block: DecodedBlock, wanted: ReadonlySet<string>): Uint8Array {
  const leaves = block.txs.map(txHash)
  const matches = block.txs.map((tx) => wanted.has(tx.txid))
  const tree: Tree = { leaves, matches, bits: [], hashes: [] }
  traverse(tree, treeHeight(leaves.length), 0)
  const count = Buffer.alloc(4)
  count.writeUInt32LE(leaves.length)
  const flags = new Uint8Array(Math.ceil(tree.bits.length / 8))
  tree.bits.forEach((bit, index) => {
    if (bit) flags[index >> 3] = (flags[index >> 3] ?? 0) | (1 << (index & 7))
  })
  return concatBytes(
    block.header.raw,
    count,
    compactSize(tree.hashes.length),
    ...tree.hashes,
    compactSize(flags.length),
    flags,
  )
}

interface Tree {
  readonly leaves: readonly Uint8Array[]
  readonly matches: readonly boolean[]
  readonly bits: boolean[]
  readonly hashes: Uint8Array[]
}

function treeHeight(leafCount: number): number {
  let height = 0
  while (2 ** height < leafCount) height += 1
  return height
}

/** Depth first: a bit for each node, a hash where nothing wanted lies below or the node is a leaf. */
function traverse(tree: Tree, height: number, position: number): void {
  const first = position * 2 ** height
  const end = Math.min((position + 1) * 2 ** height, tree.leaves.length)
  const holdsMatch = tree.matches.slice(first, end).includes(true)
  tree.bits.push(holdsMatch)
  if (height === 0 || !holdsMatch) {
    tree.hashes.push(subtreeHash(tree.leaves.slice(first, end), height))
    return
  }
  traverse(tree, height - 1, position * 2)
  if ((position * 2 + 1) * 2 ** (height - 1) < tree.leaves.length) {
    traverse(tree, height - 1, position * 2 + 1)
  }
}

/** The hash of a subtree of full height: a short right edge is paired with itself on each level. */
function subtreeHash(leaves: readonly Uint8Array[], height: number): Uint8Array {
  let root = merkleRoot(leaves).root
  for (let level = treeHeight(leaves.length); level < height; level++) {
    root = merkleRoot([root, root]).root
  }
  return root
}
