/**
 * What the signers of a recorded transaction of the reserve sign, input by input, and the transaction with its witnesses (protocol §5.3, §5.4): by
 * the key where the members of the output's epoch made one, else through leaf A by t of their own keys.
 */
import { Transaction } from 'bitcoinjs-lib'
import {
  type BitcoinTransaction,
  parseTransaction,
  serializeTransaction,
} from '../core/bitcoin/index.ts'
import {
  type Ledger,
  type OutputRow,
  outpointKey,
  rowOf,
  type SpendRow,
} from '../core/ledger/index.ts'
import type { Genesis } from '../core/params/index.ts'
import {
  type FederationKeys,
  federationOutput,
  groupKeyOf,
  inputWeight,
  MAX_PAYOUT_VBYTES,
  memberLeaf,
  outputScalars,
  type SpendTweak,
  tapLeafHash,
} from '../core/peg/index.ts'
import type { InputTask, SigningTask } from '../core/signing/index.ts'
import { addToGroup, compareBytes, type GroupKey, groupPublicKey, toHex } from '../crypto/index.ts'

const SIGHASH_DEFAULT = 0
/** Outpoint, empty script, sequence. */
const BARE_INPUT_BYTES = 41

/** What an input spends. */
export interface Prevout {
  readonly scriptPubKey: Uint8Array
  readonly amountSat: bigint
}

/** An output of the federation that an input spends. */
export interface BatchInput extends Prevout {
  readonly tweak: SpendTweak
}

/** A transaction of the reserve before it is signed. */
export interface UnsignedBatch {
  /** Stripped serialisation. */
  readonly transaction: Uint8Array
  /** What its inputs spend, in order. */
  readonly inputs: readonly BatchInput[]
}

/** Which attempt at which version. */
export interface BatchAttempt {
  readonly batchId: Uint8Array
  readonly version: number
  readonly attempt: number
}

/** What an output of the ledger is to who spends it. */
export function batchInput(row: OutputRow): BatchInput {
  const { amountSat, epoch, evmAddress, refundScript, scriptPubKey, tweaked } = row
  const tweak = tweaked ? { epoch, deposit: { evmAddress, refundScript } } : { epoch }
  return { scriptPubKey, amountSat, tweak }
}

/** The batch that a recorded transaction makes, with what it spends from the ledger; undefined where that lacks an output. */
export function batchToSign(
  ledger: Ledger,
  { transaction }: Pick<SpendRow, 'transaction'>,
): UnsignedBatch | undefined {
  const inputs: BatchInput[] = []
  for (const { txid, vout } of parsed(transaction).inputs) {
    const row = rowOf(ledger, 'outputs', outpointKey(txid, vout))
    if (row === undefined) return undefined
    inputs.push(batchInput(row))
  }
  return { transaction, inputs }
}

/** PO-12: one round of signatures; then the next validator coordinates. */
export const SIGNATURE_ROUND_MS = 15_000
/** Attempts that go by the key before as many go by leaf A, in turn: with one round each that is four minutes. */
const ATTEMPTS_BY_KEY = 16
/** Rounds by which clocks may differ. */
const SPARE_ROUNDS = 2

/**
 * Whether an attempt takes leaf A for all inputs (5.3), which any t members open with their own keys. The key needs t of those who made it:
 * where members were left out of that, or lost their shares, one more that is silent would stop it for ever. The leaf's witness
 * is larger than the fee was made for, so the key comes first.
 */
function isByLeaf(attempt: number): boolean {
  return Math.floor(attempt / ATTEMPTS_BY_KEY) % 2 === 1
}

/** Rounds that have passed since a block recorded a version of a batch, at `timestamp` seconds. */
export function roundsSince(timestamp: number, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - timestamp * 1_000) / SIGNATURE_ROUND_MS))
}

/**
 * Whether an attempt takes leaf A from coins that have a key before its turn can have come. Attempts are numbered by whoever asks, and the leaf's
 * signatures would pin the transaction at a rate lower than the one that its fee was made for. Rounds count from the version, so that the next
 * one comes to Bitcoin by the key again.
 */
export function isLeafEarly(
  attempt: number,
  { inputs }: Pick<UnsignedBatch, 'inputs'>,
  timestamp: number,
  nowMs: number,
): boolean {
  const hasKey = inputs.some(({ tweak }) => tweak.epoch > 0)
  return hasKey && isByLeaf(attempt) && attempt > roundsSince(timestamp, nowMs) + SPARE_ROUNDS
}

/** Whether a transaction with a witness of leaf A for each input is one that Bitcoin's nodes relay (BIP431). */
function fitsByLeaf(genesis: Genesis, { inputs, transaction }: UnsignedBatch): boolean {
  const witness = inputs.length * (inputWeight(genesis, 0) - 4 * BARE_INPUT_BYTES)
  return Math.ceil((4 * transaction.length + 2 + witness) / 4) <= MAX_PAYOUT_VBYTES
}

