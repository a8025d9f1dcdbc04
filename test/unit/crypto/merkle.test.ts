import {
  bitcoinMerkleBranch,
  bitcoinMerkleLeaf,
  bitcoinMerkleRoot,
  bitcoinMerkleTree,
  fromDisplayHash,
  sha256,
  sha256d,
  toDisplayHash,
  verifyBitcoinBranch,
} from '../../../crypto/index.ts'

const rootOf = (all: readonly Uint8Array[]) => bitcoinMerkleRoot(bitcoinMerkleTree(all))
const branchOf = (all: readonly Uint8Array[], index: number) =>
  bitcoinMerkleBranch(bitcoinMerkleTree(all), index)
const leaves = (count: number) => Array.from({ length: count }, (_, index) => leaf(index))
const leaf = (index: number) => sha256(Uint8Array.of(index >> 8, index & 0xff))

describe('Bitcoin’s Merkle tree', () => {
  it('known answer: block 100,000 of the main chain', () => {
    const txids = [
      '8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87',
      'fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4',
      '6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4',
      'e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d',
    ].map(fromDisplayHash)
    expect(toDisplayHash(rootOf(txids))).toBe(
      'f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766',
    )
  })

  it('one leaf is its own root, two are hashed, the third is paired with itself', () => {
    const [a, b, c] = leaves(3) as [Uint8Array, Uint8Array, Uint8Array]
    expect(rootOf([a])).toEqual(a)
    expect(rootOf([a, b])).toEqual(sha256d(a, b))
    expect(rootOf([a, b, c])).toEqual(sha256d(sha256d(a, b), sha256d(c, c)))
    expect(() => rootOf([])).toThrow('a leaf')
    expect(bitcoinMerkleLeaf(bitcoinMerkleTree([]), 0)).toBeUndefined()
    expect(bitcoinMerkleLeaf(bitcoinMerkleTree([a, b]), 1)).toEqual(b)
    expect(bitcoinMerkleLeaf(bitcoinMerkleTree([a, b]), 2)).toBeUndefined()
  })

  it('every leaf is proven at its index and at no other', () => {
    for (const count of [1, 2, 3, 4, 5, 7, 8, 11, 16, 17]) {
      const all = leaves(count)
      const root = rootOf(all)
      for (const [index, each] of all.entries()) {
        const branch = branchOf(all, index)
        for (let claimed = 0; claimed < 2 * 2 ** branch.length; claimed++) {
          expect(verifyBitcoinBranch(each, claimed, branch, root)).toBe(claimed === index)
        }
      }
    }
  })

  it('CVE-2012-2459: the copy of an odd last node has no index of its own', () => {
    const all = leaves(3)
    const root = rootOf(all)
    const branch = branchOf(all, 2)
    expect(verifyBitcoinBranch(leaf(2), 2, branch, root)).toBe(true)
    expect(verifyBitcoinBranch(leaf(2), 3, branch, root)).toBe(false)
  })

  it('C-7: indexes and branches out of bounds are false', () => {
    const root = rootOf(leaves(2))
    const branch = branchOf(leaves(2), 0)
    for (const index of [-1, 0.5, 2, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(verifyBitcoinBranch(leaf(0), index, branch, root)).toBe(false)
    }
    const long = Array.from({ length: 33 }, () => leaf(1))
    expect(verifyBitcoinBranch(leaf(0), 0, long, root)).toBe(false)
    expect(() => branchOf(leaves(2), 2)).toThrow('no leaf')
  })
})
