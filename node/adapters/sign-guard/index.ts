/**
 * The sign guard's file (protocol §2.8, BP-4, BF-10): append-only, synced before anything is signed. What may be signed
 * and how the bytes look is core's (`core/pbft`: guard, guard-codec); here is only the order of writes.
 *
 * A torn tail is cut at open (T5). Once a height is committed its records are dead; when enough of them lie about, the
 * live ones are written to a new file that takes the old one's place. After a failed write nothing is signed until the
 * file is opened again.
 */
import { type FileHandle, open, readFile, rename, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { err, ok, type Result } from '../../../core/params/index.ts'
import {
  decideGuard,
  decodeGuardFile,
  encodeGuardEntry,
  encodeGuardFile,
  foldGuard,
  type GuardDecision,
  type GuardEntry,
  type GuardFileError,
  type GuardRecord,
  type GuardView,
  guardEntries,
  guardOwner,
  startFloor,
} from '../../../core/pbft/index.ts'

export interface SignGuard {
  /** What all durable records add up to. */
  view(): GuardView
  /**
   * Resolves once the record is durable, or stands there already. On a refusal nothing is written and nothing may be
   * signed. Rejects when the disk fails.
   */
  append(record: GuardRecord): Promise<GuardDecision>
  /** Closes all heights up to `committedHeight`. To be called after each commit that is durable, synced blocks included. */
  compact(committedHeight: number): Promise<void>
  /** Waits for what is being written. */
  close(): Promise<void>
}

export interface SignGuardOptions {
  readonly path: string
  readonly genesisHash: Uint8Array
  /** The key that the guard stands before. */
  readonly publicKey: Uint8Array
  /** The chain's highest durable height: a guard that is older than the chain leaves the next height out. */
  readonly committedHeight: number
  /** File size above which dead records are dropped [4 MiB]. */
  readonly compactAtBytes?: number
}

export type SignGuardError =
  | GuardFileError
  /** The file cannot be read or written. */
  | { readonly code: 'GuardIo'; readonly reason: string }

const DEFAULT_COMPACT_BYTES = 4 * 1024 * 1024

export async function openSignGuard(
  options: SignGuardOptions,
): Promise<Result<SignGuard, SignGuardError>> {
  try {
    return await openFile(options)
  } catch (error) {
    return err({ code: 'GuardIo', reason: String((error as Error).message) })
  }
}

async function openFile(options: SignGuardOptions): Promise<Result<SignGuard, SignGuardError>> {
  const { path, committedHeight } = options
  const owner = guardOwner(options.genesisHash, options.publicKey)
  const bytes = await readIfThere(path)
  const decoded = decodeGuardFile(owner, bytes)
  if (!decoded.ok) return decoded
  const { view, goodBytes } = decoded.value
  const floor = startFloor(view, committedHeight)
  if (goodBytes === 0 || floor !== view.floor) {
    const raised = foldGuard(view, { kind: 'floor', floor, slot: view.slot })
    const sizeBytes = await replaceFile(path, owner, raised)
    return ok(createGuard(options, owner, await open(path, 'r+'), raised, sizeBytes))
  }
  if (goodBytes < bytes.length) await truncate(path, goodBytes)
  const file = await open(path, 'r+')
  // What was read may have been written and never synced: the writer's sync failed, or it was stopped before.
  await file.sync()
  return ok(createGuard(options, owner, file, view, goodBytes))
}

async function readIfThere(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array(0)
    throw error
  }
}

/** Puts a file that holds only the live records in the place of `path`; atomic. Returns its size. */
async function replaceFile(path: string, owner: Uint8Array, view: GuardView): Promise<number> {
  const bytes = encodeGuardFile(owner, guardEntries(view))
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
  return bytes.length
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const length = bytes.length - written
    const { bytesWritten } = await file.write(bytes, written, length, position + written)
    written += bytesWritten
  }
}

function createGuard(
  options: SignGuardOptions,
  owner: Uint8Array,
  opened: FileHandle,
  startView: GuardView,
  startBytes: number,
): SignGuard {
  const { path, compactAtBytes = DEFAULT_COMPACT_BYTES } = options
  let file = opened
  let view = startView
  let sizeBytes = startBytes
  let failed: Error | undefined
  let queue: Promise<unknown> = Promise.resolve()

  /** One after the other. After a failure the tail is of unknown state: nothing is written behind it. */
  function serial<T>(work: () => Promise<T>): Promise<T> {
    const done = queue.then(async () => {
      if (failed !== undefined) throw failed
      try {
        return await work()
      } catch (error) {
        failed = error as Error
        throw error
      }
    })
    queue = done.catch(() => undefined)
    return done
  }

  async function write(entry: GuardEntry): Promise<void> {
    const bytes = encodeGuardEntry(owner, sizeBytes, entry)
    await writeAll(file, bytes, sizeBytes)
    sizeBytes += bytes.length
  }

  async function append(record: GuardRecord): Promise<GuardDecision> {
    const decision = decideGuard(view, record)
    if (decision !== 'sign') return decision
    await write(record)
    await file.datasync()
    view = foldGuard(view, record)
    return decision
  }

  async function compact(committedHeight: number): Promise<void> {
    if (committedHeight < view.floor) return
    const entry = { kind: 'floor', floor: committedHeight + 1, slot: view.slot } as const
    const next = foldGuard(view, entry)
    if (sizeBytes < compactAtBytes) {
      // Not synced: the next record's sync carries it, and a floor that lags by one is made good at open.
      await write(entry)
    } else {
      sizeBytes = await replaceFile(path, owner, next)
      await file.close()
      file = await open(path, 'r+')
    }
    view = next
  }

  return {
    view: () => view,
    append: (record) => serial(() => append(record)),
    compact: (committedHeight) => serial(() => compact(committedHeight)),
    async close() {
      await queue
      failed ??= new Error('the sign guard is closed')
      await file.close()
    },
  }
}
