/**
 * How a transaction of the reserve is signed through leaf A (protocol §5.3): each member signs every input with its own
 * BIP340 key over BIP341's digest of the script path (SIGHASH_DEFAULT, 64 bytes); t members' signatures make the witness.
 */
import { Transaction } from 'bitcoinjs-lib'
import {
  type BitcoinTransaction,
  parseTransaction,
  serializeTransaction,
} from '../core/bitcoin/index.ts'
import { err, type Genesis, ok, type Result } from '../core/params/index.ts'
import {
  type FederationKeys,
  type FederationOutput,
  federationOutput,
  memberLeaf,
  type SpendTweak,
  tapLeafHash,
} from '../core/peg/index.ts'
import { compareBytes, schnorrSign, schnorrVerify } from '../crypto/index.ts'

const SIGHASH_DEFAULT = 0

/** An output that an input spends. */
export interface Prevout {
  readonly scriptPubKey: Uint8Array
  readonly amountSat: bigint
}

/** A transaction of the reserve before it is signed. `prevouts` in input order. */
export interface UnsignedBatch {
  /** Stripped serialisation. */
  readonly transaction: Uint8Array
  readonly prevouts: readonly Prevout[]
  readonly leafScript: Uint8Array
}

/** BIP341's digest of one input that is spent through `leafScript`. 32 bytes. Throws on what is no transaction: a bug of the caller. */
export function leafSighash(
  transaction: Uint8Array,
  prevouts: readonly Prevout[],
  inputIndex: number,
  leafScript: Uint8Array,
): Uint8Array {
  const scripts = prevouts.map(({ scriptPubKey }) => scriptPubKey)
  const amounts = prevouts.map(({ amountSat }) => amountSat)
  const parsed = Transaction.fromBuffer(transaction)
  const leafHash = tapLeafHash(leafScript)
  return Uint8Array.from(
    parsed.hashForWitnessV1(inputIndex, scripts, amounts, SIGHASH_DEFAULT, leafHash),
  )
}

/** A member's signatures, one of 64 bytes per input. `auxiliary` is 32 bytes of fresh randomness (BIP340). */
export function signBatch(
  secretKey: Uint8Array,
  batch: UnsignedBatch,
  auxiliary: Uint8Array,
): Uint8Array[] {
  return batch.prevouts.map((_, index) => {
    const digest = leafSighash(batch.transaction, batch.prevouts, index, batch.leafScript)
    return schnorrSign(secretKey, digest, auxiliary)
  })
}

/** Whether a member's signature for one input is good. Total in the signature. */
export function verifyBatchSignature(
  publicKey: Uint8Array,
  batch: UnsignedBatch,
  inputIndex: number,
  signature: Uint8Array,
): boolean {
  if (signature.length !== 64 || inputIndex < 0 || inputIndex >= batch.prevouts.length) return false
  const digest = leafSighash(batch.transaction, batch.prevouts, inputIndex, batch.leafScript)
  return schnorrVerify(publicKey, digest, signature)
}

/** Whether a member's answer has exactly one good signature for every input. */
export function verifyBatchSignatures(
  publicKey: Uint8Array,
  batch: UnsignedBatch,
  signatures: readonly Uint8Array[],
): boolean {
  return (
    signatures.length === batch.prevouts.length &&
    signatures.every((signature, index) => verifyBatchSignature(publicKey, batch, index, signature))
  )
}

export type AssemblyError =
  | { readonly code: 'TooFewSignatures'; readonly have: number; readonly need: number }
  | { readonly code: 'InputMismatch'; readonly inputs: number; readonly spends: number }

/**
 * The complete transaction. `spends` has the tweak of each input's output; `signatures` are verified answers by member index.
 * Of more than t members the lowest indexes count, so that every node assembles the same bytes from the same answers.
 */
export function assembleTransaction(
  genesis: Genesis,
  transaction: Uint8Array,
  spends: readonly SpendTweak[],
  signatures: ReadonlyMap<number, readonly Uint8Array[]>,
  keys: FederationKeys,
): Result<Uint8Array, AssemblyError> {
  const parsed = parseTransaction(transaction)
  if (!parsed.ok) throw new Error(`a recorded transaction does not parse: ${parsed.error.reason}`)
  const { inputs } = parsed.value
  if (inputs.length !== spends.length) {
    return err({ code: 'InputMismatch', inputs: inputs.length, spends: spends.length })
  }
  const signers = [...signatures.keys()]
    .filter((index) => signatures.get(index)?.length === inputs.length)
    .sort((left, right) => left - right)
    .slice(0, genesis.memberThreshold)
  if (signers.length < genesis.memberThreshold) {
    return err({ code: 'TooFewSignatures', have: signers.length, need: genesis.memberThreshold })
  }
  const chosen = new Map(signers.map((index) => [index, signatures.get(index) ?? []]))
  const signed: BitcoinTransaction = {
    ...parsed.value,
    inputs: inputs.map((input, index) => {
      const spend = spends[index] as SpendTweak
      const output = federationOutput(genesis, spend, keys)
      return { ...input, witness: leafWitness(genesis, output, index, chosen) }
    }),
  }
  return ok(serializeTransaction(signed))
}

/** Items of leaf A's witness: one per key, the last key's first, empty for who does not sign; then leaf and control block. */
function leafWitness(
  genesis: Genesis,
  output: FederationOutput,
  inputIndex: number,
  signatures: ReadonlyMap<number, readonly Uint8Array[]>,
): Uint8Array[] {
  const items = genesis.members
    .map(({ schnorrKey }, member) => ({ schnorrKey, signature: signatures.get(member) }))
    .sort((left, right) => compareBytes(right.schnorrKey, left.schnorrKey))
    .map(({ signature }) => signature?.[inputIndex] ?? new Uint8Array(0))
  return [...items, output.leafA, output.controlBlockA]
}

/** The batch as its members sign it. */
export function unsignedBatch(
  genesis: Genesis,
  transaction: Uint8Array,
  prevouts: readonly Prevout[],
): UnsignedBatch {
  return { transaction, prevouts, leafScript: memberLeaf(genesis) }
}
