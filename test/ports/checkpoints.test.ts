/** SY-9: checkpoints on real files, and what they are for. */

import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Key, open as openLmdb } from 'lmdb'
import type { LedgerRow } from '../../actors/storage/index.ts'
import { blockHash, encodeCommittedBlock } from '../../core/block/index.ts'
import { ledgerChanges, ledgerFromRows, ledgerRoot } from '../../core/ledger/index.ts'
import { concatBytes, hexBytes, toHex, uint32be } from '../../crypto/index.ts'
import { openChainStore, readChainStore } from '../../node/adapters/chain-store/index.ts'
import { inspectCheckpoints } from '../../node/adapters/checkpoints/index.ts'
import { type MakeReply, makeCheckpoint } from '../../node/adapters/checkpoints/make.ts'
import { repairLedger } from '../../node/adapters/checkpoints/repair.ts'
import { type RestoreReply, restoreState } from '../../node/adapters/checkpoints/restore.ts'
import { openStateRows, readEngineState } from '../../node/adapters/engine/index.ts'
import { StateRestore } from '../../node/adapters/engine/state-restore.ts'
import { type EngineDatabase, openEngineDatabase } from '../../node/adapters/engine/store.ts'
import { Engine } from '../../vm/evm/engine.ts'
import { createdAddress, damageOfBlock, evmGenesisOf, verifyState } from '../../vm/evm/index.ts'
import { alice, burn, EAGER } from '../unit/core/chain/journey.ts'
import { Town } from '../unit/core/chain/town.ts'
import { signed } from '../unit/vm/evm/fixtures.ts'

/** SSTORE(calldata[0], calldata[1]), as init code. */
const STORE_CODE = '5f35602035815560075f5260405f5fa05f3560205260075f60405fa100'
const HEIGHT = 17
const EVERY = 3
const KEEP = 4

let town: Town
const rows: LedgerRow[][] = [[]]

/** Blocks with deposits, burns, a contract whose slots are set, changed and cleared, and empty ones. */
beforeAll(async () => {
  town = await Town.open(EAGER)
  const { chainId } = town.genesis.execution
  const contract = createdAddress(alice.address, 0n)
  const slot = (nonce: number, key: number, value: number) => {
    const data = concatBytes(new Uint8Array(28), uint32be(key), new Uint8Array(28), uint32be(value))
    return signed(alice, { nonce, to: contract, data, gas: 100_000n, chainId })
  }
  const length = (STORE_CODE.length / 2).toString(16).padStart(4, '0')
  const data = hexBytes(`61${length}80600a5f395ff3${STORE_CODE}`)
  let nonce = 0
  for (let height = 1; height <= HEIGHT; height++) {
    const name = `deposit ${height}`
    const queue = height % 5 === 1 ? town.deposit(name, 5_000_000n, alice.address) : undefined
    const transactions: Uint8Array[] = []
    if (height === 2)
      transactions.push(signed(alice, { nonce: nonce++, data, gas: 500_000n, chainId }))
    if (height > 2 && height % 4 !== 0) {
      transactions.push(slot(nonce++, height % 3, height % 2 === 0 ? 0 : height))
      transactions.push(slot(nonce++, 100 + height, height))
    }
    if (height === 7) transactions.push(burn(town, nonce++, 1_000_000n))
    const made = await town.grow({ transactions, ...(queue && { queue }) })
    rows.push(ledgerChanges(made.head.ledger))
  }
})

class Node {
  readonly root: string
  readonly directory: string
  readonly chainDirectory: string
  readonly engineDirectory: string
  readonly made: MakeReply[] = []

  constructor(root = mkdtempSync(join(tmpdir(), 'millrace-checkpoints-'))) {
    this.root = root
    this.directory = join(root, 'checkpoints')
    this.chainDirectory = join(root, 'chain')
    this.engineDirectory = join(root, 'evm')
  }

