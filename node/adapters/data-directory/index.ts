/**
 * One process per data directory. The lock is a file that holds the process id; one whose process is gone is taken over, so that
 * a kill needs no operator.
 */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const LOCK_FILE = 'LOCK'

export type LockResult =
  | { readonly ok: true; release(): void }
  | { readonly ok: false; readonly pid: number }

/** Takes the directory for this process. The directory must exist. */
export function lockDirectory(directory: string): LockResult {
  const path = join(directory, LOCK_FILE)
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = openSync(path, 'wx', 0o600)
      writeSync(file, String(process.pid))
      closeSync(file)
      return { ok: true, release: () => rmSync(path, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = directoryHolder(directory)
    if (holder !== undefined) return { ok: false, pid: holder }
    rmSync(path, { force: true })
  }
  return { ok: false, pid: 0 }
}

/** The living process that holds the directory, if there is one. */
export function directoryHolder(directory: string): number | undefined {
  const holder = holderOf(join(directory, LOCK_FILE))
  return holder !== undefined && isAlive(holder) ? holder : undefined
}

function holderOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
