import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { openChainStore, readChainStore } from '../../node/adapters/chain-store/index.ts'
import { openTables } from '../../node/adapters/chain-store/layout.ts'
import { Disk } from '../sim/disk.ts'
import { chainStoreSuite, type StoreUnderTest } from './chain-store-suite.ts'
import { MemoryDisk, openMemoryChainStore } from './memory-chain-store.ts'
import { RunningWorld } from './running-world.ts'

async function onDisk(
  path = mkdtempSync(join(tmpdir(), 'millrace-store-')),
): Promise<StoreUnderTest> {
  const store = await openChainStore(path)
  return {
    store,
    async reopen() {
      await store.close()
      return onDisk(path)
    },
    async close() {
      await store.close()
      rmSync(path, { recursive: true, force: true })
    },
  }
}

async function inMemory(disk = new MemoryDisk()): Promise<StoreUnderTest> {
  const store = openMemoryChainStore(disk)
  return { store, reopen: () => inMemory(disk), close: () => store.close() }
}

chainStoreSuite('LMDB', onDisk)
chainStoreSuite('in memory', inMemory)

describe('in the simulator', () => {
  let running: RunningWorld
  beforeAll(() => {
    running = new RunningWorld()
  })
  afterAll(() => running.stop())

  async function simulated(disk?: Disk): Promise<StoreUnderTest> {
    const { world } = running
    const kept = disk ?? new Disk(world, world.chance('disk'), () => {})
    const life = running.life()
    const store = await kept.openStore(life)
    return {
      store,
      async reopen() {
        life.end()
        kept.crash()
        return simulated(kept)
      },
      close: () => store.close(),
    }
  }
  chainStoreSuite('simulated', () => simulated())
})

