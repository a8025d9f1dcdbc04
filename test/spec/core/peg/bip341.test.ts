import { tapLeafHash } from '../../../../core/peg/index.ts'
import { hexBytes, toHex } from '../../../../crypto/index.ts'
import { describeVectors } from '../../vectors.ts'

interface Leaf {
  readonly id: number
  readonly script: string
  readonly leafVersion: number
}
type Tree = Leaf | readonly Tree[]

interface Case {
  readonly given: { readonly scriptTree: Tree | null }
  readonly intermediary: { readonly leafHashes?: readonly string[] }
}

const leavesOf = (tree: Tree | null): readonly Leaf[] => {
  if (tree === null) return []
  return 'script' in tree ? [tree] : tree.flatMap(leavesOf)
}

/** Keys and trees of our own outputs are compared with another implementation in the unit tests. */
describeVectors('BIP341 wallet vectors', ['bips/bip-0341/wallet-test-vectors.json'], ([text]) => {
  const cases = (JSON.parse(text ?? '{}') as { scriptPubKey: readonly Case[] }).scriptPubKey

  it('the hash of every leaf of version c0', () => {
    let count = 0
    for (const { given, intermediary } of cases) {
      for (const { id, script, leafVersion } of leavesOf(given.scriptTree)) {
        if (leafVersion !== 0xc0) continue
        expect(toHex(tapLeafHash(hexBytes(script)))).toBe(intermediary.leafHashes?.[id])
        count += 1
      }
    }
    expect(count).toBe(11)
  })
})
