/** What the StreamActor is told: what to ask the members over their gRPC streams, and what they answer. */
import type { PegInClaim } from '../core/block/index.ts'
import type { SigningList } from '../core/signing/index.ts'
import type { Message, Request } from '../supervisor/index.ts'

/** Ask every member to approve a deposit. From: Bridge. To: Stream. Idempotent by outpoint. */
export type GovernanceApprovalRequest = Message<
  'stream.GovernanceApprovalRequest',
  {
    /** `txid:vout`, txid in display form. */
    readonly outpoint: string
    readonly membersEpoch: number
    readonly claim: PegInClaim
  }
>

/** Ask every member to offer nonces for a recorded batch version. From: Bridge. To: Stream. Idempotent by batch, version, attempt. */
export type RequestFederationSignatures = Message<
  'stream.RequestFederationSignatures',
  {
    readonly batchId: string
    readonly version: number
    readonly attempt: number
    /** Committed height whose ledger holds the record. */
    readonly height: number
  }
>

/** Ask the members of a list to sign under it, once. From: Bridge. To: Stream. */
export type RequestSignatureParts = Message<
  'stream.RequestSignatureParts',
  {
    readonly batchId: string
    readonly version: number
    readonly attempt: number
    readonly list: SigningList
  }
>

/** From: api, Bridge. To: Stream. Reply: MemberList. */
export type GetConnectedMembers = Request<
  'stream.GetConnectedMembers',
  Record<string, never>,
  MemberList
>

export type MemberList = Message<
  'stream.MemberList',
  {
    readonly members: readonly {
      readonly index: number
      readonly connected: boolean
      readonly lastSeenMs: number
    }[]
  }
>
