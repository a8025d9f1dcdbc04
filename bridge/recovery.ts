/**
 * Spending the reserve by a leaf, apart from the chain (protocol §5.3): by leaf A with t of the members' own keys, by leaf B with j of the cold
 * recovery keys once an output is csv blocks deep. A plan is made from rows of the ledger; each holder signs it with the one key that it
 * has; whoever has enough signatures makes the transaction. Pure. Kept invariant: whatever is signed spends outputs that follow from
 * the genesis file, and no function takes more than one secret.
 */
import {
  type BitcoinOutput,
  type BitcoinTransaction,
  DUST_SAT,
  MAX_MONEY_SAT,
  outputSizeBytes,
  serializeTransaction,
} from '../core/bitcoin/index.ts'
import { heightKey, outpointKey, ZERO_HASH } from '../core/ledger/index.ts'
import { err, type Genesis, ok, type Result } from '../core/params/index.ts'
import {
  type FederationKeys,
  type FederationOutput,
  federationKey,
  federationOutput,
  NO_KEYS,
  outpointName,
  type SpendTweak,
} from '../core/peg/index.ts'
import {
  compareBytes,
  equalBytes,
  isSchnorrKey,
  schnorrPublicKey,
  schnorrSign,
  schnorrVerify,
  toHex,
} from '../crypto/index.ts'
import type { EpochKey, ReserveOutput } from './reserve-file.ts'
import { inputDigest, type Prevout } from './signing.ts'

export const RECOVERY_LEAVES = ['members', 'recovery'] as const
/** Leaf A, leaf B. */
export type RecoveryLeaf = (typeof RECOVERY_LEAVES)[number]

/** An input of a plan: what it spends, and how that follows from the genesis file. */
export interface RecoveryInput {
  readonly txid: Uint8Array
  readonly vout: number
  readonly amountSat: bigint
  readonly spend: SpendTweak
  /** x(X) of the epoch. */
  readonly groupKey: Uint8Array
  readonly output: FederationOutput
  /** By hex of the key: 64 bytes each, checked. */
  readonly signatures: ReadonlyMap<string, Uint8Array>
}

export interface Recovery {
  readonly leaf: RecoveryLeaf
  readonly inputs: readonly RecoveryInput[]
  readonly outputs: readonly BitcoinOutput[]
}

export type RecoveryFault =
  | { readonly code: 'NothingToSpend' }
  | { readonly code: 'TooManyInputs'; readonly inputs: number; readonly most: number }
  | { readonly code: 'FeeRateWrong'; readonly reason: string }
  | { readonly code: 'PaymentBelowDust'; readonly amountSat: bigint }
  | { readonly code: 'AmountTooSmall'; readonly haveSat: bigint; readonly needSat: bigint }
  /** No key of the epoch is known, where the members may have made one. */
  | { readonly code: 'EpochKeyMissing'; readonly epoch: number }
  | { readonly code: 'PsbtMalformed'; readonly reason: string }
  | { readonly code: 'PsbtOfAnotherChain' }
  /** It is not the output that epoch, address and refund script give under this genesis file. */
  | { readonly code: 'InputForeign'; readonly outpoint: string; readonly reason: string }
  | { readonly code: 'SignatureWrong'; readonly outpoint: string; readonly key: string }
  | { readonly code: 'KeyNotInLeaf'; readonly key: string }
  | { readonly code: 'OtherTransaction' }
  | { readonly code: 'SignaturesMissing'; readonly have: number; readonly need: number }

/** Relay refuses what is heavier than 400,000 weight units. */
const MAX_RECOVERY_WEIGHT = 396_000
const MEMBERS_SEQUENCE = 0xffff_fffd
/** BIP68 asks for it. */
const VERSION = 2
const OVERHEAD_WEIGHT = 4 * 10 + 2 + 4 * 4
/** Above this the fee is a mistake. */
export const MAX_RECOVERY_RATE_SAT_PER_KVB = 2_000_000

