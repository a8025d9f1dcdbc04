/**
 * The reserve as a file: every live output with what it takes to spend it, and the keys that the members made. It holds nothing secret,
 * and it is believed by nobody: a wrong field gives another output, which Bitcoin does not have.
 */
import { z } from 'zod'
import {
  isZero,
  type KeyRow,
  type Ledger,
  OUTPUT_KIND,
  type OutputRow,
  outpointKey,
} from '../core/ledger/index.ts'
import { err, ok, type Result } from '../core/params/index.ts'
import { type DepositTweak, outpointName } from '../core/peg/index.ts'
import { bigintFromBytes, fromDisplayHash, hexBytes, toHex } from '../crypto/index.ts'

/** An output of the reserve that may be spent. */
export interface ReserveOutput {
  /** Internal byte order. */
  readonly txid: Uint8Array
  readonly vout: number
  readonly amountSat: bigint
  readonly epoch: number
  /** Absent for change and for deposits in the OP_RETURN form. */
  readonly deposit?: DepositTweak
  /** Where Bitcoin has it, if that is known. */
  readonly bitcoinHeight?: number
  /** The open batch that holds it: a transaction of the federation that spends it may be signed already. */
  readonly batchId?: Uint8Array
}

/** A key as the ledger has it, with its epoch. */
export interface EpochKey extends KeyRow {
  readonly epoch: number
}

export interface ReserveFile {
  readonly genesisHash: Uint8Array
  /** Of the block whose ledger it is. */
  readonly height: number
  readonly keys: readonly EpochKey[]
  readonly outputs: readonly ReserveOutput[]
}

export type ReserveFileError = { readonly code: 'ReserveFileMalformed'; readonly reason: string }

const KINDS = Object.keys(OUTPUT_KIND) as (keyof typeof OUTPUT_KIND)[]
const MAX_OUTPUTS = 1_000_000

const bytes = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${2 * length}}$`), `expected ${length} bytes in hex`)
    .transform(hexBytes)
const whole = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const sat = z
  .string()
  .regex(/^\d{1,16}$/, 'expected satoshi in digits')
  .transform(BigInt)

const outputSchema = z
  .strictObject({
    outpoint: z.string().regex(/^[0-9a-f]{64}:\d{1,10}$/, 'expected txid:vout'),
    amountSat: sat,
    epoch: whole,
    evmAddress: bytes(20).optional(),
    refundScript: z
      .string()
      .regex(/^([0-9a-f]{2}){0,128}$/, 'expected a script in hex')
      .transform(hexBytes)
      .optional(),
    bitcoinHeight: whole.optional(),
    /** For people. */
    kind: z.string().max(16).optional(),
    batchId: bytes(32).optional(),
  })
  .refine(
    ({ evmAddress, refundScript }) => refundScript === undefined || evmAddress !== undefined,
    'a refundScript stands with an evmAddress',
  )
  .transform(({ amountSat, batchId, bitcoinHeight, epoch, evmAddress, outpoint, refundScript }) => {
    const [txid = '', vout = ''] = outpoint.split(':')
    const deposit = evmAddress && { evmAddress, refundScript: refundScript ?? new Uint8Array(0) }
    return {
      txid: fromDisplayHash(txid),
      vout: Number(vout),
      amountSat,
      epoch,
      ...(deposit && { deposit }),
      ...(bitcoinHeight !== undefined && { bitcoinHeight }),
      ...(batchId && { batchId }),
    }
  })

const fileSchema = z.strictObject({
  version: z.literal(1),
  genesis: bytes(32),
  height: whole,
  keys: z
    .array(
      z.strictObject({
        epoch: whole,
        publicKey: bytes(32),
        commitments: z.array(bytes(33)).max(128),
        signers: z.array(whole).max(128),
        sessionId: bytes(32),
        height: whole,
        bitcoinHeight: whole,
      }),
    )
    .max(10_000),
  outputs: z.array(outputSchema).max(MAX_OUTPUTS),
})

/** What the file holds, as JSON. */
export type ReserveJson = z.input<typeof fileSchema>

/** The reserve of a ledger. */
export function reserveJson(genesisHash: Uint8Array, ledger: Ledger): ReserveJson {
  const { open, state } = ledger
  return {
    version: 1,
    genesis: toHex(genesisHash),
    height: state.height,
    keys: [...open.keys.values()].map(({ key, row }) => ({
      epoch: Number(bigintFromBytes(key)),
      publicKey: toHex(row.publicKey),
      commitments: row.commitments.map(toHex),
      signers: [...row.signers],
      sessionId: toHex(row.sessionId),
      height: row.height,
      bitcoinHeight: row.bitcoinHeight,
    })),
    outputs: [...open.reserve.values()].map(({ key, row }) => outputJson(key, row)),
  }
}

function outputJson(key: Uint8Array, row: OutputRow): ReserveJson['outputs'][number] {
  return {
    outpoint: outpointName(key),
    amountSat: row.amountSat.toString(),
    epoch: row.epoch,
    ...(row.tweaked && {
      evmAddress: toHex(row.evmAddress),
      refundScript: toHex(row.refundScript),
    }),
    bitcoinHeight: row.bitcoinHeight,
    kind: KINDS[row.kind] ?? String(row.kind),
    ...(!isZero(row.batchId) && { batchId: toHex(row.batchId) }),
  }
}

/** Total: any value gives the reserve or the first thing that is wrong with it. */
export function readReserveFile(value: unknown): Result<ReserveFile, ReserveFileError> {
  const parsed = fileSchema.safeParse(value)
  if (!parsed.success) return malformed(parsed.error)
  const { genesis, height, keys, outputs } = parsed.data
  const names = outputs.map(({ txid, vout }) => toHex(outpointKey(txid, vout)))
  if (new Set(names).size !== names.length) {
    return err({ code: 'ReserveFileMalformed', reason: 'outputs: an outpoint stands twice' })
  }
  return ok({ genesisHash: genesis, height, keys, outputs })
}

/** One output of such a file, as a person may write it. */
export function readReserveOutput(value: unknown): Result<ReserveOutput, ReserveFileError> {
  const parsed = outputSchema.safeParse(value)
  return parsed.success ? ok(parsed.data) : malformed(parsed.error)
}

function malformed({ issues: [issue] }: z.ZodError): Result<never, ReserveFileError> {
  const where = issue?.path.join('.') ?? ''
  const reason = `${where}${where === '' ? '' : ': '}${issue?.message ?? 'malformed'}`
  return err({ code: 'ReserveFileMalformed', reason })
}
