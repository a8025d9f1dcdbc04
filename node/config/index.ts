/**
 * The node's configuration: one table of settings, from which flags, MILLRACE_ variables, the file's schema, help and
 * `--explain` follow. Precedence: flag > environment > file > preset > default. What is not in the table is an error
 * with a suggestion, wherever it stands; every fault is told at once. A default port may fall to the next free one,
 * a port that somebody named may not.
 */
import { readFileSync } from 'node:fs'
import { knownBlock } from '../adapters/command-line/index.ts'
import { describeFault, explain, usage } from './describe.ts'
import { type Config, type ConfigInputs, type ConfigResult, resolveConfig } from './resolve.ts'
import type { Key, ValueOf } from './settings.ts'

export { describeFault, describeOrigin, explain, usage } from './describe.ts'
export {
  type Config,
  type ConfigFault,
  type ConfigInputs,
  type ConfigResult,
  type Entry,
  type Origin,
  resolveConfig,
  type Source,
} from './resolve.ts'
export { flagOf, KEYS, type Key, PRESETS, SETTINGS, type ValueOf, variableOf } from './settings.ts'

export type EngineConfig =
  | { readonly mode: 'embedded' }
  | {
      readonly mode: 'engine-api'
      readonly url: string
      readonly readUrl?: string
      readonly jwtSecretFile: string
    }

/** What a node runs with; paths are absolute. */
export interface NodeConfig {
  readonly name: string
  readonly dataDir: string
  readonly history: 'archive' | number
  readonly genesisFile: string
  readonly validatorKeyFile?: string
  readonly validatorPasswordFile?: string
  readonly networkKeyFile: string
  readonly rpc: {
    readonly host: string
    readonly port: number
    /** Whether the next free port does as well. */
    readonly fallback: boolean
    readonly corsOrigins: readonly string[]
    readonly allowedHosts: readonly string[]
    readonly rateLimits: boolean
  }
  readonly p2p: { readonly listen: readonly string[]; readonly peers: readonly string[] }
  readonly governance: {
    readonly host: string
    readonly port: number
    readonly authorityFile: string
    readonly certificateFile: string
    readonly privateKeyFile: string
  }
  readonly bitcoinUrl: string
  readonly bitcoinFallbackUrl?: string
  readonly bitcoinPollMs: number
  readonly minFeeCapWei: bigint
  readonly pool: { readonly maxTransactions: number }
  /** Blocks from one checkpoint to the next, 0: none; and how many are kept. */
  readonly checkpoints: { readonly every: number; readonly keep: number }
  readonly index: { readonly addresses: boolean }
  readonly resumeHalt?: string
  /** What books and doctor believe without the genesis file. */
  readonly trustedBlock?: { readonly height: number; readonly hash: Uint8Array }
  readonly engine: EngineConfig
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
    readonly format: 'json' | 'text'
  }
  readonly telemetry: { readonly otlpEndpoint?: string; readonly sampleRatio: number }
  /** From `rpc.adminTokenFile`. */
  readonly adminToken?: string
}

/** Exit codes of operations.md. */
const EXIT_OK = 0
const EXIT_USAGE = 2
const EXIT_CONFIG = 3

export type NodeOptions =
  | { readonly program: NodeConfig }
  /** Something to print instead of running. */
  | { readonly text: string; readonly exitCode: number }

/** What a process was started with. */
function inputsOf(args: readonly string[]): ConfigInputs {
  return {
    args,
    environment: process.env,
    workingDirectory: process.cwd(),
    readFile: (path) => readFileSync(path, 'utf8'),
  }
}

/** The configuration that this process was started with; `program` stands in what is wrong with it. */
export function readNodeOptions(args: readonly string[], program = 'node'): NodeOptions {
  return nodeOptions(inputsOf(args), program)
}

export type DataOptions =
  | { readonly data: Pick<NodeConfig, 'dataDir' | 'genesisFile' | 'trustedBlock'> }
  | { readonly text: string; readonly exitCode: number }

/** What a command needs of a node's settings that only reads its data. */
export function readDataOptions(args: readonly string[], program: string): DataOptions {
  const result = resolveConfig({ ...inputsOf(args), required: ['dataDir', 'genesisFile'] })
  return result.ok ? { data: dataOf(result.config) } : faultText(result, program)
}

export function nodeOptions(inputs: ConfigInputs, program = 'node'): NodeOptions {
  if (inputs.args.includes('--help')) return { text: usage(), exitCode: EXIT_OK }
  const result = resolveConfig(inputs)
  if (!result.ok) return faultText(result, program)
  const fault = (message: string): NodeOptions => {
    return { text: `millrace ${program}: ${message}`, exitCode: EXIT_CONFIG }
  }
  const { config } = result
  if (inputs.args.includes('--explain')) return { text: explain(config), exitCode: EXIT_OK }
  const missing = missingOfEngine(config)
  if (missing !== undefined) return fault(`${missing} is missing: engine.mode engine-api needs it`)
  const tokenFile = config.get('rpc.adminTokenFile')
  if (tokenFile === undefined) return { program: nodeConfig(config, undefined) }
  try {
    const adminToken = inputs.readFile(tokenFile).trim()
    if (adminToken.length >= 16) return { program: nodeConfig(config, adminToken) }
    return fault(`${tokenFile}: a token has at least 16 characters`)
  } catch (error) {
    return fault(`cannot read ${tokenFile}: ${Error.isError(error) ? error.message : error}`)
  }
}