/** The keys of a leaf in ascending order, and how many of them sign. */
export function leafKeys(
  genesis: Genesis,
  leaf: RecoveryLeaf,
): { readonly keys: readonly Uint8Array[]; readonly threshold: number } {
  const { members, memberThreshold, recovery } = genesis
  const keys = leaf === 'members' ? members.map((one) => one.schnorrKey) : recovery.schnorrKeys
  const threshold = leaf === 'members' ? memberThreshold : recovery.threshold
  return { keys: [...keys].sort(compareBytes), threshold }
}

export function leafScript(leaf: RecoveryLeaf, { leafA, leafB }: FederationOutput): Uint8Array {
  return leaf === 'members' ? leafA : leafB
}

export function leafControlBlock(leaf: RecoveryLeaf, output: FederationOutput): Uint8Array {
  return leaf === 'members' ? output.controlBlockA : output.controlBlockB
}

/** nSequence of every input: of leaf B the delay that its script asks for. */
export function leafSequence(genesis: Genesis, leaf: RecoveryLeaf): number {
  return leaf === 'members' ? MEMBERS_SEQUENCE : genesis.recovery.csvBlocks
}

/** The output that a row names, under x(X) of its epoch. */
export function outputOf(
  genesis: Genesis,
  spend: SpendTweak,
  groupKey: Uint8Array,
): FederationOutput {
  return federationOutput(genesis, spend, keysWith(genesis, spend.epoch, groupKey))
}

/** As the ledger would have it, for what needs nothing but the key itself. */
function keysWith(genesis: Genesis, epoch: number, groupKey: Uint8Array): FederationKeys {
  if (equalBytes(federationKey(genesis, epoch, NO_KEYS), groupKey)) return NO_KEYS
  const key = heightKey(epoch)
  const row = {
    publicKey: groupKey,
    commitments: [],
    signers: [],
    sessionId: ZERO_HASH,
    height: 0,
    bitcoinHeight: 0,
  }
  return new Map([[toHex(key), { key, row }]])
}

export interface RecoveryWish {
  readonly leaf: RecoveryLeaf
  readonly outputs: readonly ReserveOutput[]
  readonly keys: readonly EpochKey[]
  /** Paid in this order; what is left goes to `rest`. */
  readonly payments: readonly BitcoinOutput[]
  /** scriptPubKey. */
  readonly rest: Uint8Array
  readonly feeRateSatPerKvb: number
}

/** How many inputs one transaction can have: what is more goes into another. */
export function mostInputs(genesis: Genesis, leaf: RecoveryLeaf): number {
  const room = MAX_RECOVERY_WEIGHT - OVERHEAD_WEIGHT - 4 * 1_000
  return Math.floor(room / leafInputWeight(genesis, leaf))
}

export function planRecovery(
  genesis: Genesis,
  wish: RecoveryWish,
): Result<Recovery, RecoveryFault> {
  const { feeRateSatPerKvb, leaf, payments, rest } = wish
  if (wish.outputs.length === 0) return err({ code: 'NothingToSpend' })
  const most = mostInputs(genesis, leaf)
  if (wish.outputs.length > most) {
    return err({ code: 'TooManyInputs', inputs: wish.outputs.length, most })
  }
  const isRate = Number.isSafeInteger(feeRateSatPerKvb) && feeRateSatPerKvb >= 1_000
  if (!isRate || feeRateSatPerKvb > MAX_RECOVERY_RATE_SAT_PER_KVB) {
    return err({ code: 'FeeRateWrong', reason: 'expected 1 to 2,000 sat/vB' })
  }
  const dust = payments.find(({ amountSat }) => amountSat < DUST_SAT)
  if (dust !== undefined) return err({ code: 'PaymentBelowDust', amountSat: dust.amountSat })
  const inputs: RecoveryInput[] = []
  for (const output of wish.outputs) {
    const input = plannedInput(genesis, output, wish.keys)
    if (!('output' in input)) return err(input)
    inputs.push(input)
  }
  const outputs = [...payments, { scriptPubKey: rest, amountSat: 0n }]
  const vsize = recoveryVsize(genesis, { leaf, inputs, outputs })
  const feeSat = (BigInt(feeRateSatPerKvb) * BigInt(vsize) + 999n) / 1_000n
  const paidSat = payments.reduce((sum, { amountSat }) => sum + amountSat, 0n)
  const haveSat = inputs.reduce((sum, { amountSat }) => sum + amountSat, 0n)
  const restSat = haveSat - paidSat - feeSat
  if (restSat < DUST_SAT) {
    return err({ code: 'AmountTooSmall', haveSat, needSat: paidSat + feeSat + DUST_SAT })
  }
  return ok({ leaf, inputs, outputs: [...payments, { scriptPubKey: rest, amountSat: restSat }] })
}

