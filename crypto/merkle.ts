/** Bitcoin's Merkle tree over txids (internal byte order), with the index that a branch proves. */
import { equalBytes } from './bytes.ts'
import { sha256d } from './hash.ts'

/** The root over at least one leaf; an odd level repeats its last node. */
export function bitcoinMerkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) throw new Error('a Merkle tree needs a leaf')
  let level = leaves
  while (level.length > 1) level = parentLevel(level)
  return level[0] as Uint8Array
}

function parentLevel(level: readonly Uint8Array[]): Uint8Array[] {
  const parents: Uint8Array[] = []
  for (let index = 0; index < level.length; index += 2) {
    const left = level[index] as Uint8Array
    parents.push(sha256d(left, level[index + 1] ?? left))
  }
  return parents
}

/** The siblings from leaf `index` up to the root. */
export function bitcoinMerkleBranch(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (index < 0 || index >= leaves.length) throw new Error(`no leaf ${index}`)
  const branch: Uint8Array[] = []
  let level = leaves
  let position = index
  while (level.length > 1) {
    branch.push((level[position ^ 1] ?? level[position]) as Uint8Array)
    level = parentLevel(level)
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
