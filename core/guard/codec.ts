/**
 * The guard file's bytes (protocol §2.8, T5), as README.md documents them. Integers are big endian.
 *
 *   header  "MRGUARD\0" · version u32 · owner 32 bytes · checksum 8 bytes of the 44 before it
 *   record  "GREC" · payload length u32 · checksum 8 bytes · payload
 *   payload kind u8 · fields of the kind, see `encodePayload`; a seal has none
 *
 * A checksum is the first 8 bytes of a tagged hash of owner, file offset, length and payload: bytes of a block that look
 * like a record, or a record that was moved, do not pass for one. A seal says that all before it was synced when it was
 * written: a bad record with a seal behind it is damage, one without was torn by a crash before anything was signed on it.
 */
import { concatBytes, equalBytes, taggedHash, uint32be, uint64be } from '../../crypto/index.ts'
import { decodeCertificate, encodeCertificate, MAX_BLOCK_BYTES } from '../block/index.ts'
import { assertNever, err, ok, type Result } from '../params/index.ts'
import { EMPTY_GUARD, foldGuard, type GuardEntry, type GuardView } from './rules.ts'

export const GUARD_VERSION = 2
const MAGIC = Uint8Array.from([0x4d, 0x52, 0x47, 0x55, 0x41, 0x52, 0x44, 0])
const MARKER = Uint8Array.from([0x47, 0x52, 0x45, 0x43])
const CHECKSUM_BYTES = 8
const HEADER_BYTES = MAGIC.length + 4 + 32 + CHECKSUM_BYTES
const RECORD_HEAD_BYTES = MARKER.length + 4 + CHECKSUM_BYTES
const MAX_PAYLOAD_BYTES = MAX_BLOCK_BYTES + 4096

export type GuardFileError =
  /** Not a guard file, or not this version. */
  | { readonly code: 'GuardUnreadable'; readonly reason: string }
  /** Of another chain or key. */
  | { readonly code: 'GuardForeign' }
  /** A record that was synced cannot be read: nothing may be signed on this file. */
  | { readonly code: 'GuardDamaged'; readonly offset: number }

export interface GuardFile {
  readonly view: GuardView
  /** All records in order, seals left out. */
  readonly entries: readonly GuardEntry[]
  /** Bytes to keep: what follows is a torn record. 0: there is no file yet. */
  readonly goodBytes: number
}

/** Whose guard a file is: one key on one chain. */
export function guardOwner(genesisHash: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return taggedHash('millrace/guard-owner', genesisHash, publicKey)
}

export function encodeGuardHeader(owner: Uint8Array): Uint8Array {
  const head = concatBytes(MAGIC, uint32be(GUARD_VERSION), owner)
  return concatBytes(head, taggedHash('millrace/guard-header', head).subarray(0, CHECKSUM_BYTES))
}

/** The record's bytes for the place `offset` of the file. */
export function encodeGuardEntry(owner: Uint8Array, offset: number, entry: GuardEntry): Uint8Array {
  return encodeRecord(owner, offset, encodePayload(entry))
}

function encodeRecord(owner: Uint8Array, offset: number, payload: Uint8Array): Uint8Array {
  const sum = checksum(owner, offset, payload)
  return concatBytes(MARKER, uint32be(payload.length), sum, payload)
}

/** Written behind a record that is durable. */
export function encodeGuardSeal(owner: Uint8Array, offset: number): Uint8Array {
  return encodeRecord(owner, offset, Uint8Array.of(KINDS.indexOf('seal')))
}

/** A whole file that holds `entries`, and is to be synced before it takes its place. */
export function encodeGuardFile(owner: Uint8Array, entries: readonly GuardEntry[]): Uint8Array {
  const parts = [encodeGuardHeader(owner)]
  let offset = HEADER_BYTES
  for (const entry of entries) {
    const part = encodeGuardEntry(owner, offset, entry)
    parts.push(part)
    offset += part.length
  }
  return concatBytes(...parts, encodeGuardSeal(owner, offset))
}

