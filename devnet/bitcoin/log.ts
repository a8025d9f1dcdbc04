/**
 * The append log of a regtest's data directory: what happened to its chain, in order. A record is
 * length ‖ checksum ‖ kind ‖ body, fsynced before the call returns. A torn or corrupt tail is cut at opening:
 * what follows the first bad record was never acknowledged.
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

export function openLog(path: string): OpenedLog {
  const file = openSync(path, 'a+', 0o600)
  const content = readFileSync(file)
  const { records, length } = readRecords(content)
  if (length < content.length) {
    ftruncateSync(file, length)
    fsyncSync(file)
  }
  const log: BlockLog = {
    append: (record) => {
      writeAll(file, encodeRecord(record))
      fsyncSync(file)
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

/** The whole records at the front of a log's content, and how many bytes they take. */
export function readRecords(content: Uint8Array): { records: LogRecord[]; length: number } {
  const buffer = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  const records: LogRecord[] = []
  let at = 0
  while (at + HEAD_BYTES < buffer.length) {
    const length = buffer.readUInt32LE(at)
    const payload = buffer.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)
    const kind = KINDS[payload[0] ?? KINDS.length]
    if (length > MAX_RECORD_BYTES || payload.length !== length || kind === undefined) break
    if (!checksum(payload).equals(buffer.subarray(at + 4, at + HEAD_BYTES))) break
    records.push({ kind, body: Uint8Array.from(payload.subarray(1)) })
    at += HEAD_BYTES + length
  }
  return { records, length: at }
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, 4)
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}
