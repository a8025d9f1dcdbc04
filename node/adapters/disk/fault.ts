/** What a failed write says about the disk. */
import { statfsSync } from 'node:fs'
import { faultError } from '../../../supervisor/index.ts'

/** How the system names what only an operator can repair; LMDB tells the same in words. */
const UNUSABLE =
  /\b(?:ENOSPC|EDQUOT|EFBIG|EIO|EROFS)\b|no space left|quota exceeded|file too large|input\/output error|i\/o error|read-only file system/i

/** LMDB says of a full disk that it is broken: with less room than this it is called full. */
const FULL_BYTES = 1024 * 1024

/**
 * The fault of a write below `directory`. A disk that is full, broken or read-only is `DiskUnusable`, class `configuration`: no restart
 * helps, so the node stops and says why. Anything else is what it was.
 */
export async function diskFault(cause: unknown, directory: string): Promise<Error> {
  const error = await reasonOf(cause)
  const { code = '' } = error as { readonly code?: unknown }
  if (!UNUSABLE.test(`${code} ${error.message}`)) return error
  const state =
    freeBytes(directory) < FULL_BYTES ? 'the disk is full' : 'the disk cannot be written'
  return faultError('DiskUnusable', 'configuration', `${state} (${directory}): ${error.message}`)
}

/** LMDB rejects a write with an error that only promises the reason. */
async function reasonOf(cause: unknown): Promise<Error> {
  const { commitError } = (cause ?? {}) as { readonly commitError?: unknown }
  if (commitError !== undefined) {
    try {
      await commitError
    } catch (reason) {
      return reason instanceof Error ? reason : new Error(String(reason))
    }
  }
  return cause instanceof Error ? cause : new Error(String(cause))
}

/** What the user of this process may still write; as if it were much where nobody can tell. */
function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
