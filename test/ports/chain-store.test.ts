import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { openChainStore } from '../../node/adapters/chain-store/index.ts'
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

  it('refuses a store of another layout, and says which', async () => {
    const store = await openChainStore(path)
    await store.close()
    const root = open({ path, maxDbs: 8 })
    await root.openDB<number, string>({ name: 'meta', encoding: 'json' }).put('version', 7)
    await root.close()
    await expect(openChainStore(path)).rejects.toMatchObject({
      message: expect.stringContaining('layout 7'),
    })
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
