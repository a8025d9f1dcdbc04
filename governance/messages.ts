/** The vocabulary of the member's tree: five actors, one registry row per type. */
import type { AuditVerdict } from '../bridge/index.ts'
import type { CertifiedHeaderBytes, MemberBody, NodeBody, ProvenRowBytes } from '../proto/index.ts'
import type { Message, MessageSpec } from '../supervisor/index.ts'
import type { ConfirmedKey } from './evidence.ts'
import type { FollowedHeader } from './light-client.ts'
import type { Belief } from './port.ts'

/** A line of the log, as an effect of any of the actors. */
export interface LogEffect {
  readonly kind: 'log'
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Position of a federation node in the configuration. */
export type NodeIndex = number

// Links: the streams to the federation nodes.

/** Open the stream. From: timer. To: links. */
export type Connect = Message<'links.Connect', { readonly node: NodeIndex }>
/** From: the link's port. To: links. */
export type LinkUp = Message<
  'links.LinkUp',
  { readonly node: NodeIndex; readonly memberIndex: number }
>
/** `chance` in [0, 1) spreads the next attempt. From: the link's port. To: links. */
export type LinkDown = Message<
  'links.LinkDown',
  { readonly node: NodeIndex; readonly reason: string; readonly chance: number }
>
/** From: the link's port. To: links. */
export type LinkReceived = Message<
  'links.LinkReceived',
  { readonly node: NodeIndex; readonly requestId: string; readonly body: NodeBody }
>
/** From: follower, signer, keygen. To: links. What a node that is not connected should get is dropped. */
export type SendToNode = Message<
  'links.SendToNode',
  { readonly node: NodeIndex; readonly requestId: string; readonly body: MemberBody }
>
/** The last offer of nonces is not waited for any longer. From: timer. To: links. */
export type OfferLapsed = Message<'links.OfferLapsed', Record<string, never>>
/** The shutdown began. From: kernel. To: each. */
export type MemberStopping = Message<'member.MemberStopping', Record<string, never>>

// Follower: the light client.

/** A node's newest block. From: links. To: follower. */
export type HeadSeen = Message<
  'follower.HeadSeen',
  { readonly node: NodeIndex; readonly height: number; readonly head: CertifiedHeaderBytes }
>
/** From: links. To: follower. */
export type HeadersReceived = Message<
  'follower.HeadersReceived',
  {
    readonly node: NodeIndex
    readonly requestId: string
    readonly headers: readonly CertifiedHeaderBytes[]
  }
>
/** Is a range still missing? From: timer. To: follower. */
export type CheckFollowing = Message<'follower.CheckFollowing', Record<string, never>>

/** What the vault believes, looked at now and then; a belief that is too old is not followed on. From: follower's effect. To: follower. */
export type BeliefSeen = Message<'follower.BeliefSeen', { readonly belief: Belief }>

// Signer: approvals and signatures.

/** New verified headers, oldest first. From: follower. To: signer. */
export type HeadersFollowed = Message<
  'signer.HeadersFollowed',
  { readonly headers: readonly FollowedHeader[] }
>
/** Two certified blocks at one height: nothing is signed any more. From: follower. To: signer. */
export type ChainContradicted = Message<'signer.ChainContradicted', { readonly height: number }>
/** The federation's keys, each confirmed by its members. From: keygen. To: signer. */
export type FederationFollowed = Message<
  'signer.FederationFollowed',
  { readonly keys: readonly ConfirmedKey[] }
>
/** From: links. To: signer. */
export type ApprovalAsked = Message<
  'signer.ApprovalAsked',
  {
    readonly node: NodeIndex
    readonly requestId: string
    readonly request: Extract<NodeBody, { readonly kind: 'requestFederationApproval' }>
  }
>
/** From: links. To: signer. */
export type SignatureAsked = Message<
  'signer.SignatureAsked',
  {
    readonly node: NodeIndex
    readonly requestId: string
    readonly request: Extract<NodeBody, { readonly kind: 'signatureRequest' }>
  }
>
/** From: links. To: signer. */
export type PartsAsked = Message<
  'signer.PartsAsked',
  {
    readonly node: NodeIndex
    readonly requestId: string
    readonly request: Extract<NodeBody, { readonly kind: 'partsRequest' }>
  }
>
/** Rows that the signer asked for; without rows the node could not prove them. From: links. To: signer. */
export type ProofReceived = Message<
  'signer.ProofReceived',
  {
    readonly node: NodeIndex
    readonly requestId: string
    readonly height: number
    readonly rows?: readonly ProvenRowBytes[]
    readonly reason?: string
  }
>
/** An answer is ready, and durable where it signs. From: signer's effect. To: signer. */
export type AnswerReady = Message<
  'signer.AnswerReady',
  { readonly key: string; readonly body: MemberBody }
>
/** Give up on proofs that did not come. From: timer. To: signer. */
export type CheckPending = Message<'signer.CheckPending', Record<string, never>>

// Keygen: the making of the federation's key.

/** How the ids of its questions begin. */
export const KEYGEN_REQUEST = 'keygen-'

/** New verified headers, oldest first. From: follower. To: keygen. */
export type KeygenHeaders = Message<
  'keygen.HeadersFollowed',
  { readonly headers: readonly FollowedHeader[] }
>
/** Rows that keygen asked for. From: links. To: keygen. */
export type KeygenProof = Message<'keygen.ProofReceived', ProofReceived['payload']>
/** What this member says in a stage, and durable what it must remember; nothing when it has nothing to say. From: keygen's effect. To: keygen. */
export type PartReady = Message<
  'keygen.PartReady',
  { readonly name: string; readonly item?: Uint8Array; readonly trouble?: KeygenTrouble }
>

/** Why this member says nothing though it is its turn. */
export interface KeygenTrouble {
  /** Hex. */
  readonly sessionId: string
  /** `SecretLost`, `RowsDoubted`, or why the vault does not. */
  readonly code: string
  readonly log: LogEffect
}

/** Is there a newer block? From: timer. To: keygen. */
export type CheckKeygen = Message<'keygen.CheckKeygen', Record<string, never>>

// Auditor: the reserve against this member's own Bitcoin.

/** How the ids of its questions begin. */
export const AUDIT_REQUEST = 'audit-'

/** New verified headers, oldest first. From: follower. To: auditor. */
export type AuditHeaders = Message<
  'auditor.HeadersFollowed',
  { readonly headers: readonly FollowedHeader[] }
>
/** Begin an audit. From: timer. To: auditor. */
export type AuditDue = Message<'auditor.AuditDue', Record<string, never>>
/** Rows of the reserve. From: links. To: auditor. */
export type AuditProof = Message<'auditor.ProofReceived', ProofReceived['payload']>
/** From: auditor's effect. To: auditor. */
export type AuditEnded = Message<'auditor.AuditEnded', { readonly verdict: AuditVerdict }>
/** Coins that Bitcoin lacks, by two audits in a row; none: all is there again. From: auditor. To: signer. */
export type ReserveAudited = Message<
  'signer.ReserveAudited',
  { readonly missing: readonly string[] }
>

export type AuditorInbox = AuditHeaders | AuditDue | AuditProof | AuditEnded | MemberStopping
export type KeygenInbox = KeygenHeaders | KeygenProof | PartReady | CheckKeygen | MemberStopping
export type LinksInbox =
  | Connect
  | LinkUp
  | LinkDown
  | LinkReceived
  | SendToNode
  | OfferLapsed
  | MemberStopping
export type FollowerInbox =
  | HeadSeen
  | HeadersReceived
  | CheckFollowing
  | BeliefSeen
  | MemberStopping
export type SignerInbox =
  | HeadersFollowed
  | ChainContradicted
  | FederationFollowed
  | ReserveAudited
  | ApprovalAsked
  | SignatureAsked
  | PartsAsked
  | ProofReceived
  | AnswerReady
  | CheckPending
  | MemberStopping

const WAIT = { overflow: 'blockProducer' } as const

export const MEMBER_ROWS: readonly MessageSpec[] = [
  { ...WAIT, type: 'links.Connect', priority: 'control' },
  { ...WAIT, type: 'links.LinkUp', priority: 'control' },
  { ...WAIT, type: 'links.LinkDown', priority: 'control' },
  { ...WAIT, type: 'links.LinkReceived', priority: 'peg' },
  { ...WAIT, type: 'links.SendToNode', priority: 'peg' },
  { ...WAIT, type: 'links.OfferLapsed', priority: 'control' },
  { ...WAIT, type: 'member.MemberStopping', priority: 'control' },
  { ...WAIT, type: 'follower.HeadSeen', priority: 'peg' },
  { ...WAIT, type: 'follower.HeadersReceived', priority: 'peg' },
  { ...WAIT, type: 'follower.CheckFollowing', priority: 'peg', coalesce: 'latest' },
  { ...WAIT, type: 'follower.BeliefSeen', priority: 'peg' },
  { ...WAIT, type: 'keygen.HeadersFollowed', priority: 'peg', neverDrop: true },
  { ...WAIT, type: 'keygen.ProofReceived', priority: 'peg' },
  { ...WAIT, type: 'keygen.PartReady', priority: 'peg', neverDrop: true },
  { ...WAIT, type: 'keygen.CheckKeygen', priority: 'peg', coalesce: 'latest' },
  { ...WAIT, type: 'signer.HeadersFollowed', priority: 'peg', neverDrop: true },
  { ...WAIT, type: 'signer.ChainContradicted', priority: 'control', neverDrop: true },
  { ...WAIT, type: 'signer.FederationFollowed', priority: 'control', coalesce: 'latest' },
  { ...WAIT, type: 'signer.ReserveAudited', priority: 'control', coalesce: 'latest' },
  { ...WAIT, type: 'signer.ApprovalAsked', priority: 'peg' },
  { ...WAIT, type: 'signer.SignatureAsked', priority: 'peg' },
  { ...WAIT, type: 'signer.PartsAsked', priority: 'peg' },
  { ...WAIT, type: 'signer.ProofReceived', priority: 'peg' },
  { ...WAIT, type: 'signer.AnswerReady', priority: 'peg', neverDrop: true },
  { ...WAIT, type: 'signer.CheckPending', priority: 'peg', coalesce: 'latest' },
  { ...WAIT, type: 'auditor.HeadersFollowed', priority: 'peg', neverDrop: true },
  { ...WAIT, type: 'auditor.AuditDue', priority: 'peg', coalesce: 'latest' },
  { ...WAIT, type: 'auditor.ProofReceived', priority: 'peg' },
  { ...WAIT, type: 'auditor.AuditEnded', priority: 'peg', neverDrop: true },
]
