/**
 * The genesis file: everything that two nodes must agree on before the first block (protocol §7). It is JSON so that people can
 * read it; its identity is the tagged hash of its canonical text, and that hash enters every signature.
 */
import { z } from 'zod'
import {
  fromHex,
  isSchnorrKey,
  type SignatureSuite,
  taggedHash,
  toHex,
  verifyPossession,
} from '../../crypto/index.ts'
import { canonicalJson, type Json } from './canonical-json.ts'
import { Derived } from './derived.ts'
import { err, ok, type Result } from './verdict.ts'

function hex(length?: number) {
  return z
    .string()
    .regex(/^[0-9a-f]*$/, 'lower-case hex without 0x')
    .refine((text) => text.length % 2 === 0, 'whole bytes')
    .refine((text) => length === undefined || text.length === 2 * length, `${length} bytes`)
}

const integer = (least = 0, most = Number.MAX_SAFE_INTEGER) => z.number().int().min(least).max(most)

const paramsSchema = z.strictObject({
  /** Milliseconds per slot, a multiple of 1000 (1.1). */
  slotMs: integer(1000, 60_000).multipleOf(1000),
  /** Whether peg-outs or blocks wait for merged mining (3.3). */
  anchorGate: z.enum(['off', 'bridge', 'chain']),
  /** N: confirmations in the in-block header chain before a deposit can be an item (4.2). */
  pegInConfirmations: integer(1, 1000),
  /** M: confirmations at which a transaction of the reserve is booked (4.5). */
  payoutConfirmations: integer(1, 1000),
  /** Depth that the conflict input should have where there is such a row (4.5). */
  conflictDepth: integer(1, 10_000),
  minPegInSat: integer(546),
  maxPegInSat: integer(1),
  /** Cap on supply plus what is credited and not minted (4.2). */
  totalCapSat: integer(1),
  /** Cap on credits in any 86,400 s of block timestamps (4.2). */
  dailyCapSat: integer(1),
  /** Cap on credits from the last 100 Bitcoin blocks (4.2). */
  reorgCapSat: integer(1),
  /** Flat fee kept from every peg-in for the operating fund (4.3). */
  pegInFeeSat: integer(0),
  /** Kept from a refund mint (4.4). */
  refundFeeSat: integer(0),
  minPegOutSat: integer(546),
  /** Age in seconds of the oldest request at which a batch is due (4.5). */
  batchWindowSeconds: integer(0, 86_400),
  /** Blocks after which a burner may take back a request that no batch holds (4.4). */
  refundAfterBlocks: integer(1),
  /** Deficit that cancel, handover and renewal may run up (4.7). */
  advanceCapSat: integer(0),
  /** Smallest and largest fee rate that an author may state, sat per 1000 vB. */
  minFeeRateSatPerKvb: integer(1000),
  maxFeeRateSatPerKvb: integer(1000, 1_000_000),
  /** The gas limit that blocks move toward (6.2). */
  gasLimit: integer(1_000_000, 2_000_000_000),
  /** Seconds after which a member's trusted header is too old to go on from (5.6). */
  trustWindowSeconds: integer(1),
  /** Blocks after an offence in which evidence of it may still be carried (2.9, §7). */
  evidenceMaxAgeBlocks: integer(1, 1_000_000),
})

/** The parameters of the chain, effective from genesis; sat amounts as bigint. */
export type ParamsFile = z.infer<typeof paramsSchema>

/**
 * The rules by which every block of a chain is judged and the bytes of what it commits to, of its genesis file too: a program has those of
 * one version, and refuses a chain that names another. It rises with each release that changes either; 1 are those of 0.1.0.
 */
export const PROTOCOL_VERSION = 1

const genesisSchema = z.strictObject({
  protocolVersion: z.literal(PROTOCOL_VERSION),
  name: z.string().min(1).max(64),
  bitcoin: z.strictObject({
    network: z.enum(['main', 'test', 'signet', 'regtest']),
    /** Display form of the network's genesis block hash. */
    genesisHash: hex(32),
    powLimitBits: integer(0, 0xffff_ffff),
    noRetargeting: z.boolean(),
    allowMinDifficulty: z.boolean(),
    /** The header that the in-block chain starts after (4.1). */
    checkpoint: z.strictObject({
      height: integer(),
      header: hex(80),
      /** Cumulative work up to and with it, big endian. */
      chainWork: hex(32),
      /** Times of the last up to 11 headers, oldest first, the checkpoint's included. */
      times: z.array(integer(0, 0xffff_ffff)).min(1).max(11),
      /** The first header of the checkpoint's retarget period. */
      periodStart: hex(80),
    }),
  }),
  validators: z
    .array(
      z.strictObject({
        blsKey: hex(48),
        possession: hex(96),
        power: integer(1, 1_000_000),
        /** EVM address that receives the tips of its blocks. */
        address: hex(20),
      }),
    )
    .min(1)
    .max(1024),
  members: z
    .array(z.strictObject({ blsKey: hex(48), possession: hex(96), schnorrKey: hex(32) }))
    .min(1)
    .max(100),
  recovery: z.strictObject({
    schnorrKeys: z.array(hex(32)).min(1).max(20),
    threshold: integer(1, 20),
    csvBlocks: integer(1, 65_535),
  }),
  params: paramsSchema,
  execution: z.strictObject({
    fork: z.literal('osaka'),
    chainId: integer(1, 0xffff_ffff),
    auxChainId: integer(1, 0xffff_ffff),
    gasLimit: integer(1_000_000, 2_000_000_000),
    /** Block 0 of the EVM chain, which holds the system contracts; computed by `init`. */
    blockHash: hex(32),
    stateRoot: hex(32),
  }),
  /** Slot of block 0. */
  slot: integer(1),
  prevRandao: hex(32),
})