/** BIP341's digest of one input, of the key path or, with a leaf, of that leaf. 32 bytes. Throws on what is no transaction: a bug of the caller. */
export function inputDigest(
  {
    inputs,
    transaction,
  }: { readonly transaction: Uint8Array; readonly inputs: readonly Prevout[] },
  index: number,
  leafScript?: Uint8Array,
): Uint8Array {
  const scripts = inputs.map(({ scriptPubKey }) => scriptPubKey)
  const amounts = inputs.map(({ amountSat }) => amountSat)
  const leafHash = leafScript && tapLeafHash(leafScript)
  const whole = Transaction.fromBuffer(transaction)
  return Uint8Array.from(whole.hashForWitnessV1(index, scripts, amounts, SIGHASH_DEFAULT, leafHash))
}

/** What is to be signed in an attempt. */
export function signingTask(
  genesis: Genesis,
  keys: FederationKeys,
  attempt: BatchAttempt,
  batch: UnsignedBatch,
): SigningTask {
  const leaf = memberLeaf(genesis)
  // With more inputs than Bitcoin takes by leaf A there is the key only.
  const byLeaf = isByLeaf(attempt.attempt) && fitsByLeaf(genesis, batch)
  const outputs = new Map<string, Omit<Extract<InputTask, { path: 'key' }>, 'digest'> | undefined>()
  const groups = new Map<number, GroupKey | undefined>()
  const groupOf = (epoch: number) => {
    if (!groups.has(epoch)) groups.set(epoch, groupKeyOf(keys, epoch))
    return groups.get(epoch)
  }
  const inputs = batch.inputs.map(({ scriptPubKey, tweak }, index): InputTask => {
    // Inputs of one script have one key.
    const name = toHex(scriptPubKey)
    if (!outputs.has(name)) outputs.set(name, keyPathOf(genesis, groupOf(tweak.epoch), tweak))
    const path = byLeaf ? undefined : outputs.get(name)
    return path === undefined
      ? { path: 'leaf', digest: inputDigest(batch, index, leaf) }
      : { ...path, digest: inputDigest(batch, index) }
  })
  return {
    genesisHash: genesis.hash,
    ...attempt,
    threshold: genesis.memberThreshold,
    members: genesis.members.map(({ schnorrKey }) => schnorrKey),
    inputs,
  }
}

/** How the key of an output comes of its epoch's; undefined where nobody holds that. */
function keyPathOf(genesis: Genesis, made: GroupKey | undefined, tweak: SpendTweak) {
  if (made === undefined) return undefined
  const { epoch } = tweak
  let group = made
  const steps = []
  for (const scalar of outputScalars(genesis, groupPublicKey(group), tweak)) {
    steps.push({ group, scalar })
    group = addToGroup(group, scalar)
  }
  return { path: 'key', epoch, steps, group } as const
}

/** The complete transaction. `task` is what was signed, `members` those of the list, ascending, `signatures` what their parts came to, by input. */
export function completeTransaction(
  genesis: Genesis,
  keys: FederationKeys,
  { inputs: spent, transaction }: UnsignedBatch,
  task: Pick<SigningTask, 'inputs'>,
  members: readonly number[],
  signatures: readonly (readonly Uint8Array[])[],
): Uint8Array {
  const whole = parsed(transaction)
  const inputs = whole.inputs.map((input, index) => {
    const { tweak } = spent[index] as BatchInput
    const given = signatures[index] ?? []
    const witness =
      task.inputs[index]?.path === 'key' ? given : leafWitness(genesis, keys, tweak, members, given)
    return { ...input, witness: [...witness] }
  })
  return serializeTransaction({ ...whole, inputs })
}

function parsed(transaction: Uint8Array): BitcoinTransaction {
  const read = parseTransaction(transaction)
  if (!read.ok) throw new Error(`a recorded transaction does not parse: ${read.error.reason}`)
  return read.value
}

/** Items of leaf A's witness: one per key, the last key's first, empty for who does not sign; then leaf and control block. */
function leafWitness(
  genesis: Genesis,
  keys: FederationKeys,
  tweak: SpendTweak,
  members: readonly number[],
  signatures: readonly Uint8Array[],
): readonly Uint8Array[] {
  const output = federationOutput(genesis, tweak, keys)
  const items = genesis.members
    .map(({ schnorrKey }, member) => ({
      schnorrKey,
      signature: signatures[members.indexOf(member)],
    }))
    .sort((left, right) => compareBytes(right.schnorrKey, left.schnorrKey))
    .map(({ signature }) => signature ?? new Uint8Array(0))
  return [...items, output.leafA, output.controlBlockA]
}