  /** Blocks up to `height`; after each the next checkpoint, if it is due. `pruneAt`: then only the last blocks are kept. */
  async grow(height: number, options: { every?: number; batch?: number; pruneAt?: number } = {}) {
    const { every = EVERY, batch = 1, pruneAt } = options
    const store = await openChainStore(this.chainDirectory, EVERY * (KEEP + 2))
    const state = this.#openState()
    const { engine, reply } = await Engine.open(state, evmGenesisOf(town.genesis), () => 0)
    if (reply.status !== 'OPEN') throw new Error(reply.reason)
    for (let at = reply.head.number + 1; at <= height; at++) {
      const stored = store.readHead()?.height ?? 0
      if (at > stored) {
        const heights = Array.from({ length: batch }, (_, index) => stored + 1 + index)
        const blocks = heights.map((each) => {
          const { block, certificate } = town.chain[each - 1] as Town['chain'][number]
          const bytes = encodeCommittedBlock({ block, certificate })
          return { height: each, hash: blockHash(block.header), bytes }
        })
        await store.writeBlocks(
          blocks,
          heights.flatMap((each) => rows[each] ?? []),
        )
      }
      const payload = town.chain[at - 1]?.block.body.payload
      if (payload === undefined) throw new Error('no such block')
      const executed = await engine.execute({ payload })
      if (executed.status !== 'VALID') throw new Error(`${at}: ${JSON.stringify(executed)}`)
      state.keepPast(0)
      await engine.commit(payload.blockHash)
      if (every > 0) this.made.push(await this.make(every))
      if (at === pruneAt) {
        const headers = Array.from({ length: at - 3 }, (_, index) => {
          const block = store.readBlock(index + 1)
          if (block === undefined) throw new Error('no block')
          return { ...block, bytes: block.bytes.slice(0, 10) }
        })
        await store.pruneBlocks(headers)
        state.prune(at - 2)
      }
    }
    await Promise.all([store.close(), state.close()])
    return this
  }

  #openState(): EngineDatabase {
    const state = openEngineDatabase(this.engineDirectory, 'write')
    if ('code' in state) throw new Error(state.reason)
    return state
  }

  make(every = EVERY): Promise<MakeReply> {
    return makeCheckpoint({ ...this.#paths(), every, keep: KEEP })
  }

  restore(below = 1_000, isMissing = false): Promise<RestoreReply> {
    return restoreState({ ...this.#paths(), below, isMissing })
  }

  repair() {
    return repairLedger({ ...this.#paths(), genesis: town.genesis })
  }

  #paths() {
    const { chainDirectory, directory, engineDirectory } = this
    return { chainDirectory, directory, engineDirectory }
  }

  async heights(): Promise<readonly number[]> {
    return (await inspectCheckpoints(this.directory, true))?.heights ?? []
  }

  /** The state's height, when all of it has the root of that block. */
  async verified(): Promise<number> {
    const read = readEngineState(this.engineDirectory)
    if (!read.ok) throw new Error(read.reason)
    const { database } = read
    try {
      const height = database.head()?.number ?? -1
      const { payload } = (town.chain[height - 1] as Town['chain'][number]).block.body
      expect(toHex(database.head()?.hash as Uint8Array)).toBe(toHex(payload.blockHash))
      expect(verifyState(database, payload.stateRoot)).toMatchObject({ ok: true })
      return height
    } finally {
      await database.close()
    }
  }

  /** The chain's head, when its ledger has the root of that block. */
  async ledgerHeight(): Promise<number> {
    const read = await readChainStore(this.chainDirectory)
    if (!read.ok) throw new Error(read.reason)
    const { store } = read
    try {
      const height = store.headHeight()
      const ledger = ledgerFromRows(town.genesis, store.readLedgerRows())
      if (!ledger.ok) throw new Error(ledger.error.code)
      const { header } = (town.chain[height - 1] as Town['chain'][number]).block
      expect(toHex(ledgerRoot(ledger.value))).toBe(toHex(header.ledgerRoot))
      return height
    } finally {
      await store.close()
    }
  }

  /** A byte of the value under some keys of a table is another one. */
  async damage(store: 'chain' | 'evm', table: string, which: (key: Key) => boolean = () => true) {
    const root = openLmdb({ path: join(this.root, store), maxDbs: 32 })
    const isHeight = table === 'blocks' || table === 'changes'
    const rest = isHeight ? {} : ({ keyEncoding: 'binary' } as const)
    const data = root.openDB<Buffer, Key>({ name: table, encoding: 'binary', ...rest })
    for (const { key, value } of [...data.getRange()]) {
      if (!which(key)) continue
      const copy = Buffer.from(value)
      const at = copy.length - 1
      copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
      await data.put(key, copy)
    }
    await root.close()
  }

  damageCheckpoint(height: number): void {
    const path = join(this.directory, `${height}.checkpoint`)
    const bytes = readFileSync(path)
    const at = Math.floor(bytes.length / 2)
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    writeFileSync(path, bytes)
  }

  async damageBase(): Promise<void> {
    const root = openLmdb({ path: join(this.directory, 'base'), maxDbs: 4 })
    const data = root.openDB<Buffer, Buffer>({
      name: 'rows',
      encoding: 'binary',
      keyEncoding: 'binary',
    })
    const [first] = [...data.getRange({ limit: 1 })]
    if (first === undefined) throw new Error('no row')
    await data.put(first.key, Buffer.from(first.value).fill(9, 4))
    await root.close()
  }

  /** What is known of one block is gone. */
  async forget(table: 'changes', height: number): Promise<void> {
    const root = openLmdb({ path: this.chainDirectory, maxDbs: 32 })
    await root.openDB<Buffer, Key>({ name: table, encoding: 'binary' }).remove(height)
    await root.close()
  }

  copy(): Node {
    const other = new Node()
    cpSync(this.root, other.root, { recursive: true })
    nodes.push(other)
    return other
  }
}

const nodes: Node[] = []

/** Kills the process so long after it said `step`; the last round that it began. */
function killedAt(
  script: string,
  args: readonly string[],
  step: string,
  afterMs: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let last = 0
    child.stdout.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n')) {
        if (line.startsWith('make')) last = Number(line.split(' ')[1])
        if (line === step) setTimeout(() => child.kill('SIGKILL'), afterMs)
      }
    })
    child.on('error', reject)
    child.on('close', () => resolve(last))
  })
}
afterAll(() => {
  for (const { root } of nodes) rmSync(root, { recursive: true, force: true })
})