/** One line per fault; wrong use of the command line has an exit code of its own. */
function faultText(
  { faults }: Extract<ConfigResult, { ok: false }>,
  program: string,
): { readonly text: string; readonly exitCode: number } {
  const lines = faults.map((item) => `millrace ${program}: ${describeFault(item)}`)
  const isUsage = faults.some((item) => {
    if (item.code === 'UnexpectedArgument' || item.code === 'MissingValue') return true
    return item.code === 'UnknownSetting' && item.origin.source === 'flag'
  })
  return {
    text: [...lines, 'millrace node --help lists every setting'].join('\n'),
    exitCode: isUsage ? EXIT_USAGE : EXIT_CONFIG,
  }
}

/** What an engine of another make needs and has not. */
function missingOfEngine(config: Config): Key | undefined {
  if (config.get('engine.mode') !== 'engine-api') return undefined
  return (['engine.url', 'engine.jwtSecretFile'] as const).find((key) => {
    return config.get(key) === undefined
  })
}

function engineConfig(config: Config): EngineConfig {
  const [url, jwtSecretFile] = [config.get('engine.url'), config.get('engine.jwtSecretFile')]
  if (config.get('engine.mode') !== 'engine-api') return { mode: 'embedded' }
  if (url === undefined || jwtSecretFile === undefined) throw new Error('checked before')
  const readUrl = config.get('engine.readUrl')
  return { mode: 'engine-api', url, jwtSecretFile, ...(readUrl !== undefined && { readUrl }) }
}

/** For settings that are required or have a default. */
function needed<K extends Key>(config: Config, key: K): ValueOf<K> {
  const value = config.get(key)
  if (value === undefined) throw new Error(`${key} has neither a value nor a default`)
  return value
}

/** Where the data is, and what says whose it is. */
function dataOf(config: Config): Pick<NodeConfig, 'dataDir' | 'genesisFile' | 'trustedBlock'> {
  const trustedBlock = config.get('trustedBlock')
  return {
    dataDir: needed(config, 'dataDir'),
    genesisFile: needed(config, 'genesisFile'),
    ...(trustedBlock === undefined ? {} : { trustedBlock: knownBlock(trustedBlock) }),
  }
}

function nodeConfig(config: Config, adminToken: string | undefined): NodeConfig {
  const need = <K extends Key>(key: K): ValueOf<K> => needed(config, key)
  const validatorKeyFile = config.get('validatorKeyFile')
  const validatorPasswordFile = config.get('validatorPasswordFile')
  const otlpEndpoint = config.get('telemetry.otlpEndpoint')
  const resumeHalt = config.get('resumeHalt')
  const bitcoinFallbackUrl = config.get('bitcoinFallbackUrl')
  return {
    name: need('name'),
    ...dataOf(config),
    history: need('history'),
    networkKeyFile: need('networkKeyFile'),
    ...(validatorKeyFile === undefined ? {} : { validatorKeyFile }),
    ...(validatorPasswordFile === undefined ? {} : { validatorPasswordFile }),
    rpc: {
      host: need('rpc.host'),
      port: need('rpc.port'),
      fallback: config.get('rpc.fallback') ?? !config.isAskedFor('rpc.port'),
      corsOrigins: need('rpc.corsOrigins'),
      allowedHosts: need('rpc.allowedHosts'),
      rateLimits: config.get('rpc.rateLimits') ?? true,
    },
    p2p: { listen: need('p2p.listen'), peers: need('p2p.peers') },
    governance: {
      host: need('governance.host'),
      port: need('governance.port'),
      authorityFile: need('governance.authorityFile'),
      certificateFile: need('governance.certificateFile'),
      privateKeyFile: need('governance.privateKeyFile'),
    },
    bitcoinUrl: need('bitcoinUrl'),
    ...(bitcoinFallbackUrl === undefined ? {} : { bitcoinFallbackUrl }),
    bitcoinPollMs: need('bitcoinPollMs'),
    minFeeCapWei: need('minFeeCapWei'),
    pool: { maxTransactions: need('pool.maxTransactions') },
    index: { addresses: config.get('index.addresses') ?? false },
    checkpoints: { every: need('checkpoints.every'), keep: need('checkpoints.keep') },
    ...(resumeHalt === undefined ? {} : { resumeHalt }),
    engine: engineConfig(config),
    log: { level: need('log.level'), format: need('log.format') },
    telemetry: {
      sampleRatio: need('telemetry.sampleRatio'),
      ...(otlpEndpoint === undefined ? {} : { otlpEndpoint }),
    },
    ...(adminToken === undefined ? {} : { adminToken }),
  }
}
