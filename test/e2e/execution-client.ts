/**
 * A real execution client for tests: EthereumJS, from npm. Its last release knows Prague; on the libraries of later releases it runs
 * Osaka, but for three names that they no longer have and nothing here calls.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchedTools, fetchTools, type Tools } from './tools.ts'

const LIBRARIES = '10.1.3'
const NAMES = [
  'block',
  'blockchain',
  'common',
  'evm',
  'mpt',
  'rlp',
  'statemanager',
  'tx',
  'util',
  'vm',
]

const PACKAGES = { '@ethereumjs/client': '0.10.5' }
const OVERRIDES = Object.fromEntries(NAMES.map((name) => [`@ethereumjs/${name}`, LIBRARIES]))

/** Undefined when npm cannot fetch it. */
export function fetchClient(): Tools | undefined {
  return fetchTools(PACKAGES, OVERRIDES)
}

/** Undefined until `npm run e2e -- engine` fetched it: a client of another make, beside nodes on the same two cores, is for a machine of its own. */
export function fetchedClient(): Tools | undefined {
  return fetchedTools(PACKAGES, OVERRIDES)
}

/** Gives the library the names that the client imports and does not use on this fork. */
const PRELOAD = `import { registerHooks } from 'node:module'
const NAMES = 'export class StatefulVerkleStateManager {}; export class StatelessVerkleStateManager {}; export function getVerkleStateProof() {}'
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.endsWith('/@ethereumjs/statemanager/dist/esm/index.js')) return loaded
    return { ...loaded, source: String(loaded.source) + '\\n' + NAMES }
  },
})
`

export interface ClientPlace {
  /** For its files; it keeps its database there over restarts. */
  readonly directory: string
  readonly genesisFile: string
  readonly jwtSecretFile: string
  readonly enginePort: number
  readonly readPort: number
}

export class RunningClient {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>

  private constructor(child: ChildProcess) {
    this.#child = child
    const { promise, resolve } = Promise.withResolvers<void>()
    child.once('exit', () => resolve())
    this.#exited = promise
  }

  /** It answers some seconds later; a node waits for it. */
  static start(tools: Tools, place: ClientPlace): RunningClient {
    const { directory, enginePort, genesisFile, jwtSecretFile, readPort } = place
    const preload = join(directory, 'preload.mjs')
    writeFileSync(preload, PRELOAD)
    const program = join(tools.directory, 'node_modules/@ethereumjs/client/dist/esm/bin/cli.js')
    const settings = {
      gethGenesis: genesisFile,
      dataDir: join(directory, 'database'),
      jwtSecret: jwtSecretFile,
      rpc: true,
      rpcPort: readPort,
      rpcEngine: true,
      rpcEnginePort: enginePort,
      discV4: false,
      discDns: false,
      port: 0,
      saveReceipts: true,
      logFile: false,
      isSingleNode: true,
    }
    const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
    const log = openSync(join(directory, 'log'), 'a')
    const args = ['--import', preload, program, ...flags]
    return new RunningClient(
      spawn(process.execPath, args, { cwd: directory, stdio: ['ignore', log, log] }),
    )
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}
