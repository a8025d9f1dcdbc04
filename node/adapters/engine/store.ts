/**
 * EVM state and blocks on LMDB: flat accounts, storage and code, trie nodes by path, and the blocks with what is looked up
 * about them. One environment in one directory; the engine's worker is its only writer, readers open it again.
 */
import { mkdirSync } from 'node:fs'
import { type Database, open, type RootDatabase } from 'lmdb'
import type { ExecutionPayload } from '../../../core/block/index.ts'
import { joinBytes, toHex, uint32be } from '../../../crypto/index.ts'
import {
  type BlockSource,
  decodeAccount,
  decodeStoredPayload,
  decodeStoredReceipts,
  EMPTY_BYTES,
  type EngineHead,
  type EngineStore,
  encodeAccount,
  encodePast,
  encodeStoredPayload,
  encodeStoredReceipts,
  keccak256,
  PAST_BLOCKS,
  pastView,
  type Receipt,
  type Replaced,
  type StateDelta,
  type StateView,
  type StoredBlock,
  type TransactionPosition,
} from '../../../vm/evm/index.ts'
import { damageOfFile } from '../disk/index.ts'
import { NodeCache } from './node-cache.ts'
import { removeDiscarded } from './state-files.ts'

/** Records of past blocks that one reader holds. */
const MAX_PAST_BYTES = 64 * 1024 * 1024
/** Nodes of tries that the writer has at hand: of some ten thousand of the accounts that change most, or the upper nodes of all. */
const NODE_CACHE_BYTES = 32 * 1024 * 1024
/** Layout version; a store of another version is refused. */
export const LAYOUT = 1
const ADDRESS_BYTES = 20
/** Stands in `meta` while the state is made from a checkpoint. */
export const RESTORING = 'restoring'
/** Records of past blocks are kept for who asked to, up to so many, and then go a few a block. */
const MOST_PAST_BLOCKS = 1_024
const DROPPED_PAST = 8
/** What one step of pruning takes, blocks and their transactions: some milliseconds in which no block can be committed. */
const PRUNE_BLOCKS = 128
const PRUNE_TRANSACTIONS = 2_048

type Bytes = Database<Uint8Array, Uint8Array>
type ByHeight = Database<Uint8Array, number>

export type Tables = {
  readonly root: RootDatabase
  readonly meta: Database<Uint8Array, string>
  readonly accounts: Bytes
  readonly storage: Bytes
  readonly code: Bytes
  readonly nodes: Bytes
  readonly payloads: ByHeight
  readonly receipts: ByHeight
  readonly blooms: ByHeight
  readonly senders: ByHeight
  readonly hashes: ByHeight
  readonly heights: Bytes
  readonly transactions: Bytes
  /** What each of the last blocks replaced in accounts and storage; of `PAST_BLOCKS`, or as many as a checkpoint still needs. */
  readonly past: ByHeight
}

export type EngineDatabase = EngineStore &
  BlockSource & {
    /** State after a block; undefined where it is no longer kept, or not there yet. Read within one event turn. */
    viewAt(height: number): StateView | undefined
    /** Reads from now on see what was committed up to now, and stay with it until the event turn ends. */
    refresh(): void
    /** The lowest height that is there with its transactions and receipts. */
    lowestBlock(): number
    /** Blocks below `below` lose transactions and receipts, a few at once; their hashes stay. Durable when it returns. */
    prune(below: number): void
    /** What blocks from `height` on replaced is kept, within bounds. */
    keepPast(height: number): void
    /** Addresses of all accounts, in hex. */
    accounts(): Iterable<string>
    close(): Promise<void>
  }

export type EngineStoreFault = {
  readonly code: 'LayoutMismatch' | 'StateDamaged'
  readonly reason: string
}

/** LMDB's errors that say: this is not what was written (MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_INVALID). */
const DAMAGE: ReadonlySet<unknown> = new Set([-30_797, -30_796, -30_793])

/** Opens the state in `directory`; the writer creates it when there is none, and looks whether what is there can be read. */
export function openEngineDatabase(
  directory: string,
  mode: 'write' | 'read',
): EngineDatabase | EngineStoreFault {
  if (mode === 'write') removeDiscarded(directory)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const damage = damageOfFile(directory)
  if (damage !== undefined) return { code: 'StateDamaged', reason: damage }
  try {
    return openStore(openTables(directory, mode), mode)
  } catch (cause) {
    if (!DAMAGE.has((cause as { readonly code?: unknown }).code)) throw cause
    return { code: 'StateDamaged', reason: String(cause) }
  }
}

