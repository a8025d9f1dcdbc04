/**
 * The backup's file: a header that anybody may read, then encrypted chunks (`crypto/sealed-stream.ts`) of named files one after another.
 *
 *   "MRBACKUP" · version u32 · header length u32 · header (JSON) · chunks: length u32 · sealed bytes
 *   inside: per file name length u16 · name · size u64 · bytes
 *
 * Integers are big endian. A file is written beside its place, synced and renamed: it is whole or not there.
 */
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  CHUNK_OVERHEAD_BYTES,
  fromHex,
  openChunk,
  STREAM_PREFIX_BYTES,
  STREAM_SALT_BYTES,
  type StreamKey,
  sealChunk,
  streamKey,
  toHex,
} from '../../crypto/index.ts'

const MAGIC = Buffer.from('MRBACKUP')
const VERSION = 1
const CHUNK_BYTES = 1024 * 1024
const MAX_HEADER_BYTES = 64 * 1024
const MAX_NAME_BYTES = 255

/** What anybody may read of a backup. */
export interface BackupHeader {
  readonly chain: string
  readonly genesisHash: string
  readonly createdAtMs: number
  readonly headHeight: number
  readonly headSlot: number
}

export interface ArchivedFile {
  readonly name: string
  readonly path: string
}

export class ArchiveFault extends Error {
  readonly code: 'NotABackup' | 'BackupLocked' | 'BackupDamaged'

