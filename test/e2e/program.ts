/** A command of Millrace as somebody at a terminal runs it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PATIENCE_MS, processesOf } from './federation.ts'

const DOOR = fileURLToPath(new URL('../../bin/millrace.cjs', import.meta.url))

export class Program {
  /** As it would be typed. */
  readonly command: string
  readonly child: ChildProcess
  /** The exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>
  stdout = ''
  stderr = ''

  constructor(args: readonly string[]) {
    this.command = args.join(' ')
    this.child = spawn(process.execPath, [DOOR, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.exited = new Promise((resolve) => {
      this.child.once('close', (code) => resolve(code))
    })
  }

  /** Resolves when it has said so; throws with what it said instead when it ends or takes too long. */
  async says(pattern: RegExp): Promise<string> {
    const end = Date.now() + PATIENCE_MS
    for (;;) {
      const [found] = pattern.exec(this.stdout + this.stderr) ?? []
      if (found !== undefined) return found
      if (this.child.exitCode !== null || Date.now() > end) {
        throw new Error(`it did not say ${pattern}: ${this.stdout}${this.stderr}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** The JSON at the end of standard output. */
  json(): Record<string, unknown> {
    try {
      return JSON.parse(this.stdout.trimEnd().split('\n').at(-1) as string)
    } catch {
      throw new Error(`no JSON at the end: ${this.stdout}${this.stderr}`)
    }
  }
}

/** Runs a command to its end. */
export async function runProgram(
  ...args: readonly string[]
): Promise<Program & { code: number | null }> {
  const program = new Program(args)
  return Object.assign(program, { code: await program.exited })
}

/** A directory for one test file; `clean` removes it, and ends whatever still runs in it. */
export function testDirectory(name: string): { readonly path: string; clean(): void } {
  const path = mkdtempSync(join(tmpdir(), `millrace-e2e-${name}-`))
  return {
    path,
    clean() {
      for (const pid of processesOf(path)) process.kill(pid, 'SIGKILL')
      rmSync(path, { recursive: true, force: true })
    },
  }
}
