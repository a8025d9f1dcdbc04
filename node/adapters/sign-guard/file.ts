/** The file under the sign guard: what the guard needs of a disk, and the real one. */
import { type FileHandle, open, readFile, rename, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { diskFault } from '../disk/index.ts'

/**
 * One process holds it. What was written is durable once `sync` resolved, not before; any part of it may be. The real one rejects with
 * `DiskUnusable` where the disk is full, broken or read-only.
 */
export interface SignGuardFile {
  /** All of it; empty when there is none. */
  read(): Promise<Uint8Array>
  truncate(sizeBytes: number): Promise<void>
  write(bytes: Uint8Array, position: number): Promise<void>
  sync(): Promise<void>
  /** Other contents take the place of the old ones: durable when it resolves, and never halves of both. */
  replace(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

export function signGuardFile(path: string): SignGuardFile {
  let handle: FileHandle | undefined

  async function held(): Promise<FileHandle> {
    handle ??= await open(path, 'r+')
    return handle
  }

  async function close(): Promise<void> {
    await handle?.close()
    handle = undefined
  }

  return {
    async read() {
      const bytes = await readGuardFile(path)
      // A file takes its place whole: an empty one was emptied by something else, and what it knew is lost.
      if (bytes?.length === 0) throw new Error('the file is empty')
      return bytes ?? new Uint8Array(0)
    },
    truncate: (sizeBytes) => onDisk(path, () => truncate(path, sizeBytes)),
    write: (bytes, position) => {
      return onDisk(path, async () => writeAll(await held(), bytes, position))
    },
    sync: () => onDisk(path, async () => (await held()).datasync()),
    async replace(bytes) {
      await onDisk(path, () => replaceFile(path, bytes))
      // The handle is of the file that was replaced.
      await close()
    },
    close,
  }
}

async function onDisk(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (cause) {
    throw await diskFault(cause, dirname(path))
  }
}

/** The file's bytes, for whoever only looks; undefined when there is none. */
export async function readGuardFile(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const next = `${path}.next`
  const file = await open(next, 'w', 0o600)
  try {
    await writeAll(file, bytes, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(next, path)
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const length = bytes.length - written
    const { bytesWritten } = await file.write(bytes, written, length, position + written)
    written += bytesWritten
  }
}
