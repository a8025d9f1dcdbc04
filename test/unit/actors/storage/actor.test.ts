import { perform } from '../../../../actors/storage/effects.ts'
import { handle, lane, type StorageEffect } from '../../../../actors/storage/handlers.ts'
import {
  type ChainStore,
  type StorageInbox,
  type StoredBlock,
  storageActor,
} from '../../../../actors/storage/index.ts'
import { MAX_BLOCKS_PER_READ } from '../../../../actors/storage/limits.ts'
import { blockHash, type CommittedBlock } from '../../../../core/block/index.ts'
import { type BlockWrite, type DeferredReply, MESSAGE_ROWS } from '../../../../messages/index.ts'
import { childSpec, createSystem, faultError, type Message } from '../../../../supervisor/index.ts'
import { createTestPorts } from '../../../../supervisor/testing/index.ts'
import { MemoryDisk, openMemoryChainStore } from '../../../ports/memory-chain-store.ts'
import { chainOfBlocks } from '../chain-of-blocks.ts'
import { envelopeOf } from '../fake-run.ts'

const ports = createTestPorts()
const about = (message: StorageInbox) => ({
  envelope: envelopeOf(message),
  state: 'Running',
  nowMs: 0,
})

const writeOf = (committed: CommittedBlock): BlockWrite => ({
  committed,
  hash: blockHash(committed.block.header),
  ledgerChanges: [
    { set: 1, key: Uint8Array.of(1), value: Uint8Array.of(committed.block.header.height) },
  ],
})

/** The answer to a message, as its requester gets it. */
async function ask(store: ChainStore, message: StorageInbox): Promise<Message> {
  const [effect] = handle({ store }, message, about(message)).effects ?? []
  const run = { clock: ports.clock, ports: { metrics: ports.metrics } } as never
  const told = await perform(effect as StorageEffect, run)
  const [first] = [told].flat() as readonly DeferredReply[]
  if (first === undefined) throw new Error('no answer')
  return first.payload.answer
}

