/** Bitcoin transactions, both serialisations (BIP144), by a strict decoder: what it accepts encodes to the same bytes. */
import {
  bitcoinMerkleRoot,
  concatBytes,
  equalBytes,
  joinBytes,
  sha256d,
  toHex,
} from '../../crypto/index.ts'
import { err, ok, type Result } from '../params/index.ts'
import { HEADER_BYTES, headerHash } from './header.ts'

export interface BitcoinInput {
  /** Internal byte order. */
  readonly txid: Uint8Array
  readonly vout: number
  readonly scriptSig: Uint8Array
  readonly sequence: number
  /** Witness items; empty in the stripped serialisation. */
  readonly witness: readonly Uint8Array[]
}

export interface BitcoinOutput {
  readonly amountSat: bigint
  readonly scriptPubKey: Uint8Array
}

export interface BitcoinTransaction {
  readonly version: number
  readonly inputs: readonly BitcoinInput[]
  readonly outputs: readonly BitcoinOutput[]
  readonly lockTime: number
}

export type TransactionError = { readonly code: 'TransactionMalformed'; readonly reason: string }

/** Consensus bound on a block: no transaction is larger. */
const MAX_TRANSACTION_BYTES = 4_000_000
/** All bitcoin there can be, in satoshi. */
export const MAX_MONEY_SAT = 2_100_000_000_000_000n
const SMALLEST_INPUT_BYTES = 41
const SMALLEST_OUTPUT_BYTES = 9
const SMALLEST_TRANSACTION_BYTES = 10 + SMALLEST_INPUT_BYTES + SMALLEST_OUTPUT_BYTES

/** Thrown within this file only and turned into a value at its door. */
class Malformed extends Error {}

/** Reads what a peer sent, within its bounds; throws `Malformed`. */
class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.#offset
  }

  get offset(): number {
    return this.#offset
  }

  /** A part of what is read, not a copy. */
  view(length: number): Uint8Array {
    const at = this.#advance(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** A copy, so that a value does not keep a whole buffer alive. */
  take(length: number): Uint8Array {
    const at = this.#advance(length)
    return this.#bytes.slice(at, at + length)
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1))
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true)
  }

  /** A CompactSize in its only shortest form. */
  compactSize(): number {
    const first = this.uint8()
    if (first < 253) return first
    if (first === 253) return this.#atLeast(this.#view.getUint16(this.#advance(2), true), 253)
    if (first === 254) return this.#atLeast(this.uint32(), 0x1_0000)
    throw new Malformed('a count beyond 32 bits')
  }

  /** The number of items of at least `itemBytes` each that follow. */
  count(itemBytes: number): number {
    const count = this.compactSize()
    if (count * itemBytes > this.left) throw new Malformed('a count beyond the end')
    return count
  }

  bytes(): Uint8Array {
    return this.take(this.compactSize())
  }

  peek(index: number): number | undefined {
    return this.#bytes[this.#offset + index]
  }

  #atLeast(value: number, least: number): number {
    if (value < least) throw new Malformed('a count that is not in shortest form')
    return value
  }

  #advance(length: number): number {
    if (length > this.left) throw new Malformed('ends too early')
    const at = this.#offset
    this.#offset += length
    return at
  }
}

/** Reads one transaction, with or without witness. Total: any bytes give a value or a reason. */
export function parseTransaction(bytes: Uint8Array): Result<BitcoinTransaction, TransactionError> {
  if (bytes.length > MAX_TRANSACTION_BYTES) return malformed(`${bytes.length} bytes`)
  try {
    const reader = new Reader(bytes)
    const transaction = readTransaction(reader)
    return reader.left === 0 ? ok(transaction) : malformed(`${reader.left} trailing bytes`)
  } catch (error) {
    if (error instanceof Malformed) return malformed(error.message)
    throw error
  }
}

function malformed(reason: string): Result<never, TransactionError> {
  return err({ code: 'TransactionMalformed', reason })
}

