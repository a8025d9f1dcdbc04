/**
 * One process per data directory. The lock is a file that holds the process id and, where the system tells it, when that process
 * began; one whose process is gone is taken over, so that a kill needs no operator, nor does an id that somebody else got since.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const LOCK_FILE = 'LOCK'

export type LockResult =
  | { readonly ok: true; release(): void }
  | { readonly ok: false; readonly pid: number }

interface Holder {
  readonly pid: number
  /** As `beganAt` gives it. */
  readonly began: string
}

/** Takes the directory for this process. The directory must exist. */
export function lockDirectory(directory: string): LockResult {
  const path = join(directory, LOCK_FILE)
  for (let attempt = 0; attempt < 3; attempt++) {
    if (claim(path)) return { ok: true, release: () => rmSync(path, { force: true }) }
    const holder = directoryHolder(directory)
    if (holder !== undefined) return { ok: false, pid: holder }
    removeStale(path)
  }
  return { ok: false, pid: 0 }
}

/** Makes the lock with its content in one step; false where there is one. */
function claim(path: string): boolean {
  const own = `${path}.${process.pid}`
  writeFileSync(own, `${process.pid} ${beganAt(process.pid)}`, { mode: 0o600 })
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(own, { force: true })
  }
}

/** The living process that holds the directory, if there is one. */
export function directoryHolder(directory: string): number | undefined {
  return livingHolder(join(directory, LOCK_FILE))
}

function livingHolder(path: string): number | undefined {
  const holder = holderOf(path)
  return holder !== undefined && isAlive(holder) ? holder.pid : undefined
}

/** Of several that find the same stale lock one removes it; a lock that was taken meanwhile is put back. */
function removeStale(path: string): void {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
    if (livingHolder(aside) !== undefined) linkSync(aside, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

function holderOf(path: string): Holder | undefined {
  try {
    const [pid, began = ''] = readFileSync(path, 'utf8').trim().split(' ')
    const id = Number(pid)
    return Number.isSafeInteger(id) && id > 0 ? { pid: id, began } : undefined
  } catch {
    return undefined
  }
}

function isAlive({ pid, began }: Holder): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const now = beganAt(pid)
  return began === '' || now === '' || now === began
}

/** When a process began, in clock ticks since the system's start; empty where there is no /proc. */
function beganAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold anything; the start is the 20th field after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