function plannedInput(
  genesis: Genesis,
  { amountSat, deposit, epoch, txid, vout }: ReserveOutput,
  keys: readonly EpochKey[],
): RecoveryInput | RecoveryFault {
  // Epoch 0 never has a made key.
  const made = epoch === 0 ? undefined : keys.find((key) => key.epoch === epoch)
  if (made === undefined && epoch > 0) return { code: 'EpochKeyMissing', epoch }
  const groupKey = made?.publicKey ?? federationKey(genesis, 0)
  const outpoint = outpointName(outpointKey(txid, vout))
  if (!isSchnorrKey(groupKey)) {
    return { code: 'InputForeign', outpoint, reason: `the key of epoch ${epoch} is no point` }
  }
  if (amountSat < 1n || amountSat > MAX_MONEY_SAT) {
    return { code: 'InputForeign', outpoint, reason: `${amountSat} sat is no amount` }
  }
  const spend = { epoch, ...(deposit && { deposit }) }
  const output = outputOf(genesis, spend, groupKey)
  return { txid, vout, amountSat, spend, groupKey, output, signatures: new Map() }
}

function leafInputWeight(genesis: Genesis, leaf: RecoveryLeaf): number {
  const { keys, threshold } = leafKeys(genesis, leaf)
  const output = outputOf(genesis, { epoch: 0 }, federationKey(genesis, 0))
  const script = leafScript(leaf, output).length
  const count = keys.length + 2
  const items = threshold * 65 + (keys.length - threshold)
  return 41 * 4 + (count < 253 ? 1 : 3) + items + (script < 253 ? 1 : 3) + script + 1 + 65
}

/** Virtual bytes of the finished transaction. */
export function recoveryVsize(genesis: Genesis, { inputs, leaf, outputs }: Recovery): number {
  const paid = outputs.reduce((sum, { scriptPubKey }) => sum + 4 * outputSizeBytes(scriptPubKey), 0)
  const weight = OVERHEAD_WEIGHT + inputs.length * leafInputWeight(genesis, leaf) + paid
  return Math.ceil(weight / 4)
}

export function recoveryFeeSat({ inputs, outputs }: Recovery): bigint {
  const sum = (rows: readonly { readonly amountSat: bigint }[]) =>
    rows.reduce((total, { amountSat }) => total + amountSat, 0n)
  return sum(inputs) - sum(outputs)
}

/** In sat per 1000 vB, rounded up. */
export function recoveryRate(genesis: Genesis, recovery: Recovery): bigint {
  const vsize = BigInt(recoveryVsize(genesis, recovery))
  return (recoveryFeeSat(recovery) * 1_000n + vsize - 1n) / vsize
}

/** Without witnesses. */
export function unsignedRecovery(genesis: Genesis, recovery: Recovery): BitcoinTransaction {
  const sequence = leafSequence(genesis, recovery.leaf)
  return {
    version: VERSION,
    lockTime: 0,
    inputs: recovery.inputs.map(({ txid, vout }) => ({
      txid,
      vout,
      scriptSig: new Uint8Array(0),
      sequence,
      witness: [],
    })),
    outputs: recovery.outputs,
  }
}

/** BIP341's digest of each input. */
export function recoveryDigests(genesis: Genesis, recovery: Recovery): Uint8Array[] {
  const { inputs, leaf } = recovery
  const transaction = serializeTransaction(unsignedRecovery(genesis, recovery))
  const prevouts: Prevout[] = inputs.map(({ amountSat, output }) => {
    return { scriptPubKey: output.scriptPubKey, amountSat }
  })
  return inputs.map(({ output }, index) =>
    inputDigest({ transaction, inputs: prevouts }, index, leafScript(leaf, output)),
  )
}