describe('the StorageActor', () => {
  it('BP-7: answers a write only when the store has it, with block, certificate, rows and head', async () => {
    const disk = new MemoryDisk()
    const store = openMemoryChainStore(disk)
    const [first, second] = chainOfBlocks(1, 2) as [CommittedBlock, CommittedBlock]
    let acknowledge = (): void => undefined
    const slow: ChainStore = {
      ...store,
      writeBlocks: async (blocks, rows) => {
        await new Promise<void>((resolve) => {
          acknowledge = resolve
        })
        await store.writeBlocks(blocks, rows)
      },
    }
    let answered = false
    const answer = ask(slow, { type: 'storage.PersistBlock', payload: writeOf(first) })
    void answer.then(() => {
      answered = true
    })
    await ports.clock.settle()
    expect(answered).toBe(false)
    acknowledge()
    expect(await answer).toEqual({ type: 'storage.BlockPersisted', payload: { height: 1 } })
    await ask(store, { type: 'storage.PersistBlock', payload: writeOf(second) })
    const loaded = await ask(store, { type: 'storage.LoadChain', payload: {} })
    expect(loaded.payload).toEqual({
      head: second,
      ledgerRows: [{ set: 1, key: Uint8Array.of(1), value: Uint8Array.of(2) }],
    })
  })

  it('an empty store loads as nothing', async () => {
    const answer = await ask(openMemoryChainStore(), { type: 'storage.LoadChain', payload: {} })
    expect(answer).toEqual({ type: 'storage.ChainLoaded', payload: { ledgerRows: [] } })
  })

  it('BP-17: evidence is recorded, loaded by another process, and dropped', async () => {
    const disk = new MemoryDisk()
    const record = (key: string) => ({ key, bytes: Uint8Array.of(key.length, 7) })
    const put = [record('aa'), record('bbbb')]
    const recorded = await ask(openMemoryChainStore(disk), {
      type: 'storage.RecordEvidence',
      payload: { put, drop: [] },
    })
    expect(recorded).toEqual({ type: 'storage.EvidenceRecorded', payload: {} })
    const load = () => ask(openMemoryChainStore(disk), { type: 'storage.LoadChain', payload: {} })
    expect((await load()).payload).toEqual({ ledgerRows: [], evidence: put })
    await ask(openMemoryChainStore(disk), {
      type: 'storage.RecordEvidence',
      payload: { put: [], drop: ['aa', 'unknown'] },
    })
    expect((await load()).payload).toEqual({ ledgerRows: [], evidence: [record('bbbb')] })
  })

  it('BP-17: evidence that does not reach the disk is a fault of its own', async () => {
    const store: ChainStore = {
      ...openMemoryChainStore(),
      writeJournal: async () => {
        throw new Error('the write did not reach the disk')
      },
    }
    const payload = { put: [], drop: ['aa'] }
    await expect(ask(store, { type: 'storage.RecordEvidence', payload })).rejects.toMatchObject({
      code: 'JournalWriteFailed',
    })
  })

  it('SY-2: a batch is one write; an empty one is a bug', async () => {
    const disk = new MemoryDisk()
    const store = openMemoryChainStore(disk)
    const writes: number[] = []
    const counted: ChainStore = {
      ...store,
      writeBlocks: (blocks, rows) => {
        writes.push(blocks.length)
        return store.writeBlocks(blocks, rows)
      },
    }
    const blocks = chainOfBlocks(1, 5).map(writeOf)
    const answer = await ask(counted, { type: 'storage.PersistBlockBatch', payload: { blocks } })
    expect(answer).toEqual({ type: 'storage.BlockPersisted', payload: { height: 5 } })
    expect(writes).toEqual([5])
    await expect(
      ask(counted, { type: 'storage.PersistBlockBatch', payload: { blocks: [] } }),
    ).rejects.toMatchObject({ faultClass: 'logic' })
  })

  it('a write that fails crashes the actor as a service fault, so that it opens the store anew', async () => {
    const failing = {
      ...openMemoryChainStore(),
      writeBlocks: async () => {
        throw new Error('not synced')
      },
    }
    const [first] = chainOfBlocks(1, 1) as [CommittedBlock]
    await expect(
      ask(failing, { type: 'storage.PersistBlock', payload: writeOf(first) }),
    ).rejects.toMatchObject({ code: 'WriteFailed', faultClass: 'service' })
  })

  it('a disk that only an operator can repair ends the node, as the store says', async () => {
    const cause = faultError('DiskUnusable', 'configuration', 'the disk is full')
    const failing = {
      ...openMemoryChainStore(),
      writeBlocks: () => Promise.reject(cause),
      writeJournal: () => Promise.reject(cause),
    }
    const [first] = chainOfBlocks(1, 1) as [CommittedBlock]
    for (const message of [
      { type: 'storage.PersistBlock', payload: writeOf(first) },
      { type: 'storage.RecordEvidence', payload: { put: [], drop: ['aa'] } },
    ] as const) {
      await expect(ask(failing, message)).rejects.toBe(cause)
    }
  })

  it('a stored block that does not decode is corruption: only an operator can decide', async () => {
    const disk = new MemoryDisk()
    const store = openMemoryChainStore(disk)
    await store.writeBlocks(
      [{ height: 1, hash: new Uint8Array(32), bytes: Uint8Array.of(1, 2) }],
      [],
    )
    await expect(ask(store, { type: 'storage.LoadChain', payload: {} })).rejects.toMatchObject({
      code: 'StoreDamaged',
      faultClass: 'corruption',
    })
  })

  it('an answer ends before a damaged block: whoever asks for it cannot stop the node', async () => {
    const disk = new MemoryDisk()
    const store = openMemoryChainStore(disk)
    const blocks = chainOfBlocks(1, 4).map(writeOf)
    await ask(store, { type: 'storage.PersistBlockBatch', payload: { blocks } })
    const third = store.readBlock(3) as StoredBlock
    disk.blocks.set(3, { ...third, bytes: third.bytes.slice(0, 9) })
    const range = async (from: number) => {
      const payload = { from, count: 9, maxBytes: 1e6 }
      const answer = await ask(store, { type: 'storage.ReadBlocks', payload })
      const found = answer.payload as { blocks: readonly CommittedBlock[] }
      return found.blocks.map(({ block }) => block.header.height)
    }
    expect([await range(1), await range(3), await range(4)]).toEqual([[1, 2], [], [4]])
  })

  it('ranges are consecutive and bounded by count and bytes', async () => {
    const store = openMemoryChainStore()
    const blocks = chainOfBlocks(1, MAX_BLOCKS_PER_READ + 12).map(writeOf)
    await ask(store, { type: 'storage.PersistBlockBatch', payload: { blocks } })
    const heights = async (from: number, count: number, maxBytes = 1e9) => {
      const answer = await ask(store, {
        type: 'storage.ReadBlocks',
        payload: { from, count, maxBytes },
      })
      const range = answer.payload as { blocks: readonly CommittedBlock[] }
      return range.blocks.map(({ block }) => block.header.height)
    }
    expect(await heights(3, 4)).toEqual([3, 4, 5, 6])
    expect(await heights(1, 100_000)).toHaveLength(MAX_BLOCKS_PER_READ)
    expect(await heights(MAX_BLOCKS_PER_READ + 11, 10)).toEqual([
      MAX_BLOCKS_PER_READ + 11,
      MAX_BLOCKS_PER_READ + 12,
    ])
    expect(await heights(0, 5)).toEqual([])
    expect(await heights(999, 5)).toEqual([])
    const [size] = [store.readBlock(1)?.bytes.length ?? 0]
    expect(await heights(1, 10, size * 3)).toEqual([1, 2, 3])
    expect(await heights(1, 10, size - 1)).toEqual([])
  })

  it('writes are done one after another, reads go past them', () => {
    const store = openMemoryChainStore()
    const laneOf = (message: StorageInbox) => {
      const [effect] = handle({ store }, message, about(message)).effects ?? []
      return lane(effect as StorageEffect)
    }
    const blocks = chainOfBlocks(1, 1).map(writeOf)
    expect(laneOf({ type: 'storage.PersistBlockBatch', payload: { blocks } })).toBe('write')
    const range = { from: 1, count: 1, maxBytes: 1 }
    expect(laneOf({ type: 'storage.ReadBlocks', payload: range })).toBeUndefined()
  })

  it('2.11: a Chain that starts again reads behind all that was to be written before', async () => {
    const store = openMemoryChainStore()
    let fails = true
    const failing: ChainStore = {
      ...store,
      writeJournal: async (entries) => {
        if (fails) throw new Error('no disk')
        await store.writeJournal(entries)
      },
    }
    const kernel = createTestPorts()
    const system = createSystem({
      ports: kernel,
      registry: MESSAGE_ROWS,
      children: [
        childSpec(storageActor, { open: async () => failing, metrics: kernel.metrics } as never),
      ],
    })
    await system.start()
    await system.tell('storage', { type: 'storage.RecordEvidence', payload: { put: [], drop: [] } })
    await kernel.clock.settle()
    // Storage rests before it starts again; what it is sent meanwhile waits.
    const [first, ...others] = chainOfBlocks(1, 3).map(writeOf) as [BlockWrite, ...BlockWrite[]]
    const batch = { type: 'storage.PersistBlockBatch', payload: { blocks: others } } as const
    await system.tell('storage', { type: 'storage.PersistBlock', payload: first })
    await system.tell('storage', batch)
    const load = { type: 'storage.LoadChain', payload: {} } as const
    const loaded = system.ask('storage', load, { timeoutMs: 60_000 })
    fails = false
    await kernel.clock.advance(30_000)
    const head = others.at(-1)?.committed
    expect(await loaded).toMatchObject({ ok: true, value: { payload: { head } } })
    await system.stop()
  })

  it('SU-12: a stop closes the store, after what was under way', async () => {
    const order: string[] = []
    const store = openMemoryChainStore()
    const watched: ChainStore = {
      ...store,
      writeBlocks: async (blocks, rows) => {
        await store.writeBlocks(blocks, rows)
        order.push('written')
      },
      close: async () => void order.push('closed'),
    }
    const kernel = createTestPorts()
    const system = createSystem({
      ports: kernel,
      registry: MESSAGE_ROWS,
      children: [
        childSpec(storageActor, { open: async () => watched, metrics: kernel.metrics } as never),
      ],
    })
    await system.start()
    const [first] = chainOfBlocks(1, 1) as [CommittedBlock]
    await system.tell('storage', { type: 'storage.PersistBlock', payload: writeOf(first) })
    const stopped = system.stop()
    await kernel.clock.advance(1_000)
    await stopped
    expect(order).toEqual(['written', 'closed'])
  })
})
