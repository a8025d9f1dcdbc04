/** Partial Merkle trees: the proof that gettxoutproof gives (BIP37's merkleblock). */
import { type DecodedBlock, HEADER_BYTES, merkleRoot, txHash } from './block.ts'
import { compactSize, concatBytes, displayHash, equalBytes, readUint32 } from './bytes.ts'

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

/** The txids that a proof commits to under its header's Merkle root; undefined for a proof that does not hold. */
export function readMerkleProof(
  proof: Uint8Array,
): { header: Uint8Array; txids: readonly string[] } | undefined {
  if (proof.length < HEADER_BYTES + 5 || proof.length > MAX_PROOF_BYTES) return undefined
  const header = proof.slice(0, HEADER_BYTES)
  const leafCount = readUint32(proof, HEADER_BYTES)
  if (leafCount === 0 || leafCount > MAX_LEAVES) return undefined
  const hashes = readVector(proof, HEADER_BYTES + 4, 32)
  const flags = hashes && readVector(proof, hashes.end, 1)
  if (flags === undefined || flags.end !== proof.length) return undefined
  const cursor: Cursor = {
    leafCount,
    hashes: hashes?.items ?? [],
    bits: flags.items.flatMap(([byte = 0]) => [...BIT_POSITIONS].map((bit) => (byte >> bit) & 1)),
    bitsUsed: 0,
    hashesUsed: 0,
    txids: [],
  }
  const root = extract(cursor, treeHeight(leafCount), 0)
  const bytesUsed = Math.ceil(cursor.bitsUsed / 8)
  const whole = cursor.hashesUsed === cursor.hashes.length && bytesUsed === flags.items.length
  if (root === undefined || !whole || !equalBytes(root, header.subarray(36, 68))) return undefined
  return { header, txids: cursor.txids }
}

const MAX_PROOF_BYTES = 1_000_000
const MAX_LEAVES = 4_000_000 / 240
const BIT_POSITIONS = [0, 1, 2, 3, 4, 5, 6, 7] as const

interface Cursor {
  readonly leafCount: number
  readonly hashes: readonly Uint8Array[]
  readonly bits: readonly number[]
  readonly txids: string[]
  bitsUsed: number
  hashesUsed: number
}

function extract(cursor: Cursor, height: number, position: number): Uint8Array | undefined {
  const holdsMatch = cursor.bits[cursor.bitsUsed]
  cursor.bitsUsed += 1
  if (holdsMatch === undefined) return undefined
  if (height === 0 || holdsMatch === 0) {
    const hash = cursor.hashes[cursor.hashesUsed]
    cursor.hashesUsed += 1
    if (hash !== undefined && height === 0 && holdsMatch === 1) cursor.txids.push(displayHash(hash))
    return hash
  }
  const left = extract(cursor, height - 1, position * 2)
  const hasRight = (position * 2 + 1) * 2 ** (height - 1) < cursor.leafCount
  const right = hasRight ? extract(cursor, height - 1, position * 2 + 1) : left
  if (left === undefined || right === undefined) return undefined
  // CVE-2012-2459: two equal children would let one tree pass for another.
  if (hasRight && equalBytes(left, right)) return undefined
  return merkleRoot([left, right]).root
}

function readVector(
  bytes: Uint8Array,
  at: number,
  itemBytes: number,
): { items: readonly Uint8Array[]; end: number } | undefined {
  const first = bytes[at]
  const wide = first === 0xfd
  if (first === undefined || first > 0xfd || at + 3 > bytes.length + (wide ? 0 : 2))
    return undefined
  const count = wide ? (bytes[at + 1] ?? 0) + 256 * (bytes[at + 2] ?? 0) : first
  const start = at + (wide ? 3 : 1)
  const end = start + count * itemBytes
  if (end > bytes.length) return undefined
  const items = Array.from({ length: count }, (_, index) =>
    bytes.slice(start + index * itemBytes, start + (index + 1) * itemBytes),
  )
  return { items, end }
}