describe('the chain store on LMDB', () => {
  let path: string
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  })
  afterEach(() => rmSync(path, { recursive: true, force: true }))

  it.each([
    [2, 'run the program that wrote it, or begin with an empty directory'],
    [7, 'run the newer program'],
  ])('refuses a store of layout %i, says so, and leaves it as it is', async (layout, advice) => {
    await (await openChainStore(path)).close()
    const written = async (value?: number) => {
      const root = open({ path, maxDbs: 12 })
      const meta = root.openDB<number, string>({ name: 'meta', encoding: 'json' })
      if (value !== undefined) await meta.put('version', value)
      const found = meta.get('version')
      await root.close()
      return found
    }
    await written(layout)
    const fault = { code: 'LayoutUnknown', faultClass: 'configuration' }
    await expect(openChainStore(path)).rejects.toMatchObject(fault)
    await expect(openChainStore(path)).rejects.toThrow(`layout ${layout}`)
    await expect(openChainStore(path)).rejects.toThrow(advice)
    expect(await readChainStore(path)).toMatchObject({
      ok: false,
      reason: expect.stringContaining(advice),
    })
    expect(await written()).toBe(layout)
  })

  it('a damaged file is told before LMDB maps it', async () => {
    const store = await openChainStore(path)
    await store.close()
    truncateSync(join(path, 'data.mdb'), 100)
    await expect(openChainStore(path)).rejects.toMatchObject({
      code: 'StoreDamaged',
      faultClass: 'corruption',
    })
  })

  describe('checksums', () => {
    const block = { height: 1, hash: new Uint8Array(32).fill(7), bytes: new Uint8Array(50) }
    const row = { set: 1, key: Uint8Array.of(5), value: Uint8Array.of(1, 2, 3) }
    async function changed(table: 'blocks' | 'ledger', change: (record: Buffer) => Buffer) {
      const before = await openChainStore(path)
      await before.writeBlocks([block], [row])
      await before.close()
      const tables = openTables(path, 'write')
      if (table === 'blocks') await tables.blocks.put(1, change(tables.blocks.get(1) as Buffer))
      else {
        const key = Buffer.of(1, 5)
        await tables.ledger.put(key, change(tables.ledger.get(key) as Buffer))
      }
      await tables.root.close()
      return openChainStore(path)
    }
    const changes: Record<string, (record: Buffer) => Buffer> = {
      'a flipped bit': (record) => {
        record.writeUInt8(record.readUInt8(record.length - 1) ^ 4, record.length - 1)
        return record
      },
      'a lost end': (record) => record.subarray(0, -1),
      nothing: () => Buffer.alloc(0),
    }
    it.each(Object.keys(changes))('%s in a block or a row is corruption', async (name) => {
      const change = changes[name] as (record: Buffer) => Buffer
      const damage = { code: 'StoreDamaged', faultClass: 'corruption' }
      const rows = await changed('ledger', change)
      expect(() => [...rows.readLedgerRows()]).toThrow(expect.objectContaining(damage))
      expect(rows.readBlock(1)).toEqual(block)
      await rows.close()
      rmSync(path, { recursive: true })
      const blocks = await changed('blocks', change)
      expect(() => blocks.readHead()).toThrow(expect.objectContaining(damage))
      expect([...blocks.readLedgerRows()]).toEqual([row])
      await blocks.close()
    })

    it('a record under another key is no record', async () => {
      const store = await openChainStore(path)
      await store.writeBlocks([block], [])
      await store.close()
      const tables = openTables(path, 'write')
      await tables.blocks.put(2, tables.blocks.get(1) as Buffer)
      await tables.root.close()
      const again = await openChainStore(path)
      expect(() => again.readBlock(2)).toThrow('block 2 has a wrong checksum')
      await again.close()
    })
  })

  it('a full disk is said to be one, everything acknowledged stays, and the map grows before that', async () => {
    const writer = fileURLToPath(new URL('./chain-store-writer.ts', import.meta.url))
    const limited = (sizeKib: number) => {
      const run = spawnSync(
        'bash',
        ['-c', `ulimit -f ${sizeKib}; exec "$0" "$@"`, process.execPath, writer, path],
        {
          encoding: 'utf8',
        },
      )
      const heights = run.stdout.split('\n').filter((line) => /^\d+$/.test(line))
      return {
        acknowledged: Number(heights.at(-1)),
        output: run.stdout + run.stderr,
        code: run.status,
      }
    }
    // LMDB's first map is much smaller than this.
    const { acknowledged, output, code } = limited(2_048)
    expect(output).toContain('DiskUnusable configuration')
    expect(code).toBe(1)
    expect(acknowledged).toBeGreaterThan(100)
    const store = await openChainStore(path)
    expect(store.readHead()?.height).toBeGreaterThanOrEqual(acknowledged)
    for (let height = 1; height <= acknowledged; height++) {
      expect(store.readBlock(height)?.bytes).toHaveLength(2_000)
    }
    await store.writeBlocks(
      [
        {
          height: (store.readHead()?.height ?? 0) + 1,
          hash: new Uint8Array(32),
          bytes: new Uint8Array(1),
        },
      ],
      [],
    )
    await store.close()
  })

  it('SU-12, BP-7: kill -9 in the middle of writing: every acknowledged block is there, the next ones whole or not at all', async () => {
    const writer = fileURLToPath(new URL('./chain-store-writer.ts', import.meta.url))
    const acknowledged = await new Promise<number>((resolve, reject) => {
      const child = spawn(process.execPath, [writer, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let last = 0
      child.stdout.on('data', (chunk: Buffer) => {
        for (const line of chunk.toString().split('\n')) if (line !== '') last = Number(line)
        if (last >= 40) child.kill('SIGKILL')
      })
      child.on('error', reject)
      child.on('close', () => resolve(last))
    })
    expect(acknowledged).toBeGreaterThanOrEqual(40)
    const store = await openChainStore(path)
    const head = store.readHead()?.height ?? 0
    expect(head).toBeGreaterThanOrEqual(acknowledged)
    const rows = new Map([...store.readLedgerRows()].map(({ key, value }) => [key[0], value]))
    for (let height = 1; height <= head; height++) {
      expect(store.readBlock(height)?.bytes).toEqual(new Uint8Array(2000).fill(height & 255))
    }
    expect(store.readBlock(head + 1)).toBeUndefined()
    expect(rows.get(head & 127)).toEqual(new Uint8Array(100).fill(head & 255))
    await store.close()
  })
})
