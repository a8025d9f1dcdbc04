/** What the EngineActor is told and asked: building, executing, committing, transactions. */
import type { ExecutionPayload, Withdrawal } from '../core/block/index.ts'
import type { SenderAccount } from '../core/mempool/index.ts'
import type { Millis } from '../core/params/index.ts'
import type { BridgeBurn, BridgeCancel, BridgeFund } from '../core/peg/index.ts'
import type { Envelope, Message, Request } from '../supervisor/index.ts'

/** The coins that a block mints: its withdrawals (4.3). Part of BuildBlockRequest; MintResult answers it. */
export interface MintTokensRequest {
  readonly withdrawals: readonly Withdrawal[]
}

/** Whether the payload mints exactly what was asked. */
export interface MintResult {
  readonly success: boolean
  readonly withdrawals: number
}

/** What an executed payload means for the ledger. */
export interface ExecutionOutcome {
  readonly burns: readonly BridgeBurn[]
  readonly cancels: readonly BridgeCancel[]
  readonly funds: readonly BridgeFund[]
  /** gasUsed × baseFee, which enters the fee pool (6.1). */
  readonly feesBurnedWei: bigint
  readonly mint: MintResult
}

/** Build a payload on `parentHash`. From: Chain. To: Engine. Reply: BlockTemplate | EngineFailed. */
export type BuildBlockRequest = Request<
  'engine.BuildBlockRequest',
  {
    readonly parentHash: Uint8Array
    readonly timestamp: number
    readonly prevRandao: Uint8Array
    readonly feeRecipient: Uint8Array
    readonly parentBeaconBlockRoot: Uint8Array
    readonly gasLimitTarget: number
    readonly mint: MintTokensRequest
    /** When the proposer stops packing (6.3). */
    readonly deadlineMs: Millis
  },
  BlockTemplate | EngineFailed
>

/**
 * Execute transactions of a block of ours whose slot has not begun; BuildBlockRequest goes on from there. From: Chain. To: Engine.
 */
export type PrepareBlock = Message<
  'engine.PrepareBlock',
  {
    readonly parentHash: Uint8Array
    readonly timestamp: number
    readonly prevRandao: Uint8Array
    readonly feeRecipient: Uint8Array
    readonly parentBeaconBlockRoot: Uint8Array
    readonly gasLimitTarget: number
    /** When the slot begins. */
    readonly untilMs: Millis
  }
>

export type BlockTemplate = Message<
  'engine.BlockTemplate',
  { readonly payload: ExecutionPayload; readonly outcome: ExecutionOutcome }
>

/** Execute a payload fully. From: Chain. To: Engine. Reply: ExecutionResult | EngineFailed. */
export type ExecutePayload = Request<
  'engine.ExecutePayload',
  { readonly payload: ExecutionPayload },
  ExecutionResult | EngineFailed
>

/** The engine's verdict (BP-10): UNKNOWN is never a vote against. */
export type ExecutionResult = Message<
  'engine.ExecutionResult',
  | { readonly status: 'VALID'; readonly outcome: ExecutionOutcome }
  | { readonly status: 'INVALID'; readonly code: string; readonly reason: string }
  | { readonly status: 'UNKNOWN'; readonly code: string }
>

/** The engine could not answer. */
export type EngineFailed = Message<
  'engine.EngineFailed',
  { readonly code: string; readonly reason: string }
>

/** Make an executed payload the durable head. From: Chain, after PersistBlock. To: Engine. Reply: EngineHead. */
export type CommitPayload = Request<
  'engine.CommitPayload',
  { readonly hash: Uint8Array; readonly height: number },
  EngineHead | EngineFailed
>

/** Where is the durable head? From: Chain at start. To: Engine. Reply: EngineHead. */
export type EngineStatus = Request<
  'engine.EngineStatus',
  Record<string, never>,
  EngineHead | EngineFailed
>

export type EngineHead = Message<
  'engine.EngineHead',
  { readonly number: number; readonly hash: Uint8Array }
>

/** The durable state is not the one of the stored blocks. From: Chain at start. To: Engine, which goes back to a checkpoint or genesis. */
export type RollBack = Message<'engine.RollBack', { readonly reason: string }>

/** A user's signed transaction. From: api, CLI. To: Engine. Reply: TransactionAccepted | TransactionRejected. */
export type SubmitTransaction = Request<
  'engine.SubmitTransaction',
  { readonly raw: Uint8Array },
  TransactionAccepted | TransactionRejected
>

export type TransactionAccepted = Message<
  'engine.TransactionAccepted',
  { readonly hash: Uint8Array }
>

export type TransactionRejected = Message<
  'engine.TransactionRejected',
  { readonly code: string; readonly reason: string }
>

/** A transaction that a peer passed on, under the name by which it is judged. From: Network. To: Engine, which tells TransactionJudged. */
export type TransactionReceived = Message<
  'engine.TransactionReceived',
  { readonly raw: Uint8Array; readonly peer: string; readonly id: number }
>

/** A payload was built or executed; what it did is kept until the commit. From: Engine's effect. To: Engine. */
export type PayloadExecuted = Message<
  'engine.PayloadExecuted',
  {
    readonly hash: Uint8Array | undefined
    readonly outcome: ExecutionOutcome | undefined
    /** What the block holds, and who sent it: these leave the pool with its commit. */
    readonly transactions: readonly Uint8Array[]
    readonly senders: readonly Uint8Array[]
    /** Transactions that no block can hold, and why. */
    readonly dropped: readonly { readonly hash: Uint8Array; readonly reason: string }[]
    /** Transactions that the engine was offered for the block, where it was to build one. */
    readonly offered?: number
    readonly to: Envelope
    readonly answer: BlockTemplate | ExecutionResult | EngineFailed
  }
>

/** The durable head moved, with the accounts that the pool depends on. From: Engine's effect. To: Engine. */
export type PayloadCommitted = Message<
  'engine.PayloadCommitted',
  {
    readonly hash: Uint8Array
    readonly height: number
    readonly accounts: readonly { readonly address: Uint8Array; readonly account: SenderAccount }[]
    readonly to: Envelope
    readonly answer: EngineHead | EngineFailed
  }
>

/** Senders and accounts of a batch of transactions. From: Engine's effect. To: Engine. */
export type TransactionsRecovered = Message<
  'engine.TransactionsRecovered',
  {
    readonly recovered: readonly {
      readonly hash: Uint8Array
      /** Undefined: no key made this signature. */
      readonly sender: Uint8Array | undefined
      readonly account: SenderAccount
    }[]
  }
>

/** Storage went away: what is executed cannot become durable. From: kernel. To: Engine. */
export type StorageAway = Message<'engine.StorageAway', Record<string, never>>

export type EngineInbox =
  | StorageAway
  | PayloadExecuted
  | PayloadCommitted
  | TransactionsRecovered
  | BuildBlockRequest
  | PrepareBlock
  | ExecutePayload
  | CommitPayload
  | EngineStatus
  | RollBack
  | SubmitTransaction
  | TransactionReceived
