import fc from 'fast-check'
import { type ChainStore, storageActor } from '../../../../actors/storage/index.ts'
import { PRUNE_BLOCKS, PRUNE_REST_MS } from '../../../../actors/storage/limits.ts'
import { blockHash, type CommittedBlock, decodeCertified } from '../../../../core/block/index.ts'
import { type BlockWrite, MESSAGE_ROWS, type ReadBlocks } from '../../../../messages/index.ts'
import { childSpec, createSystem, type System } from '../../../../supervisor/index.ts'
import { createTestPorts } from '../../../../supervisor/testing/index.ts'
import { MemoryDisk, openMemoryChainStore } from '../../../ports/memory-chain-store.ts'
import { chainOfBlocks } from '../chain-of-blocks.ts'

const KEEP = 20
const chain = chainOfBlocks(1, 400)

const writeOf = (committed: CommittedBlock, neededFrom?: number): BlockWrite => ({
  committed,
  hash: blockHash(committed.block.header),
  ledgerChanges: [
    { set: 1, key: Uint8Array.of(1), value: Uint8Array.of(committed.block.header.height & 255) },
  ],
  ...(neededFrom !== undefined && { neededFrom }),
})

interface Running {
  readonly system: System
  readonly disk: MemoryDisk
  readonly others: number[]
  persist(heights: readonly CommittedBlock[], neededFrom?: number): Promise<void>
  advance(ms: number): Promise<void>
}

async function running(options: {
  readonly keepBlocks?: number
  readonly disk?: MemoryDisk
  readonly wrap?: (store: ChainStore) => ChainStore
}): Promise<Running> {
  const { keepBlocks, disk = new MemoryDisk(), wrap = (store) => store } = options
  const kernel = createTestPorts()
  const others: number[] = []
  const ports = {
    metrics: kernel.metrics,
    open: async () => wrap(openMemoryChainStore(disk)),
    pruneOthers: async (below: number) => void others.push(below),
    ...(keepBlocks !== undefined && { keepBlocks }),
  }
  const system = createSystem({
    ports: kernel,
    registry: MESSAGE_ROWS,
    children: [childSpec(storageActor, ports, { critical: true })],
  })
  const started = await system.start()
  if (!started.ok) throw Object.assign(new Error(started.reason.fault.reason), started.reason.fault)
  return {
    system,
    disk,
    others,
    async persist(blocks, neededFrom) {
      const payload = { blocks: blocks.map((block) => writeOf(block, neededFrom)) }
      await system.tell('storage', { type: 'storage.PersistBlockBatch', payload })
      await kernel.clock.settle()
    },
    advance: (ms) => kernel.clock.advance(ms),
  }
}