/** One holder's signature on every input. `auxiliary` is 32 bytes of fresh randomness. */
export function signRecovery(
  genesis: Genesis,
  recovery: Recovery,
  secretKey: Uint8Array,
  auxiliary: Uint8Array,
): Result<Recovery, RecoveryFault> {
  const key = schnorrPublicKey(secretKey)
  const { keys } = leafKeys(genesis, recovery.leaf)
  if (!keys.some((one) => equalBytes(one, key))) {
    return err({ code: 'KeyNotInLeaf', key: toHex(key) })
  }
  const digests = recoveryDigests(genesis, recovery)
  const inputs = recovery.inputs.map((input, index) => {
    const signature = schnorrSign(secretKey, digests[index] as Uint8Array, auxiliary)
    return { ...input, signatures: new Map(input.signatures).set(toHex(key), signature) }
  })
  return ok({ ...recovery, inputs })
}

/** What is wrong with the signatures that a plan carries: each is by a key of its leaf, over this transaction. */
export function wrongSignature(genesis: Genesis, recovery: Recovery): RecoveryFault | undefined {
  const known = new Map(leafKeys(genesis, recovery.leaf).keys.map((key) => [toHex(key), key]))
  const digests = recoveryDigests(genesis, recovery)
  for (const [index, { signatures, txid, vout }] of recovery.inputs.entries()) {
    for (const [name, signature] of signatures) {
      const key = known.get(name)
      if (key === undefined) return { code: 'KeyNotInLeaf', key: name }
      const isGood =
        signature.length === 64 && schnorrVerify(key, digests[index] as Uint8Array, signature)
      if (!isGood) {
        return {
          code: 'SignatureWrong',
          outpoint: outpointName(outpointKey(txid, vout)),
          key: name,
        }
      }
    }
  }
  return undefined
}

/** Keys, in hex and ascending order, that have signed every input. */
export function recoverySigners(genesis: Genesis, { inputs, leaf }: Recovery): string[] {
  return leafKeys(genesis, leaf)
    .keys.map(toHex)
    .filter((key) => inputs.every(({ signatures }) => signatures.has(key)))
}

/** The signatures of several copies of one plan, each copy checked. */
export function combineRecoveries(
  genesis: Genesis,
  copies: readonly [Recovery, ...Recovery[]],
): Result<Recovery, RecoveryFault> {
  const [first] = copies
  const bytes = serializeTransaction(unsignedRecovery(genesis, first))
  for (const copy of copies) {
    const isSame =
      copy.leaf === first.leaf &&
      equalBytes(bytes, serializeTransaction(unsignedRecovery(genesis, copy))) &&
      copy.inputs.every(({ amountSat, output }, index) => {
        const other = first.inputs[index]
        return (
          amountSat === other?.amountSat &&
          equalBytes(output.scriptPubKey, other.output.scriptPubKey)
        )
      })
    if (!isSame) return err({ code: 'OtherTransaction' })
  }
  const inputs = first.inputs.map((input, index) => ({
    ...input,
    signatures: new Map(copies.flatMap((copy) => [...(copy.inputs[index]?.signatures ?? [])])),
  }))
  return ok({ ...first, inputs })
}

/** The transaction with its witnesses: exactly as many signatures as the leaf wants, of the lowest keys that signed. */
export function finishRecovery(
  genesis: Genesis,
  recovery: Recovery,
): Result<Uint8Array, RecoveryFault> {
  const { keys, threshold } = leafKeys(genesis, recovery.leaf)
  const signers = recoverySigners(genesis, recovery).slice(0, threshold)
  if (signers.length < threshold) {
    return err({ code: 'SignaturesMissing', have: signers.length, need: threshold })
  }
  const unsigned = unsignedRecovery(genesis, recovery)
  const inputs = unsigned.inputs.map((input, index) => {
    const { output, signatures } = recovery.inputs[index] as RecoveryInput
    // The last key's item first (5.3).
    const items = [...keys].reverse().map((key) => {
      const name = toHex(key)
      return signers.includes(name) ? (signatures.get(name) as Uint8Array) : new Uint8Array(0)
    })
    const { leaf } = recovery
    return {
      ...input,
      witness: [...items, leafScript(leaf, output), leafControlBlock(leaf, output)],
    }
  })
  return ok(serializeTransaction({ ...unsigned, inputs }))
}
