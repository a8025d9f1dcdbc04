/** Every setting of a node: what it is, what it may be, what it is when nobody says. Flags, variables and help follow from it. */
import { z } from 'zod'
import { KNOWN_BLOCK, KNOWN_BLOCK_EXPECTED } from '../adapters/command-line/index.ts'

export interface Setting<T = unknown> {
  readonly about: string
  readonly schema: z.ZodType<T>
  /** What to write for the value in the help. */
  readonly value: string
  readonly fallback?: T
  /** A relative one is taken from where it was said: the file's folder, or the working directory. */
  readonly isPath?: boolean
  readonly isList?: boolean
  readonly isSwitch?: boolean
  /** There is no node without it. */
  readonly isRequired?: boolean
}

type Extra<T> = Pick<Setting<T>, 'fallback' | 'isRequired'>

const shortText = z.string().min(1, 'is empty').max(4_096, 'is too long')

function text(about: string, value: string, extra: Extra<string> = {}): Setting<string> {
  return { about, value, schema: shortText, ...extra }
}

function path(about: string, extra: Extra<string> = {}): Setting<string> {
  return { about, value: 'FILE', schema: shortText, isPath: true, ...extra }
}

/** A number, or its digits as flags and variables have them. */
function integer(
  about: string,
  value: string,
  least: number,
  most: number,
  fallback: number,
): Setting<number> {
  const expected = `expected a whole number from ${least} to ${most}`
  const number = z.number(expected).int(expected).min(least, expected).max(most, expected)
  const digits = z.string().regex(/^\d{1,15}$/, expected)
  return {
    about,
    value,
    schema: z.union([number, digits.transform(Number).pipe(number)], { error: expected }),
    fallback,
  }
}

/** A part of a whole, 0 to 1. */
function share(about: string, fallback: number): Setting<number> {
  const expected = 'expected a number from 0 to 1'
  const number = z.number(expected).min(0, expected).max(1, expected)
  const digits = z.string().regex(/^\d(?:\.\d{1,15})?$/, expected)
  return {
    about,
    value: 'SHARE',
    schema: z.union([number, digits.transform(Number).pipe(number)], { error: expected }),
    fallback,
  }
}

function port(about: string, fallback: number): Setting<number> {
  return integer(about, 'PORT', 0, 65_535, fallback)
}

function wei(about: string, fallback: bigint): Setting<bigint> {
  const expected = 'expected an amount in wei'
  const number = z.number().int().min(0).transform(BigInt)
  const digits = z
    .string()
    .regex(/^\d{1,30}$/, expected)
    .transform(BigInt)
  return {
    about,
    value: 'WEI',
    schema: z.union([z.bigint(), number, digits], { error: expected }),
    fallback,
  }
}

function choice<const T extends string>(
  about: string,
  choices: readonly T[],
  fallback: T,
): Setting<T> {
  const expected = `expected ${choices.join(' or ')}`
  return { about, value: choices.join('|'), schema: z.enum(choices, expected), fallback }
}

/** Several values: a list in the file, commas or a repeated flag elsewhere. */
function list(
  about: string,
  value: string,
  fallback: readonly string[],
): Setting<readonly string[]> {
  const many = z.array(shortText).max(1_000)
  const commas = z.string().transform((given) => given.split(',').filter((item) => item !== ''))
  return { about, value: `${value},…`, schema: z.union([many, commas]), isList: true, fallback }
}

/** PR-1: what disputes and handovers may look back to. */
const LEAST_HISTORY = 1_540

function history(about: string, least: number): Setting<'archive' | number> {
  const expected = `expected archive or a whole number from ${least}`
  const most = Number.MAX_SAFE_INTEGER
  const number = z.number(expected).int(expected).min(least, expected).max(most, expected)
  const digits = z.string().regex(/^\d{1,15}$/, expected)
  const blocks = z.union([number, digits.transform(Number).pipe(number)], { error: expected })
  const schema = z.union([z.literal('archive'), blocks], { error: expected })
  return { about, value: 'archive|BLOCKS', schema, fallback: 'archive' }
}

function flag(about: string): Setting<boolean> {
  const expected = 'expected true or false'
  const words = z.enum(['true', 'false'], expected).transform((word) => word === 'true')
  const schema = z.union([z.boolean(), words], { error: expected })
  return { about, value: 'true|false', schema, isSwitch: true }
}

function block(about: string): Setting<string> {
  const schema = z.string(KNOWN_BLOCK_EXPECTED).regex(KNOWN_BLOCK, KNOWN_BLOCK_EXPECTED)
  return { about, value: 'HEIGHT:HASH', schema }
}

function url(
  about: string,
  extra: Extra<string> = {},
  form = 'http://user:password@host:port',
): Setting<string> {
  const expected = `expected ${form}`
  const schema = shortText.refine((given) => {
    return URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)
  }, expected)
  return { about, value: 'URL', schema, ...extra }
}

const required = { isRequired: true } as const

