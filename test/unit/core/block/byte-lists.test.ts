import { ByteListType, ContainerType, ListCompositeType } from '@chainsafe/ssz'
import '../../../../core/block/hasher.ts'
import { ByteListsType } from '../../../../core/block/byte-lists.ts'
import { seededRandom } from '../../../../devnet/launcher/chaos.ts'

const SEED = 1_120

describe('lists of byte lists', () => {
  it.each([
    [131_072, 65_536],
    [100, 5],
    [33, 3],
    [1_000, 2],
  ])(
    `have the library’s roots and bytes: items of at most %i bytes, %i of them (seed ${SEED})`,
    (bytes, count) => {
      const next = seededRandom(SEED)
      const ours = new ByteListsType(new ByteListType(bytes), count)
      const theirs = new ListCompositeType(new ByteListType(bytes), count)
      const lengths = [
        0,
        1,
        31,
        32,
        33,
        63,
        64,
        65,
        113,
        128,
        129,
        700,
        2_000,
        Math.min(bytes, 9_000),
      ]
      for (let round = 0; round < 12; round++) {
        const most = Math.min(count, round)
        const items = Array.from({ length: most }, () => {
          const length = lengths[Math.floor(next() * lengths.length)] as number
          return Uint8Array.from({ length: Math.min(length, bytes) }, () => next() * 256)
        })
        expect(ours.hashTreeRoot(items)).toEqual(theirs.hashTreeRoot(items))
        expect(ours.serialize(items)).toEqual(theirs.serialize(items))
        const fields = [{ items: ours }, { items: theirs }] as const
        const [own, library] = fields.map((one) => new ContainerType(one).hashTreeRoot({ items }))
        expect(own).toEqual(library)
      }
    },
  )
})
