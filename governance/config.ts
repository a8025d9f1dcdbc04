/** The member's configuration: one JSON file, some of it by flag. Unknown keys and flags are errors; paths are relative to the file. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import {
  KNOWN_BLOCK,
  KNOWN_BLOCK_EXPECTED,
  knownBlock,
  wrongUse,
} from '../node/adapters/command-line/index.ts'
import type { KeystoreFiles } from './keystore.ts'
import type { TlsFiles } from './run.ts'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const

export const fingerprint = z
  .string()
  .transform((text) => text.replaceAll(':', '').toLowerCase())
  .refine((text) => /^[0-9a-f]{64}$/.test(text), 'expected a SHA-256 fingerprint')

export const tlsSchema = z.strictObject({
  /** Authority of the other side's certificate. */
  authorityFile: z.string(),
  certificateFile: z.string(),
  privateKeyFile: z.string(),
})

/** This member's own Bitcoin: `http://user:password@host:port`. */
export const bitcoinUrl = z.url({ protocol: /^http$/ })

export const endpoint = z.string().regex(/^.+:\d{1,5}$/, 'expected host:port')

const policySchema = z.strictObject({
  /** Own bound on confirmations of a deposit; below the chain's N it has no effect. */
  confirmations: z.number().int().min(1).max(10_000).default(1),
  /** Most that batches begun within 24 h may pay. */
  dailyLimitSat: z.number().int().min(1).optional(),
  /** Most that the fees of sweeps may take within 24 h. */
  dailySweepFeeSat: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  /** Sign nothing. */
  hold: z.boolean().default(false),
})
export const policy = policySchema.prefault({})
export type PolicySettings = z.output<typeof policySchema>

/** A block that the operator knows to be of the chain, HEIGHT:HASH: to go on from after a long time away. */
export const trustedBlock = z
  .string()
  .regex(KNOWN_BLOCK, KNOWN_BLOCK_EXPECTED)
  .transform(knownBlock)
  .optional()

/** /live, /ready and /metrics; absent: none. */
export const status = z
  .strictObject({
    host: z.string().default('127.0.0.1'),
    port: z.number().int().min(0).max(65_535),
  })
  .optional()

export const logSchema = z
  .strictObject({
    level: z.enum(LEVELS).default('info'),
    format: z.enum(['json', 'text']).default('json'),
  })
  .default({ level: 'info', format: 'json' })

const configSchema = z
  .strictObject({
    /** Stands in log lines. */
    name: z.string().min(1).max(64).default('member'),
    genesisFile: z.string(),
    /** Journal and state; one process at a time. */
    dataDir: z.string(),
    /** Encrypted key file with the secrets `bls` and `schnorr`, and its password; absent where a signer holds them. */
    keyFile: z.string().optional(),
    passwordFile: z.string().optional(),
    /** The process that holds the secrets instead (`millrace signer`). */
    signer: z
      .strictObject({
        /** `host:port`. */
        endpoint,
        /** SHA-256 of its certificate. */
        fingerprint,
        tls: tlsSchema,
      })
      .optional(),
    bitcoinUrl,
    /** A second one: what the two show differently is not known. */
    bitcoinFallbackUrl: bitcoinUrl.optional(),
    tls: tlsSchema,
    /** Every federation node. */
    nodes: z
      .array(
        z.strictObject({
          /** Common name of its certificate. */
          name: z.string().min(1).max(64),
          /** `host:port`. */
          endpoint,
          /** SHA-256 of its certificate, to pin it. */
          fingerprint: fingerprint.optional(),
        }),
      )
      .min(1)
      .max(1024),
    /** Where a signer holds the secrets, its own configuration has these two. */
    policy: policySchema.optional(),
    trustedBlock,
    status,
    /** Traces by OTLP over HTTP; without an endpoint none are made. */
    telemetry: z
      .strictObject({
        otlpEndpoint: z.url({ protocol: /^https?$/ }).optional(),
        sampleRatio: z.number().min(0).max(1).default(0.01),
      })
      .default({ sampleRatio: 0.01 }),
    log: logSchema,
  })
  .superRefine(({ keyFile, passwordFile, policy: own, signer, trustedBlock: named }, context) => {
    const fault = (message: string, path: string) =>
      context.addIssue({ code: 'custom', message, path: [path] })
    if (signer === undefined) {
      if (keyFile === undefined) fault('missing, and there is no signer', 'keyFile')
      if (passwordFile === undefined) fault('missing, and there is no signer', 'passwordFile')
      return
    }
    if (keyFile !== undefined) fault('the signer holds the keys: one of the two', 'keyFile')
    if (passwordFile !== undefined)
      fault('the signer holds the keys: one of the two', 'passwordFile')
    const elsewhere = 'the signer decides: it belongs into its configuration'
    if (own !== undefined) fault(elsewhere, 'policy')
    if (named !== undefined) fault(elsewhere, 'trustedBlock')
  })

type Read = z.output<typeof configSchema>
type Shared = Omit<Read, 'keyFile' | 'passwordFile' | 'policy' | 'signer'>
/** Its secrets are in its own files, or with a signer. */
export type MemberConfig =
  | (Shared & {
      readonly keystore: KeystoreFiles
      readonly policy: PolicySettings
      readonly signer?: never
    })
  | (Shared & { readonly signer: NonNullable<Read['signer']>; readonly keystore?: never })