describe('pruning', () => {
  it('PR-1: keeps the last blocks whole and of the others header and certificate', async () => {
    const node = await running({ keepBlocks: KEEP })
    await node.persist(chain.slice(0, 100), 100)
    await node.advance(60_000)
    expect(node.disk.lowest).toBe(100 - KEEP + 1)
    const left = node.disk.headers.get(40)
    const decoded = left && decodeCertified(left.bytes)
    expect(decoded).toMatchObject({ ok: true, value: { header: { height: 40 } } })
    expect(node.others.at(-1)).toBe(node.disk.lowest)
    await node.system.stop({ force: true })
  })

  it('PR-2: nothing that the ledger needs, and nothing at all where it does not say', async () => {
    const node = await running({ keepBlocks: KEEP })
    await node.persist(chain.slice(0, 100))
    await node.advance(60_000)
    expect(node.disk.lowest).toBe(1)
    await node.persist(chain.slice(100, 110), 33)
    await node.advance(60_000)
    expect(node.disk.lowest).toBe(33)
    await node.system.stop({ force: true })
  })

  it('PR-5: an archive keeps all, and what was pruned is no archive any more', async () => {
    const archive = await running({})
    await archive.persist(chain.slice(0, 100), 100)
    await archive.advance(60_000)
    expect(archive.disk.lowest).toBe(1)
    await archive.system.stop({ force: true })
    const pruned = await running({ keepBlocks: KEEP, disk: archive.disk })
    await pruned.persist(chain.slice(100, 101), 101)
    await pruned.advance(60_000)
    expect(pruned.disk.lowest).toBe(101 - KEEP + 1)
    await pruned.system.stop({ force: true })
    await expect(running({ disk: archive.disk })).rejects.toMatchObject({
      code: 'HistoryPruned',
      faultClass: 'configuration',
      message: expect.stringContaining('let the node fetch all again'),
    })
  })

  it('PR-3: what is asked below is answered with the lowest height', async () => {
    const node = await running({ keepBlocks: KEEP })
    await node.persist(chain.slice(0, 100), 100)
    await node.advance(60_000)
    const range = async (from: number) => {
      const payload = { from, count: 5, maxBytes: 1e6 }
      const asked: ReadBlocks = { type: 'storage.ReadBlocks', payload }
      const answer = await node.system.ask<ReadBlocks>('storage', asked, { timeoutMs: 1_000 })
      if (!answer.ok) throw new Error(answer.error.code)
      const { blocks, prunedBelow } = answer.value.payload
      return [blocks.map(({ block }) => block.header.height), prunedBelow]
    }
    expect(await range(79)).toEqual([[], 81])
    expect(await range(81)).toEqual([[81, 82, 83, 84, 85], undefined])
    await node.system.stop({ force: true })
  })

  it('PR-4: one bounded step at a time, with rests between, blocks before them', async () => {
    const steps: number[] = []
    const node = await running({
      keepBlocks: KEEP,
      wrap: (store) => ({
        ...store,
        pruneBlocks: (headers) => {
          steps.push(headers.length)
          return store.pruneBlocks(headers)
        },
      }),
    })
    await node.persist(chain.slice(0, 300), 300)
    expect(steps).toEqual([PRUNE_BLOCKS])
    await node.advance(PRUNE_REST_MS - 1)
    expect(steps).toHaveLength(1)
    // Writes meanwhile do not make it faster.
    await node.persist(chain.slice(300, 301), 301)
    expect(steps).toHaveLength(1)
    await node.advance(1)
    expect(steps).toEqual([PRUNE_BLOCKS, PRUNE_BLOCKS])
    await node.advance(10_000)
    expect(node.disk.lowest).toBe(301 - KEEP + 1)
    expect(Math.max(...steps)).toBe(PRUNE_BLOCKS)
    await node.system.stop({ force: true })
  })

  it('a block that cannot be read stays, and stops what would go past it', async () => {
    const node = await running({ keepBlocks: KEEP })
    await node.persist(chain.slice(0, 30), 1)
    const tenth = node.disk.blocks.get(10)
    if (tenth === undefined) throw new Error('no block')
    node.disk.blocks.set(10, { ...tenth, bytes: tenth.bytes.slice(0, 9) })
    await node.persist(chain.slice(30, 60), 60)
    await node.advance(60_000)
    expect(node.disk.lowest).toBe(10)
    await node.persist(chain.slice(60, 61), 61)
    await node.advance(60_000)
    expect([node.disk.lowest, node.disk.head]).toEqual([10, 61])
    await node.system.stop({ force: true })
  })

  it('PR-2, PR-4: whatever is written and however it ends, no block is lost that had to stay, and rows are as they were', async () => {
    const acts = fc.array(
      fc.record({
        blocks: fc.integer({ min: 1, max: 25 }),
        neededAgo: fc.integer({ min: 0, max: 60 }),
        waitMs: fc.integer({ min: 0, max: 2_000 }),
        crash: fc.boolean(),
      }),
      { minLength: 1, maxLength: 8 },
    )
    await fc.assert(
      fc.asyncProperty(acts, async (list) => {
        const disk = new MemoryDisk()
        let node = await running({ keepBlocks: KEEP, disk })
        let head = 0
        let kept = 1
        for (const { blocks, neededAgo, waitMs, crash } of list) {
          const to = Math.min(head + blocks, chain.length)
          if (to === head) break
          const needed = Math.max(1, to - neededAgo)
          await node.persist(chain.slice(head, to), needed)
          head = to
          kept = Math.max(kept, Math.min(needed, head - KEEP + 1))
          await node.advance(waitMs)
          if (crash) {
            await node.system.stop({ force: true })
            node = await running({ keepBlocks: KEEP, disk })
          }
          expect(disk.lowest).toBeLessThanOrEqual(kept)
          for (let height = 1; height <= head; height++) {
            expect(disk.blocks.has(height)).toBe(height >= disk.lowest)
            expect(disk.headers.has(height)).toBe(height < disk.lowest)
          }
          expect([...disk.rows.values()].map(({ value }) => value[0])).toEqual([head & 255])
        }
        await node.system.stop({ force: true })
      }),
      { numRuns: 25 },
    )
  })
})
