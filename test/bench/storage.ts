/**
 * The chain store beside LMDB with nothing around it, and what pruning does to the import of blocks: the real Storage actor on the real
 * stores, a block at a time at a steady pace.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import type { LedgerRow } from '../../actors/storage/index.ts'
import { sha256 } from '../../crypto/index.ts'
import { openChainStore } from '../../node/adapters/chain-store/index.ts'
import { type ExecutionEngine, openEngine } from '../../node/adapters/engine/index.ts'
import { attributes, genesis, keyOf, mint, signed } from '../unit/vm/evm/fixtures.ts'
import { type Bench, type Figure, median, medianRatio, quantile } from './figures.ts'

/** A full block of 30 M gas, about. */
const BLOCK_BYTES = 160_000
const ROWS = 24
const ROW_BYTES = 180
const COMMITS = 40
const WARM_UP = 2
/** As the default checkpoints need. */
const KEPT_CHANGES = 1_200

interface Commit {
  run(height: number): Promise<void>
  close(): Promise<void>
}

function blockBytes(height: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES)
  const seed = sha256(Buffer.from(`block ${height}`))
  // Not to be compressed by anybody, and quickly made.
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = (seed[at & 31] as number) ^ (at * 31) ^ (at >> 8)
  }
  return bytes
}

const rowsAt = (height: number): LedgerRow[] =>
  Array.from({ length: ROWS }, (_, at) => ({
    set: 1 + (at % 8),
    key: sha256(Buffer.from(`${height} ${at}`)),
    value: new Uint8Array(ROW_BYTES).fill(at),
  }))

async function ourStore(directory: string): Promise<Commit> {
  const store = await openChainStore(directory, KEPT_CHANGES)
  return {
    run: (height) =>
      store.writeBlocks(
        [{ height, hash: sha256(Buffer.from(String(height))), bytes: blockBytes(height) }],
        rowsAt(height),
      ),
    close: () => store.close(),
  }
}

/** The same block, place and rows, put as they are. */
async function rawStore(directory: string): Promise<Commit> {
  const root = open({ path: directory, maxDbs: 4, overlappingSync: false })
  const blocks = root.openDB<Buffer, number>({ name: 'blocks', encoding: 'binary' })
  const rest = root.openDB<Buffer, Buffer>({
    name: 'rest',
    encoding: 'binary',
    keyEncoding: 'binary',
  })
  return {
    async run(height) {
      const hash = sha256(Buffer.from(String(height)))
      const bytes = Buffer.from(blockBytes(height).buffer)
      const rows = rowsAt(height)
      await root.transaction(() => {
        blocks.put(height, bytes)
        rest.put(Buffer.from(hash), Buffer.from(String(height)))
        for (const { key, value } of rows) rest.put(Buffer.from(key), Buffer.from(value))
      })
      await root.flushed
    },
    close: () => root.close(),
  }
}

const directory = () => mkdtempSync(join(tmpdir(), 'millrace-bench-storage-'))

async function commits(rounds: number): Promise<readonly Figure[]> {
  const directories = [directory(), directory()]
  const stores = [
    await ourStore(directories[0] as string),
    await rawStore(directories[1] as string),
  ]
  const took = stores.map((): number[] => [])
  const rates = stores.map((): number[] => [])
  let height = 0
  for (let round = -WARM_UP; round < rounds; round++) {
    const sums = [0, 0]
    for (let commit = 0; commit < COMMITS; commit++) {
      height += 1
      // Turn by turn: what the disk does for others hits both.
      for (const at of height % 2 === 0 ? [0, 1] : [1, 0]) {
        const startedMs = performance.now()
        await (stores[at] as Commit).run(height)
        const ms = performance.now() - startedMs
        sums[at] = (sums[at] as number) + ms
        if (round >= 0) took[at]?.push(ms)
      }
    }
    if (round < 0) continue
    for (const [at, sum] of sums.entries()) rates[at]?.push((COMMITS * 1_000) / sum)
  }
  for (const store of stores) await store.close()
  const file = join(directories[0] as string, 'data.mdb')
  const bytesPerBlock = statSync(file).size / height
  for (const path of directories) rmSync(path, { recursive: true, force: true })
  const [ours = [], raw = []] = rates
  const [oursMs = [], rawMs = []] = took
  return [
    {
      metric: 'storage_commit',
      unit: 'commits/s',
      better: 'higher',
      ours: median(ours),
      peers: { lmdb: median(raw) },
      ratio: { lmdb: medianRatio(ours, raw) },
      note: `${rounds} rounds of ${COMMITS} blocks of ${BLOCK_BYTES / 1_000} kB and ${ROWS} rows, each synced; aim 0.8`,
    },
    {
      metric: 'storage_commit_p99',
      unit: 'ms',
      better: 'lower',
      ours: quantile(oursMs, 0.99),
      peers: { lmdb: quantile(rawMs, 0.99), aim: 10 },
      note: `${oursMs.length} commits (SU-13)`,
    },
    {
      metric: 'chain_disk_overhead',
      unit: 'share',
      better: 'lower',
      ours: bytesPerBlock / BLOCK_BYTES - 1,
      note: 'bytes of the file for each byte of a block, above one; ledger rows are in it',
    },
  ]
}