function readTransaction(reader: Reader): BitcoinTransaction {
  const version = reader.uint32()
  const hasWitness = isMarked(reader)
  if (hasWitness) reader.take(2)
  const inputs: BitcoinInput[] = []
  const inputCount = reader.count(SMALLEST_INPUT_BYTES)
  if (inputCount === 0) throw new Malformed('no inputs')
  for (let index = 0; index < inputCount; index++) inputs.push(readInput(reader))
  const outputs: BitcoinOutput[] = []
  const outputCount = reader.count(SMALLEST_OUTPUT_BYTES)
  if (outputCount === 0) throw new Malformed('no outputs')
  let totalSat = 0n
  for (let index = 0; index < outputCount; index++) {
    const output = { amountSat: reader.uint64(), scriptPubKey: reader.bytes() }
    totalSat += output.amountSat
    outputs.push(output)
  }
  if (totalSat > MAX_MONEY_SAT) throw new Malformed('more than all bitcoin')
  const signed = hasWitness ? readWitnesses(reader, inputs) : inputs
  return { version, inputs: signed, outputs, lockTime: reader.uint32() }
}

function readInput(reader: Reader): BitcoinInput {
  return {
    txid: reader.take(32),
    vout: reader.uint32(),
    scriptSig: reader.bytes(),
    sequence: reader.uint32(),
    witness: [],
  }
}

function readWitnesses(reader: Reader, inputs: readonly BitcoinInput[]): BitcoinInput[] {
  const signed = inputs.map((input) => {
    const witness: Uint8Array[] = []
    const items = reader.count(1)
    for (let index = 0; index < items; index++) witness.push(reader.bytes())
    return { ...input, witness }
  })
  // The marker without a witness is a second form of the same transaction.
  if (signed.every((input) => input.witness.length === 0)) {
    throw new Malformed('a witness marker without witness')
  }
  return signed
}

/** A transaction where it lies in its block: all are parts of the block's bytes. */
export interface BlockTransaction {
  /** With its witness. */
  readonly bytes: Uint8Array
  /** 36 bytes each, as they are written: txid and output index. */
  readonly outpoints: readonly Uint8Array[]
  readonly scripts: readonly Uint8Array[]
  /** Whose hash is the txid. */
  readonly stripped: readonly Uint8Array[]
}

/** The transactions of a raw block, in its order, without a copy of anything. Total: any bytes give a value or a reason. */
export function readBlock(
  raw: Uint8Array,
): Result<readonly BlockTransaction[], { code: 'BlockMalformed'; reason: string }> {
  const refused = (reason: string) => err({ code: 'BlockMalformed', reason } as const)
  if (raw.length > MAX_TRANSACTION_BYTES) return refused(`${raw.length} bytes`)
  try {
    const reader = new Reader(raw)
    reader.view(HEADER_BYTES)
    const transactions: BlockTransaction[] = []
    const count = reader.count(SMALLEST_TRANSACTION_BYTES)
    for (let index = 0; index < count; index++) transactions.push(readInPlace(reader, raw))
    return reader.left === 0 ? ok(transactions) : refused(`${reader.left} trailing bytes`)
  } catch (error) {
    if (error instanceof Malformed) return refused(error.message)
    throw error
  }
}

export interface WholeBlock {
  readonly transactions: readonly BlockTransaction[]
  /** Of each, in internal byte order. */
  readonly txids: readonly Uint8Array[]
}

/** The block of this hash: nothing is left out, added or moved. Total. */
export function readBlockOf(
  hash: Uint8Array,
  raw: Uint8Array,
): Result<WholeBlock, { code: 'BlockMalformed'; reason: string }> {
  const refused = (reason: string) => err({ code: 'BlockMalformed', reason } as const)
  const read = readBlock(raw)
  if (!read.ok) return read
  if (!equalBytes(headerHash(raw.subarray(0, HEADER_BYTES)), hash)) {
    return refused('a block under another hash')
  }
  const txids = read.value.map(({ stripped }) => sha256d(...stripped))
  // The last ones written twice give the same root (CVE-2012-2459).
  const isOnce = new Set(txids.map(toHex)).size === txids.length
  if (!isOnce || txids.length === 0 || !equalBytes(bitcoinMerkleRoot(txids), merkleRootOf(raw))) {
    return refused('not the transactions of its header')
  }
  return ok({ transactions: read.value, txids })
}

function merkleRootOf(raw: Uint8Array): Uint8Array {
  return raw.subarray(36, 68)
}

