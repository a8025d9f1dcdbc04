import type { ChainStore, LedgerRow, StoredBlock } from '../../actors/storage/index.ts'
import { sha256, toHex } from '../../crypto/index.ts'

/** A store that can be ended without warning and opened again on what it had made durable. */
export interface StoreUnderTest {
  readonly store: ChainStore
  /** Kills it and opens the same place again. */
  reopen(): Promise<StoreUnderTest>
  close(): Promise<void>
}

const blockAt = (height: number, salt = 0): StoredBlock => ({
  height,
  hash: sha256(Uint8Array.of(height & 255, height >> 8, salt)),
  bytes: new Uint8Array(40 + height).fill(height),
})
const row = (set: number, key: number, value: number): LedgerRow => ({
  set,
  key: Uint8Array.of(key, 0, 255),
  value: new Uint8Array(5).fill(value),
})
const rowsOf = (store: ChainStore) =>
  [...store.readLedgerRows()]
    .map(({ set, key, value }) => `${set}:${toHex(key)}=${toHex(value)}`)
    .sort()

/** What every chain store does, on disk or simulated (BP-7, design §3). */
export function chainStoreSuite(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`the chain store: ${name}`, () => {
    let under: StoreUnderTest
    beforeEach(async () => {
      under = await open()
    })
    afterEach(() => under.close())
    const restart = async () => {
      under = await under.reopen()
      return under.store
    }

    it('is empty at first', () => {
      const { store } = under
      expect(store.readHead()).toBeUndefined()
      expect(store.readBlock(0)).toBeUndefined()
      expect(store.readBlock(1)).toBeUndefined()
      expect(store.heightOf(new Uint8Array(32))).toBeUndefined()
      expect(rowsOf(store)).toEqual([])
      expect([...store.readJournal()]).toEqual([])
    })

    it('2.7: keeps the record of a halt over a kill, until it is removed', async () => {
      expect(under.store.readHalt()).toBeUndefined()
      await under.store.writeHalt('evidence')
      const again = await restart()
      expect(again.readHalt()).toBe('evidence')
      await again.writeHalt(null)
      expect((await restart()).readHalt()).toBeUndefined()
    })

    it('gives back block, hash, head and rows byte for byte', async () => {
      const { store } = under
      await store.writeBlocks([blockAt(1)], [row(0, 1, 1), row(3, 1, 2)])
      expect(store.readHead()).toEqual(blockAt(1))
      expect(store.readBlock(1)).toEqual(blockAt(1))
      expect(store.heightOf(blockAt(1).hash)).toBe(1)
      expect(store.heightOf(blockAt(2).hash)).toBeUndefined()
      expect(rowsOf(store)).toEqual(['0:0100ff=0101010101', '3:0100ff=0202020202'])
    })

    it('the later write of a row replaces the earlier one, within a batch as well', async () => {
      const { store } = under
      await store.writeBlocks([blockAt(1)], [row(1, 1, 1), row(1, 1, 2), row(1, 2, 9)])
      expect(rowsOf(store)).toEqual(['1:0100ff=0202020202', '1:0200ff=0909090909'])
      await store.writeBlocks([blockAt(2)], [row(1, 1, 3)])
      expect(rowsOf(store)).toEqual(['1:0100ff=0303030303', '1:0200ff=0909090909'])
    })

    it('BP-7: what was acknowledged is there after a kill, all of it', async () => {
      const { store } = under
      for (let height = 1; height <= 20; height++) {
        await store.writeBlocks([blockAt(height)], [row(1, height, height), row(2, 0, height)])
      }
      await store.writeJournal([
        { key: 'a', value: '1' },
        { key: 'b', value: '2' },
      ])
      await store.writeJournal([{ key: 'a', value: null }])
      const rows = rowsOf(store)
      const again = await restart()
      expect(again.readHead()).toEqual(blockAt(20))
      for (let height = 1; height <= 20; height++) {
        expect(again.readBlock(height)).toEqual(blockAt(height))
        expect(again.heightOf(blockAt(height).hash)).toBe(height)
      }
      expect(rowsOf(again)).toEqual(rows)
      expect([...again.readJournal()]).toEqual([{ key: 'b', value: '2' }])
    })

    it('goes on after a restart where it was', async () => {
      await under.store.writeBlocks([blockAt(1)], [row(1, 1, 1)])
      const again = await restart()
      await again.writeBlocks([blockAt(2), blockAt(3)], [row(1, 1, 2)])
      expect((await restart()).readHead()?.height).toBe(3)
    })

    it('SY-2: a batch is stored whole', async () => {
      const { store } = under
      const blocks = Array.from({ length: 128 }, (_, index) => blockAt(index + 1))
      await store.writeBlocks(
        blocks,
        blocks.map(({ height }) => row(4, height & 127, height & 255)),
      )
      expect(store.readHead()?.height).toBe(128)
      expect((await restart()).readBlock(77)).toEqual(blockAt(77))
    })

    it('BP-7: a write that fails leaves nothing behind: no block, no row, no head', async () => {
      const { store } = under
      await store.writeBlocks([blockAt(1)], [row(1, 1, 1)])
      // No key can be so long; by then the blocks and a row are in the transaction.
      const impossible = { set: 1, key: new Uint8Array(4000), value: Uint8Array.of(1) }
      const write = store.writeBlocks([blockAt(2)], [row(1, 1, 7), impossible])
      await expect(write).rejects.toBeDefined()
      const check = (each: ChainStore) => {
        expect(each.readHead()).toEqual(blockAt(1))
        expect(each.readBlock(2)).toBeUndefined()
        expect(each.heightOf(blockAt(2).hash)).toBeUndefined()
        expect(rowsOf(each)).toEqual(['1:0100ff=0101010101'])
      }
      check(store)
      check(await restart())
      await under.store.writeBlocks([blockAt(2)], [row(1, 1, 2)])
      expect(under.store.readHead()).toEqual(blockAt(2))
    })

    it('2.7: a block that does not follow the head is refused, and changes nothing', async () => {
      const { store } = under
      await store.writeBlocks([blockAt(1), blockAt(2)], [row(1, 1, 1)])
      const wrong: StoredBlock[][] = [
        [blockAt(2, 1)],
        [blockAt(1)],
        [blockAt(4)],
        [blockAt(3), blockAt(5)],
        [blockAt(3), blockAt(3)],
      ]
      for (const blocks of wrong) {
        await expect(store.writeBlocks(blocks, [row(1, 1, 9)])).rejects.toBeDefined()
      }
      expect(store.readHead()).toEqual(blockAt(2))
      expect(store.readBlock(3)).toBeUndefined()
      expect(rowsOf(store)).toEqual(['1:0100ff=0101010101'])
    })

    describe('pruning', () => {
      const headerOf = (height: number): StoredBlock => ({
        ...blockAt(height),
        bytes: new Uint8Array(9).fill(height),
      })
      const fill = async (count: number) => {
        for (let height = 1; height <= count; height++) {
          await under.store.writeBlocks([blockAt(height)], [row(1, height, height)])
        }
      }

      it('PR-1: what is pruned leaves its header, and nothing else changes', async () => {
        await fill(6)
        const rows = rowsOf(under.store)
        expect(under.store.lowestBlock()).toBe(1)
        await under.store.pruneBlocks([1, 2, 3].map(headerOf))
        await under.store.pruneBlocks([headerOf(4)])
        await under.store.pruneBlocks([])
        const again = await restart()
        expect(again.lowestBlock()).toBe(5)
        for (let height = 1; height <= 6; height++) {
          const isPruned = height < 5
          expect(again.readBlock(height)).toEqual(isPruned ? undefined : blockAt(height))
          expect(again.readHeader(height)).toEqual(isPruned ? headerOf(height) : undefined)
          expect(again.heightOf(blockAt(height).hash)).toBe(height)
        }
        expect(again.readHead()).toEqual(blockAt(6))
        expect(rowsOf(again)).toEqual(rows)
        await again.writeBlocks([blockAt(7)], [])
        expect(again.readHead()?.height).toBe(7)
      })

      it('PR-4: a step that cannot be done changes nothing; the head stays', async () => {
        await fill(4)
        for (const heights of [[2], [1, 3], [0], [1, 2, 3, 4]]) {
          await expect(under.store.pruneBlocks(heights.map(headerOf))).rejects.toBeDefined()
        }
        const again = await restart()
        expect(again.lowestBlock()).toBe(1)
        for (let height = 1; height <= 4; height++) {
          expect(again.readBlock(height)).toEqual(blockAt(height))
          expect(again.readHeader(height)).toBeUndefined()
        }
      })
    })

    it('writes that are not waited for keep their order', async () => {
      const { store } = under
      const writes = [1, 2, 3, 4, 5].map((height) =>
        store.writeBlocks([blockAt(height)], [row(1, 0, height)]),
      )
      await Promise.all(writes)
      expect(store.readHead()?.height).toBe(5)
      expect(rowsOf(store)).toEqual(['1:0000ff=0505050505'])
    })

    it('what is given to it and what it gives may be changed by others', async () => {
      const { store } = under
      const block = blockAt(1)
      const given = row(1, 1, 1)
      await store.writeBlocks([block], [given])
      block.bytes.fill(0)
      block.hash.fill(0)
      given.value.fill(0)
      expect(store.readBlock(1)).toEqual(blockAt(1))
      expect(rowsOf(store)).toEqual(['1:0100ff=0101010101'])
      const [read] = [...store.readLedgerRows()]
      await store.writeBlocks([blockAt(2)], [row(1, 1, 2)])
      expect(read?.value).toEqual(new Uint8Array(5).fill(1))
    })

    it('rows with empty and long values, and keys that differ in the last byte', async () => {
      const { store } = under
      const key = new Uint8Array(36).fill(7)
      const next = Uint8Array.from(key)
      next[35] = 8
      const value = new Uint8Array(200_000).fill(3)
      await store.writeBlocks(
        [blockAt(1)],
        [
          { set: 9, key, value: new Uint8Array(0) },
          { set: 9, key: next, value },
        ],
      )
      const again = await restart()
      const rows = [...again.readLedgerRows()]
      expect(rows.map((each) => [each.key[35], each.value.length])).toEqual([
        [7, 0],
        [8, 200_000],
      ])
    })
  })
}