function openStore(tables: Tables, mode: 'write' | 'read'): EngineDatabase | EngineStoreFault {
  const layout = tables.meta.get('layout')
  if (layout === undefined && mode === 'write') {
    tables.meta.putSync('layout', Uint8Array.of(LAYOUT))
  } else if (layout?.[0] !== LAYOUT) {
    void tables.root.close()
    return { code: 'LayoutMismatch', reason: `layout ${layout?.[0]}, this program knows ${LAYOUT}` }
  }
  const store = new LmdbEngineStore(
    tables,
    mode === 'write' ? new NodeCache(NODE_CACHE_BYTES) : undefined,
  )
  const unreadable = mode === 'write' ? unreadableHead(store, tables) : undefined
  if (unreadable === undefined) return store
  void tables.root.close()
  return { code: 'StateDamaged', reason: unreadable }
}

/** Why the head and its block do not decode. */
function unreadableHead(store: EngineStore, { meta }: Tables): string | undefined {
  if (meta.get(RESTORING) !== undefined) return 'it was being made from a checkpoint'
  try {
    const head = store.head()
    if (head !== undefined) store.payloadAt(head.number)
    return undefined
  } catch (cause) {
    return `the head does not decode: ${String(cause)}`
  }
}

export function openTables(directory: string, mode: 'write' | 'read'): Tables {
  const root = open({
    path: directory,
    maxDbs: 16,
    overlappingSync: false,
    readOnly: mode === 'read',
  })
  const bytes = (name: string): Bytes =>
    root.openDB({ name, encoding: 'binary', keyEncoding: 'binary' })
  const byHeight = (name: string): ByHeight =>
    root.openDB({ name, encoding: 'binary', keyEncoding: 'uint32' })
  return {
    root,
    meta: root.openDB({ name: 'meta', encoding: 'binary' }),
    accounts: bytes('accounts'),
    storage: bytes('storage'),
    code: bytes('code'),
    nodes: bytes('nodes'),
    payloads: byHeight('payloads'),
    receipts: byHeight('receipts'),
    blooms: byHeight('blooms'),
    senders: byHeight('senders'),
    hashes: byHeight('hashes'),
    heights: bytes('heights'),
    transactions: bytes('transactions'),
    past: byHeight('past'),
  }
}

function fromHexKey(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}

/** A path of hex digits as bytes, its length first so that no two paths share a key. */
function nodeKey(path: string): Buffer {
  const slash = path.indexOf('/')
  const owner = slash === -1 ? '' : path.slice(0, slash)
  const digits = path.slice(slash + 1)
  const padded = digits.length % 2 === 0 ? digits : `${digits}0`
  return Buffer.concat([
    Buffer.from(owner, 'hex'),
    Buffer.of(digits.length),
    Buffer.from(padded, 'hex'),
  ])
}

class LmdbEngineStore implements EngineDatabase {
  readonly #tables: Tables
  readonly #view: StateView
  /** Of the only writer alone: what others hold would be of yesterday. */
  readonly #nodes: NodeCache | undefined
  readonly #past = new Map<number, Uint8Array>()
  #pastBytes = 0
  #keepPastFrom = Number.POSITIVE_INFINITY

  constructor(tables: Tables, nodes: NodeCache | undefined) {
    this.#tables = tables
    this.#nodes = nodes
    this.#view = stateView(tables, nodes)
  }

  head(): EngineHead | undefined {
    const record = this.#tables.meta.get('head')
    if (record === undefined) return undefined
    return { number: Buffer.from(record).readUInt32BE(0), hash: new Uint8Array(record.subarray(4)) }
  }

  view(): StateView {
    return this.#view
  }

