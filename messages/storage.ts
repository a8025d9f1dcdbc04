/** What the StorageActor is told and asked. It is the only writer of chain data. */
import type { CommittedBlock } from '../core/block/index.ts'
import type { LedgerChange } from '../core/ledger/index.ts'
import type { Message, Request } from '../supervisor/index.ts'

export interface BlockWrite {
  readonly committed: CommittedBlock
  readonly hash: Uint8Array
  readonly ledgerChanges: readonly LedgerChange[]
  /** The lowest height that the ledger after this block still needs (PR-2); absent: all. */
  readonly neededFrom?: number
}

/** Block, certificate, ledger and head in one fsynced transaction. From: Chain. To: Storage. Reply: BlockPersisted. Never dropped. */
export type PersistBlock = Request<'storage.PersistBlock', BlockWrite, BlockPersisted>

/** The same for consecutive blocks, all or none. From: Chain. To: Storage. Reply: BlockPersisted. */
export type PersistBlockBatch = Request<
  'storage.PersistBlockBatch',
  { readonly blocks: readonly BlockWrite[] },
  BlockPersisted
>

export type BlockPersisted = Message<'storage.BlockPersisted', { readonly height: number }>

/** Evidence that waits for a block: its `evidenceKey` in hex, and its SSZ. */
export interface EvidenceRecord {
  readonly key: string
  readonly bytes: Uint8Array
}

/** Everything that Chain starts from. From: Chain. To: Storage. Reply: ChainLoaded. */
export type LoadChain = Request<'storage.LoadChain', Record<string, never>, ChainLoaded>

/** The ledger's rows are not those that the head commits to. From: Chain at start. To: Storage, which makes them again from a checkpoint. */
export type RollBackLedger = Message<'storage.RollBackLedger', { readonly reason: string }>

export type ChainLoaded = Message<
  'storage.ChainLoaded',
  {
    /** Undefined in an empty store. */
    readonly head?: CommittedBlock
    readonly ledgerRows: readonly LedgerChange[]
    /** The record of a halt (2.7) that no operator has looked at. */
    readonly halt?: string
    /** What was recorded and not dropped. */
    readonly evidence?: readonly EvidenceRecord[]
  }
>

/** Consecutive committed blocks from `from`, bounded by count and bytes. From: Network, Chain. To: Storage. Reply: BlockRange. */
export type ReadBlocks = Request<
  'storage.ReadBlocks',
  { readonly from: number; readonly count: number; readonly maxBytes: number },
  BlockRange
>

export type BlockRange = Message<
  'storage.BlockRange',
  {
    readonly blocks: readonly CommittedBlock[]
    /** Where `from` is below it: the lowest height that is here with its body (PR-3). */
    readonly prunedBelow?: number
  }
>

/** The record of a halt (2.7), fsynced; null: an operator lets the chain go on. From: Chain. To: Storage. Reply: HaltRecorded. */
export type RecordHalt = Request<
  'storage.RecordHalt',
  { readonly record: string | null },
  HaltRecorded
>

export type HaltRecorded = Message<'storage.HaltRecorded', Record<string, never>>

/**
 * Changes of what waits for a block as evidence, in one fsynced transaction; `drop` names keys. From: Chain. To: Storage.
 * Reply: EvidenceRecorded.
 */
export type RecordEvidence = Request<
  'storage.RecordEvidence',
  {
    readonly put: readonly EvidenceRecord[]
    readonly drop: readonly string[]
  },
  EvidenceRecorded
>

export type EvidenceRecorded = Message<'storage.EvidenceRecorded', Record<string, never>>

/** Blocks were written: how long it took, the head, what it still needs. From: Storage's effect. To: Storage. */
export type WriteMeasured = Message<
  'storage.WriteMeasured',
  { readonly tookMs: number; readonly height: number; readonly neededFrom: number }
>

/** Time to prune on. From: Storage's timer. To: Storage. */
export type PruneDue = Message<'storage.PruneDue', Record<string, never>>

/** A step of pruning ended. From: Storage's effect. To: Storage. */
export type PruneEnded = Message<
  'storage.PruneEnded',
  {
    readonly tookMs: number
    readonly lowest: number
    /** A block below cannot be read, and its header must stay: no step goes past it. */
    readonly isStuck: boolean
  }
>
