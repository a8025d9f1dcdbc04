/**
 * The chain store on LMDB: block records by height, heights by hash, ledger rows, the bridge's journal. One
 * environment, one writer process; every write resolves after LMDB's commit was synced to disk.
 */
import { mkdirSync } from 'node:fs'
import { type Database, open, type RootDatabase } from 'lmdb'
import type {
  ChainStore,
  JournalRow,
  LedgerRow,
  StoredBlock,
} from '../../../actors/storage/index.ts'

/** Layout version; a store of another version is refused. */
const VERSION = 1

const HASH_BYTES = 32

/** The key of the one halt that there can be. */
const HALT = 'halt'

/** Opens or creates the store in `path`, a directory. Throws when it holds another layout. */
export async function openChainStore(path: string): Promise<ChainStore> {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const root: RootDatabase<Uint8Array, number> = open({ path, maxDbs: 8, overlappingSync: false })
  const meta = root.openDB<number, string>({ name: 'meta', encoding: 'json' })
  const version = meta.get('version')
  if (version === undefined) await meta.put('version', VERSION)
  else if (version !== VERSION) {
    await root.close()
    throw new Error(`chain store has layout ${version}, this program knows ${VERSION}`)
  }
  const blocks = root.openDB<Uint8Array, number>({ name: 'blocks', encoding: 'binary' })
  const heights = root.openDB<number, Uint8Array>({
    name: 'heights',
    encoding: 'json',
    keyEncoding: 'binary',
  })
  const ledger = root.openDB<Uint8Array, Uint8Array>({
    name: 'ledger',
    encoding: 'binary',
    keyEncoding: 'binary',
  })
  const journal = root.openDB<string, string>({ name: 'journal', encoding: 'string' })
  const halts = root.openDB<string, string>({ name: 'halts', encoding: 'string' })
  return new LmdbChainStore(root, meta, blocks, heights, ledger, journal, halts)
}

class LmdbChainStore implements ChainStore {
  readonly #root: RootDatabase<Uint8Array, number>
  readonly #meta: Database<number, string>
  readonly #blocks: Database<Uint8Array, number>
  readonly #heights: Database<number, Uint8Array>
  readonly #ledger: Database<Uint8Array, Uint8Array>
  readonly #journal: Database<string, string>
  readonly #halts: Database<string, string>

  constructor(
    root: RootDatabase<Uint8Array, number>,
    meta: Database<number, string>,
    blocks: Database<Uint8Array, number>,
    heights: Database<number, Uint8Array>,
    ledger: Database<Uint8Array, Uint8Array>,
    journal: Database<string, string>,
    halts: Database<string, string>,
  ) {
    this.#root = root
    this.#meta = meta
    this.#blocks = blocks
    this.#heights = heights
    this.#ledger = ledger
    this.#journal = journal
    this.#halts = halts
  }

  async writeBlocks(
    blocks: readonly StoredBlock[],
    ledgerRows: readonly LedgerRow[],
  ): Promise<void> {
    // A child transaction is rolled back when it throws; what it wrote before would stay otherwise.
    await this.#root.childTransaction(() => {
      let head = this.#meta.get('head')
      for (const { height, hash, bytes } of blocks) {
        if (head !== undefined && height !== head + 1) {
          throw new Error(`block ${height} does not follow the head ${head}`)
        }
        head = height
        // Value: hash, then the block's SSZ.
        this.#blocks.put(height, Buffer.concat([hash, bytes]))
        this.#heights.put(Buffer.from(hash), height)
        this.#meta.put('head', height)
      }
      for (const { set, key, value } of ledgerRows) {
        this.#ledger.put(Buffer.concat([Uint8Array.of(set), key]), Buffer.from(value))
      }
    })
    await this.#root.flushed
  }

  readHead(): StoredBlock | undefined {
    const height = this.#meta.get('head')
    return height === undefined ? undefined : this.readBlock(height)
  }

  readBlock(height: number): StoredBlock | undefined {
    const record = this.#blocks.get(height)
    if (record === undefined) return undefined
    return {
      height,
      hash: new Uint8Array(record.subarray(0, HASH_BYTES)),
      bytes: new Uint8Array(record.subarray(HASH_BYTES)),
    }
  }

  heightOf(hash: Uint8Array): number | undefined {
    return this.#heights.get(Buffer.from(hash))
  }

  *readLedgerRows(): Iterable<LedgerRow> {
    for (const { key, value } of this.#ledger.getRange()) {
      const bytes = new Uint8Array(key)
      yield { set: bytes[0] as number, key: bytes.subarray(1), value: new Uint8Array(value) }
    }
  }

  async writeJournal(
    rows: readonly { readonly key: string; readonly value: string | null }[],
  ): Promise<void> {
    await this.#root.childTransaction(() => {
      for (const { key, value } of rows) {
        if (value === null) this.#journal.remove(key)
        else this.#journal.put(key, value)
      }
    })
    await this.#root.flushed
  }

  *readJournal(): Iterable<JournalRow> {
    for (const { key, value } of this.#journal.getRange()) yield { key, value }
  }

  async writeHalt(record: string | null): Promise<void> {
    await (record === null ? this.#halts.remove(HALT) : this.#halts.put(HALT, record))
    await this.#root.flushed
  }

  readHalt(): string | undefined {
    return this.#halts.get(HALT)
  }

  async close(): Promise<void> {
    await this.#root.close()
  }
}
