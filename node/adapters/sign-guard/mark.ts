/** The file of the signing mark, beside the chain and not beside the guard: whoever puts an old guard back leaves it as it is. */
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  decodeSigningMark,
  encodeSigningMark,
  isAboveMark,
  MARK_BYTES,
  NO_MARK,
  type SigningMark,
} from '../../../core/guard/index.ts'
import { diskFault } from '../disk/index.ts'

/** One process holds it. */
export interface SigningMarkFile {
  /** The highest that is durable; `NO_MARK` where there is none. */
  read(owner: Uint8Array): Promise<SigningMark>
  /** Durable when it resolves; a crash leaves this one or the one before. */
  write(owner: Uint8Array, mark: SigningMark): Promise<void>
  close(): Promise<void>
}

/** Two places, written by turns: a write that is torn leaves the other. */
const PLACES = 2

export function signingMarkFile(path: string): SigningMarkFile {
  let handle: FileHandle | undefined
  let next = 0

  async function held(): Promise<FileHandle> {
    handle ??= await openFile(path)
    return handle
  }

  return {
    async read(owner) {
      try {
        const bytes = new Uint8Array(PLACES * MARK_BYTES)
        await (await held()).read(bytes, 0, bytes.length, 0)
        const places = Array.from({ length: PLACES }, (_, at) =>
          decodeSigningMark(owner, bytes.subarray(at * MARK_BYTES, (at + 1) * MARK_BYTES)),
        )
        let highest = NO_MARK
        for (const [at, mark] of places.entries()) {
          if (mark === undefined || !isAboveMark(mark, highest)) continue
          highest = mark
          next = (at + 1) % PLACES
        }
        return highest
      } catch (cause) {
        throw await diskFault(cause, dirname(path))
      }
    },
    async write(owner, mark) {
      try {
        const file = await held()
        await file.write(encodeSigningMark(owner, mark), 0, MARK_BYTES, next * MARK_BYTES)
        await file.datasync()
        next = (next + 1) % PLACES
      } catch (cause) {
        throw await diskFault(cause, dirname(path))
      }
    },
    async close() {
      await handle?.close()
      handle = undefined
    },
  }
}

/** Made whole and named before anything is written to it. */
async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  await mkdir(dirname(path), { recursive: true })
  const file = await open(path, 'w+', 0o600)
  await file.write(new Uint8Array(PLACES * MARK_BYTES), 0)
  await file.sync()
  const folder = await open(dirname(path), 'r')
  await folder.sync()
  await folder.close()
  return file
}
