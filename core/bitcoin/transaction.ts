/** Bitcoin transactions, both serialisations (BIP144), by a strict decoder: what it accepts encodes to the same bytes. */
import { concatBytes, joinBytes, sha256d } from '../../crypto/index.ts'
import { err, ok, type Result } from '../params/index.ts'
import { isMarked, Malformed, Reader } from './reader.ts'

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
export const MAX_TRANSACTION_BYTES = 4_000_000
/** All bitcoin there can be, in satoshi. */
export const MAX_MONEY_SAT = 2_100_000_000_000_000n
export const SMALLEST_INPUT_BYTES = 41
export const SMALLEST_OUTPUT_BYTES = 9

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
  if (hasWitness) reader.skip(2)
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