/** The file as it is read: hex strings and integers. */
export type GenesisFile = z.infer<typeof genesisSchema>

export interface Params
  extends Omit<
    ParamsFile,
    | 'minPegInSat'
    | 'maxPegInSat'
    | 'totalCapSat'
    | 'dailyCapSat'
    | 'reorgCapSat'
    | 'pegInFeeSat'
    | 'refundFeeSat'
    | 'minPegOutSat'
    | 'advanceCapSat'
  > {
  readonly minPegInSat: bigint
  readonly maxPegInSat: bigint
  readonly totalCapSat: bigint
  readonly dailyCapSat: bigint
  readonly reorgCapSat: bigint
  readonly pegInFeeSat: bigint
  readonly refundFeeSat: bigint
  readonly minPegOutSat: bigint
  readonly advanceCapSat: bigint
}

export interface Validator {
  readonly blsKey: Uint8Array
  readonly power: number
  readonly address: Uint8Array
}

export interface Member {
  readonly blsKey: Uint8Array
  readonly schnorrKey: Uint8Array
}

export interface BitcoinCheckpoint {
  readonly height: number
  readonly header: Uint8Array
  readonly chainWork: bigint
  readonly times: readonly number[]
  readonly periodStart: Uint8Array
}

export interface BitcoinRules {
  readonly network: 'main' | 'test' | 'signet' | 'regtest'
  /** Display form. */
  readonly genesisHash: string
  readonly powLimitBits: number
  readonly noRetargeting: boolean
  readonly allowMinDifficulty: boolean
  readonly checkpoint: BitcoinCheckpoint
}

/** The genesis with bytes as bytes and money as bigint, checked. */
export interface Genesis {
  readonly file: GenesisFile
  /** Its identity: enters every signature, address and id. */
  readonly hash: Uint8Array
  readonly bitcoin: BitcoinRules
  readonly validators: readonly Validator[]
  readonly members: readonly Member[]
  /** t of 5.1: signatures that move the reserve, approvals that credit a deposit. */
  readonly memberThreshold: number
  readonly recovery: {
    readonly schnorrKeys: readonly Uint8Array[]
    readonly threshold: number
    readonly csvBlocks: number
  }
  readonly params: Params
  readonly paramsHash: Uint8Array
  readonly execution: {
    readonly chainId: number
    readonly gasLimit: number
    readonly blockHash: Uint8Array
    readonly stateRoot: Uint8Array
  }
  readonly slot: number
  readonly prevRandao: Uint8Array
  /** Checks what validators and members sign. */
  readonly signatures: SignatureSuite
  /** What was computed from this genesis, its validators or its members. */
  readonly derived: Derived
}

export type GenesisError = { readonly code: 'GenesisInvalid'; readonly reason: string }

const text = new TextEncoder()

export function genesisHash(file: GenesisFile): Uint8Array {
  return taggedHash('millrace/genesis', text.encode(canonicalJson(file as unknown as Json)))
}

export function hashParams(params: ParamsFile): Uint8Array {
  return taggedHash('millrace/params', text.encode(canonicalJson(params as unknown as Json)))
}

/** t = floor(2n/3) + 1 of n members (5.1). */
export function memberThreshold(members: number): number {
  return Math.floor((2 * members) / 3) + 1
}

/**
 * Reads and checks a genesis file whose keys belong to the suite. Total: any value gives a genesis or the reason why it is
 * none.
 */
