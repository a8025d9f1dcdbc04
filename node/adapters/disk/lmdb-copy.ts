/** An environment as it is at one moment, copied while others write it; free pages are left out. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import { damageOfFile } from './lmdb-file.ts'

/** Resolves to the path of the copy, a file in `target`; undefined when there is no environment in `directory`. */
export async function copyEnvironment(
  directory: string,
  target: string,
): Promise<string | undefined> {
  if (!existsSync(join(directory, 'data.mdb'))) return undefined
  const damage = damageOfFile(directory)
  if (damage !== undefined) throw new Error(`${directory}: ${damage}`)
  mkdirSync(target, { recursive: true, mode: 0o700 })
  const root = open({ path: directory, readOnly: true, maxDbs: 32 })
  try {
    await root.backup(target, true)
  } finally {
    await root.close()
  }
  return join(target, 'data.mdb')
}
