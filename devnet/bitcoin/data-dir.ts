/** A data directory that one process at a time owns. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

export type DirLock =
  | { readonly code: 'locked'; readonly release: () => void }
  | { readonly code: 'inUse'; readonly pid: number }

/**
 * Takes the directory for this process. A lock names its owner's process id and start time, so that one left
 * behind by a killed process, whose id another may have by now, does not hold.
 */
export function lockDir(dir: string): DirLock {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, 'lock')
  for (;;) {
    try {
      writeFileSync(path, `${process.pid} ${startTime(process.pid)}\n`, { flag: 'wx', mode: 0o600 })
      return { code: 'locked', release: () => rmSync(path, { force: true }) }
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    const owner = liveOwner(path)
    if (owner !== undefined) return { code: 'inUse', pid: owner }
    rmSync(path, { force: true })
  }
}

/** Makes the directory's entries durable. */
export function syncDir(dir: string): void {
  const handle = openSync(dir, 'r')
  fsyncSync(handle)
  closeSync(handle)
}

function liveOwner(path: string): number | undefined {
  const [id = '', started = ''] = readOrEmpty(path).trim().split(' ')
  const pid = Number(id)
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined
  return startTime(pid) === started ? pid : undefined
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}

/** When a process started, in the kernel's ticks; empty where the system does not say. */
function startTime(pid: number): string {
  const afterName = readOrEmpty(`/proc/${pid}/stat`).split(') ').at(-1) ?? ''
  return afterName.split(' ')[19] ?? ''
}
