/**
 * Whether a member approves a deposit (protocol §4.2, PI-10): it builds the claim itself from what its own Bitcoin says and
 * compares it with the one that it was asked to sign, byte for byte. Nothing in the request is taken on trust.
 */
import { parseTransaction, txid } from '../core/bitcoin/index.ts'
import {
  PEG_IN_KINDS,
  type PegInClaim,
  PegInClaimType,
  REFUND_REASONS,
} from '../core/block/index.ts'
import type { Genesis } from '../core/params/index.ts'
import {
  buildProof,
  COINBASE_MATURITY,
  changeOutput,
  claimOfDeposit,
  classifyDeposit,
  type Deposit,
  type FederationKeys,
  federationOutput,
  memberLeaf,
  NO_KEYS,
  parseDeposits,
  recoveryLeaf,
} from '../core/peg/index.ts'
import { bitcoinMerkleTree, equalBytes, toDisplayHash } from '../crypto/index.ts'
import { refusal, type SignerVerdict, sign, wait } from './verdict.ts'

export interface ApprovalRequest {
  readonly genesisHash: Uint8Array
  /** `txid:vout`, txid in display form. */
  readonly outpoint: string
  readonly membersEpoch: number
  /** SSZ PegInClaim. */
  readonly claim: Uint8Array
}

export type ApprovalRefusal =
  | 'WrongChain'
  | 'MembersEpochUnknown'
  | 'ClaimMalformed'
  | 'OutpointMismatch'
  | 'DepositEpochUnknown'
  | 'TransactionNotInBlock'
  | 'TransactionUnusable'
  | 'OutputMissing'
  | 'AmountWrong'
  | 'NotADeposit'
  | 'SpendsReserve'
  | 'AddressWrong'
  | 'RefundScriptWrong'
  | 'KindWrong'
  | 'ProofWrong'
  | 'ClaimMismatch'

/** What a member's own Bitcoin says about a transaction in a block. Hashes in internal byte order. */
export type DepositSight =
  | {
      readonly kind: 'seen'
      /** tip − height + 1 on the best chain. */
      readonly confirmations: number
      readonly txids: readonly Uint8Array[]
      /** −1: the block does not hold it, and both transactions are empty. */
      readonly index: number
      readonly transaction: Uint8Array
      readonly coinbase: Uint8Array
    }
  /** Not known there, off the best chain, or Bitcoin does not answer. `isStale`: who has no such block has heard of none for a day. */
  | { readonly kind: 'unknown'; readonly code: string; readonly isStale?: true }

type Verdict<T> = SignerVerdict<T, ApprovalRefusal>

const MAX_CLAIM_BYTES = 512 * 1024
/** Epoch of the member set: the genesis file's, as long as it cannot change. */
const MEMBERS_EPOCH = 0

/** What a member knows of the federation's keys, from rows that are proven under headers which it verified. */
export interface KnownFederation {
  /** The highest that it has seen as the current one. */
  readonly epoch: number
  readonly keys: FederationKeys
}

/** Before any key was made. */
export const FIRST_FEDERATION: KnownFederation = { epoch: 0, keys: NO_KEYS }
/** When to look at Bitcoin again. */
const RETRY_MS = 2_000

/** The claim that a request is about, if the request is one of this chain. */
export function readApprovalRequest(
  genesis: Genesis,
  request: ApprovalRequest,
  { epoch }: KnownFederation,
): Verdict<PegInClaim> {
  if (!equalBytes(request.genesisHash, genesis.hash)) return refusal('WrongChain')
  if (request.membersEpoch !== MEMBERS_EPOCH) return refusal('MembersEpochUnknown')
  const claim = decodeClaim(request.claim)
  if (claim === undefined) return refusal('ClaimMalformed')
  if (request.outpoint !== `${toDisplayHash(claim.txid)}:${claim.vout}`) {
    return refusal('OutpointMismatch')
  }
  // A member that is a block behind learns of the epoch with the next one.
  if (claim.depositEpoch > epoch) return wait('DepositEpochUnknown', RETRY_MS)
  return sign(claim)
}

/** Undefined for anything but the one encoding of a claim. */
function decodeClaim(bytes: Uint8Array): PegInClaim | undefined {
  if (bytes.length > MAX_CLAIM_BYTES) return undefined
  try {
    const claim = PegInClaimType.deserialize(Uint8Array.from(bytes))
    return equalBytes(PegInClaimType.serialize(claim), bytes) ? claim : undefined
  } catch {
    return undefined
  }
}

