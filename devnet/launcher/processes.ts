/**
 * The processes of a development federation. Each runs in a process group of its own, writes its log to a file, and ends by itself
 * when the launcher does: the launcher holds its standard input open.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { fileURLToPath } from 'node:url'

const DOOR = fileURLToPath(new URL('../../bin/millrace.cjs', import.meta.url))
/**
 * V8 sizes its young generation by the machine's memory; ten processes on one machine do with less (40 MB each). One node under load does
 * with a seventh less of the processor when what waits in its pool is copied less often.
 */
const NURSERY_MB = { dev: 8, bench: 64 } as const
/** Graceful stop of one process before it is killed. */
const STOP_MS = 10_000

export interface Supervised {
  readonly name: string
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  /** The last lines of its log, to explain a failure. */
  tail(): string
}

/** Keeps the last bytes of output for messages. */
const TAIL_CHARS = 2_000

export function startProgram(
  name: string,
  args: readonly string[],
  logFile: string,
  onLine?: (line: string) => void,
  preset: keyof typeof NURSERY_MB = 'dev',
): Supervised {
  const nursery = `--max-semi-space-size=${NURSERY_MB[preset]}`
  return startProcess(name, process.execPath, [nursery, DOOR, ...args], logFile, onLine)
}

export function startProcess(
  name: string,
  command: string,
  args: readonly string[],
  logFile: string,
  onLine?: (line: string) => void,
): Supervised {
  const child = spawn(command, args, {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, MILLRACE_PARENT: 'stdin' },
  })
  const log = createWriteStream(logFile, { flags: 'a' })
  let tail = ''
  let line = ''
  const take = (chunk: Buffer) => {
    log.write(chunk)
    tail = (tail + chunk.toString('utf8')).slice(-TAIL_CHARS)
    if (onLine === undefined) return
    const lines = (line + chunk.toString('utf8')).split('\n')
    line = (lines.pop() ?? '').slice(-TAIL_CHARS)
    for (const whole of lines) onLine(whole)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  // The other end may be gone first; its exit is what counts.
  child.stdin.on('error', () => {})
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(127))
    child.once('exit', (code) => {
      log.end()
      resolve(code)
    })
  })
  return { name, child, exited, tail: () => tail }
}

/** It ended by itself or by a signal. */
export function isGone({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

/** Ends a process by signal; kills its group when it does not go. */
export async function stopProcess({ child, exited }: Supervised): Promise<void> {
  if (isGone(child)) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => killGroup(child), STOP_MS)
  await exited
  clearTimeout(timer)
}

export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}
