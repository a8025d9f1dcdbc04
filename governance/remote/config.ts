/** The signer's configuration: one JSON file. Unknown keys and flags are errors; paths are relative to the file. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import {
  bitcoinUrl,
  type ConfigFault,
  configFault,
  fingerprint,
  logSchema,
  policy,
  status,
  tlsAt,
  tlsSchema,
  trustedBlock,
} from '../config.ts'

const configSchema = z.strictObject({
  /** Stands in log lines. */
  name: z.string().min(1).max(64).default('signer'),
  genesisFile: z.string(),
  /** Journal, shares, and the validators in whom it believes; one process at a time. */
  dataDir: z.string(),
  /** Encrypted key file with the secrets `bls` and `schnorr`. */
  keyFile: z.string(),
  passwordFile: z.string(),
  /** A Bitcoin that only the signer asks about deposits: what the member says of them is then not looked at. */
  bitcoinUrl: bitcoinUrl.optional(),
  listen: z.strictObject({
    host: z.string().default('127.0.0.1'),
    /** 0 lets the operating system choose. */
    port: z.number().int().min(0).max(65_535),
  }),
  tls: tlsSchema,
  member: z.strictObject({
    /** SHA-256 of the member's certificate: nobody else is let in. */
    fingerprint,
  }),
  policy,
  trustedBlock,
  status,
  log: logSchema,
})

export type SignerConfig = z.output<typeof configSchema>
/** As it stands in the file. */
export type SignerConfigFile = z.input<typeof configSchema>

/** Reads and checks a configuration file; `named` is said in place of its `trustedBlock`. */
export function readSignerConfig(path: string, named?: string): SignerConfig | ConfigFault {
  try {
    const file = JSON.parse(readFileSync(path, 'utf8'))
    const value = named === undefined ? file : { ...file, trustedBlock: named }
    return parseSignerConfig(value, dirname(resolve(path)), path)
  } catch (error) {
    return configFault(`${path}: ${(error as Error).message.split('\n', 1)[0] ?? ''}`)
  }
}

/** Checks a configuration; `directory` is what its paths are relative to. */
export function parseSignerConfig(
  value: unknown,
  directory: string,
  source = 'configuration',
): SignerConfig | ConfigFault {
  const parsed = configSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return configFault(
      `${source}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`,
    )
  }
  const config = parsed.data
  const at = (path: string) => resolve(directory, path)
  return {
    ...config,
    genesisFile: at(config.genesisFile),
    dataDir: at(config.dataDir),
    keyFile: at(config.keyFile),
    passwordFile: at(config.passwordFile),
    tls: tlsAt(at, config.tls),
  }
}
