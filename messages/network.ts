/** What the NetworkActor is told and asked: gossip, direct streams, peers, ranges of blocks. */
import type {
  CommittedBlock,
  ConsensusMessage,
  Evidence,
  MemberApproval,
  PegInClaim,
  ValidatorChangeItem,
} from '../core/block/index.ts'
import type { Envelope, Message, Request } from '../supervisor/index.ts'

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

/** That a validator signed twice, found here first. From: Chain. To: Network. Once per offence. */
export type GossipEvidence = Message<'network.GossipEvidence', { readonly evidence: Evidence }>

/** That a validator signed twice, to a peer that may have missed it. From: Chain. To: Network. To each that connects. */
export type SendEvidence = Message<
  'network.SendEvidence',
  { readonly peer: string; readonly evidence: Evidence }
>

/** What Chain's pool thinks of gossiped evidence. From: Chain. To: Network, which relays it, or not. */
export type EvidenceJudged = Message<
  'network.EvidenceJudged',
  { readonly id: number; readonly verdict: 'accept' | 'ignore' | 'reject' }
>

/** An approved change of the validators that Chain took from a user. From: Chain. To: Network. */
export type GossipValidatorChange = Message<
  'network.GossipValidatorChange',
  { readonly change: ValidatorChangeItem }
>

/** What Chain thinks of a gossiped change. From: Chain. To: Network, which relays it, or not. */
export type ValidatorChangeJudged = Message<
  'network.ValidatorChangeJudged',
  { readonly id: number; readonly verdict: 'accept' | 'ignore' | 'reject' }
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
  /** Key of the validator that speaks there, once it has voted. */
  readonly validator?: Uint8Array
}

export type PeerList = Message<'network.PeerList', { readonly peers: readonly PeerSummary[] }>

/** From: Sync. To: Network. Reply: BlockBatch. */
export type RequestBlocks = Request<
  'network.RequestBlocks',
  { readonly peer: string; readonly from: number; readonly count: number },
  BlockBatch
>

/** Consecutive committed blocks; `blocks` empty with a code when the peer did not answer well, or has pruned them (`Pruned`). */
export type BlockBatch = Message<
  'network.BlockBatch',
  {
    readonly blocks: readonly CommittedBlock[]
    readonly code?: string
    /** With `Pruned`: the lowest height that the peer has. */
    readonly lowest?: number
  }
>

/** A block that only a certificate is known of. From: Chain. To: Network. The answer comes as BlockFetched. */
export type FetchBlock = Message<
  'network.FetchBlock',
  {
    readonly height: number
    readonly hash: Uint8Array
    /** Who is likely to have it; other peers are asked after them. */
    readonly peers?: readonly string[]
  }
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

/** A connection stands. From: Network's port. To: Network. */
export type PeerAppeared = Message<
  'network.PeerAppeared',
  { readonly peer: string; readonly address: string; readonly inbound: boolean }
>

/** A connection ended. `chance` in [0, 1) is for the next delay. From: Network's port. To: Network. */
export type PeerVanished = Message<
  'network.PeerVanished',
  { readonly peer: string; readonly code: string; readonly chance: number }
>

/** Unchecked bytes about consensus. From: Network's port. To: Network. */
export type FrameReceived = Message<
  'network.FrameReceived',
  {
    readonly peer: string
    readonly bytes: Uint8Array
    /** A number when it was gossiped: the name under which it is judged. */
    readonly origin: 'stream' | number
  }
>

/** Unchecked gossip of another topic. From: Network's port. To: Network. */
export type GossipReceived = Message<
  'network.GossipReceived',
  {
    readonly id: number
    readonly topic: string
    readonly peer: string
    readonly bytes: Uint8Array
  }
>

/** What the pool thinks of a gossiped transaction. From: Engine. To: Network, which relays it, or not. */
export type TransactionJudged = Message<
  'network.TransactionJudged',
  { readonly id: number; readonly verdict: 'accept' | 'ignore' | 'reject' }
>

/** A peer asks. From: Network's port. To: Network. */
export type RequestReceived = Message<
  'network.RequestReceived',
  {
    readonly id: number
    readonly peer: string
    readonly protocol: string
    readonly bytes: Uint8Array
  }
>

/** A request of a peer was answered. From: Network's effect. To: Network. */
export type RequestServed = Message<'network.RequestServed', { readonly id: number }>

/** What a peer answered about its chain. From: Network's effect. To: Network. */
export type StatusReceived = Message<
  'network.StatusReceived',
  { readonly peer: string; readonly bytes?: Uint8Array }
>

/** The answer to RequestBlocks, decoded. From: Network's effect. To: Network. */
export type RangeFetched = Message<
  'network.RangeFetched',
  {
    readonly replyTo: Envelope
    readonly peer: string
    readonly batch: BlockBatch['payload']
  }
>

/** Time to try a static peer. From: Network's timer. To: Network. */
export type DialPeer = Message<'network.DialPeer', { readonly address: string }>

/** How it went. `chance` in [0, 1) is for the next delay. From: Network's effect. To: Network. */
export type DialEnded = Message<
  'network.DialEnded',
  { readonly address: string; readonly connected: boolean; readonly chance: number }
>

/** Gossip that waited may be due. From: Network's timer. To: Network. */
export type GossipDue = Message<'network.GossipDue', Record<string, never>>

/** Time to look after peers. From: Network's timer. To: Network. */
export type TendPeers = Message<'network.TendPeers', Record<string, never>>

/** The node goes down. From: kernel. To: Network. */
export type NetworkStopping = Message<'network.NetworkStopping', Record<string, never>>

export type NetworkInbox =
  | PropagateBlock
  | SendToPeer
  | GossipTransaction
  | GossipApproval
  | GossipEvidence
  | SendEvidence
  | EvidenceJudged
  | GossipValidatorChange
  | ValidatorChangeJudged
  | GetConnectedPeers
  | RequestBlocks
  | FetchBlock
  | PenalizePeer
  | HeadAnnounced
  | PeerAppeared
  | PeerVanished
  | FrameReceived
  | GossipReceived
  | TransactionJudged
  | RequestReceived
  | RequestServed
  | StatusReceived
  | RangeFetched
  | DialPeer
  | DialEnded
  | GossipDue
  | TendPeers
  | NetworkStopping