/** Whose file it is, by its own header. */
export function guardFileOwner(bytes: Uint8Array): Result<Uint8Array, GuardFileError> {
  const owner = Uint8Array.from(bytes.subarray(MAGIC.length + 4, MAGIC.length + 36))
  const intact = equalBytes(bytes.subarray(0, HEADER_BYTES), encodeGuardHeader(owner))
  return intact ? ok(owner) : err(explainHeader(bytes))
}

/** Reads a guard file. Total: any bytes give what they fold to, or the reason why nothing may be signed on them. */
export function decodeGuardFile(
  owner: Uint8Array,
  bytes: Uint8Array,
): Result<GuardFile, GuardFileError> {
  if (bytes.length === 0) return ok({ view: EMPTY_GUARD, entries: [], goodBytes: 0 })
  const header = encodeGuardHeader(owner)
  if (!equalBytes(bytes.subarray(0, HEADER_BYTES), header)) return err(explainHeader(bytes))
  return decodeGuardRecords(owner, bytes, {
    view: EMPTY_GUARD,
    entries: [],
    goodBytes: HEADER_BYTES,
  })
}

/** Reads on where `before`, the good bytes of the same file when it was shorter, ends. Total. */
export function decodeGuardRecords(
  owner: Uint8Array,
  bytes: Uint8Array,
  before: GuardFile,
): Result<GuardFile, GuardFileError> {
  let { view, goodBytes: offset } = before
  const entries = [...before.entries]
  while (offset < bytes.length) {
    const record = readRecord(owner, bytes, offset)
    if (record === undefined) break
    if (record.entry !== 'seal') {
      view = foldGuard(view, record.entry)
      entries.push(record.entry)
    }
    offset = record.end
  }
  if (offset < bytes.length && hasSealAfter(owner, bytes, offset + 1)) {
    return err({ code: 'GuardDamaged', offset })
  }
  return ok({ view, entries, goodBytes: offset })
}

function explainHeader(bytes: Uint8Array): GuardFileError {
  if (!equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) {
    return { code: 'GuardUnreadable', reason: 'not a guard file' }
  }
  const version = bytes.subarray(MAGIC.length, MAGIC.length + 4)
  if (!equalBytes(version, uint32be(GUARD_VERSION))) {
    return { code: 'GuardUnreadable', reason: 'written by another version' }
  }
  // A file takes its place whole: no crash leaves one that ends here.
  if (bytes.length < HEADER_BYTES) {
    return { code: 'GuardUnreadable', reason: 'the file ends within its header' }
  }
  const owner = bytes.subarray(MAGIC.length + 4, MAGIC.length + 36)
  const intact = equalBytes(bytes.subarray(0, HEADER_BYTES), encodeGuardHeader(owner))
  return intact
    ? { code: 'GuardForeign' }
    : { code: 'GuardUnreadable', reason: 'the header is damaged' }
}

function checksum(owner: Uint8Array, offset: number, payload: Uint8Array): Uint8Array {
  const place = concatBytes(uint64be(offset), uint32be(payload.length))
  return taggedHash('millrace/guard-record', owner, place, payload).subarray(0, CHECKSUM_BYTES)
}

function readRecord(
  owner: Uint8Array,
  bytes: Uint8Array,
  offset: number,
): { entry: GuardEntry | 'seal'; end: number } | undefined {
  const start = offset + RECORD_HEAD_BYTES
  if (start > bytes.length) return undefined
  if (!equalBytes(bytes.subarray(offset, offset + MARKER.length), MARKER)) return undefined
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset + MARKER.length)
  const end = start + length
  if (length > MAX_PAYLOAD_BYTES || end > bytes.length) return undefined
  const payload = bytes.subarray(start, end)
  const sum = bytes.subarray(start - CHECKSUM_BYTES, start)
  if (!equalBytes(sum, checksum(owner, offset, payload))) return undefined
  const entry = decodePayload(payload)
  return entry && { entry, end }
}

function hasSealAfter(owner: Uint8Array, bytes: Uint8Array, from: number): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = buffer.indexOf(MARKER, from); at >= 0; at = buffer.indexOf(MARKER, at + 1)) {
    if (readRecord(owner, bytes, at)?.entry === 'seal') return true
  }
  return false
}

const KINDS = ['floor', 'block', 'propose', 'prepare', 'commit', 'viewChange', 'seal'] as const

