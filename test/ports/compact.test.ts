/** PR-4: what becomes of the room on the disk. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChainStore, StoredBlock } from '../../actors/storage/index.ts'
import { openChainStore } from '../../node/adapters/chain-store/index.ts'
import { compactEnvironment } from '../../node/adapters/disk/index.ts'

const BLOCK_BYTES = 64 * 1024
const KEEP = 20

describe('PR-4: the disk of a pruned node', () => {
  let directory: string
  const path = () => join(directory, 'data.mdb')
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-compact-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const blockAt = (height: number): StoredBlock => ({
    height,
    hash: new Uint8Array(32).fill(height),
    bytes: new Uint8Array(BLOCK_BYTES).fill(height),
  })

  async function grow(store: ChainStore, to: number, keep: number): Promise<void> {
    for (let height = (store.readHead()?.height ?? 0) + 1; height <= to; height++) {
      await store.writeBlocks([blockAt(height)], [])
      if (height <= keep) continue
      const lowest = store.lowestBlock()
      const headers = Array.from({ length: height - keep + 1 - lowest }, (_, at) => lowest + at)
      await store.pruneBlocks(
        headers.map((each) => ({ ...blockAt(each), bytes: new Uint8Array(100) })),
      )
    }
  }

  it('a file stops growing when as much goes as comes', async () => {
    const store = await openChainStore(directory)
    await grow(store, 40, KEEP)
    const settledBytes = statSync(path()).size
    await grow(store, 140, KEEP)
    await store.close()
    // 100 blocks of 64 KiB came and went; headers and hashes stay, and LMDB wants some pages more.
    expect(statSync(path()).size).toBeLessThan(settledBytes + 20 * BLOCK_BYTES)
    expect(statSync(path()).size).toBeLessThan(140 * BLOCK_BYTES * 0.5)
  })

  it('compacted it has the room of what is in it, which is the same', async () => {
    const archive = await openChainStore(directory)
    await grow(archive, 120, 1_000)
    await archive.close()
    const pruned = await openChainStore(directory)
    await grow(pruned, 121, KEEP)
    await pruned.close()
    const before = statSync(path()).size
    expect(before).toBeGreaterThan(120 * BLOCK_BYTES)
    // What a kill left of an attempt before.
    mkdirSync(join(directory, 'compact'))
    writeFileSync(join(directory, 'compact', 'data.mdb'), Buffer.alloc(4_096))
    const compacted = await compactEnvironment(directory)
    expect(compacted).toEqual({ beforeBytes: before, afterBytes: statSync(path()).size })
    expect(statSync(path()).size).toBeLessThan((KEEP + 8) * BLOCK_BYTES)
    expect(existsSync(join(directory, 'compact'))).toBe(false)
    const again = await openChainStore(directory)
    expect([again.lowestBlock(), again.readHead()?.height]).toEqual([121 - KEEP + 1, 121])
    for (let height = 121 - KEEP + 1; height <= 121; height++) {
      expect(again.readBlock(height)).toEqual(blockAt(height))
    }
    expect(again.readHeader(1)?.hash).toEqual(blockAt(1).hash)
    await grow(again, 130, KEEP)
    await again.close()
  })

  it('what cannot be copied stays as it was', async () => {
    expect(await compactEnvironment(join(directory, 'nothing'))).toBeUndefined()
    writeFileSync(path(), Buffer.alloc(8_192, 7))
    await expect(compactEnvironment(directory)).rejects.toThrow('LMDB')
    expect(statSync(path()).size).toBe(8_192)
    expect(existsSync(join(directory, 'compact'))).toBe(false)
  })
})
