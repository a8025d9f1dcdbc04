/**
 * The append log of a regtest's data directory: what happened to its chain, in order. A record is
 * length ‖ checksum ‖ kind ‖ body, fsynced before the call returns. A torn last record is cut at opening: it was never
 * acknowledged. Damage before the end is an error.
 */
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'

/** A block that came in, or the hash of one that was invalidated or reconsidered. */
export type LogRecord = {
  readonly kind: 'block' | 'invalidate' | 'reconsider'
  readonly body: Uint8Array
}

export interface BlockLog {
  append(record: LogRecord): void
  close(): void
}

export interface OpenedLog {
  readonly log: BlockLog
  readonly records: readonly LogRecord[]
  /** Bytes that were cut from the end because no whole record stood there. */
  readonly cutBytes: number
}

const KINDS = ['block', 'invalidate', 'reconsider'] as const
const HEAD_BYTES = 8
const MAX_RECORD_BYTES = 4_000_001

/** Throws where the file cannot be read or written, or is damaged before its last record. */
export function openLog(path: string): OpenedLog {
  const file = openSync(path, 'a+', 0o600)
  const content = readFileSync(file)
  const { records, length, damaged } = readRecords(content)
  if (damaged) throw new Error(`${path} is damaged at byte ${length}`)
  let size = length
  const cut = () => {
    ftruncateSync(file, size)
    fsyncSync(file)
  }
  if (length < content.length) cut()
  const log: BlockLog = {
    append: (record) => {
      const bytes = encodeRecord(record)
      try {
        writeAll(file, bytes)
        fsyncSync(file)
        size += bytes.length
      } catch (error) {
        cut()
        throw error
      }
    },
    close: () => closeSync(file),
  }
  return { log, records, cutBytes: content.length - length }
}

export function encodeRecord({ kind, body }: LogRecord): Uint8Array {
  const record = Buffer.alloc(HEAD_BYTES + 1 + body.length)
  record[HEAD_BYTES] = KINDS.indexOf(kind)
  record.set(body, HEAD_BYTES + 1)
  record.writeUInt32LE(record.length - HEAD_BYTES, 0)
  checksum(record.subarray(HEAD_BYTES)).copy(record, 4)
  return record
}

/** The whole records at the front of a log's content and their bytes; damaged: more follows a bad record. */
export function readRecords(content: Uint8Array): {
  records: LogRecord[]
  length: number
  damaged: boolean
} {
  const buffer = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  const records: LogRecord[] = []
  let at = 0
  while (at + HEAD_BYTES < buffer.length) {
    const length = buffer.readUInt32LE(at)
    const payload = buffer.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)
    const kind = KINDS[payload[0] ?? KINDS.length]
    const whole = length <= MAX_RECORD_BYTES && payload.length === length
    const sound = kind !== undefined && checksum(payload).equals(buffer.subarray(at + 4, at + 8))
    if (!whole || !sound) {
      return { records, length: at, damaged: whole && at + HEAD_BYTES + length < buffer.length }
    }
    records.push({ kind, body: Uint8Array.from(payload.subarray(1)) })
    at += HEAD_BYTES + length
  }
  return { records, length: at, damaged: false }
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, 4)
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}
