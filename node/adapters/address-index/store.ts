/**
 * Addresses → history on LMDB, in an environment of its own: it follows from the blocks, so that losing it costs the time to make it again
 * and nothing else. How far it has come is written with the rows: after a crash it goes on from there.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { type Database, open, type RootDatabase } from 'lmdb'
import { concatBytes, toHex, uint32be } from '../../../crypto/index.ts'
import { damageOfFile } from '../disk/index.ts'
import {
  ADDRESS_BYTES,
  decodeEntry,
  type HistoryEntry,
  type HistoryRow,
  KEY_BYTES,
} from './rows.ts'

const LAYOUT = 1

/** The blocks that it knows. */
export interface Progress {
  readonly layout: number
  readonly from: number
  readonly next: number
  /** Hash of the block below `next`, in hex: of which chain it is. */
  readonly lastHash: string
}

export interface HistoryPage {
  /** The latest first. */
  readonly entries: readonly HistoryEntry[]
  /** Where the next page begins; absent at the end. */
  readonly cursor?: Uint8Array
  /** The blocks that it knows; `to` is below `from` when there is none. */
  readonly from: number
  readonly to: number
}

export class HistoryStore {
  readonly #root: RootDatabase
  readonly #meta: Database<Progress, string>
  readonly #rows: Database<Buffer, Buffer>

  private constructor(path: string, mode: 'read' | 'write') {
    this.#root = open({ path, maxDbs: 4, overlappingSync: false, readOnly: mode === 'read' })
    this.#meta = this.#root.openDB({ name: 'meta', encoding: 'json' })
    this.#rows = this.#root.openDB({ name: 'rows', encoding: 'binary', keyEncoding: 'binary' })
  }

  /** One that is damaged is thrown away. */
  static openForWriting(path: string): HistoryStore {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    try {
      if (damageOfFile(path) === undefined) {
        const store = new HistoryStore(path, 'write')
        if ((store.progress()?.layout ?? LAYOUT) === LAYOUT) return store
        void store.close()
      }
    } catch {
      // What it was does not matter: it is made again.
    }
    rmSync(path, { recursive: true, force: true })
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return new HistoryStore(path, 'write')
  }

  /** Undefined: there is none that can be read. */
  static openForReading(path: string): HistoryStore | undefined {
    try {
      return damageOfFile(path) === undefined ? new HistoryStore(path, 'read') : undefined
    } catch {
      return undefined
    }
  }

  progress(): Progress | undefined {
    return this.#meta.get('progress')
  }

  /** Rows and how far they go, all or nothing; on disk when it returns. */
  write(
    progress: Omit<Progress, 'layout'>,
    put: readonly HistoryRow[],
    gone: readonly HistoryRow[],
  ): void {
    this.#root.transactionSync(() => {
      for (const { key } of gone) this.#rows.removeSync(Buffer.from(key))
      for (const { key, value } of put) this.#rows.putSync(Buffer.from(key), Buffer.from(value))
      this.#meta.putSync('progress', { layout: LAYOUT, ...progress })
    })
  }

  /** Begins anew. */
  clear(): void {
    this.#root.transactionSync(() => {
      this.#rows.clearSync()
      this.#meta.removeSync('progress')
    })
  }

  /** At most `limit` entries below the cursor. */
  page(address: Uint8Array, limit: number, cursor?: Uint8Array): HistoryPage {
    const { from = 1, next = 1 } = this.progress() ?? {}
    const top = cursor === undefined ? new Uint8Array(KEY_BYTES - ADDRESS_BYTES).fill(255) : cursor
    const range = {
      reverse: true,
      start: Buffer.from(concatBytes(address, top)),
      end: Buffer.from(concatBytes(address, uint32be(from))),
      limit: limit + 2,
    }
    const entries: HistoryEntry[] = []
    let last: Uint8Array | undefined
    let isMore = false
    for (const { key, value } of this.#rows.getRange(range)) {
      const place = new Uint8Array(key.subarray(ADDRESS_BYTES))
      // The cursor is the last one of the page before.
      if (cursor !== undefined && toHex(place) === toHex(cursor)) continue
      isMore = entries.length === limit
      if (isMore) break
      last = place
      const entry = decodeEntry(key, value)
      if (entry !== undefined) entries.push(entry)
    }
    return { entries, from, to: next - 1, ...(isMore && last && { cursor: last }) }
  }

  async close(): Promise<void> {
    await this.#root.close()
  }
}