function readInPlace(reader: Reader, raw: Uint8Array): BlockTransaction {
  const start = reader.offset
  const version = reader.view(4)
  const hasWitness = isMarked(reader)
  if (hasWitness) reader.view(2)
  const bodyStart = reader.offset
  const outpoints: Uint8Array[] = []
  const scripts: Uint8Array[] = []
  const inputCount = reader.count(SMALLEST_INPUT_BYTES)
  for (let index = 0; index < inputCount; index++) {
    outpoints.push(reader.view(36))
    reader.view(reader.compactSize() + 4)
  }
  const outputCount = reader.count(SMALLEST_OUTPUT_BYTES)
  for (let index = 0; index < outputCount; index++) {
    reader.view(8)
    scripts.push(reader.view(reader.compactSize()))
  }
  const body = raw.subarray(bodyStart, reader.offset)
  for (let index = 0; hasWitness && index < inputCount; index++) {
    const items = reader.count(1)
    for (let item = 0; item < items; item++) reader.view(reader.compactSize())
  }
  const stripped = [version, body, reader.view(4)]
  return { bytes: raw.subarray(start, reader.offset), outpoints, scripts, stripped }
}

/** A marker of 0 where the number of inputs stands, then a flag of 1 (BIP144). */
function isMarked(reader: Reader): boolean {
  return reader.peek(0) === 0 && reader.peek(1) === 1
}

/** Writes a transaction; with its witness if it has one and `stripped` is not asked for. */
export function serializeTransaction(
  transaction: BitcoinTransaction,
  form: 'full' | 'stripped' = 'full',
): Uint8Array {
  const { inputs, outputs } = transaction
  const hasWitness = form === 'full' && inputs.some((input) => input.witness.length > 0)
  const parts: Uint8Array[] = [uint32le(transaction.version)]
  if (hasWitness) parts.push(Uint8Array.of(0, 1))
  parts.push(compactSize(inputs.length))
  for (const input of inputs) {
    parts.push(input.txid, uint32le(input.vout), ...sized(input.scriptSig))
    parts.push(uint32le(input.sequence))
  }
  parts.push(compactSize(outputs.length))
  for (const output of outputs) parts.push(...serializeOutput(output))
  if (hasWitness) {
    for (const { witness } of inputs) {
      parts.push(compactSize(witness.length), ...witness.flatMap(sized))
    }
  }
  parts.push(uint32le(transaction.lockTime))
  return joinBytes(parts)
}

function serializeOutput(output: BitcoinOutput): Uint8Array[] {
  return [uint64le(output.amountSat), ...sized(output.scriptPubKey)]
}

/** Bytes that an output takes in a transaction. */
export function outputSizeBytes(scriptPubKey: Uint8Array): number {
  return 8 + compactSize(scriptPubKey.length).length + scriptPubKey.length
}

function sized(bytes: Uint8Array): [Uint8Array, Uint8Array] {
  return [compactSize(bytes.length), bytes]
}

/** Bitcoin's variable-length integer, up to 32 bits. */
export function compactSize(value: number): Uint8Array {
  if (value < 253) return Uint8Array.of(value)
  if (value < 0x1_0000) return Uint8Array.of(253, value & 0xff, value >> 8)
  return concatBytes(Uint8Array.of(254), uint32le(value))
}

export function uint32le(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

function uint64le(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value, true)
  return bytes
}

/** The transaction without its witness. */
export function stripTransaction(transaction: BitcoinTransaction): BitcoinTransaction {
  return {
    ...transaction,
    inputs: transaction.inputs.map((input) => ({ ...input, witness: [] })),
  }
}

/** Its txid in internal byte order. */
export function txid(transaction: BitcoinTransaction): Uint8Array {
  return sha256d(serializeTransaction(transaction, 'stripped'))
}

/** Weight of BIP141. */
export function transactionWeight(transaction: BitcoinTransaction): number {
  const stripped = serializeTransaction(transaction, 'stripped').length
  return stripped * 3 + serializeTransaction(transaction).length
}

/** Whether it makes new coins: one input, which spends nothing. */
export function isCoinbase(transaction: BitcoinTransaction): boolean {
  const [input] = transaction.inputs
  if (input === undefined || transaction.inputs.length !== 1) return false
  return input.vout === 0xffff_ffff && input.txid.every((byte) => byte === 0)
}
