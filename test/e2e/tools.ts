/**
 * Tools that developers have beside the libraries: Foundry and Hardhat, some 350 MB. They are no part of our installation: npm
 * fetches the versions named here into a cache of their own, once; where it cannot, their tests are skipped and counted.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sha256, toHex } from '../../crypto/index.ts'
import { PATIENCE_MS } from './federation.ts'

const FETCH_MS = 240_000

export const FOUNDRY = {
  '@foundry-rs/anvil': '1.7.1',
  '@foundry-rs/cast': '1.7.1',
  '@foundry-rs/forge': '1.7.1',
} as const

/** npm leaves out the native part of Hardhat's node where it is not named. */
const EDR = `@nomicfoundation/edr-linux-${process.arch}-gnu`

export const HARDHAT: Readonly<Record<string, string>> = {
  hardhat: '3.18.0',
  [EDR]: '0.22.0',
  '@nomicfoundation/hardhat-node-test-runner': '3.1.0',
  '@nomicfoundation/hardhat-viem': '3.0.9',
  viem: '2.57.1',
}

export interface Tools {
  /** Holds node_modules. */
  readonly directory: string
}

/** Undefined when npm cannot fetch them. `overrides`: versions of what they depend on, in place of their own. */
export function fetchTools(
  packages: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, string>> = {},
): Tools | undefined {
  const directory = directoryOf(packages, overrides)
  if (existsSync(directory)) return { directory }
  const fresh = `${directory}.${process.pid}`
  try {
    mkdirSync(fresh, { recursive: true })
    const manifest = { private: true, type: 'module', dependencies: packages, overrides }
    writeFileSync(join(fresh, 'package.json'), JSON.stringify(manifest))
    const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--silent']
    // Without a network it is said at once.
    quiet.push('--fetch-retries=0')
    const options = { cwd: fresh, timeout: FETCH_MS, stdio: 'ignore' } as const
    const fetched = spawnSync('npm', ['install', ...quiet], options)
    if (fetched.status !== 0) return undefined
    renameSync(fresh, directory)
    return { directory }
  } catch {
    return existsSync(directory) ? { directory } : undefined
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** Undefined unless they were fetched before. */
export function fetchedTools(
  packages: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, string>> = {},
): Tools | undefined {
  const directory = directoryOf(packages, overrides)
  return existsSync(directory) ? { directory } : undefined
}

function directoryOf(
  packages: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, string>>,
): string {
  const wanted = [packages, overrides].flatMap((named) => {
    return Object.entries(named).map(([name, version]) => `${name}@${version}`)
  })
  const key = toHex(sha256(new TextEncoder().encode(wanted.join(' ')))).slice(0, 16)
  const root = process.env['E2E_TOOLS'] ?? join(homedir(), '.cache', 'millrace-e2e-tools')
  return join(root, key)
}

/** `it`, or `it.skip` with the reason in the name. */
export function itWith(tools: Tools | undefined, name: string): typeof it {
  if (tools !== undefined) return it
  const skip = (title: string, ...rest: [() => Promise<void>, number?]) =>
    it.skip(`${title} (${name} is not here)`, ...rest)
  return skip as typeof it
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program of one of the packages to its end. */
export function runTool(
  tools: Tools,
  bin: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Ran> {
  const child = spawn(join(tools.directory, 'node_modules', '.bin', bin), [...args], {
    cwd: options.cwd ?? tools.directory,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  const ran = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ran.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ran.stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...ran }))
  })
}

/** What it printed; throws with all it said when it failed. */
export async function toolSays(...given: Parameters<typeof runTool>): Promise<string> {
  const { code, stdout, stderr } = await runTool(...given)
  if (code !== 0) throw new Error(`${given[1]} ${given[2].join(' ')}: ${code}\n${stdout}${stderr}`)
  return stdout.trim()
}

/**
 * Our own solc under the command line that Foundry expects of the native one. Written into `directory`; gives the path of the program.
 */
export function writeSolc(directory: string): string {
  const solc = fileURLToPath(new URL('../../node_modules/solc/index.js', import.meta.url))
  const path = join(directory, 'solc')
  const program = `#!${process.execPath}
const solc = require(${JSON.stringify(solc)})
if (process.argv.includes('--version')) {
  const version = solc.version().replace(/\\.Emscripten\\.clang$/, '')
  console.log('solc, the solidity compiler commandline interface\\nVersion: ' + version + '.Linux.g++')
} else {
  process.stdout.write(solc.compile(require('node:fs').readFileSync(0, 'utf8')))
}
`
  writeFileSync(path, program, { mode: 0o755 })
  return path
}