function encodePayload(entry: GuardEntry): Uint8Array {
  const kind = Uint8Array.of(KINDS.indexOf(entry.kind))
  switch (entry.kind) {
    case 'floor':
      // The slot is shifted by one: -1 says none.
      return concatBytes(kind, uint64be(entry.floor), uint64be(entry.slot + 1))
    case 'block':
      return concatBytes(kind, uint64be(entry.height), entry.hash, sized(entry.block))
    case 'propose': {
      const fresh = Uint8Array.of(entry.fresh ? 1 : 0)
      return concatBytes(
        kind,
        at(entry),
        uint64be(entry.slot),
        entry.hash,
        fresh,
        sized(entry.bytes),
      )
    }
    case 'prepare':
      return concatBytes(kind, at(entry), entry.hash, sized(entry.block))
    case 'commit': {
      const certificate = sized(encodeCertificate(entry.certificate))
      return concatBytes(kind, at(entry), entry.hash, certificate, sized(entry.block))
    }
    case 'viewChange': {
      const { certificate } = entry
      const bytes = certificate === undefined ? new Uint8Array(0) : encodeCertificate(certificate)
      return concatBytes(kind, at(entry), sized(bytes))
    }
    default:
      return assertNever(entry)
  }
}

function at({ height, view }: { readonly height: number; readonly view: number }): Uint8Array {
  return concatBytes(uint64be(height), uint64be(view))
}

function sized(bytes: Uint8Array): Uint8Array {
  return concatBytes(uint32be(bytes.length), bytes)
}

/** Reads fields in order; `failed` once one of them does not fit. */
class Reader {
  failed = false
  #offset = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  take(length: number): Uint8Array {
    const end = this.#offset + length
    if (end > this.#bytes.length) {
      this.failed = true
      return new Uint8Array(length > 64 ? 0 : length)
    }
    const taken = Uint8Array.from(this.#bytes.subarray(this.#offset, end))
    this.#offset = end
    return taken
  }

  uint(length: 1 | 4 | 8): number {
    let value = 0
    for (const byte of this.take(length)) value = value * 256 + byte
    if (!Number.isSafeInteger(value)) this.failed = true
    return value
  }

  sized(): Uint8Array {
    return this.take(this.uint(4))
  }

  certificate() {
    const decoded = decodeCertificate(this.sized())
    if (!decoded.ok) this.failed = true
    return decoded.ok ? decoded.value : undefined
  }

  get whole(): boolean {
    return !this.failed && this.#offset === this.#bytes.length
  }
}

function decodePayload(payload: Uint8Array): GuardEntry | 'seal' | undefined {
  const reader = new Reader(payload)
  const entry = readEntry(reader)
  return reader.whole ? entry : undefined
}

function readEntry(reader: Reader): GuardEntry | 'seal' | undefined {
  const kind = KINDS[reader.uint(1)]
  if (kind === undefined || kind === 'seal') return kind
  if (kind === 'floor') return { kind, floor: reader.uint(8), slot: reader.uint(8) - 1 }
  const height = reader.uint(8)
  if (kind === 'block') return { kind, height, hash: reader.take(32), block: reader.sized() }
  const view = reader.uint(8)
  if (kind === 'viewChange') return readViewChange(reader, height, view)
  if (kind === 'propose') {
    const slot = reader.uint(8)
    const hash = reader.take(32)
    const fresh = reader.uint(1) === 1
    return { kind, height, view, slot, hash, fresh, bytes: reader.sized() }
  }
  const hash = reader.take(32)
  if (kind === 'prepare') return { kind, height, view, hash, block: reader.sized() }
  const certificate = reader.certificate()
  const block = reader.sized()
  return certificate && { kind, height, view, hash, certificate, block }
}

function readViewChange(reader: Reader, height: number, view: number): GuardEntry {
  const bytes = reader.sized()
  const decoded = bytes.length === 0 ? undefined : decodeCertificate(bytes)
  if (decoded !== undefined && !decoded.ok) reader.failed = true
  const certificate = decoded?.ok ? decoded.value : undefined
  return { kind: 'viewChange', height, view, certificate }
}
