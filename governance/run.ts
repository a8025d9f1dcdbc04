/** What the member's programs share: how they take hold of their directory, and how they run until a signal ends them. */
import { mkdirSync, readFileSync } from 'node:fs'
import { type Genesis, parseGenesis } from '../core/params/index.ts'
import type { SignatureSuite } from '../crypto/index.ts'
import { lockDirectory } from '../node/adapters/data-directory/index.ts'
import type { TlsIdentity } from '../node/adapters/governance-grpc/index.ts'
import type { ProgramEnd } from '../node/adapters/system/index.ts'

export const SOFTWARE = 'millrace/0.1.0'

/** Why a program did not start. Exit codes: 3 configuration, 4 data, 5 what it needs does not answer. */
export interface ProgramFault {
  readonly code: string
  readonly message: string
  readonly exitCode: number
}

export interface RunningProgram {
  /** Ends when it cannot go on. */
  readonly terminated: Promise<ProgramEnd>
  /** A second call hurries the first. */
  stop(): Promise<void>
}

export type Started<T extends RunningProgram> =
  | { readonly ok: true; readonly program: T }
  | { readonly ok: false; readonly fault: ProgramFault }

export function notStarted(code: string, message: string, exitCode: number) {
  return { ok: false, fault: { code, message, exitCode } } as const
}

/** Makes the directory where there is none; one process at a time has it. */
export function holdDirectory(path: string): { release(): void } | ProgramFault {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    return { code: 'DataDirUnusable', message: (error as Error).message, exitCode: 4 }
  }
  const lock = lockDirectory(path)
  if (lock.ok) return lock
  const message = `${path} is in use by process ${lock.pid}`
  return { code: 'DataDirInUse', message, exitCode: 4 }
}

/** Throws where the file cannot be read. */
export function readGenesisFile(path: string, signatures: SignatureSuite): Genesis | ProgramFault {
  const parsed = parseGenesis(JSON.parse(readFileSync(path, 'utf8')), signatures)
  if (parsed.ok) return parsed.value
  return { code: 'GenesisInvalid', message: `${path}: ${parsed.error.reason}`, exitCode: 3 }
}

export interface TlsFiles {
  readonly authorityFile: string
  readonly certificateFile: string
  readonly privateKeyFile: string
}

/** Throws where a file cannot be read. */
export function readTls(files: TlsFiles): TlsIdentity {
  const text = (path: string) => readFileSync(path, 'utf8')
  return {
    authorityPem: text(files.authorityFile),
    certificatePem: text(files.certificateFile),
    privateKeyPem: text(files.privateKeyFile),
  }
}

/** Runs until a signal or its end. Exit codes: 0 stopped, those of `ProgramFault`; 1, 3, 4 or 5 when it was given up, by its fault. */
export async function runProgram<T extends RunningProgram>(
  name: string,
  start: () => Promise<Started<T>>,
): Promise<number> {
  // From here on a signal means a graceful stop, even while the program is still starting.
  let program: T | undefined
  let isAsked = false
  const signalled = new Promise<undefined>((resolve) => {
    const onSignal = () => {
      isAsked = true
      // The second signal hurries what the first began.
      void program?.stop().then(() => resolve(undefined))
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
  const started = await start()
  if (!started.ok) {
    process.stderr.write(`millrace ${name}: ${started.fault.message}\n`)
    return started.fault.exitCode
  }
  program = started.program
  if (isAsked) {
    await program.stop()
    return 0
  }
  const ended = await Promise.race([signalled, program.terminated])
  if (ended === undefined) return 0
  process.stderr.write(`millrace ${name}: stopped: ${ended.message}\n`)
  await program.stop()
  return ended.exitCode
}
