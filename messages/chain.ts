/** What the ChainActor is told and asked: slots, consensus, imports, peg operations. */
import type {
  Block,
  CommittedBlock,
  ConsensusMessage,
  Evidence,
  KeygenItem,
  MemberApproval,
  PegInClaim,
  PegOrderItem,
  TransactionProof,
  ValidatorChangeItem,
} from '../core/block/index.ts'
import type { ChainHead } from '../core/chain/index.ts'
import type { GuardRecord, GuardView } from '../core/guard/index.ts'
import type { Height, Millis, Slot, Verdict } from '../core/params/index.ts'
import type { QueuedConflict } from '../core/peg/index.ts'
import type { Envelope, Message, Request } from '../supervisor/index.ts'

/** A new slot began. From: Chain's timer. To: Chain. Once per slot, the latest one wins. */
export type SlotTick = Message<
  'chain.SlotTick',
  { readonly slot: Slot; readonly startedAtMs: Millis }
>

/** A moment within a slot that consensus asked for. From: Chain's timer. To: Chain. */
export type ConsensusWake = Message<'chain.ConsensusWake', { readonly atMs: Millis }>

/** A message of a validator. `verified`: its signatures are checked; if not, it is a vote. From: Network. To: Chain. */
export type ConsensusMessageReceived = Message<
  'chain.ConsensusMessageReceived',
  { readonly message: ConsensusMessage; readonly peer: string; readonly verified: boolean }
>

/** A block that Chain asked for, as a peer has it: of that hash, nothing else is checked. From: Network. To: Chain. */
export type BlockFetched = Message<
  'chain.BlockFetched',
  { readonly block: Block; readonly peer: string }
>

/** A peer lacks a block that is not stored yet. From: Network. To: Chain. Reply: BlockHeld. */
export type ReadHeldBlock = Request<
  'chain.ReadHeldBlock',
  { readonly height: Height; readonly hash: Uint8Array },
  BlockHeld
>

/** `block`: undefined when Chain has none of that hash for the height that is open. */
export type BlockHeld = Message<'chain.BlockHeld', { readonly block: Block | undefined }>

/** A peer came. From: Network. To: Chain, which sends it what it may lack. */
export type PeerConnected = Message<'chain.PeerConnected', { readonly peer: string }>

/** Blocks in order, each with its certificate checked. From: Sync. To: Chain. Reply: BlockBatchImported. */
export type ValidatedBlockBatch = Request<
  'sync.ValidatedBlockBatch',
  { readonly blocks: readonly CommittedBlock[] },
  BlockBatchImported
>

/** How far a batch was imported. `code` says why it stopped early; `fault` whether its sender is to blame. */
export type BlockBatchImported = Message<
  'sync.BlockBatchImported',
  { readonly height: number; readonly code?: string; readonly fault?: 'peer' | 'local' }
>

/** Nothing more is missing. From: Sync. To: Chain. Once per episode. */
export type SyncCompleted = Message<'sync.SyncCompleted', { readonly height: number }>

/** Headers that continue or replace the tip of the in-block Bitcoin chain. From: Bridge. To: Chain. The latest one wins. */
export type BitcoinHeadersDetected = Message<
  'chain.BitcoinHeadersDetected',
  { readonly headers: readonly Uint8Array[] }
>

/** An approved deposit, ready for a block. From: Bridge. To: Chain. */
export type PegInOperation = Message<
  'bridge.PegInOperation',
  { readonly claim: PegInClaim; readonly approval: MemberApproval }
>

/** A transaction of the reserve that is buried deep enough to be booked. From: Bridge. To: Chain. */
export type PegOutOperation = Message<
  'bridge.PegOutOperation',
  { readonly proof: TransactionProof }
>

/** Deposits that a reorg took away and that can never come back, with what shows it (4.5). From: Bridge. To: Chain. The latest one wins. */
export type DepositsLost = Message<
  'chain.DepositsLost',
  { readonly conflicts: readonly QueuedConflict[] }
>

/** What members said for the key that is being made and no block has. From: Bridge. To: Chain. The latest one wins. */
export type KeygenWaiting = Message<
  'chain.KeygenWaiting',
  { readonly items: readonly KeygenItem[] }
>

/**
 * Batches that the node's own Bitcoin has had for some blocks and has not mined, by id: what a block of ours may bump. From: Bridge.
 * To: Chain. The latest one wins.
 */
export type PayoutsUnconfirmed = Message<
  'chain.PayoutsUnconfirmed',
  { readonly batchIds: readonly Uint8Array[] }
>

/** The node's own estimate for the next header. From: Bridge. To: Chain. The latest one wins. */
export type FeeRateEstimated = Message<
  'chain.FeeRateEstimated',
  { readonly feeRateSatPerKvb: number }
>

