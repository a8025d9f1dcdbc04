import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { verifyMerkleProof } from '@ethereumjs/mpt'
import { open as openLmdb } from 'lmdb'
import { bigintToBytes, concatBytes, hexBytes, toHex } from '../../crypto/index.ts'
import { discardState, openEngine } from '../../node/adapters/engine/index.ts'
import { Engine } from '../../vm/evm/engine.ts'
import { createdAddress, encodeAccount, keccak256, LogMatcher } from '../../vm/evm/index.ts'
import { Disk } from '../sim/disk.ts'
import {
  attributes,
  genesis,
  keyOf,
  mint,
  openEngine as openMemoryEngine,
  signed,
} from '../unit/vm/evm/fixtures.ts'
import { MemoryStore } from '../unit/vm/evm/memory-store.ts'
import { type EngineUnderTest, engineSuite } from './engine-suite.ts'
import { RunningWorld } from './running-world.ts'

const directories: string[] = []
function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-engine-'))
  directories.push(directory)
  return directory
}

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

async function openInMemory(store = new MemoryStore()): Promise<EngineUnderTest> {
  const { engine, head } = await openMemoryEngine(store)
  return {
    head,
    build: (request) => engine.build(request),
    execute: (request) => engine.execute(request),
    commit: (hash) => engine.commit(hash),
    restart: () => openInMemory(store),
    rollback: () => {
      store.clear()
      return openInMemory(store)
    },
    close: async () => {},
  }
}

describe('a block that is begun before its slot', () => {
  it('6.3: in the engine’s thread, and built from there with its senders', async () => {
    const engine = await openOnDisk()
    const alice = keyOf('alice')
    const first = await engine.build({
      ...attributes(engine.genesisHash, 1),
      withdrawals: [mint(alice.address, 10n ** 11n)],
      transactions: [],
      deadlineMs: Date.now() + 60_000,
    })
    if (first.status !== 'BUILT') throw new Error(first.reason)
    const { blockHash } = first.payload
    await engine.commit(blockHash)
    const raw = signed(alice, { nonce: 0, to: keyOf('bob').address, value: 1n })
    const { deadlineMs: _, withdrawals: __, ...seen } = attributes(blockHash, 2)
    const offer = [{ raw, sender: alice.address }]
    await engine.prepare({ ...seen, transactions: offer, untilMs: Date.now() + 60_000 })
    // A build whose time is over packs nothing more.
    const built = await engine.build({
      ...attributes(blockHash, 2),
      transactions: [],
      deadlineMs: Date.now(),
    })
    if (built.status !== 'BUILT') throw new Error(built.reason)
    expect(built.payload.transactions).toEqual([raw])
    expect(built.senders).toEqual([alice.address])
    await engine.commit(built.payload.blockHash)
    expect(engine.blocks.head().number).toBe(2)
    await engine.close()
  })
})

/** The value that a proof shows under a root; undefined: that there is none. */
async function verified(
  root: Uint8Array,
  key: Uint8Array,
  proof: readonly Uint8Array[],
): Promise<Uint8Array | undefined> {
  expect(keccak256(proof[0] as Uint8Array)).toEqual(root)
  const value = await verifyMerkleProof(key, [...proof], { useKeyHashing: true })
  return value === null ? undefined : new Uint8Array(value)
}

async function openOnDisk(directory = newDirectory()) {
  const opened = await openEngine({ directory, genesis })
  if (opened.status !== 'OPEN') throw new Error(opened.reason)
  return opened.engine
}

async function embedded(directory = newDirectory()): Promise<EngineUnderTest> {
  const engine = await openOnDisk(directory)
  return {
    head: engine.openedAt,
    build: (request) => engine.build(request),
    execute: (request) => engine.execute(request),
    commit: (hash) => engine.commit(hash),
    restart: async () => {
      await engine.close()
      return embedded(directory)
    },
    rollback: async () => {
      await engine.close()
      discardState(directory)
      return embedded(directory)
    },
    close: () => engine.close().catch(() => {}),
  }
}

engineSuite('in memory', openInMemory)
engineSuite('on LMDB in a worker', embedded)