/** As it stands in the file. */
export type MemberConfigFile = z.input<typeof configSchema>

export interface ConfigFault {
  readonly code:
    | 'ConfigInvalid'
    /** Of the command line. */
    | 'WrongUse'
  readonly message: string
}

export const USAGE = `usage: millrace governance --config FILE [options]

  --config FILE       configuration of this member (JSON)
  --data-dir DIR      journal and state, instead of the file's dataDir
  --trusted-block HEIGHT:HASH     a block that f+1 validators confirmed, to go on from after a long time away
  --bitcoin URL       this member's own Bitcoin, instead of the file's bitcoinUrl
  --telemetry-otlp-endpoint URL   collector of traces (OTLP over HTTP), http://host:port
  --telemetry-sample-ratio SHARE  share of the flows that are traced, 0 to 1 [0.01]
  --log-level LEVEL   trace, debug, info, warn or error
  --log-format FORMAT json or text
  --status PORT       serve /live, /ready and /metrics on 127.0.0.1
  --help              this text

The two of telemetry may also be MILLRACE_TELEMETRY_OTLP_ENDPOINT and _SAMPLE_RATIO in the environment.
`

const FLAGS = {
  config: { type: 'string' },
  'data-dir': { type: 'string' },
  bitcoin: { type: 'string' },
  'trusted-block': { type: 'string' },
  'log-level': { type: 'string' },
  'log-format': { type: 'string' },
  status: { type: 'string' },
  'telemetry-otlp-endpoint': { type: 'string' },
  'telemetry-sample-ratio': { type: 'string' },
  help: { type: 'boolean' },
} as const

/** The configuration that the arguments name, `help`, or what is wrong in one line. */
export function readConfig(args: readonly string[]): MemberConfig | ConfigFault | 'help' {
  let flags: { readonly [name: string]: string | boolean | undefined }
  try {
    flags = parseArgs({ args: [...args], options: FLAGS, strict: true }).values
  } catch (error) {
    return { code: 'WrongUse', message: wrongUse(error) }
  }
  if (flags['help'] === true) return 'help'
  const path = flags['config']
  if (typeof path !== 'string') return configFault('--config FILE is missing')
  let file: unknown
  try {
    file = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    return configFault(`${path}: ${(error as Error).message}`)
  }
  return parseConfig(withFlags(file, flags), dirname(resolve(path)), path)
}

export function configFault(message: string): ConfigFault {
  return { code: 'ConfigInvalid', message: message.split('\n', 1)[0] ?? '' }
}

/** The same variables as those of a node, so that one says it for a whole federation. */
const VARIABLE = 'MILLRACE_TELEMETRY_'

function withFlags(
  file: unknown,
  flags: { readonly [name: string]: string | boolean | undefined },
): unknown {
  if (typeof file !== 'object' || file === null) return file
  const given = file as Record<string, unknown>
  const log = { ...(given['log'] as object | undefined) } as Record<string, unknown>
  if (flags['log-level'] !== undefined) log['level'] = flags['log-level']
  if (flags['log-format'] !== undefined) log['format'] = flags['log-format']
  const telemetry = { ...(given['telemetry'] as object | undefined) } as Record<string, unknown>
  const endpoint = flags['telemetry-otlp-endpoint'] ?? process.env[`${VARIABLE}OTLP_ENDPOINT`]
  const ratio = flags['telemetry-sample-ratio'] ?? process.env[`${VARIABLE}SAMPLE_RATIO`]
  if (endpoint !== undefined) telemetry['otlpEndpoint'] = endpoint
  if (ratio !== undefined) telemetry['sampleRatio'] = Number(ratio)
  const dataDir = flags['data-dir']
  return {
    ...given,
    ...(typeof dataDir === 'string' && { dataDir: resolve(dataDir) }),
    ...(flags['bitcoin'] !== undefined && { bitcoinUrl: flags['bitcoin'] }),
    ...(flags['trusted-block'] !== undefined && { trustedBlock: flags['trusted-block'] }),
    ...(flags['status'] !== undefined && { status: { port: Number(flags['status']) } }),
    ...(Object.keys(log).length > 0 && { log }),
    ...(Object.keys(telemetry).length > 0 && { telemetry }),
  }
}

/** Checks a configuration; `directory` is what its paths are relative to. */
export function parseConfig(
  value: unknown,
  directory: string,
  source = 'configuration',
): MemberConfig | ConfigFault {
  const parsed = configSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return configFault(
      `${source}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`,
    )
  }
  const { keyFile, passwordFile, policy: own, signer, ...config } = parsed.data
  const at = (path: string) => resolve(directory, path)
  const shared = {
    ...config,
    genesisFile: at(config.genesisFile),
    dataDir: at(config.dataDir),
    tls: tlsAt(at, config.tls),
  }
  if (signer !== undefined) {
    return { ...shared, signer: { ...signer, tls: tlsAt(at, signer.tls) } }
  }
  const files = { keyFile: at(keyFile as string), passwordFile: at(passwordFile as string) }
  return { ...shared, keystore: files, policy: own ?? policySchema.parse({}) }
}

/** A configuration's paths, from where it stands. */
export function tlsAt(at: (path: string) => string, tls: TlsFiles): TlsFiles {
  return {
    authorityFile: at(tls.authorityFile),
    certificateFile: at(tls.certificateFile),
    privateKeyFile: at(tls.privateKeyFile),
  }
}