  viewAt(height: number): StateView | undefined {
    const head = this.head()
    if (head === undefined || height > head.number) return undefined
    if (height === head.number) return this.#view
    const records: Uint8Array[] = []
    for (let above = height + 1; above <= head.number; above++) {
      const record = this.#pastAt(above, head.number)
      if (record === undefined) return undefined
      records.push(record)
    }
    return pastView(this.#view, height, records)
  }

  /** A block is final and so is its record. The latest ones are held, as far as they fit. */
  #pastAt(height: number, head: number): Uint8Array | undefined {
    const known = this.#past.get(height)
    if (known !== undefined) return known
    const record = copied(this.#tables.past.get(height))
    if (record === undefined) return undefined
    this.#past.set(height, record)
    this.#pastBytes += record.length
    for (const [old, { length }] of this.#past) {
      if (old > head - PAST_BLOCKS && this.#pastBytes <= MAX_PAST_BYTES) break
      this.#past.delete(old)
      this.#pastBytes -= length
    }
    return record
  }

  hashAt(height: number): Uint8Array | undefined {
    return copied(this.#tables.hashes.get(height))
  }

  heightOf(hash: Uint8Array): number | undefined {
    const record = this.#tables.heights.get(Buffer.from(hash))
    return record && Buffer.from(record).readUInt32BE(0)
  }

  payloadAt(height: number): ExecutionPayload | undefined {
    const record = this.#tables.payloads.get(height)
    return record && decodeStoredPayload(plain(record))
  }

  receiptsAt(height: number): readonly Receipt[] | undefined {
    const record = this.#tables.receipts.get(height)
    return record && decodeStoredReceipts(plain(record))
  }

  receiptsRecordAt(height: number): Uint8Array | undefined {
    const record = this.#tables.receipts.get(height)
    return record && plain(record)
  }

  bloomAt(height: number): Uint8Array | undefined {
    return copied(this.#tables.blooms.get(height))
  }

  sendersAt(height: number): Uint8Array[] {
    const packed = this.#tables.senders.get(height) ?? EMPTY_BYTES
    const senders: Uint8Array[] = []
    for (let at = 0; at < packed.length; at += ADDRESS_BYTES) {
      senders.push(new Uint8Array(packed.slice(at, at + ADDRESS_BYTES)))
    }
    return senders
  }

  positionOf(transactionHash: Uint8Array): TransactionPosition | undefined {
    const record = this.#tables.transactions.get(Buffer.from(transactionHash))
    if (record === undefined) return undefined
    const bytes = Buffer.from(record)
    return { height: bytes.readUInt32BE(0), index: bytes.readUInt32BE(4) }
  }

  async append(blocks: readonly StoredBlock[]): Promise<void> {
    this.#tables.root.transactionSync(() => {
      for (const block of blocks) {
        writePast(this.#tables, block, this.#keepPastFrom)
        writeDelta(this.#tables, block.delta)
        writeBlock(this.#tables, block)
      }
    })
    // Durable first: a write that fails leaves both as they were.
    for (const { delta } of this.#nodes === undefined ? [] : blocks) {
      for (const [path, node] of delta.nodes) {
        if (node === null) this.#nodes?.delete(path)
        else this.#nodes?.set(path, node)
      }
    }
  }

  keepPast(height: number): void {
    this.#keepPastFrom = height
  }

  refresh(): void {
    this.#tables.root.resetReadTxn()
  }

  lowestBlock(): number {
    const record = this.#tables.meta.get('lowest')
    return record === undefined ? 0 : Buffer.from(record).readUInt32BE(0)
  }

  prune(below: number): void {
    const { root, meta } = this.#tables
    root.transactionSync(() => {
      const from = this.lowestBlock()
      const head = this.head()?.number ?? 0
      const end = Math.min(below, head, from + PRUNE_BLOCKS)
      let transactions = 0
      let to = from
      while (to < end && transactions < PRUNE_TRANSACTIONS) transactions += this.#pruneBlock(to++)
      if (to > from) meta.putSync('lowest', Buffer.from(uint32be(to)))
    })
  }

  /** How many transactions it had. */
  #pruneBlock(height: number): number {
    const { payloads, receipts, blooms, senders, transactions } = this.#tables
    const raws = this.payloadAt(height)?.transactions ?? []
    for (const raw of raws) {
      const key = Buffer.from(keccak256(raw))
      // The same bytes may stand in no other block, but a damaged record may say anything.
      if (this.positionOf(key)?.height === height) transactions.removeSync(key)
    }
    for (const table of [payloads, receipts, blooms, senders]) table.removeSync(height)
    return raws.length
  }

  *accounts(): Iterable<string> {
    for (const key of this.#tables.accounts.getKeys()) yield toHex(new Uint8Array(key))
  }

  async close(): Promise<void> {
    await this.#tables.root.close()
  }
}

export function stateView(tables: Tables, nodes?: NodeCache): StateView {
  return {
    account(addressHex) {
      const record = tables.accounts.get(fromHexKey(addressHex))
      return record && decodeAccount(plain(record))
    },
    storage: (addressHex, slotHex) =>
      copied(tables.storage.get(fromHexKey(addressHex + slotHex))) ?? EMPTY_BYTES,
    code: (codeHashHex) => copied(tables.code.get(fromHexKey(codeHashHex))),
    *slots(addressHex) {
      const start = fromHexKey(addressHex)
      const end = fromHexKey(`${addressHex}${'ff'.repeat(33)}`)
      for (const key of tables.storage.getKeys({ start, end })) {
        yield toHex(new Uint8Array(key.subarray(ADDRESS_BYTES)))
      }
    },
    node(path) {
      const known = nodes?.get(path)
      if (known !== undefined) return known
      const node = copied(tables.nodes.get(nodeKey(path)))
      if (node !== undefined) nodes?.set(path, node)
      return node
    },
    blockHash: (height) => copied(tables.hashes.get(height)),
  }
}

/** The same bytes without Buffer's own meaning of `slice`. */
function plain(record: Uint8Array): Uint8Array {
  return new Uint8Array(record.buffer, record.byteOffset, record.length)
}

export function copied(record: Uint8Array | undefined): Uint8Array | undefined {
  return record && new Uint8Array(record)
}

/** What the block's changes replace, and no longer what the oldest one's did. */
function writePast(tables: Tables, { payload, delta }: StoredBlock, keepFrom: number): void {
  const height = payload.blockNumber
  if (height === 0) return
  const replaced: Replaced[] = []
  for (const addressHex of delta.accounts.keys()) {
    const key = fromHexKey(addressHex)
    replaced.push({ key, value: copied(tables.accounts.get(key)) ?? EMPTY_BYTES })
  }
  for (const [addressHex, slots] of delta.storage) {
    for (const slotHex of slots.keys()) {
      const key = fromHexKey(addressHex + slotHex)
      replaced.push({ key, value: copied(tables.storage.get(key)) ?? EMPTY_BYTES })
    }
  }
  tables.past.putSync(height, Buffer.from(encodePast(replaced).buffer))
  const needless = Math.min(height - PAST_BLOCKS, keepFrom - 1)
  const end = Math.max(needless, height - MOST_PAST_BLOCKS) + 1
  if (end <= 1) return
  for (const old of [...tables.past.getKeys({ end, limit: DROPPED_PAST })]) {
    tables.past.removeSync(old)
  }
}

export function writeDelta(tables: Tables, delta: StateDelta): void {
  for (const [addressHex, account] of delta.accounts) {
    const key = fromHexKey(addressHex)
    if (account === null) tables.accounts.removeSync(key)
    else tables.accounts.putSync(key, Buffer.from(encodeAccount(account)))
  }
  for (const [addressHex, slots] of delta.storage) {
    for (const [slotHex, value] of slots) {
      const key = fromHexKey(addressHex + slotHex)
      if (value.length === 0) tables.storage.removeSync(key)
      else tables.storage.putSync(key, Buffer.from(value))
    }
  }
  for (const [hashHex, code] of delta.code) {
    tables.code.putSync(fromHexKey(hashHex), Buffer.from(code))
  }
  for (const [path, node] of delta.nodes) {
    if (node === null) tables.nodes.removeSync(nodeKey(path))
    else tables.nodes.putSync(nodeKey(path), Buffer.from(node))
  }
}

function writeBlock(tables: Tables, block: StoredBlock): void {
  const { payload, receipts, transactionHashes, senders } = block
  const { blockNumber, blockHash } = payload
  const height = Buffer.from(uint32be(blockNumber))
  tables.payloads.putSync(blockNumber, Buffer.from(encodeStoredPayload(payload)))
  tables.receipts.putSync(blockNumber, Buffer.from(encodeStoredReceipts(receipts)))
  tables.blooms.putSync(blockNumber, Buffer.from(payload.logsBloom))
  tables.senders.putSync(blockNumber, Buffer.from(joinBytes(senders)))
  tables.hashes.putSync(blockNumber, Buffer.from(blockHash))
  tables.heights.putSync(Buffer.from(blockHash), height)
  for (const [index, hash] of transactionHashes.entries()) {
    const position = Buffer.concat([height, uint32be(index)])
    tables.transactions.putSync(Buffer.from(hash), position)
  }
  tables.meta.putSync('head', Buffer.concat([height, blockHash]))
}
