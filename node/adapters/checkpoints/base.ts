/**
 * The oldest checkpoint, whole: rows in an LMDB environment of their own, each with a checksum. A newer one is folded into it in one
 * transaction. Of one that is being made from nothing its height is written last: before that it is none.
 */

import { mkdirSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { type Database, open, type RootDatabase } from 'lmdb'
import { damageOfFile } from '../disk/index.ts'
import { type CheckpointMeta, ROW_TABLE, type Row } from './rows.ts'

const META = 'checkpoint'
const CHECKSUM_BYTES = 4
const BATCH_ROWS = 8_192
/** Hashes of blocks that the EVM may ask for; of others than these and block 0 nobody does. */
const KEPT_HASHES = 256

export class Base {
  readonly #root: RootDatabase
  readonly #meta: Database<CheckpointMeta, string>
  readonly #rows: Database<Buffer, Buffer>

  private constructor(path: string, mode: 'read' | 'write') {
    this.#root = open({ path, maxDbs: 4, overlappingSync: false, readOnly: mode === 'read' })
    this.#meta = this.#root.openDB({ name: 'meta', encoding: 'json' })
    this.#rows = this.#root.openDB({ name: 'rows', encoding: 'binary', keyEncoding: 'binary' })
  }

  /** Throws where the file is damaged. */
  static open(path: string, mode: 'read' | 'write'): Base {
    if (mode === 'write') mkdirSync(path, { recursive: true, mode: 0o700 })
    const damage = damageOfFile(path)
    if (damage !== undefined) throw new Error(damage)
    return new Base(path, mode)
  }

  /** Undefined: there is none yet. */
  meta(): CheckpointMeta | undefined {
    return this.#meta.get(META)
  }

  /** Begins anew; `rows` may be many. */
  fill(meta: CheckpointMeta, rows: Iterable<Row>): void {
    this.#root.transactionSync(() => {
      this.#meta.removeSync(META)
      this.#rows.clearSync()
    })
    let batch: Row[] = []
    for (const row of rows) {
      batch.push(row)
      if (batch.length < BATCH_ROWS) continue
      this.#commit(batch)
      batch = []
    }
    this.#commit(batch, meta)
  }

  /** What a later checkpoint changed comes in, all of it or nothing. */
  fold(meta: CheckpointMeta, rows: Iterable<Row>): void {
    this.#commit(rows, meta)
  }

  #commit(rows: Iterable<Row>, meta?: CheckpointMeta): void {
    this.#root.transactionSync(() => {
      for (const row of rows) this.#put(row)
      if (meta === undefined) return
      this.#dropHashes(meta.height)
      this.#meta.putSync(META, meta)
    })
  }

  #put({ table, key, value }: Row): void {
    const place = Buffer.concat([Buffer.of(table), key])
    if (value.length === 0) this.#rows.removeSync(place)
    else this.#rows.putSync(place, sealed(place, value))
  }

  #dropHashes(height: number): void {
    const start = hashKey(1)
    const end = hashKey(Math.max(1, height - KEPT_HASHES + 1))
    for (const old of [...this.#rows.getKeys({ start, end })]) this.#rows.removeSync(old)
  }

  /** Those of one table. Throws at a row that is not what was written. */
  *rows(table: number): Iterable<Row> {
    const range = { start: Buffer.of(table), end: Buffer.of(table + 1) }
    for (const { key, value } of this.#rows.getRange(range)) {
      const bytes = opened(key, value)
      if (bytes === undefined) throw new Error(`row ${key.toString('hex')} has a wrong checksum`)
      yield { table, key: new Uint8Array(key.subarray(1)), value: bytes }
    }
  }

  async close(): Promise<void> {
    await this.#root.close()
  }
}

function hashKey(height: number): Buffer {
  const key = Buffer.alloc(5)
  key[0] = ROW_TABLE.hashes
  key.writeUInt32BE(height, 1)
  return key
}

/** Over the key as well: a row under another one does not pass. */
function sealed(key: Buffer, value: Uint8Array): Buffer {
  const checksum = Buffer.alloc(CHECKSUM_BYTES)
  checksum.writeUInt32BE(crc32(value, crc32(key)))
  return Buffer.concat([checksum, value])
}

function opened(key: Buffer, record: Buffer): Uint8Array | undefined {
  if (record.length < CHECKSUM_BYTES) return undefined
  const value = new Uint8Array(record.subarray(CHECKSUM_BYTES))
  return record.readUInt32BE(0) === crc32(value, crc32(key)) ? value : undefined
}