export const SETTINGS = {
  name: text('name of this node in logs and on its page', 'NAME', { fallback: 'node' }),
  dataDir: path('where chain, state and sign guard live', { fallback: '.millrace/node' }),
  history: history(
    'blocks kept with transactions and receipts: all of them, or the last so many',
    LEAST_HISTORY,
  ),
  genesisFile: path('the genesis file', required),
  validatorKeyFile: path('key file of the validator; without one the node only follows'),
  validatorPasswordFile: path('file with the password of the key file'),
  networkKeyFile: path('file with the 32 bytes, in hex, of the libp2p identity', required),
  'rpc.host': text('address of JSON-RPC, page and metrics', 'HOST', { fallback: '127.0.0.1' }),
  'rpc.port': port('its port; the default falls to the next free one', 8545),
  'rpc.fallback': flag('take the next free port when that one is in use'),
  'rpc.adminTokenFile': path('file with the token that admin methods ask for'),
  'rpc.rateLimits': flag('whether calls of one client a second are bounded [true]'),
  'rpc.corsOrigins': list('web origins that may call, beside localhost and wallets', 'ORIGIN', []),
  'rpc.allowedHosts': list('host names it answers to, beside localhost and addresses', 'HOST', []),
  'p2p.listen': list('multiaddresses to listen at', 'MULTIADDR', ['/ip4/127.0.0.1/tcp/30500']),
  'p2p.peers': list('multiaddresses of peers to keep connected', 'MULTIADDR', []),
  'governance.host': text('address for the streams of members', 'HOST', { fallback: '127.0.0.1' }),
  'governance.port': port('its port', 30_600),
  'governance.authorityFile': path('PEM of the authority that members are certified by', required),
  'governance.certificateFile': path('PEM of the certificate of this node', required),
  'governance.privateKeyFile': path('PEM of its key', required),
  bitcoinUrl: url("JSON-RPC of a Bitcoin Core of the genesis file's network", required),
  bitcoinFallbackUrl: url(
    'JSON-RPC of a second Bitcoin Core: the longer chain is read, and none above the block that both share',
  ),
  bitcoinPollMs: integer('how often Bitcoin is looked at', 'MS', 50, 600_000, 5_000),
  minFeeCapWei: wei('fee caps per gas below this are not kept in the pool', 1_000_000n),
  'pool.maxTransactions': integer(
    'transactions that may wait for a block',
    'N',
    100,
    1_000_000,
    10_000,
  ),
  'checkpoints.every': integer(
    'blocks from one checkpoint of the state to the next; 0: none are made',
    'N',
    0,
    500,
    100,
  ),
  'checkpoints.keep': integer('checkpoints that are kept', 'N', 1, 100, 10),
  'index.addresses': flag(
    'whether the history of addresses is kept, for millrace_addressHistory [false]',
  ),
  resumeHalt: text('id of the halt whose evidence was looked at: the node goes on after it', 'ID'),
  trustedBlock: block(
    'a block that the operator knows to be of this chain: books and doctor follow the validators from there on, not from the genesis file',
  ),
  'engine.mode': choice(
    'what executes the EVM: this process, or a client of another make by the Engine API',
    ['embedded', 'engine-api'],
    'embedded',
  ),
  'engine.url': url('authenticated port of that client', {}, 'http://host:port'),
  'engine.readUrl': url(
    'JSON-RPC of that client for reads of state and receipts; without one the authenticated port',
    {},
    'http://host:port',
  ),
  'engine.jwtSecretFile': path('file with the 32 bytes, in hex, that both sides know'),
  'log.level': choice(
    'least level that is written',
    ['trace', 'debug', 'info', 'warn', 'error'],
    'info',
  ),
  'telemetry.otlpEndpoint': url(
    'collector that traces are sent to by OTLP over HTTP; without one none are made',
    {},
    'http://host:port',
  ),
  'telemetry.sampleRatio': share('share of the flows that are traced', 0.01),
  'log.format': choice('one JSON object per line, or text for people', ['json', 'text'], 'json'),
} as const satisfies Record<string, Setting>

export type Key = keyof typeof SETTINGS
export const KEYS = Object.keys(SETTINGS) as readonly Key[]
export type ValueOf<K extends Key> = z.output<(typeof SETTINGS)[K]['schema']>

/** Whole sets of values by name, below the file and above the defaults. */
export const PRESETS: Readonly<Record<string, Readonly<Partial<Record<Key, unknown>>>>> = {
  dev: {
    bitcoinUrl: 'http://millrace:millrace@127.0.0.1:18443',
    bitcoinPollMs: 500,
    minFeeCapWei: 0,
    'log.format': 'text',
  },
  /** For measuring beside other chains' development nodes: nothing in the way of one client. */
  bench: {
    bitcoinPollMs: 500,
    minFeeCapWei: 0,
    'pool.maxTransactions': 50_000,
    'rpc.rateLimits': false,
  },
}

/** `rpc.corsOrigins` → `--rpc-cors-origins`. */
export function flagOf(key: string): string {
  return `--${key.replaceAll('.', '-').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** `rpc.corsOrigins` → `MILLRACE_RPC_CORS_ORIGINS`. */
export function variableOf(key: string): string {
  return `MILLRACE_${flagOf(key).slice(2).replaceAll('-', '_').toUpperCase()}`
}