const SENDERS = 64
const TRANSACTIONS = 320
const LIVE_BLOCKS = 240
const OLD_BLOCKS = 60
/** Blocks at the head that stay. */
const KEPT_BLOCKS = 5
const FAR_MS = 8_640_000_000_000_000
/** Pruning has a tenth of the time, as in the Storage actor. */
const PRUNE_REST = 9
const IDLE_MS = 20
const senders = Array.from({ length: SENDERS }, (_, index) => keyOf(`storage ${index}`))

/** One engine, whose blocks are made and taken one after the other. */
class Importer {
  readonly path = directory()
  readonly tookMs: number[] = []
  #engine: ExecutionEngine | undefined
  #parent: Uint8Array = new Uint8Array(32)
  #height = 0

  async open(): Promise<this> {
    const opened = await openEngine({ directory: this.path, genesis })
    if (opened.status !== 'OPEN') throw new Error(opened.reason)
    this.#engine = opened.engine
    this.#parent = opened.engine.openedAt.hash
    return this
  }

  get engine(): ExecutionEngine {
    if (this.#engine === undefined) throw new Error('not open')
    return this.#engine
  }

  get height(): number {
    return this.#height
  }

  /** Builds the next block and makes it durable; how long the latter took. */
  async step(): Promise<number> {
    this.#height += 1
    const height = this.#height
    const transactions = height === 1 ? [] : blockTransactions(height)
    const built = await this.engine.build({
      ...attributes(this.#parent, height),
      withdrawals: height === 1 ? senders.map(({ address }) => mint(address, 10n ** 12n)) : [],
      gasLimitTarget: genesis.gasLimit,
      transactions,
      deadlineMs: FAR_MS,
    })
    if (built.status !== 'BUILT') throw new Error(built.reason)
    const { blockHash } = built.payload
    this.#parent = blockHash
    const startedMs = performance.now()
    await this.engine.commit(blockHash)
    return performance.now() - startedMs
  }

  async close(): Promise<void> {
    await this.engine.close()
    rmSync(this.path, { recursive: true, force: true })
  }
}

const raws = new Map<number, { raw: Uint8Array; sender: Uint8Array }[]>()

/** Signed once for both. */
function blockTransactions(height: number): { raw: Uint8Array; sender: Uint8Array }[] {
  const known = raws.get(height)
  if (known !== undefined) return known
  const each = TRANSACTIONS / SENDERS
  const made = senders.flatMap((key, at) =>
    Array.from({ length: each }, (_, index) => {
      const nonce = (height - 2) * each + index
      const to = sha256(Buffer.from(`${height} ${at} ${index}`)).slice(12)
      return { raw: signed(key, { nonce, to, value: 1n }), sender: key.address }
    }),
  )
  raws.set(height, made)
  return made
}

/** Blocks are taken by two engines turn by turn; one of them forgets old ones meanwhile. */
async function pruning(tell: (line: string) => void): Promise<readonly Figure[]> {
  const [plain, pruned] = [await new Importer().open(), await new Importer().open()]
  tell(`${OLD_BLOCKS} blocks of ${TRANSACTIONS} transfers, twice`)
  for (let block = 0; block < OLD_BLOCKS; block++) {
    await plain.step()
    await pruned.step()
  }
  const grownBytes = statSync(join(pruned.path, 'data.mdb')).size
  let isOver = false
  let steps = 0
  const background = (async () => {
    for (let below = 2; !isOver; ) {
      let restMs = IDLE_MS
      if (below < pruned.height - KEPT_BLOCKS) {
        const startedMs = performance.now()
        await pruned.engine.prune(below)
        restMs = (performance.now() - startedMs) * PRUNE_REST
        below += 1
        steps += 1
      }
      await new Promise((resolve) => setTimeout(resolve, restMs))
    }
  })()
  tell(`${LIVE_BLOCKS} more, one of the two prunes`)
  for (let block = 0; block < LIVE_BLOCKS; block++) {
    plain.tookMs.push(await plain.step())
    pruned.tookMs.push(await pruned.step())
  }
  isOver = true
  await background
  const figures: Figure[] = [
    {
      metric: 'commit_while_pruning_p99',
      unit: 'ms',
      better: 'lower',
      ours: quantile(pruned.tookMs, 0.99),
      peers: { without: quantile(plain.tookMs, 0.99) },
      note: `engine, ${LIVE_BLOCKS} blocks of ${TRANSACTIONS} transfers, ${steps} steps of pruning; aim: ratio above 0.9 (PR-4)`,
    },
    {
      metric: 'commit_while_pruning_p50',
      unit: 'ms',
      better: 'lower',
      ours: median(pruned.tookMs),
      peers: { without: median(plain.tookMs) },
    },
    {
      metric: 'engine_disk_per_transaction',
      unit: 'bytes',
      better: 'lower',
      ours: grownBytes / (OLD_BLOCKS * TRANSACTIONS),
      note: 'transfers to new accounts: block, receipt, index, account and trie nodes',
    },
  ]
  await Promise.all([plain.close(), pruned.close()])
  return figures
}

export const storage: Bench = async ({ rounds, tell }) => {
  tell('commits, beside LMDB')
  const figures = await commits(rounds)
  return [...figures, ...(await pruning(tell))]
}