describe('SY-9: checkpoints', () => {
  let grown: Node
  beforeAll(async () => {
    grown = await new Node().grow(HEIGHT)
    nodes.push(grown)
  })

  it('one every so many blocks, of which so many are kept; what a block left costs, not what there is', async () => {
    expect(grown.made.filter(({ made }) => made !== 'none')).toMatchObject([
      { made: 'whole', height: 1 },
      ...[4, 7, 10, 13, 16].map((height) => ({ made: 'difference', height })),
    ])
    expect(await grown.heights()).toEqual([16, 13, 10, 7])
    expect(readdirSync(grown.directory).sort()).toEqual(
      ['10.checkpoint', '13.checkpoint', '16.checkpoint', 'base'].sort(),
    )
  })

  it('a damaged state is made again from the newest one, goes on to the same roots and keeps its history', async () => {
    const node = grown.copy()
    await node.damage('evm', 'accounts')
    await expect(node.verified()).rejects.toThrow()
    expect(await node.restore()).toEqual({ height: 16, refused: [] })
    expect(await node.verified()).toBe(16)
    await node.grow(HEIGHT)
    expect(await node.verified()).toBe(HEIGHT)
    const read = readEngineState(node.engineDirectory)
    if (!read.ok) throw new Error(read.reason)
    for (let height = 0; height <= HEIGHT; height++) {
      expect(damageOfBlock(read.database, height)).toBeUndefined()
    }
    await read.database.close()
  })

  it('the newest is damaged: the one before; all are: genesis', async () => {
    const node = grown.copy()
    node.damageCheckpoint(16)
    expect(await node.restore()).toMatchObject({
      height: 13,
      refused: ['checkpoint 16: it is not whole'],
    })
    expect(await node.verified()).toBe(13)
    await node.grow(HEIGHT)
    expect(await node.verified()).toBe(HEIGHT)
    expect(await node.heights()).toEqual([16, 13, 10, 7])
    for (const height of [10, 13, 16])
      truncateSync(join(node.directory, `${height}.checkpoint`), 200)
    expect((await node.restore()).height).toBe(7)
    expect(await node.verified()).toBe(7)
    await node.damageBase()
    expect((await node.restore()).height).toBe(0)
    expect(existsSync(node.engineDirectory)).toBe(false)
    await node.grow(HEIGHT)
    expect(await node.verified()).toBe(HEIGHT)
  })

  it('each restoration that is asked for goes further back than the last one', async () => {
    const node = grown.copy()
    const heights: number[] = []
    for (let below = 1_000; below > 0; ) {
      below = (await node.restore(below)).height
      heights.push(below)
      if (below > 0) expect(await node.verified()).toBe(below)
    }
    expect(heights).toEqual([16, 13, 10, 7, 0])
  })

  it('a restoration that was cut off opens for nobody and is done again', async () => {
    const node = grown.copy()
    const cut = StateRestore.open(node.engineDirectory)
    cut.begin()
    await cut.close()
    expect(openEngineDatabase(node.engineDirectory, 'write')).toMatchObject({
      code: 'StateDamaged',
    })
    expect((await node.restore()).height).toBe(16)
    expect(await node.verified()).toBe(16)
  })

  it('a pruned node whose state cannot be opened, or is gone, begins with the checkpoint; an archive with block 1', async () => {
    const pruned = new Node()
    nodes.push(pruned)
    await pruned.grow(HEIGHT, { pruneAt: HEIGHT - 1 })
    for (const [path, isMissing] of [
      ['data.mdb', false],
      ['', true],
    ] as const) {
      const archive = grown.copy()
      for (const node of [pruned, archive]) {
        if (isMissing) rmSync(node.engineDirectory, { recursive: true })
        else writeFileSync(join(node.engineDirectory, path), Buffer.alloc(8_192, 7))
      }
      expect((await archive.restore(1_000, isMissing)).height).toBe(0)
      expect((await pruned.restore(1_000, isMissing)).height).toBe(16)
      expect(await pruned.verified()).toBe(16)
      await pruned.grow(HEIGHT)
      expect(await pruned.verified()).toBe(HEIGHT)
    }
  })

  it('what a kill left of one that was being made is no checkpoint and does no harm', async () => {
    const node = grown.copy()
    writeFileSync(join(node.directory, '19.checkpoint.part'), Buffer.alloc(100))
    // Folded already, and not yet removed.
    cpSync(join(node.directory, '10.checkpoint'), join(node.directory, '5.checkpoint'))
    node.damageCheckpoint(16)
    expect(await node.make()).toMatchObject({ made: 'difference', height: HEIGHT })
    expect(await node.heights()).toEqual([HEIGHT, 13, 10, 7])
    expect(readdirSync(node.directory)).toHaveLength(4)
  })

  it('kill -9 at any point of making one, and of making the state from it: both are done again', async () => {
    const writer = fileURLToPath(new URL('./checkpoints-writer.ts', import.meta.url))
    const kills = ['make 2', 'restore 1', 'make 4', 'restore 3', 'make 1', 'restore 2']
    for (const [index, at] of kills.entries()) {
      const target = mkdtempSync(join(tmpdir(), 'millrace-checkpoints-killed-'))
      const last = await killedAt(writer, [grown.root, target], at, index * 4)
      const node = new Node(join(target, String(last)))
      nodes.push(node)
      const report = await inspectCheckpoints(node.directory, true)
      expect(report?.damage).toBeUndefined()
      // The oldest may be folded and not yet removed; the newest is there or not.
      expect([16, HEIGHT]).toContain(report?.heights[0])
      await node.make(1)
      expect((await node.heights())[0]).toBe(HEIGHT)
      expect((await node.restore()).height).toBe(HEIGHT)
      expect(await node.verified()).toBe(HEIGHT)
      rmSync(target, { recursive: true })
    }
  })

  it('of another chain none is used, and the next is whole', async () => {
    const node = grown.copy()
    const other = new Node()
    nodes.push(other)
    await other.grow(5, { every: 0 })
    rmSync(join(node.chainDirectory), { recursive: true })
    cpSync(other.chainDirectory, node.chainDirectory, { recursive: true })
    expect((await node.restore()).height).toBe(0)
  })

  it('a gap in what is known of the last blocks makes the next one whole', async () => {
    const node = grown.copy()
    await node.damage('chain', 'changes', (key) => key === HEIGHT)
    node.damageCheckpoint(16)
    expect(await node.make(1)).toMatchObject({ made: 'whole', height: HEIGHT })
    expect(await node.heights()).toEqual([HEIGHT])
    const fresh = new Node()
    nodes.push(fresh)
    await fresh.grow(4)
    await fresh.grow(9, { every: 0 })
    await fresh.forget('changes', 6)
    expect(await fresh.make()).toMatchObject({ made: 'difference', height: 5 })
    await fresh.forget('changes', 7)
    expect(await fresh.make()).toMatchObject({ made: 'whole', height: 9 })
    expect(await fresh.heights()).toEqual([9])
  })

  it('of blocks that were stored together: at the end of a write, whatever the state is ahead', async () => {
    const node = new Node()
    nodes.push(node)
    await node.grow(16, { batch: 4 })
    const heights = node.made.flatMap(({ made, height }) => (made === 'none' ? [] : [height]))
    expect(heights).toEqual([4, 8, 12, 16])
    expect((await node.restore()).height).toBe(16)
    expect(await node.verified()).toBe(16)
  })

  it('reads the state of an earlier block while later ones are there', async () => {
    const node = new Node()
    nodes.push(node)
    await node.grow(9, { every: 0 })
    const then = openStateRows(node.engineDirectory)
    const text = (given: ReturnType<typeof then.all>) =>
      [...(given ?? [])].map(({ table, key, value }) => `${table} ${toHex(key)} ${toHex(value)}`)
    const before = text(then.all(9))
    await then.close()
    await node.grow(14, { every: 0 })
    const now = openStateRows(node.engineDirectory)
    // Code that came later is no harm: it stands under its hash.
    expect(text(now.all(9)).sort()).toEqual(before.sort())
    expect(text(now.all(14))).not.toEqual(before)
    await now.close()
  })
})

