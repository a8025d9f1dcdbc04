import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { SparseMap, type SparseProof, toHex, verifySparseProof } from '../../../crypto/index.ts'

const text = new TextEncoder()
const bytes = (value: string) => text.encode(value)
const empty = () => SparseMap.empty<string>(bytes)

const sha = (...parts: readonly Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

type Row = readonly [path: Uint8Array, value: string]

const bit = (path: Uint8Array, at: number) => ((path[at >> 3] as number) >> (7 - (at % 8))) & 1

/** The root by its definition, from all rows at once: an independent second implementation. */
function rootOf(rows: readonly Row[], depth = 0): Uint8Array {
  if (rows.length === 0) return new Uint8Array(32)
  const [first] = rows
  if (rows.length === 1 && first !== undefined) {
    return sha(Uint8Array.of(0), first[0], sha(bytes(first[1])))
  }
  const left = rows.filter(([path]) => bit(path, depth) === 0)
  const right = rows.filter(([path]) => bit(path, depth) === 1)
  return sha(Uint8Array.of(1), rootOf(left, depth + 1), rootOf(right, depth + 1))
}

const operations = fc.array(
  fc.record({ key: fc.integer({ min: 0, max: 60 }), value: fc.string({ maxLength: 4 }) }),
  { maxLength: 80 },
)
const keyOf = (key: number) => Uint8Array.of(key)

function build(steps: readonly { readonly key: number; readonly value: string }[]) {
  const plain = new Map<number, string>()
  let map = empty()
  for (const { key, value } of steps) {
    plain.set(key, value)
    map = map.set(keyOf(key), value)
  }
  return { plain, map }
}

describe('the sparse map', () => {
  it('holds what a plain map holds, under the root that its definition gives', () => {
    fc.assert(
      fc.property(operations, (steps) => {
        const { plain, map } = build(steps)
        expect(map.size).toBe(plain.size)
        for (let key = 0; key <= 60; key++) expect(map.get(keyOf(key))).toBe(plain.get(key))
        const rows = [...plain].map(([key, value]): Row => [sha(keyOf(key)), value])
        expect(toHex(map.root())).toBe(toHex(rootOf(rows)))
        const listed = [...map.entries()].map(([key, value]) => [key[0], value])
        rows.sort(([left], [right]) => Buffer.compare(left, right))
        expect(listed.map(([, value]) => value)).toEqual(rows.map(([, value]) => value))
        expect(new Map(listed as [number, string][])).toEqual(plain)
      }),
      { numRuns: 60 },
    )
  })

  it('the root does not depend on the order of writes, nor on what a key had before', () => {
    fc.assert(
      fc.property(operations, fc.infiniteStream(fc.nat()), (steps, shuffle) => {
        const { plain, map } = build(steps)
        const order = [...plain].map((row) => ({ row, at: shuffle.next().value as number }))
        order.sort((left, right) => left.at - right.at)
        const again = build(order.map(({ row: [key, value] }) => ({ key, value })))
        expect(toHex(again.map.root())).toBe(toHex(map.root()))
      }),
      { numRuns: 60 },
    )
  })

  it('a change makes a new version and leaves the old one as it was', () => {
    fc.assert(
      fc.property(operations, operations, (before, after) => {
        const { plain, map } = build(before)
        const root = toHex(map.root())
        let later = map
        for (const { key, value } of after) later = later.set(keyOf(key), value)
        expect(toHex(map.root())).toBe(root)
        expect(map.size).toBe(plain.size)
        for (const [key, value] of plain) expect(map.get(keyOf(key))).toBe(value)
        expect(later.size).toBe(new Set([...plain.keys(), ...after.map(({ key }) => key)]).size)
      }),
      { numRuns: 40 },
    )
  })

  it('every key is proven present with its value or absent, and neither otherwise', () => {
    fc.assert(
      fc.property(operations, (steps) => {
        const { plain, map } = build(steps)
        const root = map.root()
        for (let key = 0; key <= 60; key += 3) {
          const proof = map.prove(keyOf(key))
          const value = plain.get(key)
          const shows = (claimed: string | undefined) =>
            verifySparseProof(
              root,
              keyOf(key),
              claimed === undefined ? undefined : bytes(claimed),
              proof,
            )
          expect(shows(value)).toBe(true)
          expect(shows(`${value ?? ''}!`)).toBe(false)
          if (value !== undefined) expect(shows(undefined)).toBe(false)
        }
      }),
      { numRuns: 40 },
    )
  })

  describe('forged proofs', () => {
    const { map } = build(Array.from({ length: 40 }, (_, key) => ({ key, value: `value ${key}` })))
    const root = map.root()
    const key = keyOf(7)
    const proof = map.prove(key)

    it('a sibling changed, left out, doubled or added', () => {
      const siblings = [...proof.siblings]
      const forged: SparseProof[] = [
        { siblings: siblings.slice(1) },
        { siblings: siblings.slice(0, -1) },
        { siblings: [...siblings, new Uint8Array(32)] },
        { siblings: [siblings[0] as Uint8Array, ...siblings] },
        { siblings: siblings.toReversed() },
        { siblings: siblings.map((each, at) => (at === 2 ? sha(each) : each)) },
        { siblings: Array.from({ length: 257 }, () => new Uint8Array(32)) },
        { siblings: [] },
      ]
      for (const each of forged) {
        expect(verifySparseProof(root, key, bytes('value 7'), each)).toBe(false)
        expect(verifySparseProof(root, key, undefined, each)).toBe(false)
      }
    })

    it('absence is not shown by an entry of another path, nor by the key itself', () => {
      const absent = keyOf(200)
      const honest = map.prove(absent)
      expect(verifySparseProof(root, absent, undefined, honest)).toBe(true)
      const stranger = map.prove(keyOf(3))
      const other = { path: sha(keyOf(3)), valueHash: sha(bytes('value 3')) }
      expect(
        verifySparseProof(root, absent, undefined, { siblings: stranger.siblings, other }),
      ).toBe(false)
      const self = { path: sha(key), valueHash: sha(bytes('value 7')) }
      expect(
        verifySparseProof(root, key, undefined, { siblings: proof.siblings, other: self }),
      ).toBe(false)
      const short = { path: new Uint8Array(3), valueHash: new Uint8Array(32) }
      expect(
        verifySparseProof(root, absent, undefined, { siblings: honest.siblings, other: short }),
      ).toBe(false)
      expect(
        verifySparseProof(root, key, bytes('value 7'), { siblings: proof.siblings, other }),
      ).toBe(false)
    })

    it('an inner node is no leaf', () => {
      const [top = new Uint8Array(32)] = proof.siblings
      expect(verifySparseProof(root, key, top, { siblings: [] })).toBe(false)
    })
  })

  it('the empty map’s root is zero, and shows that anything is absent', () => {
    const map = empty()
    expect(map.root()).toEqual(new Uint8Array(32))
    expect(map.size).toBe(0)
    expect(verifySparseProof(map.root(), keyOf(1), undefined, map.prove(keyOf(1)))).toBe(true)
    expect(verifySparseProof(map.root(), keyOf(1), bytes(''), { siblings: [] })).toBe(false)
  })
})