export function parseGenesis(
  value: unknown,
  signatures: SignatureSuite,
): Result<Genesis, GenesisError> {
  const other = otherVersion(value)
  if (other !== undefined) return refuse(other)
  const parsed = genesisSchema.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    return refuse(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`)
  }
  const file = parsed.data
  const fault = firstFault(file, signatures)
  return fault === undefined ? ok(fromFile(file, signatures)) : refuse(fault)
}

/** Why a file of other rules is none of ours; looked at first, for all else in it may be of another form. */
function otherVersion(value: unknown): string | undefined {
  const version = z.looseObject({ protocolVersion: integer() }).safeParse(value).data
  if (version === undefined || version.protocolVersion === PROTOCOL_VERSION) return undefined
  return `protocolVersion: the chain has the rules of version ${version.protocolVersion}, this program has those of ${PROTOCOL_VERSION}: run the release that the chain was made with`
}

function refuse(reason: string): Result<never, GenesisError> {
  return err({ code: 'GenesisInvalid', reason })
}

function firstFault(file: GenesisFile, signatures: SignatureSuite): string | undefined {
  const { params, bitcoin, recovery } = file
  if (bitcoin.network !== 'regtest') {
    if (params.anchorGate === 'off') return 'params.anchorGate: off is for regtest only'
    if (params.pegInConfirmations < 6)
      return 'params.pegInConfirmations: below 6 is for regtest only'
    if (bitcoin.noRetargeting) return 'bitcoin.noRetargeting is for regtest only'
    if (recovery.csvBlocks < 4320) return 'recovery.csvBlocks: below 4320 is for regtest only'
  }
  if (recovery.threshold > recovery.schnorrKeys.length) return 'recovery.threshold exceeds the keys'
  if (params.minPegInSat > params.maxPegInSat) return 'params.minPegInSat exceeds maxPegInSat'
  if (params.pegInFeeSat >= params.minPegInSat) return 'params.pegInFeeSat reaches minPegInSat'
  if (params.minFeeRateSatPerKvb > params.maxFeeRateSatPerKvb) {
    return 'params.minFeeRateSatPerKvb exceeds maxFeeRateSatPerKvb'
  }
  const { header, times } = bitcoin.checkpoint
  if (times.at(-1) !== headerTime(header)) {
    return 'bitcoin.checkpoint.times: the last is not the time of the header'
  }
  const keys = [...file.validators, ...file.members].map((holder) => holder.blsKey)
  if (new Set(keys).size !== keys.length) return 'a BLS key stands twice'
  const schnorrKeys = [...file.members.map((member) => member.schnorrKey), ...recovery.schnorrKeys]
  if (new Set(schnorrKeys).size !== schnorrKeys.length) return 'a Schnorr key stands twice'
  for (const key of schnorrKeys) {
    if (!isSchnorrKey(bytes(key))) return `no point has the Schnorr key ${key.slice(0, 16)}…`
  }
  for (const holder of [...file.validators, ...file.members]) {
    if (!verifyPossession(signatures, bytes(holder.blsKey), bytes(holder.possession))) {
      return `no proof of possession for ${holder.blsKey.slice(0, 16)}…`
    }
  }
  return undefined
}

/** Seconds, from the 68th byte of a Bitcoin header. */
function headerTime(header: string): number {
  return Buffer.from(header, 'hex').readUInt32LE(68)
}

function bytes(text: string): Uint8Array {
  return fromHex(text) as Uint8Array
}

function fromFile(file: GenesisFile, signatures: SignatureSuite): Genesis {
  const { bitcoin, execution, params, recovery } = file
  return {
    file,
    hash: genesisHash(file),
    bitcoin: {
      ...bitcoin,
      checkpoint: {
        height: bitcoin.checkpoint.height,
        header: bytes(bitcoin.checkpoint.header),
        chainWork: BigInt(`0x${bitcoin.checkpoint.chainWork}`),
        times: bitcoin.checkpoint.times,
        periodStart: bytes(bitcoin.checkpoint.periodStart),
      },
    },
    validators: file.validators.map(({ blsKey, power, address }) => ({
      blsKey: bytes(blsKey),
      power,
      address: bytes(address),
    })),
    members: file.members.map(({ blsKey, schnorrKey }) => ({
      blsKey: bytes(blsKey),
      schnorrKey: bytes(schnorrKey),
    })),
    memberThreshold: memberThreshold(file.members.length),
    recovery: {
      schnorrKeys: recovery.schnorrKeys.map(bytes),
      threshold: recovery.threshold,
      csvBlocks: recovery.csvBlocks,
    },
    params: {
      ...params,
      minPegInSat: BigInt(params.minPegInSat),
      maxPegInSat: BigInt(params.maxPegInSat),
      totalCapSat: BigInt(params.totalCapSat),
      dailyCapSat: BigInt(params.dailyCapSat),
      reorgCapSat: BigInt(params.reorgCapSat),
      pegInFeeSat: BigInt(params.pegInFeeSat),
      refundFeeSat: BigInt(params.refundFeeSat),
      minPegOutSat: BigInt(params.minPegOutSat),
      advanceCapSat: BigInt(params.advanceCapSat),
    },
    paramsHash: hashParams(params),
    execution: {
      chainId: execution.chainId,
      gasLimit: execution.gasLimit,
      blockHash: bytes(execution.blockHash),
      stateRoot: bytes(execution.stateRoot),
    },
    slot: file.slot,
    prevRandao: bytes(file.prevRandao),
    signatures,
    derived: new Derived(),
  }
}

/** A short name of a genesis for logs and topics. */
export function genesisDigest(genesis: Genesis): string {
  return toHex(genesis.hash.subarray(0, 4))
}