describe('SY-9: a damaged ledger', () => {
  let grown: Node
  beforeAll(async () => {
    grown = await new Node().grow(HEIGHT)
    nodes.push(grown)
  })

  it('is made again from the newest checkpoint and what the blocks above it wrote', async () => {
    const node = grown.copy()
    await node.damage('chain', 'ledger')
    await expect(node.ledgerHeight()).rejects.toMatchObject({ code: 'StoreDamaged' })
    expect(await node.repair()).toEqual({ height: HEIGHT, checkpoint: 16 })
    expect(await node.ledgerHeight()).toBe(HEIGHT)
  })

  it('the newest checkpoint is damaged: from the one before', async () => {
    const node = grown.copy()
    await node.damage('chain', 'ledger')
    node.damageCheckpoint(16)
    node.damageCheckpoint(13)
    expect(await node.repair()).toEqual({ height: HEIGHT, checkpoint: 10 })
    expect(await node.ledgerHeight()).toBe(HEIGHT)
  })

  it('the head’s own block is damaged: up to the one below, and no further', async () => {
    const node = grown.copy()
    await node.damage('chain', 'blocks', (key) => key === HEIGHT)
    expect(await node.repair()).toEqual({ height: HEIGHT - 1, checkpoint: 16 })
    expect(await node.ledgerHeight()).toBe(HEIGHT - 1)
  })

  it('what the last blocks wrote is damaged, too: nothing that was acknowledged is given up', async () => {
    const node = grown.copy()
    await node.damage('chain', 'ledger')
    await node.damage('chain', 'changes', (key) => key === HEIGHT)
    await expect(node.repair()).rejects.toThrow('no checkpoint')
    const store = await openChainStore(node.chainDirectory)
    expect(store.readHead()?.height).toBe(HEIGHT)
    await store.close()
  })
})