  constructor(code: ArchiveFault['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** Writes `files` to `out`; `random` gives fresh random bytes. Resolves when it is durable, to its size. */
export async function writeArchive(
  out: string,
  header: BackupHeader,
  files: readonly ArchivedFile[],
  password: string,
  random: (length: number) => Uint8Array,
): Promise<number> {
  const [salt, prefix] = [random(STREAM_SALT_BYTES), random(STREAM_PREFIX_BYTES)]
  const json = JSON.stringify({ ...header, salt: toHex(salt), prefix: toHex(prefix) })
  const text = Buffer.from(json)
  const stream: StreamKey = { key: streamKey(password, salt), prefix, header: text }
  const part = `${out}.part`
  const target = await open(part, 'w', 0o600)
  try {
    await target.write(Buffer.concat([MAGIC, uint32(VERSION), uint32(text.length), text]))
    let index = 0
    let waiting: Buffer | undefined
    const seal = async (chunk: Buffer, isLast: boolean) => {
      const sealed = sealChunk(stream, index++, isLast, chunk)
      await target.write(Buffer.concat([uint32(sealed.length), sealed]))
    }
    // One chunk is held back: only the last one is sealed as such.
    for await (const chunk of chunksOf(files)) {
      if (waiting !== undefined) await seal(waiting, false)
      waiting = chunk
    }
    await seal(waiting ?? Buffer.alloc(0), true)
    await target.sync()
  } catch (error) {
    await target.close()
    await rm(part, { force: true })
    throw error
  }
  await target.close()
  await rename(part, out)
  const directory = await open(dirname(out), 'r')
  await directory.sync()
  await directory.close()
  return (await stat(out)).size
}

async function* chunksOf(files: readonly ArchivedFile[]): AsyncIterable<Buffer> {
  let held: Buffer[] = []
  let bytes = 0
  for await (const piece of piecesOf(files)) {
    held.push(piece)
    bytes += piece.length
    if (bytes < CHUNK_BYTES) continue
    yield Buffer.concat(held)
    held = []
    bytes = 0
  }
  if (bytes > 0) yield Buffer.concat(held)
}

async function* piecesOf(files: readonly ArchivedFile[]): AsyncIterable<Buffer> {
  for (const { name, path } of files) {
    const source = await open(path, 'r')
    try {
      const { size } = await source.stat()
      const label = Buffer.from(name)
      const head = Buffer.alloc(2 + label.length + 8)
      head.writeUInt16BE(label.length)
      label.copy(head, 2)
      head.writeBigUInt64BE(BigInt(size), 2 + label.length)
      yield head
      // What is appended meanwhile is no part of it.
      for (let at = 0; at < size; ) {
        const piece = Buffer.alloc(Math.min(CHUNK_BYTES, size - at))
        const { bytesRead } = await source.read(piece, 0, piece.length, at)
        if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`)
        at += bytesRead
        yield piece.subarray(0, bytesRead)
      }
    } finally {
      await source.close()
    }
  }
}

/** What is said in clear. Throws an `ArchiveFault` on anything that is no backup. */
export async function readHeader(path: string): Promise<BackupHeader> {
  const source = await open(path, 'r')
  try {
    return (await headerOf(source)).header
  } finally {
    await source.close()
  }
}

async function headerOf(source: FileHandle) {
  const start = await take(source, 0, MAGIC.length + 8)
  const length = start.readUInt32BE(MAGIC.length + 4)
  const known = start.subarray(0, MAGIC.length).equals(MAGIC)
  if (!known || length > MAX_HEADER_BYTES) throw new ArchiveFault('NotABackup', 'it is no backup')
  if (start.readUInt32BE(MAGIC.length) !== VERSION) {
    throw new ArchiveFault('NotABackup', 'it was written by another version of the program')
  }
  const text = await take(source, start.length, length)
  const header = JSON.parse(text.toString()) as BackupHeader & { salt: string; prefix: string }
  return { header, text, end: start.length + length }
}

/** Hands the files over in order, piece by piece; everything handed over was authenticated. */
export async function readArchive(
  path: string,
  password: string,
  into: (name: string, piece: Uint8Array, isLast: boolean) => Promise<void>,
): Promise<BackupHeader> {
  const source = await open(path, 'r')
  try {
    const { header, text, end } = await headerOf(source)
    const [salt, prefix] = [fromHex(header.salt), fromHex(header.prefix)]
    if (salt === undefined || prefix?.length !== STREAM_PREFIX_BYTES) {
      throw new ArchiveFault('NotABackup', 'its header is damaged')
    }
    const stream: StreamKey = { key: streamKey(password, salt), prefix, header: text }
    const unpacker = new Unpacker(into)
    const { size } = await source.stat()
    for (let [at, index] = [end, 0]; ; index++) {
      const length = (await take(source, at, 4)).readUInt32BE()
      if (length > 2 * CHUNK_BYTES + CHUNK_OVERHEAD_BYTES + MAX_NAME_BYTES + 10) {
        throw new ArchiveFault('BackupDamaged', 'a chunk is too long')
      }
      const sealed = await take(source, at + 4, length)
      at += 4 + length
      const chunk = openChunk(stream, index, at === size, sealed)
      if (chunk === undefined) {
        throw index === 0
          ? new ArchiveFault('BackupLocked', 'the password is another one, or the file was changed')
          : new ArchiveFault('BackupDamaged', `chunk ${index} was changed, or the end is missing`)
      }
      await unpacker.push(Buffer.from(chunk))
      if (at === size) break
    }
    unpacker.end()
    return header
  } finally {
    await source.close()
  }
}

/** Cuts the plaintext into files. */
class Unpacker {
  readonly #into: (name: string, piece: Uint8Array, isLast: boolean) => Promise<void>
  #held: Buffer = Buffer.alloc(0)
  #file: { readonly name: string; left: number } | undefined

  constructor(into: (name: string, piece: Uint8Array, isLast: boolean) => Promise<void>) {
    this.#into = into
  }

  async push(chunk: Buffer): Promise<void> {
    this.#held = Buffer.concat([this.#held, chunk])
    for (;;) {
      this.#file ??= this.#nextFile()
      if (this.#file === undefined) return
      const piece = this.#held.subarray(0, this.#file.left)
      this.#file.left -= piece.length
      this.#held = this.#held.subarray(piece.length)
      const isLast = this.#file.left === 0
      await this.#into(this.#file.name, piece, isLast)
      if (!isLast) return
      this.#file = undefined
    }
  }

  #nextFile(): { readonly name: string; left: number } | undefined {
    if (this.#held.length < 2) return undefined
    const nameEnd = 2 + this.#held.readUInt16BE()
    if (this.#held.length < nameEnd + 8) return undefined
    const name = this.#held.subarray(2, nameEnd).toString()
    const left = Number(this.#held.readBigUInt64BE(nameEnd))
    this.#held = this.#held.subarray(nameEnd + 8)
    return { name, left }
  }

  end(): void {
    if (this.#file === undefined && this.#held.length === 0) return
    throw new ArchiveFault('BackupDamaged', 'it ends within a file')
  }
}

async function take(source: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let read = 0
  while (read < length) {
    const { bytesRead } = await source.read(bytes, read, length - read, position + read)
    if (bytesRead === 0) throw new ArchiveFault('BackupDamaged', 'its end is missing')
    read += bytesRead
  }
  return bytes
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