/** A block that this node proposes, or why there is none. From: Chain's effect. To: Chain. */
export type BlockProduced = Message<
  'chain.BlockProduced',
  | {
      readonly height: number
      readonly view: number
      readonly block: Block
      readonly head: ChainHead
      /** Queue entries that no block can ever carry. */
      readonly refused: readonly string[]
    }
  | { readonly height: number; readonly view: number; readonly code: string }
>

/** The verdict on a block after full execution. From: Chain's effect. To: Chain. */
export type BlockValidated = Message<
  'chain.BlockValidated',
  {
    readonly hash: Uint8Array
    readonly verdict: Verdict
    /** The local view of Bitcoin objects to a fresh proposal (4.6). */
    readonly objects: boolean
    /** The state after the block, when it is valid. */
    readonly candidate?: { readonly block: Block; readonly head: ChainHead }
  }
>

/** A vote or proposal whose guard record is durable. From: Chain's effect. To: Chain. */
export type MessageSigned = Message<
  'chain.MessageSigned',
  { readonly signed: ConsensusMessage } | { readonly refused: GuardRecord; readonly code: string }
>

/** A block and all that belongs to it is durable. From: Chain's effect. To: Chain. */
export type BlockStored = Message<
  'chain.BlockStored',
  { readonly committed: CommittedBlock; readonly head: ChainHead; readonly guard: GuardView }
>

/** A batch went as far as it could. From: Chain's effect. To: Chain. */
export type BatchStored = Message<
  'chain.BatchStored',
  {
    readonly replyTo: Envelope
    readonly result: BlockBatchImported['payload']
    readonly last?: { readonly committed: CommittedBlock; readonly head: ChainHead }
    readonly guard: GuardView
  }
>

/** Whether the record of a halt is durable. From: Chain's effect. To: Chain. */
export type HaltStored = Message<'chain.HaltStored', { readonly stored: boolean }>

/**
 * Evidence that a peer passed on, unchecked. From: Network. To: Chain. Gossip has an id and is answered by EvidenceJudged under it; what
 * the peer itself sent has none.
 */
export type EvidenceReceived = Message<
  'chain.EvidenceReceived',
  { readonly id: number | undefined; readonly peer: string; readonly evidence: Evidence }
>

/** Whether the pool's changes are durable. From: Chain's effect. To: Chain. */
export type EvidenceStored = Message<'chain.EvidenceStored', { readonly stored: boolean }>

/**
 * An approved change of the validators for the next block that has room. From: api, CLI. To: Chain.
 * Reply: ValidatorChangeAccepted | ValidatorChangeRefused.
 */
export type SubmitValidatorChange = Request<
  'chain.SubmitValidatorChange',
  { readonly change: ValidatorChangeItem },
  ValidatorChangeAccepted | ValidatorChangeRefused
>

/** It waits for a block, here and at the peers. From: Chain. To: api. */
export type ValidatorChangeAccepted = Message<
  'chain.ValidatorChangeAccepted',
  { readonly id: string; readonly sequence: number }
>

/** It can stand in no block now. From: Chain. To: api. */
export type ValidatorChangeRefused = Message<
  'chain.ValidatorChangeRefused',
  { readonly code: string; readonly detail?: string }
>

/** A change that a peer passed on, unchecked. From: Network. To: Chain. Answered by ValidatorChangeJudged under its id. */
export type ValidatorChangeReceived = Message<
  'chain.ValidatorChangeReceived',
  { readonly id: number; readonly peer: string; readonly change: ValidatorChangeItem }
>

/** An approved order about the peg, for a block of this node. From: api. To: Chain. Reply: PegOrderAccepted | PegOrderRefused. */
export type SubmitPegOrder = Request<
  'chain.SubmitPegOrder',
  { readonly order: PegOrderItem },
  PegOrderAccepted | PegOrderRefused
>

/** It waits for a block of this node. From: Chain. To: api. */
export type PegOrderAccepted = Message<'chain.PegOrderAccepted', { readonly id: string }>

/** It can stand in no block now. From: Chain. To: api. */
export type PegOrderRefused = Message<
  'chain.PegOrderRefused',
  { readonly code: string; readonly detail?: string }
>

export type ChainInbox =
  | SubmitPegOrder
  | SubmitValidatorChange
  | ValidatorChangeReceived
  | HaltStored
  | EvidenceReceived
  | EvidenceStored
  | BlockProduced
  | BlockValidated
  | MessageSigned
  | BlockStored
  | BatchStored
  | SlotTick
  | ConsensusWake
  | ConsensusMessageReceived
  | BlockFetched
  | ReadHeldBlock
  | PeerConnected
  | ValidatedBlockBatch
  | SyncCompleted
  | BitcoinHeadersDetected
  | PegInOperation
  | PegOutOperation
  | DepositsLost
  | FeeRateEstimated
  | PayoutsUnconfirmed
  | KeygenWaiting
