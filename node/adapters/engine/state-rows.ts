/** The flat state as rows: what checkpoints are made of, read while blocks go on. */

import { toHex } from '../../../crypto/index.ts'
import {
  decodeAccount,
  EMPTY_BYTES,
  EMPTY_CODE_HASH_HEX,
  type EngineHead,
  findPast,
  pastBelow,
  type Replaced,
} from '../../../vm/evm/index.ts'
import { damageOfFile } from '../disk/index.ts'
import { copied, openTables, type Tables } from './store.ts'

/** Numbers of the tables in rows, on disk as well. */
export const TABLE_OF = { accounts: 0, storage: 1, code: 2 } as const
type StateTable = keyof typeof TABLE_OF

export interface StateRow {
  /** Of `TABLE_OF`. */
  readonly table: number
  readonly key: Uint8Array
  /** Empty: there is none. */
  readonly value: Uint8Array
}

/** One moment of a state that somebody else writes: it stays the same until the event turn ends. */
export interface StateRows {
  /** From now on it is what was committed up to now. */
  refresh(): void
  head(): EngineHead | undefined
  hashAt(height: number): Uint8Array | undefined
  /** As it is stored. */
  payloadAt(height: number): Uint8Array | undefined
  /** What the blocks above `from` changed, as it is after block `to`, a key seldom twice; undefined where that is no longer known. */
  changed(from: number, to: number): Iterable<StateRow> | undefined
  /** All of the state after block `height`; undefined where that is no longer known. */
  all(height: number): Iterable<StateRow> | undefined
  close(): Promise<void>
}

const ADDRESS_BYTES = 20
/** Keys of which it is remembered that they had their turn. */
const MAX_SEEN = 500_000

export function openStateRows(directory: string): StateRows {
  const damage = damageOfFile(directory)
  if (damage !== undefined) throw new Error(damage)
  return new LmdbStateRows(openTables(directory, 'read'))
}

class LmdbStateRows implements StateRows {
  readonly #tables: Tables

  constructor(tables: Tables) {
    this.#tables = tables
  }

  refresh(): void {
    this.#tables.root.resetReadTxn()
  }

  head(): EngineHead | undefined {
    const record = this.#tables.meta.get('head')
    if (record === undefined) return undefined
    return { number: Buffer.from(record).readUInt32BE(0), hash: new Uint8Array(record.subarray(4)) }
  }

  hashAt(height: number): Uint8Array | undefined {
    return copied(this.#tables.hashes.get(height))
  }

  payloadAt(height: number): Uint8Array | undefined {
    return copied(this.#tables.payloads.get(height))
  }

  changed(from: number, to: number): Iterable<StateRow> | undefined {
    const below = this.#past(from, to)
    const above = this.#past(to, this.head()?.number ?? 0)
    return below && above && this.#changedRows(below, above)
  }

  *#changedRows(below: readonly Uint8Array[], above: readonly Uint8Array[]): Iterable<StateRow> {
    const seen = new Set<string>()
    for (const record of below) {
      for (const { key, value: before } of pastBelow(record, EMPTY_BYTES)) {
        const name = Buffer.from(key).toString('latin1')
        if (seen.has(name)) continue
        if (seen.size >= MAX_SEEN) seen.clear()
        seen.add(name)
        const table: StateTable = key.length === ADDRESS_BYTES ? 'accounts' : 'storage'
        const value = this.#valueOf(table, key, above)
        yield { table: TABLE_OF[table], key: new Uint8Array(key), value }
        if (table === 'accounts') yield* this.#newCode(before, value)
      }
    }
  }

  all(height: number): Iterable<StateRow> | undefined {
    const above = this.#past(height, this.head()?.number ?? 0)
    return above && this.#allRows(above)
  }

  *#allRows(above: readonly Uint8Array[]): Iterable<StateRow> {
    const replaced = new Map<string, Replaced>()
    for (const record of above) {
      for (const entry of pastBelow(record, EMPTY_BYTES)) {
        const name = Buffer.from(entry.key).toString('latin1')
        if (!replaced.has(name)) replaced.set(name, entry)
      }
    }
    for (const table of ['accounts', 'storage', 'code'] as const) {
      for (const { key, value } of this.#tables[table].getRange()) {
        const name = Buffer.from(key).toString('latin1')
        if (table !== 'code' && replaced.has(name)) continue
        yield { table: TABLE_OF[table], key: new Uint8Array(key), value: new Uint8Array(value) }
      }
    }
    for (const { key, value } of replaced.values()) {
      const table: StateTable = key.length === ADDRESS_BYTES ? 'accounts' : 'storage'
      if (value.length > 0) yield { table: TABLE_OF[table], key, value }
    }
  }

  #valueOf(
    table: 'accounts' | 'storage',
    key: Uint8Array,
    above: readonly Uint8Array[],
  ): Uint8Array {
    for (const record of above) {
      const found = findPast(record, key)
      if (found !== undefined) return new Uint8Array(found)
    }
    return copied(this.#tables[table].get(Buffer.from(key))) ?? EMPTY_BYTES
  }

  /** The code of an account that got it since. */
  *#newCode(before: Uint8Array, after: Uint8Array): Iterable<StateRow> {
    const hash = after.length > 0 ? decodeAccount(after).codeHash : undefined
    if (hash === undefined || toHex(hash) === EMPTY_CODE_HASH_HEX) return
    if (before.length > 0 && toHex(decodeAccount(before).codeHash) === toHex(hash)) return
    const value = copied(this.#tables.code.get(Buffer.from(hash)))
    if (value !== undefined) yield { table: TABLE_OF.code, key: hash, value }
  }

  /** What the blocks above `from`, up to `to`, replaced, the lowest first. */
  #past(from: number, to: number): readonly Uint8Array[] | undefined {
    const records: Uint8Array[] = []
    for (let height = from + 1; height <= to; height++) {
      const record = copied(this.#tables.past.get(height))
      if (record === undefined) return undefined
      records.push(record)
    }
    return records
  }

  async close(): Promise<void> {
    await this.#tables.root.close()
  }
}
