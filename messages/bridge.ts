/** What the BridgeActor is told and asked: Bitcoin's events, approvals, burns, signatures. */
import type {
  BlockHeader,
  KeygenItem,
  MemberApproval,
  PegInClaim,
  TransactionProof,
} from '../core/block/index.ts'
import type { Ledger } from '../core/ledger/index.ts'
import type { BridgeBurn, OwnAddress, QueuedConflict } from '../core/peg/index.ts'
import type { Joined, NonceOffer, SignedParts, SigningList } from '../core/signing/index.ts'
import type { Message, Request } from '../supervisor/index.ts'
import type { DeferredReply } from './system.ts'

/** Look at Bitcoin again. From: Bridge's timer. To: Bridge. The latest one wins. */
export type PollBitcoin = Message<'bridge.PollBitcoin', Record<string, never>>

/** The best chain as it stands, with the blocks that were scanned. From: Bridge's Bitcoin effect. To: Bridge. */
export type BitcoinScanned = Message<
  'bridge.BitcoinScanned',
  {
    readonly tipHeight: number
    readonly tipHash: Uint8Array
    /** Headers after the fork with the in-block chain, up to tip − 1, for the next block. */
    readonly headers: readonly Uint8Array[]
    readonly feeRateSatPerKvb: number
    /** The last blocks that were scanned, oldest first, to notice a reorg by. */
    readonly scanned: readonly {
      readonly height: number
      readonly hash: Uint8Array
      readonly timeMs: number
    }[]
  }
>

/** Bitcoin does not answer or answers stale. From: Bridge's Bitcoin effect. To: Bridge. */
export type BitcoinUnavailable = Message<
  'bridge.BitcoinUnavailable',
  { readonly code: string; readonly reason: string }
>

/** A deposit that no block of Bitcoin holds. */
export interface PendingDeposit {
  /** `txid:vout`, txid in display form. */
  readonly outpoint: string
  readonly txid: string
  readonly amountSat: bigint
  readonly evmAddress: Uint8Array
  /** It will be owed back instead of credited. */
  readonly refundable: boolean
  readonly seenAtMs: number
}

export interface MempoolSight {
  /** Txids in display form whose transactions were read, of those that wait. */
  readonly looked: ReadonlySet<string>
  readonly deposits: readonly PendingDeposit[]
}

/** What waits in Bitcoin's mempool; without a sight nobody knows, `code` says why. From: Bridge's Bitcoin effect. To: Bridge. The latest one wins. */
export type MempoolSeen = Message<
  'bridge.MempoolSeen',
  { readonly sight?: MempoolSight; readonly code?: string }
>

/** What was looked at for the spends that keep deposits from coming back. From: Bridge's Bitcoin effect. To: Bridge. The latest one wins. */
export type ConflictsLooked = Message<
  'bridge.ConflictsLooked',
  {
    /** Where the next look goes on, by the deposit's `txid:vout`. */
    readonly cursors: ReadonlyMap<string, { readonly height: number; readonly hash: Uint8Array }>
    readonly found: readonly QueuedConflict[]
    readonly code?: string
  }
>

/** A transaction that pays the federation or spends from it. From: the Bitcoin scan. To: Bridge. */
export type BitcoinTransactionDetected = Message<
  'bridge.BitcoinTransactionDetected',
  {
    /** Internal order. */
    readonly txid: Uint8Array
    readonly bitcoinHeight: number
    readonly deposits: readonly PegInClaim[]
    /** Set when it spends outputs of the reserve. */
    readonly spends?: TransactionProof
  }
>

/** Check one deposit before asking for approval. From: Bridge. To: Bridge. */
export type ValidatePegInTransaction = Message<
  'bridge.ValidatePegInTransaction',
  { readonly outpoint: string }
>

/** One member's answer about a deposit. From: Stream. To: Bridge. */
export type GovernanceApproval = Message<
  'bridge.GovernanceApproval',
  {
    /** `txid:vout`, txid in display form. */
    readonly outpoint: string
    readonly memberIndex: number
    readonly approved: boolean
    readonly reason?: string
    /** BLS over the claim's approval message. */
    readonly signature?: Uint8Array
  }
>

/** A quorum that another node collected. From: Network. To: Bridge. */
export type ApprovalReceived = Message<
  'bridge.ApprovalReceived',
  { readonly claim: PegInClaim; readonly approval: MemberApproval; readonly peer: string }
>

/** A member's part in the making of a key, decoded and nothing more. From: Stream. To: Bridge. */
export type KeygenItemReceived = Message<
  'bridge.KeygenItemReceived',
  { readonly memberIndex: number; readonly item: KeygenItem }
>

/** Does the local view of Bitcoin object to these (4.6)? From: Chain. To: Bridge. Reply: PegValidationResult. */
export type ValidatePegOperations = Request<
  'bridge.ValidatePegOperations',
  {
    readonly headers: readonly Uint8Array[]
    readonly deposits: readonly { readonly outpoint: string; readonly blockHash: Uint8Array }[]
  },
  PegValidationResult
>

export type PegValidationResult = Message<
  'bridge.PegValidationResult',
  { readonly objects: boolean; readonly reasons: readonly string[] }
>

/** Deposits that a committed block credited. From: Chain. To: Bridge. */
export type PegInComplete = Message<
  'bridge.PegInComplete',
  { readonly outpoints: readonly string[]; readonly height: number }
