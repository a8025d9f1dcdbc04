/** What the SyncActor is told: what is missing and what arrived. */
import type { Message, Request } from '../supervisor/index.ts'
import type { BlockBatch, PeerList } from './network.ts'

/** Others have committed more. From: Chain, Network. To: Sync. The latest one wins. */
export type SyncRequiredNotification = Message<
  'sync.SyncRequiredNotification',
  {
    /** Our committed height. */
    readonly height: number
    /** A height that a peer claims; only certificates count (SY-6). */
    readonly targetHeight: number
    readonly peer: string
  }
>

/** Fetch the missing ranges from several peers at once. From: Sync. To: Sync. */
export type ParallelBlockDownloadRequest = Message<
  'sync.ParallelBlockDownloadRequest',
  { readonly from: number; readonly to: number }
>

/** An answer to RequestBlocks. From: Sync's own request. To: Sync. */
export type BlockBatchReceived = Message<
  'sync.BlockBatchReceived',
  { readonly peer: string; readonly from: number; readonly batch: BlockBatch['payload'] }
>

/** Is anything still missing? From: Sync's timer. To: Sync. */
export type CheckSyncProgress = Message<'sync.CheckSyncProgress', Record<string, never>>

/** How far is this node? From: api. To: Sync. Reply: SyncStatus. */
export type GetSyncStatus = Request<'sync.GetSyncStatus', Record<string, never>, SyncStatus>

export type SyncStatus = Message<
  'sync.SyncStatus',
  {
    readonly state: string
    readonly startHeight: number
    readonly currentHeight: number
    /** Highest block that a peer has delivered with a certificate; claims do not count (SY-6). */
    readonly targetHeight: number
    readonly peers: number
    readonly blocksPerSecond: number
    /** To the target; undefined when nothing moves. */
    readonly secondsLeft?: number
  }
>

/** Who is connected, or undefined when Network did not answer. From: Sync's own request. To: Sync. */
export type PeersListed = Message<
  'sync.PeersListed',
  { readonly peers?: PeerList['payload']['peers'] }
>

/** How much of a range holds: `valid` blocks from its start; `code` says why not more. From: Sync's effect. To: Sync. */
export type RangeVerified = Message<
  'sync.RangeVerified',
  {
    readonly from: number
    readonly valid: number
    readonly code?: string
    readonly fault?: 'peer' | 'local'
  }
>

/** How ValidatedBlockBatch ended. From: Sync's own request. To: Sync. */
export type ImportEnded = Message<
  'sync.ImportEnded',
  { readonly height?: number; readonly code?: string; readonly fault?: 'peer' | 'local' }
>

export type SyncInbox =
  | SyncRequiredNotification
  | ParallelBlockDownloadRequest
  | BlockBatchReceived
  | CheckSyncProgress
  | GetSyncStatus
  | PeersListed
  | RangeVerified
  | ImportEnded
