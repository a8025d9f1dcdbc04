/**
 * The chain store on LMDB: block records by height, heights by hash, ledger rows, the bridge's journal. One
 * environment, one writer process; every write resolves after LMDB's commit was synced to disk. Blocks and rows carry checksums
 * (`records.ts`); the layout has a version, and one of another is refused (`layout.ts`).
 */
import { existsSync } from 'node:fs'
import {
  type ChainStore,
  type JournalRow,
  type LedgerRow,
  STORAGE_FAULTS,
  type StoredBlock,
} from '../../../actors/storage/index.ts'
import { faultError } from '../../../supervisor/index.ts'
import { damageOfFile, diskFault } from '../disk/index.ts'
import { decodeWrite, encodeWrite, type LedgerWrite } from './changes.ts'
import { claimLayout, layoutFault, openTables, type Tables } from './layout.ts'
import { heightBytes, openRecord, sealRecord } from './records.ts'

export { certifiedAt } from './certified.ts'
export type { LedgerWrite } from './changes.ts'

const HASH_BYTES = 32
/** Old changes that one write removes at most, so that none takes long. */
const DROPPED_CHANGES = 8

/** The key of the one halt that there can be. */
const HALT = 'halt'

/**
 * Opens or creates the store in `path`, a directory. Throws when it is damaged or has a layout that this program does not know.
 * `keepChanges`: of so many last blocks it is kept what they did to the ledger.
 */
export async function openChainStore(path: string, keepChanges = 0): Promise<ChainStore> {
  return openForWriting(path, keepChanges)
}

async function openForWriting(path: string, keepChanges: number): Promise<LmdbChainStore> {
  const damage = damageOfFile(path)
  if (damage !== undefined) throw damaged(damage)
  const tables = openTables(path, 'write')
  try {
    claimLayout(tables)
  } catch (error) {
    await tables.root.close()
    throw error
  }
  return new LmdbChainStore(tables, path, keepChanges)
}

export interface ChainStoreReader
  extends Pick<
    ChainStore,
    'readBlock' | 'readHeader' | 'heightOf' | 'lowestBlock' | 'readLedgerRows' | 'close'
  > {
  /** 0: it holds no block. */
  headHeight(): number
  /** Writes to the ledger above a height, without a gap from there on; throws at one that is damaged. */
  ledgerWrites(above: number): Iterable<LedgerWrite>
}

/**
 * Gives a store that nobody has open the ledger `rows` and the head `height`, in one transaction. Blocks above it are gone then: they
 * were damaged, and come again from the peers.
 */
export async function rewriteLedger(
  path: string,
  height: number,
  rows: Iterable<LedgerRow>,
): Promise<void> {
  const store = await openForWriting(path, 0)
  try {
    await store.rewriteLedger(height, rows)
  } finally {
    await store.close()
  }
}

/** The store in `path` for reading alone, as it is; or why it cannot be read. Beside a running node it sees what that committed. */
export async function readChainStore(
  path: string,
): Promise<
  | { readonly ok: true; readonly store: ChainStoreReader }
  | { readonly ok: false; readonly reason: string }
> {
  if (!existsSync(path)) return { ok: false, reason: 'there is none' }
  const damage = damageOfFile(path)
  if (damage !== undefined) return { ok: false, reason: damage }
  const tables = openTables(path, 'read')
  const reason = layoutFault(tables)
  if (reason === undefined) return { ok: true, store: new LmdbChainStore(tables, path, 0) }
  await tables.root.close()
  return { ok: false, reason }
}

class LmdbChainStore implements ChainStore, ChainStoreReader {
  readonly #tables: Tables
  readonly #path: string
  readonly #keepChanges: number

  constructor(tables: Tables, path: string, keepChanges: number) {
    this.#tables = tables
    this.#path = path
    this.#keepChanges = keepChanges
  }

  /** Resolves when what `change` wrote is on disk; all of it is, or nothing. */
  async #commit(change: () => void): Promise<void> {
    const { root } = this.#tables
    try {
      // A child transaction is rolled back when it throws; what it wrote before would stay otherwise.
      await root.childTransaction(change)
      await root.flushed
    } catch (cause) {
      throw await diskFault(cause, this.#path)
    }
  }