/** Whether to sign `claim`, given what the member's own Bitcoin shows. `confirmations`: the member's own bound, never below N. */
export function decideApproval(
  genesis: Genesis,
  claim: PegInClaim,
  sight: DepositSight,
  confirmations: number,
  { keys }: KnownFederation,
): Verdict<PegInClaim> {
  if (sight.kind === 'unknown') return wait(sight.code, RETRY_MS)
  if (sight.index < 0) return refusal('TransactionNotInBlock')
  const needed = Math.max(
    confirmations,
    genesis.params.pegInConfirmations,
    sight.index === 0 ? COINBASE_MATURITY : 0,
  )
  if (sight.confirmations < needed) return wait('NotConfirmed', RETRY_MS)
  const fault = claimFault(genesis, claim, sight, keys)
  return fault === undefined ? sign(claim) : refusal(fault)
}

function claimFault(
  genesis: Genesis,
  claim: PegInClaim,
  sight: Extract<DepositSight, { readonly kind: 'seen' }>,
  keys: FederationKeys,
): ApprovalRefusal | undefined {
  const { blockHash } = claim.proof
  const proof = buildProof({ ...sight, blockHash, tree: bitcoinMerkleTree(sight.txids) })
  if (!proof.ok) return 'TransactionUnusable'
  if (spendsReserve(genesis, sight.transaction)) return 'SpendsReserve'
  const deposit = ownDeposit(genesis, claim, proof.value.transaction, keys)
  if (typeof deposit === 'string') return deposit
  const ours: PegInClaim = claimOfDeposit(deposit, proof.value)
  if (claim.amountSat !== ours.amountSat) return 'AmountWrong'
  if (!equalBytes(claim.evmAddress, ours.evmAddress)) return 'AddressWrong'
  if (!equalBytes(claim.refundScript, ours.refundScript)) return 'RefundScriptWrong'
  if (claim.kind !== ours.kind || claim.reason !== ours.reason) return 'KindWrong'
  if (!equalBytes(encode({ ...claim, proof: ours.proof }), encode(ours))) return 'ClaimMismatch'
  return equalBytes(encode(claim), encode(ours)) ? undefined : 'ProofWrong'
}

/**
 * A transaction of the federation is no deposit, however much it looks like one: its change is under the same script (4.2). Every
 * spend of a federation output opens one of its leaves, whose script then stands before the control block in the witness.
 */
function spendsReserve(genesis: Genesis, bytes: Uint8Array): boolean {
  const parsed = parseTransaction(bytes)
  const leaves = [memberLeaf(genesis), recoveryLeaf(genesis)]
  return (
    parsed.ok &&
    parsed.value.inputs.some(({ witness }) => {
      const script = witness.at(-2)
      return script !== undefined && leaves.some((leaf) => equalBytes(leaf, script))
    })
  )
}

function encode(claim: PegInClaim): Uint8Array {
  return PegInClaimType.serialize(claim)
}

/** The deposit that stands at the claim's output, from the transaction's bytes alone. */
function ownDeposit(
  genesis: Genesis,
  claim: PegInClaim,
  bytes: Uint8Array,
  keys: FederationKeys,
): Deposit | ApprovalRefusal {
  const parsed = parseTransaction(bytes)
  if (!parsed.ok) return 'TransactionUnusable'
  const transaction = parsed.value
  const output = transaction.outputs[claim.vout]
  if (output === undefined || !equalBytes(txid(transaction), claim.txid)) return 'OutputMissing'
  if (claim.amountSat !== output.amountSat) return 'AmountWrong'
  const { depositEpoch, evmAddress, refundScript } = claim
  const plain = changeOutput(genesis, depositEpoch, keys).scriptPubKey
  if (equalBytes(output.scriptPubKey, plain)) {
    const scripts = [{ epoch: depositEpoch, scriptPubKey: plain }]
    const deposits = parseDeposits(transaction, scripts, genesis.params)
    return deposits.find(({ vout }) => vout === claim.vout) ?? 'NotADeposit'
  }
  // A depositor's own script commits to address and refund script, so the script is the proof of both.
  const tweak = { epoch: depositEpoch, deposit: { evmAddress, refundScript } }
  const own = federationOutput(genesis, tweak, keys)
  if (!equalBytes(output.scriptPubKey, own.scriptPubKey)) return 'NotADeposit'
  const found = classifyDeposit(genesis.params, output.amountSat, { evmAddress })
  if (found === undefined) return 'NotADeposit'
  const { txid: id, vout, amountSat } = claim
  return { txid: id, vout, amountSat, ...found, evmAddress, refundScript, depositEpoch }
}

/** Kind and reason of a claim for logs. */
export function claimKind({ kind, reason }: Pick<PegInClaim, 'kind' | 'reason'>): string {
  const kindName = PEG_IN_KINDS[kind] ?? String(kind)
  const reasonName = REFUND_REASONS[reason] ?? String(reason)
  return reasonName === 'none' ? kindName : `${kindName} (${reasonName})`
}
