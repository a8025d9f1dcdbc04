/** What the NetworkActor is told and asked: gossip, direct streams, peers, ranges of blocks. */
import type {
  CommittedBlock,
  ConsensusMessage,
  MemberApproval,
  PegInClaim,
} from '../core/block/index.ts'
import type { Message, Request } from '../supervisor/index.ts'

/** Send to all validators and gossip it. From: Chain. To: Network. Never dropped. */
export type PropagateBlock = Message<
  'network.PropagateBlock',
  { readonly message: ConsensusMessage }
>

/** Send to one peer. From: Chain. To: Network. */
export type SendToPeer = Message<
  'network.SendToPeer',
  { readonly peer: string; readonly message: ConsensusMessage }
>

/** A pooled transaction to pass on. From: Engine. To: Network. */
export type GossipTransaction = Message<'network.GossipTransaction', { readonly raw: Uint8Array }>

/** A quorum of members' approvals to pass on. From: Bridge. To: Network. */
export type GossipApproval = Message<
  'network.GossipApproval',
  { readonly claim: PegInClaim; readonly approval: MemberApproval }
>

/** From: Sync. To: Network. Reply: PeerList. */
export type GetConnectedPeers = Request<
  'network.GetConnectedPeers',
  Record<string, never>,
  PeerList
>

export interface PeerSummary {
  readonly peer: string
  /** Committed height that the peer claims. */
  readonly height: number
  readonly inbound: boolean
  readonly score: number
}

export type PeerList = Message<'network.PeerList', { readonly peers: readonly PeerSummary[] }>

/** From: Sync. To: Network. Reply: BlockBatch. */
export type RequestBlocks = Request<
  'network.RequestBlocks',
  { readonly peer: string; readonly from: number; readonly count: number },
  BlockBatch
>

/** Consecutive committed blocks; `blocks` empty with a code when the peer did not answer well. */
export type BlockBatch = Message<
  'network.BlockBatch',
  { readonly blocks: readonly CommittedBlock[]; readonly code?: string }
>

/** A block that only a certificate is known of. From: Chain. To: Network. The answer comes as a consensus message. */
export type FetchBlock = Message<
  'network.FetchBlock',
  { readonly height: number; readonly hash: Uint8Array }
>

/** A peer broke a rule. From: Chain, Sync, Engine. To: Network. */
export type PenalizePeer = Message<
  'network.PenalizePeer',
  { readonly peer: string; readonly code: string; readonly score: number }
>

/** Our committed height, told to peers. From: Chain. To: Network. The latest one wins. */
export type HeadAnnounced = Message<
  'network.HeadAnnounced',
  { readonly height: number; readonly hash: Uint8Array }
>
