/**
 * A checkpoint as a file: what changed since the checkpoint before it. SHA-256 over all of it stands at its end; it gets its name when
 * all of it is on disk, so that a crash leaves it or nothing.
 */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DeltaMeta, Row } from './rows.ts'

const MAGIC = Buffer.from('millrace checkpoint 1\n')
const DIGEST_BYTES = 32
/** [u8 table][u16 key length][u32 value length], then both. */
const ROW_HEAD_BYTES = 7
const CHUNK_BYTES = 1024 * 1024
const MAX_META_BYTES = 4_096

/** Replaces what is at `path`; durable when it returns. Gives the bytes of the file. */
export function writeDelta(path: string, meta: DeltaMeta, rows: Iterable<Row>): number {
  const part = `${path}.part`
  const file = openSync(part, 'w', 0o600)
  let sizeBytes = 0
  try {
    const out = new HashedOutput(file)
    const head = Buffer.from(JSON.stringify(meta))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(head.length)
    for (const bytes of [MAGIC, length, head]) out.put(bytes)
    for (const { table, key, value } of rows) {
      const rowHead = Buffer.alloc(ROW_HEAD_BYTES)
      rowHead[0] = table
      rowHead.writeUInt16BE(key.length, 1)
      rowHead.writeUInt32BE(value.length, 3)
      for (const bytes of [rowHead, key, value]) out.put(bytes)
    }
    sizeBytes = out.end()
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(part, path)
  syncDirectory(dirname(path))
  return sizeBytes
}

export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/** What the file says of itself, without a look at the rest; undefined when it is none of ours. */
export function readDeltaMeta(path: string): DeltaMeta | undefined {
  const file = openSync(path, 'r')
  try {
    return metaOf(file)?.meta
  } finally {
    closeSync(file)
  }
}

/** Whether all of the file is what was written. */
export function isWhole(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (metaOf(file) === undefined || size < DIGEST_BYTES) return false
    const hash = createHash('sha256')
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (let at = 0; at < size - DIGEST_BYTES; ) {
      const length = Math.min(CHUNK_BYTES, size - DIGEST_BYTES - at)
      const read = readSync(file, chunk, 0, length, at)
      if (read === 0) return false
      hash.update(chunk.subarray(0, read))
      at += read
    }
    const digest = Buffer.alloc(DIGEST_BYTES)
    readSync(file, digest, 0, DIGEST_BYTES, size - DIGEST_BYTES)
    return hash.digest().equals(digest)
  } finally {
    closeSync(file)
  }
}

/** The rows of a file that is whole; of one table, or all. */
export function* readDeltaRows(path: string, only?: number): Iterable<Row> {
  const file = openSync(path, 'r')
  try {
    const start = metaOf(file)?.end
    if (start === undefined) throw new Error(`${path} is no checkpoint`)
    const end = fstatSync(file).size - DIGEST_BYTES
    const input = new Input(file, start, end)
    for (let head = input.take(ROW_HEAD_BYTES); head !== undefined; ) {
      const table = head.readUInt8(0)
      const [keyBytes, valueBytes] = [head.readUInt16BE(1), head.readUInt32BE(3)]
      const [key, value] = [input.take(keyBytes), input.take(valueBytes)]
      if (key === undefined || value === undefined) throw new Error(`${path} is cut off`)
      if (only === undefined || only === table) {
        yield { table, key: new Uint8Array(key), value: new Uint8Array(value) }
      }
      head = input.take(ROW_HEAD_BYTES)
    }
  } finally {
    closeSync(file)
  }
}

function metaOf(file: number): { readonly meta: DeltaMeta; readonly end: number } | undefined {
  const head = Buffer.alloc(MAGIC.length + 4)
  if (readSync(file, head, 0, head.length, 0) < head.length) return undefined
  const length = head.readUInt32BE(MAGIC.length)
  if (!head.subarray(0, MAGIC.length).equals(MAGIC) || length > MAX_META_BYTES) return undefined
  const text = Buffer.alloc(length)
  if (readSync(file, text, 0, length, head.length) < length) return undefined
  try {
    const meta = JSON.parse(text.toString('utf8')) as DeltaMeta
    const heights = [meta.from, meta.height].every(Number.isSafeInteger)
    return heights ? { meta, end: head.length + length } : undefined
  } catch {
    return undefined
  }
}

/** Writes in large pieces, with the digest of all at the end. */
class HashedOutput {
  readonly #file: number
  readonly #hash: Hash = createHash('sha256')
  readonly #buffer = Buffer.alloc(CHUNK_BYTES)
  #used = 0
  #written = 0

  constructor(file: number) {
    this.#file = file
  }

  put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === CHUNK_BYTES) this.#flush()
      const length = Math.min(bytes.length - at, CHUNK_BYTES - this.#used)
      this.#buffer.set(bytes.subarray(at, at + length), this.#used)
      this.#used += length
      at += length
    }
  }

  end(): number {
    this.#flush()
    this.#write(this.#hash.digest())
    return this.#written
  }

  #flush(): void {
    const piece = this.#buffer.subarray(0, this.#used)
    this.#hash.update(piece)
    this.#write(piece)
    this.#used = 0
  }

  #write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) at += writeSync(this.#file, piece, at)
    this.#written += piece.length
  }
}

/** Reads in large pieces. */
class Input {
  readonly #file: number
  readonly #end: number
  #position: number
  #buffer = Buffer.alloc(0)

  constructor(file: number, start: number, end: number) {
    this.#file = file
    this.#position = start
    this.#end = end
  }

  /** Undefined: there are not so many left. */
  take(length: number): Buffer | undefined {
    if (this.#buffer.length < length) {
      const left = this.#end - this.#position
      const wanted = Math.min(left, Math.max(CHUNK_BYTES, length - this.#buffer.length))
      const piece = Buffer.alloc(wanted)
      const read = readSync(this.#file, piece, 0, wanted, this.#position)
      this.#position += read
      this.#buffer = Buffer.concat([this.#buffer, piece.subarray(0, read)])
    }
    if (this.#buffer.length < length) return undefined
    const taken = this.#buffer.subarray(0, length)
    this.#buffer = this.#buffer.subarray(length)
    return taken
  }
}