  async writeBlocks(
    blocks: readonly StoredBlock[],
    ledgerRows: readonly LedgerRow[],
  ): Promise<void> {
    const { meta, heights, ledger } = this.#tables
    await this.#commit(() => {
      let head = meta.get('head') as number | undefined
      for (const { height, hash, bytes } of blocks) {
        if (head !== undefined && height !== head + 1) {
          throw new Error(`block ${height} does not follow the head ${head}`)
        }
        head = height
        this.#tables.blocks.put(height, sealRecord('blocks', heightBytes(height), hash, bytes))
        heights.put(Buffer.from(hash), height)
        meta.put('head', height)
      }
      for (const { set, key, value } of ledgerRows) {
        const rowKey = Buffer.concat([Uint8Array.of(set), key])
        ledger.put(rowKey, sealRecord('ledger', rowKey, value))
      }
      this.#noteChanges(blocks, ledgerRows)
    })
  }

  #noteChanges(blocks: readonly StoredBlock[], rows: readonly LedgerRow[]): void {
    const { changes } = this.#tables
    const [first, last] = [blocks[0]?.height, blocks.at(-1)?.height]
    if (first === undefined || last === undefined) return
    if (this.#keepChanges > 0) {
      const write = encodeWrite(first, rows)
      changes.put(last, sealRecord('changes', heightBytes(last), write))
    }
    const old = { end: last - this.#keepChanges + 1, limit: DROPPED_CHANGES }
    for (const height of [...changes.getKeys(old)]) changes.remove(height)
  }

  *ledgerWrites(above: number): Iterable<LedgerWrite> {
    let next = above + 1
    for (const { key, value } of this.#tables.changes.getRange({ start: next })) {
      const bytes = openRecord('changes', heightBytes(key), value)
      if (bytes === undefined) throw damaged(`the changes of block ${key} have a wrong checksum`)
      const write = decodeWrite(key, bytes)
      if (write.first !== next) return
      yield write
      next = key + 1
    }
  }

  async rewriteLedger(height: number, rows: Iterable<LedgerRow>): Promise<void> {
    const { blocks, changes, ledger, meta } = this.#tables
    await this.#commit(() => {
      ledger.clearSync()
      for (const { set, key, value } of rows) {
        const rowKey = Buffer.concat([Uint8Array.of(set), key])
        ledger.put(rowKey, sealRecord('ledger', rowKey, value))
      }
      const head = this.headHeight()
      for (let above = height + 1; above <= head; above++) {
        blocks.remove(above)
        changes.remove(above)
      }
      meta.put('head', height)
    })
  }

  headHeight(): number {
    return (this.#tables.meta.get('head') as number | undefined) ?? 0
  }

  lowestBlock(): number {
    return (this.#tables.meta.get('lowest') as number | undefined) ?? 1
  }

  readHead(): StoredBlock | undefined {
    const height = this.headHeight()
    return height === 0 ? undefined : this.readBlock(height)
  }

  readBlock(height: number): StoredBlock | undefined {
    return this.#read('blocks', height)
  }

  #read(table: 'blocks' | 'headers', height: number): StoredBlock | undefined {
    const record = this.#tables[table].get(height)
    if (record === undefined) return undefined
    const value = openRecord(table, heightBytes(height), record)
    if (value === undefined) throw damaged(`block ${height} has a wrong checksum`)
    return {
      height,
      hash: new Uint8Array(value.subarray(0, HASH_BYTES)),
      bytes: new Uint8Array(value.subarray(HASH_BYTES)),
    }
  }

  readHeader(height: number): StoredBlock | undefined {
    return this.#read('headers', height)
  }

  async pruneBlocks(given: readonly StoredBlock[]): Promise<void> {
    const { meta, blocks, headers } = this.#tables
    await this.#commit(() => {
      const lowest = this.lowestBlock()
      for (const [index, { height, hash, bytes }] of given.entries()) {
        if (height !== lowest + index || height >= this.headHeight()) {
          throw new Error(`block ${height} is not the next to be pruned`)
        }
        headers.put(height, sealRecord('headers', heightBytes(height), hash, bytes))
        blocks.remove(height)
      }
      meta.put('lowest', lowest + given.length)
    })
  }

  heightOf(hash: Uint8Array): number | undefined {
    return this.#tables.heights.get(Buffer.from(hash))
  }

  *readLedgerRows(): Iterable<LedgerRow> {
    for (const { key, value } of this.#tables.ledger.getRange()) {
      const bytes = new Uint8Array(key)
      const row = openRecord('ledger', bytes, value)
      if (row === undefined) throw damaged(`ledger row ${key.toString('hex')} has a wrong checksum`)
      yield { set: bytes[0] as number, key: bytes.subarray(1), value: new Uint8Array(row) }
    }
  }

  async writeJournal(
    rows: readonly { readonly key: string; readonly value: string | null }[],
  ): Promise<void> {
    const { journal } = this.#tables
    await this.#commit(() => {
      for (const { key, value } of rows) {
        if (value === null) journal.remove(key)
        else journal.put(key, value)
      }
    })
  }

  *readJournal(): Iterable<JournalRow> {
    for (const { key, value } of this.#tables.journal.getRange()) yield { key, value }
  }

  async writeHalt(record: string | null): Promise<void> {
    const { halts } = this.#tables
    await this.#commit(() => {
      if (record === null) halts.remove(HALT)
      else halts.put(HALT, record)
    })
  }

  readHalt(): string | undefined {
    return this.#tables.halts.get(HALT)
  }

  async close(): Promise<void> {
    await this.#tables.root.close()
  }
}

function damaged(reason: string): Error {
  return faultError('StoreDamaged', STORAGE_FAULTS.StoreDamaged, reason)
}
