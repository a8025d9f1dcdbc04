import { createMPT } from '@ethereumjs/mpt'
import fc from 'fast-check'
import { fromHex, toHex, uint32be } from '../../../../crypto/index.ts'
import { EMPTY_TRIE_ROOT } from '../../../../vm/evm/account.ts'
import { keccak256 } from '../../../../vm/evm/keccak.ts'
import { encodeRlp, integerBytes } from '../../../../vm/evm/rlp.ts'
import { Trie } from '../../../../vm/evm/trie.ts'
import { orderedRoot } from '../../../../vm/evm/trie-nodes.ts'

class Nodes {
  readonly map = new Map<string, Uint8Array>()
  readonly source = (path: string) => this.map.get(path)

  commit(trie: Trie): Uint8Array {
    const { root, nodes } = trie.commit()
    for (const [path, node] of nodes) {
      if (node === null) this.map.delete(path)
      else this.map.set(path, node)
    }
    return root
  }
}

function keyOf(index: number): string {
  return toHex(keccak256(uint32be(index)))
}

type Change = readonly [key: number, value: Uint8Array | null, hashed: boolean]

/** Short values make nodes that are embedded in their parents, long ones nodes that are hashed. */
const change = fc.tuple(
  fc.nat(60),
  fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }), { nil: null }),
  fc.boolean(),
)
const blocks = fc.array(fc.array(change, { maxLength: 30 }), { minLength: 1, maxLength: 6 })

describe('the trie', () => {
  it('has the empty root without keys, also after the last one is gone', () => {
    const nodes = new Nodes()
    const trie = new Trie(nodes.source)
    trie.put(keyOf(1), Uint8Array.of(1))
    nodes.commit(trie)
    const again = new Trie(nodes.source)
    again.delete(keyOf(1))
    expect(nodes.commit(again)).toEqual(EMPTY_TRIE_ROOT)
    expect(nodes.map.size).toBe(0)
  })

  it('has the same root as an independent implementation after any changes over any blocks, and hashed at any time between', async () => {
    await fc.assert(
      fc.asyncProperty(blocks, async (history: Change[][]) => {
        const reference = await createMPT()
        const nodes = new Nodes()
        for (const changes of history) {
          const trie = new Trie(nodes.source)
          for (const [key, value, hashed] of changes) {
            const bytes = fromHex(keyOf(key)) as Uint8Array
            if (value === null) {
              trie.delete(keyOf(key))
              await reference.del(bytes)
            } else {
              trie.put(keyOf(key), value)
              await reference.put(bytes, value)
            }
            if (hashed) expect(toHex(trie.hash())).toBe(toHex(reference.root()))
          }
          expect(toHex(nodes.commit(trie))).toBe(toHex(reference.root()))
        }
      }),
      { numRuns: 100 },
    )
  })

  it('keeps no node that the root does not reach', () => {
    fc.assert(
      fc.property(blocks, (history: Change[][]) => {
        const nodes = new Nodes()
        const held = new Map<number, Uint8Array>()
        for (const changes of history) {
          const trie = new Trie(nodes.source)
          for (const [key, value, hashed] of changes) {
            if (hashed) trie.hash()
            if (value === null) {
              trie.delete(keyOf(key))
              held.delete(key)
            } else {
              trie.put(keyOf(key), value)
              held.set(key, value)
            }
          }
          nodes.commit(trie)
        }
        const fresh = new Nodes()
        const rebuilt = new Trie(fresh.source)
        for (const [key, value] of held) rebuilt.put(keyOf(key), value)
        fresh.commit(rebuilt)
        expect([...nodes.map.keys()].sort()).toEqual([...fresh.map.keys()].sort())
        const read = new Trie(nodes.source)
        for (const [key, value] of held) expect(read.get(keyOf(key))).toEqual(value)
        expect(read.get(keyOf(99))).toBeUndefined()
      }),
      { numRuns: 100 },
    )
  })

  it('gives lists the root of their indexes', async () => {
    for (const length of [0, 1, 2, 127, 128, 129, 300]) {
      const items = Array.from({ length }, (_, index) => keccak256(uint32be(index)))
      const reference = await createMPT()
      for (const [index, item] of items.entries()) {
        await reference.put(encodeRlp(integerBytes(index)), item)
      }
      expect(toHex(orderedRoot(items))).toBe(toHex(reference.root()))
    }
  })
})