describe('in the simulator', () => {
  const worlds: RunningWorld[] = []
  afterAll(() => {
    for (const running of worlds) running.stop()
  })

  /** The engine of a simulated node: the same one, on the world's disk. */
  async function simulated(running: RunningWorld, disk: Disk): Promise<EngineUnderTest> {
    const life = running.life()
    const { engine, reply } = await Engine.open(disk.engineStore(life), genesis, () => 0)
    if (reply.status !== 'OPEN') throw new Error(reply.reason)
    return {
      head: reply.head,
      build: (request) => engine.build(request),
      execute: (request) => engine.execute(request),
      commit: (hash) => engine.commit(hash),
      restart: async () => {
        life.end()
        disk.crash()
        return simulated(running, disk)
      },
      rollback: async () => {
        await disk.rollbackEngine(life)
        life.end()
        return simulated(running, disk)
      },
      close: async () => {},
    }
  }

  engineSuite('simulated', () => {
    const running = new RunningWorld()
    worlds.push(running)
    const { world } = running
    return simulated(running, new Disk(world, world.chance('disk'), () => {}))
  })
})

describe('the embedded engine', () => {
  const alice = keyOf('alice')
  const bob = keyOf('bob')

  it('is refused on the state of another chain', async () => {
    const directory = newDirectory()
    await (await openOnDisk(directory)).close()
    const stranger = await openEngine({ directory, genesis: { ...genesis, timestamp: 1 } })
    expect(stranger).toMatchObject({ status: 'REFUSED', code: 'GenesisMismatch' })
  })

  describe('on damaged files', () => {
    type Table = { put(key: string | number | Uint8Array, value: Uint8Array): Promise<boolean> }
    /** Ten committed blocks in a directory that nobody has open. */
    async function state(): Promise<string> {
      const directory = newDirectory()
      const engine = await openOnDisk(directory)
      let parent = engine.openedAt.hash
      for (let height = 1; height <= 10; height++) {
        const built = await engine.build({
          ...attributes(parent, height),
          withdrawals: [mint(alice.address, 10n ** 10n)],
          transactions: [],
          deadlineMs: Date.now() + 60_000,
        })
        if (built.status !== 'BUILT') throw new Error(built.reason)
        await engine.commit(built.payload.blockHash)
        parent = built.payload.blockHash
      }
      await engine.close()
      return directory
    }
    async function put(
      directory: string,
      [name, keyEncoding]: readonly [string, 'binary' | 'uint32' | 'ordered-binary'],
      change: (table: Table) => Promise<unknown>,
    ): Promise<void> {
      const root = openLmdb({ path: directory, maxDbs: 16, overlappingSync: false })
      await change(root.openDB({ name, encoding: 'binary', keyEncoding }))
      await root.close()
    }
    function overwrite(directory: string, position: number, bytes: Uint8Array): void {
      const file = openSync(join(directory, 'data.mdb'), 'r+')
      writeSync(file, bytes, 0, bytes.length, position)
      closeSync(file)
    }
    const meta = ['meta', 'ordered-binary'] as const
    const damages: Record<string, (directory: string) => Promise<void> | void> = {
      'a first page of noise': (directory) => {
        overwrite(directory, 0, new Uint8Array(4096).fill(0x5a))
      },
      'a second page of zeros': (directory) => {
        overwrite(directory, 4096, new Uint8Array(4096))
      },
      'a page size that is none': (directory) => {
        overwrite(directory, 48, Uint8Array.of(1, 2, 3, 4))
      },
      'a file cut off': (directory) => {
        truncateSync(join(directory, 'data.mdb'), 8192)
      },
      'a file of some bytes': (directory) => {
        truncateSync(join(directory, 'data.mdb'), 100)
      },
      'a head that names another block': (directory) => {
        const head = Uint8Array.of(0, 0, 0, 10, ...new Uint8Array(32).fill(7))
        return put(directory, meta, (table) => table.put('head', head))
      },
      'a head above its blocks': (directory) => {
        const head = Uint8Array.of(0, 0, 0, 11, ...new Uint8Array(32).fill(7))
        return put(directory, meta, (table) => table.put('head', head))
      },
      'half a head': (directory) => {
        return put(directory, meta, (table) => table.put('head', Uint8Array.of(1, 2)))
      },
      'a block that does not decode': (directory) => {
        const record = new Uint8Array(100).fill(0xf9)
        return put(directory, ['payloads', 'uint32'], (table) => table.put(10, record))
      },
      'another state': (directory) => {
        const node = new Uint8Array(40).fill(3)
        return put(directory, ['nodes', 'binary'], (table) => table.put(Buffer.from([0]), node))
      },
    }

    it.each(Object.keys(damages))('SU-15: %s is found at open, and rolled back', async (name) => {
      const directory = await state()
      await damages[name]?.(directory)
      const opened = await openEngine({ directory, genesis })
      expect(opened).toMatchObject({ status: 'REFUSED', code: 'StateDamaged' })
      discardState(directory)
      const engine = await openOnDisk(directory)
      expect(engine.openedAt.number).toBe(0)
      await engine.close()
    })

    it('SU-15: a crash in the middle of it leaves an empty state, and the rest goes at the next open', async () => {
      const directory = await state()
      // The one durable step; the process died right after it.
      renameSync(directory, `${directory}.discarded`)
      const engine = await openOnDisk(directory)
      expect(engine.openedAt.number).toBe(0)
      expect(existsSync(`${directory}.discarded`)).toBe(false)
      await engine.close()
    })

    it('SU-15: what is sound is opened as it is', async () => {
      const engine = await openOnDisk(await state())
      expect(engine.openedAt.number).toBe(10)
      await engine.close()
    })
  })

  it('answers reads of committed blocks, accounts, receipts and logs', async () => {
    const engine = await openOnDisk()
    const deadlineMs = Date.now() + 60_000
    const parentHash = engine.openedAt.hash
    // Stores its input in slot 0 and logs it under topic 7; without input it returns the slot.
    const code = hexBytes('3615600f575f355f5560075f5fa1005b5f545f5260205ff3')
    const init = concatBytes(hexBytes(`60${code.length.toString(16)}8060095f395ff3`), code)
    const first = await engine.build({
      ...attributes(parentHash, 1),
      withdrawals: [mint(alice.address, 10n ** 10n)],
      transactions: [],
      deadlineMs,
    })
    if (first.status !== 'BUILT') throw new Error(first.reason)
    const contract = createdAddress(alice.address, 0n)
    const raws = [
      signed(alice, { nonce: 0, data: init, gas: 500_000n }),
      signed(alice, { nonce: 1, to: contract, data: bigintToBytes(42n, 32), gas: 200_000n }),
      signed(alice, { nonce: 2, to: bob.address, value: 9n }),
    ]
    const senders = await engine.recoverSenders(raws)
    expect(senders).toEqual([alice.address, alice.address, alice.address])
    const transactions = raws.map((raw, index) => ({ raw, sender: senders[index] }))
    const second = await engine.build({
      ...attributes(first.payload.blockHash, 2),
      transactions,
      deadlineMs,
    })
    if (second.status !== 'BUILT') throw new Error(second.reason)
    expect(second.dropped).toEqual([])
    await engine.commit(second.payload.blockHash)

    expect(engine.blocks.head()).toEqual({ number: 2, hash: second.payload.blockHash })
    expect(engine.blocks.blockAt(2)?.payload).toEqual(second.payload)
    expect(engine.blocks.blockByHash(first.payload.blockHash)?.payload).toEqual(first.payload)
    expect(engine.state.balanceWei(bob.address)).toBe(9n)
    expect(engine.state.nonce(alice.address)).toBe(3n)
    expect(engine.state.code(contract)).toEqual(code)
    expect(engine.state.storage(contract, new Uint8Array(32))).toEqual(bigintToBytes(42n, 32))
    const [deployed, called] = engine.blocks.receiptsAt(2)
    expect(deployed?.contractAddress).toEqual(contract)
    expect(called?.logs).toHaveLength(1)
    const byHash = engine.blocks.receipt(called?.transaction.transaction.hash as Uint8Array)
    // Each reading decodes anew, and a transaction brings a function of its own.
    expect(inspect(byHash, { depth: null })).toBe(inspect(called, { depth: null }))
    const logs = (...asked: ConstructorParameters<typeof LogMatcher>) =>
      engine.blocks.logs({ fromHeight: 0, toHeight: 100 }, new LogMatcher(...asked))
    expect(logs([contract], [])).toEqual(called?.logs)
    expect(logs([bob.address], [])).toEqual([])
    expect(logs([contract], [[bigintToBytes(7n, 32)]])).toHaveLength(1)
    expect(logs([contract], [null, null])).toEqual([])

    const call = await engine.ask('call', { request: { to: contract } })
    expect(call).toMatchObject({ ok: true, returnValue: bigintToBytes(42n, 32) })
    const request = { from: alice.address, to: contract, data: bigintToBytes(7n, 32) }
    const estimate = await engine.ask('estimateGas', { request })
    if (!estimate.ok) throw new Error(estimate.code)
    const paid = signed(alice, { nonce: 3, to: contract, data: request.data, gas: estimate.gas })
    const third = await engine.build({
      ...attributes(second.payload.blockHash, 3),
      transactions: [{ raw: paid }],
      deadlineMs,
    })
    if (third.status !== 'BUILT') throw new Error(third.reason)
    await engine.commit(third.payload.blockHash)
    expect(engine.blocks.receiptsAt(3)[0]?.status).toBe(1)
    expect(await engine.ask('call', { request: { to: contract } })).toMatchObject({
      returnValue: bigintToBytes(7n, 32),
    })
    const listed = await engine.ask('createAccessList', { request })
    expect(listed).toMatchObject({ ok: true })

    // The state after block 2 is still there, for reads, calls and traces.
    const before = engine.stateAt(2)
    expect(before?.storage(contract, new Uint8Array(32))).toEqual(bigintToBytes(42n, 32))
    expect([before?.nonce(alice.address), engine.state.nonce(alice.address)]).toEqual([3n, 4n])
    expect(engine.stateAt(1)?.code(contract)).toEqual(new Uint8Array(0))
    expect(engine.stateAt(4)).toBeUndefined()
    expect(await engine.ask('call', { request: { to: contract }, height: 2 })).toMatchObject({
      returnValue: bigintToBytes(42n, 32),
    })
    expect(await engine.ask('call', { request: { to: contract }, height: 9 })).toEqual({
      ok: false,
      code: 'StateUnavailable',
    })
    const traced = await engine.ask('traceBlock', { height: 3, from: 0, to: 0, config: {} })
    if (!traced.ok) throw new Error(traced.code)
    const [trace] = traced.traces as { gas: number; failed: boolean; structLogs: object[] }[]
    expect(trace).toMatchObject({ failed: false, gas: engine.blocks.receiptsAt(3)[0]?.gasUsed })
    expect(trace?.structLogs.length).toBeGreaterThan(3)

    // Proofs, by another implementation of the trie.
    const proven = await engine.ask('proof', {
      address: contract,
      slots: [new Uint8Array(32), bigintToBytes(9n, 32)],
    })
    if (!proven.ok) throw new Error(proven.code)
    const { proof } = proven
    const root = third.payload.stateRoot
    const account = await verified(root, contract, proof.proof)
    expect(account).toEqual(
      encodeAccount({
        nonce: proof.nonce,
        balance: proof.balanceWei,
        storageRoot: proof.storageRoot,
        codeHash: proof.codeHash,
      }),
    )
    const [held, empty] = proof.slots
    expect(await verified(proof.storageRoot, held?.slot as Uint8Array, held?.proof ?? [])).toEqual(
      Uint8Array.of(7),
    )
    expect(
      await verified(proof.storageRoot, empty?.slot as Uint8Array, empty?.proof ?? []),
    ).toBeUndefined()
    const nobody = await engine.ask('proof', { address: bigintToBytes(5n, 20), slots: [] })
    if (!nobody.ok) throw new Error(nobody.code)
    expect(await verified(root, bigintToBytes(5n, 20), nobody.proof.proof)).toBeUndefined()
    await engine.close()
  })

  it('PO-3: a call that reverts says so with its data, and estimates nothing', async () => {
    const engine = await openOnDisk()
    const request = {
      from: alice.address,
      to: hexBytes('bb'.repeat(20)),
      data: hexBytes('12345678'),
    }
    expect(await engine.ask('call', { request })).toMatchObject({ ok: false, code: 'Reverted' })
    expect(await engine.ask('estimateGas', { request })).toMatchObject({
      ok: false,
      code: 'Reverted',
    })
    const poor = { from: bob.address, to: alice.address, valueWei: 1n }
    expect(await engine.ask('call', { request: poor })).toMatchObject({
      ok: false,
      code: 'InsufficientFunds',
    })
    await engine.close()
  })

  it('recovers big batches in its pool, and answers undefined for what is none', async () => {
    const engine = await openOnDisk()
    const raws = Array.from({ length: 40 }, (_, nonce) => signed(alice, { nonce, to: bob.address }))
    raws[7] = Uint8Array.of(1, 2, 3)
    const senders = await engine.recoverSenders(raws)
    expect(senders.map((sender) => sender && toHex(sender))).toEqual(
      raws.map((_, index) => (index === 7 ? undefined : toHex(alice.address))),
    )
    await engine.close()
  })
})