>

/** A burn in a committed block. From: Engine. To: Bridge. Never dropped. */
export type BurnEventDetected = Message<
  'bridge.BurnEventDetected',
  { readonly evmBlockHash: Uint8Array; readonly height: number; readonly burn: BridgeBurn }
>

/** A block was committed; the ledger after it. From: Chain. To: Bridge. The latest one wins. */
export type FinalizeBlock = Message<
  'chain.FinalizeBlock',
  {
    readonly height: number
    readonly hash: Uint8Array
    readonly header: BlockHeader
    readonly ledger: Ledger
  }
>

/** A recorded batch is this node's to coordinate. From: Bridge. To: Bridge. */
export type CreateBitcoinTransaction = Message<
  'bridge.CreateBitcoinTransaction',
  { readonly batchId: string; readonly attempt: number }
>

/** A member's nonces for an attempt, or why it gives none. From: Stream. To: Bridge. */
export type NonceOfferReceived = Message<
  'bridge.NonceOfferReceived',
  {
    readonly batchId: string
    readonly version: number
    readonly attempt: number
    readonly memberIndex: number
    readonly offer?: NonceOffer
    readonly reason?: string
  }
>

/** A member's parts under a list. From: Stream. To: Bridge. */
export type CollectedSignatures = Message<
  'bridge.CollectedSignatures',
  {
    readonly batchId: string
    readonly version: number
    readonly attempt: number
    readonly memberIndex: number
    readonly parts: SignedParts
  }
>

/** What all parts under a list came to, input by input. From: Bridge's effect. To: Bridge. */
export type SignaturesJoined = Message<
  'bridge.SignaturesJoined',
  {
    readonly batchId: string
    readonly version: number
    readonly attempt: number
    readonly list: SigningList
    readonly joined: readonly Joined[]
  }
>

/** No quorum of signatures came in time. From: Bridge's timer. To: Bridge. */
export type SignatureTimeout = Message<
  'bridge.SignatureTimeout',
  { readonly batchId: string; readonly attempt: number }
>

/** Send a complete transaction. From: Bridge. To: Bridge's Bitcoin effect. */
export type BroadcastBitcoinTransaction = Message<
  'bridge.BroadcastBitcoinTransaction',
  { readonly batchId: string; readonly version: number; readonly raw: Uint8Array }
>

/** What Bitcoin answered (PO-14). */
export type BroadcastResult = Message<
  'bridge.BroadcastResult',
  {
    readonly batchId: string
    readonly version: number
    readonly accepted: boolean
    readonly code?: string
    readonly raw?: Uint8Array
  }
>

/** A payout reached M confirmations. From: the Bitcoin scan. To: Bridge. */
export type TransactionConfirmed = Message<
  'bridge.TransactionConfirmed',
  {
    readonly txid: Uint8Array
    readonly confirmations: number
    readonly bitcoinHeight: number
    readonly proof: TransactionProof
  }
>

/**
 * Look at a block of Bitcoin that the chain knows for deposits to these addresses, which are looked for nowhere else. From: api. To: Bridge.
 * Reply: DepositsClaimed | ClaimRefused.
 */
export type ClaimDeposits = Request<
  'bridge.ClaimDeposits',
  {
    readonly blockHash: Uint8Array
    readonly addresses: readonly (OwnAddress & { readonly scriptPubKey: Uint8Array })[]
  },
  DepositsClaimed | ClaimRefused
>

/** Outpoints that are followed from now on: `txid:vout`, txid in display form. From: Bridge. To: api. */
export type DepositsClaimed = Message<
  'bridge.DepositsClaimed',
  { readonly outpoints: readonly string[] }
>

/** From: Bridge. To: api. */
export type ClaimRefused = Message<'bridge.ClaimRefused', { readonly code: string }>

/** A member's call for the next key (5.8), from its operator's hands. From: api. To: Bridge. Reply: KeyCallTaken | KeyCallRefused. */
export type SubmitKeyCall = Request<
  'bridge.SubmitKeyCall',
  { readonly item: KeygenItem },
  KeyCallTaken | KeyCallRefused
>

/** It waits for a block of ours. From: Bridge. To: api. */
export type KeyCallTaken = Message<'bridge.KeyCallTaken', { readonly epoch: number }>

/** It can stand in no block now. From: Bridge. To: api. */
export type KeyCallRefused = Message<
  'bridge.KeyCallRefused',
  { readonly code: string; readonly detail?: string }
>

export type BridgeInbox =
  | PollBitcoin
  | BitcoinScanned
  | BitcoinUnavailable
  | MempoolSeen
  | ConflictsLooked
  | BitcoinTransactionDetected
  | ValidatePegInTransaction
  | ClaimDeposits
  | GovernanceApproval
  | ApprovalReceived
  | KeygenItemReceived
  | SubmitKeyCall
  | ValidatePegOperations
  | PegInComplete
  | BurnEventDetected
  | FinalizeBlock
  | CreateBitcoinTransaction
  | NonceOfferReceived
  | CollectedSignatures
  | SignaturesJoined
  | SignatureTimeout
  | BroadcastBitcoinTransaction
  | BroadcastResult
  | TransactionConfirmed
  | DeferredReply
