/** LMDB uses the room of what was removed again, but never gives it back: a file without it takes the place of the old one in one step. */
import { closeSync, existsSync, fsyncSync, openSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { copyEnvironment } from './lmdb-copy.ts'

export interface Compacted {
  readonly beforeBytes: number
  readonly afterBytes: number
}

/** Nobody may have the environment open. A crash leaves the old file or the new one; undefined: there is none. */
export async function compactEnvironment(directory: string): Promise<Compacted | undefined> {
  const path = join(directory, 'data.mdb')
  if (!existsSync(path)) return undefined
  const beforeBytes = statSync(path).size
  const target = join(directory, 'compact')
  await rm(target, { recursive: true, force: true })
  try {
    const copy = await copyEnvironment(directory, target)
    if (copy === undefined) return undefined
    sync(copy)
    await rename(copy, path)
    sync(directory)
  } finally {
    await rm(target, { recursive: true, force: true })
  }
  return { beforeBytes, afterBytes: statSync(path).size }
}

function sync(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
