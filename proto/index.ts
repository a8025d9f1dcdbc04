/**
 * The wire of the governance stream (governance.proto): typed messages both ways and the bounds that both ends keep
 * (GV-2, GV-10…GV-12). Follows protocol §5.6 and requirements §5.5. A decoded object becomes a message of
 * exactly one known body or `unrecognized`; nothing here throws on what a peer sent.
 */

import { plainFields } from './plain.ts'

export * from './signer.ts'
export { countFields, type FieldShape, type MessageShape } from './wire.ts'

/** Where the schema stands, for the adapter that loads it. */
export const GOVERNANCE_PROTO = new URL('./governance.proto', import.meta.url)
export const GOVERNANCE_SERVICE = 'millrace.governance.v1.GovernanceStream'

export const STREAM_LIMITS = {
  /** GV-12: no message is larger. */
  maxMessageBytes: 4 * 1024 * 1024,
  /** What a member says: its parts for 50 inputs and its next offer are some 10 KiB, its part in a key of 100 members is less. */
  maxMemberMessageBytes: 64 * 1024,
  /** GV-2: the first message must come within this time. */
  registrationMs: 10_000,
  /** GV-10: one heartbeat each; two missed ones end the stream. */
  heartbeatMs: 30_000,
  missedHeartbeats: 2,
  /** GV-12. */
  requestMs: 30_000,
  idleMs: 300_000,
  /** Streams of one connection: a member needs one. */
  maxStreams: 4,
  /** GV-11: messages that wait for a slow peer. */
  maxQueued: 1000,
  /** Headers in one answer. */
  maxHeaders: 512,
  /** Rows in one proof request. */
  maxProofRows: 512,
  /** Fields of a message, those inside of others included; 512 rows with their proofs are some 3,000. */
  maxFields: 10_000,
} as const

export type Decision = 'APPROVED' | 'REFUSED' | 'UNKNOWN'

export interface CertifiedHeaderBytes {
  readonly header: Uint8Array
  readonly certificate: Uint8Array
  /** The set behind nextValidatorsHash where it is another than the header's own; else empty. */
  readonly nextValidators: Uint8Array
}

export interface RowKey {
  readonly set: string
  readonly key: Uint8Array
}

export interface ProvenRowBytes extends RowKey {
  readonly present: boolean
  readonly row: Uint8Array
  readonly proof: Uint8Array
}

export type StreamErrorCode =
  | 'INVALID_REQUEST'
  | 'NOT_REGISTERED'
  | 'UNAVAILABLE'
  | 'TOO_LARGE'
  | 'INTERNAL'

interface ErrorBody {
  readonly kind: 'errorResponse'
  readonly code: string
  readonly message: string
  readonly retryAfterMs: number
}

interface Unrecognized {
  readonly kind: 'unrecognized'
}

/** A member's nonces for one attempt, as `core/signing` has them. */
export interface NonceOfferBytes {
  readonly member: number
  readonly serial: number
  readonly commitments: readonly Uint8Array[]
  readonly signature: Uint8Array
}

export type MemberBody =
  | {
      readonly kind: 'nodeRegistration'
      readonly genesisHash: Uint8Array
      readonly memberKey: Uint8Array
      readonly software: string
    }
  | { readonly kind: 'heartbeat'; readonly sequence: number; readonly sentAtMs: number }
  | {
      readonly kind: 'approvalResponse'
      readonly outpoint: string
      readonly claimRoot: Uint8Array
      readonly decision: Decision
      readonly code: string
      readonly retryAfterMs: number
      readonly signature: Uint8Array
    }
  | {
      readonly kind: 'signatureResponse'
      readonly batchId: Uint8Array
      readonly version: number
      readonly attempt: number
      readonly decision: Decision
      readonly code: string
      readonly retryAfterMs: number
      /** One when approved. */
      readonly offers: readonly NonceOfferBytes[]
    }
  | {
      readonly kind: 'partsResponse'
      readonly batchId: Uint8Array
      readonly version: number
      readonly attempt: number
      readonly decision: Decision
      readonly code: string
      readonly listHash: Uint8Array
      readonly parts: readonly Uint8Array[]
      readonly signature: Uint8Array
      readonly offers: readonly NonceOfferBytes[]
    }
  | {
      readonly kind: 'keygenItem'
      /** SSZ KeygenItem. */
      readonly item: Uint8Array
    }
  | { readonly kind: 'headerRequest'; readonly fromHeight: number; readonly count: number }
  | {
      readonly kind: 'ledgerProofRequest'
      readonly rows: readonly RowKey[]
      /** Empty, or the batch whose rows are wanted. */
      readonly batchId: Uint8Array
      readonly version: number
      /** Instead: every live output, as many as one answer may have. */
      readonly reserve?: boolean
    }
  | { readonly kind: 'chainStatusRequest' }
  | ErrorBody
  | Unrecognized

export type NodeBody =
  | {
      readonly kind: 'registrationAck'
      readonly memberIndex: number
      readonly heartbeatMs: number
    }
  | { readonly kind: 'heartbeatAck'; readonly sequence: number; readonly sentAtMs: number }
  | {
      readonly kind: 'requestFederationApproval'
      readonly genesisHash: Uint8Array
      readonly outpoint: string
      readonly membersEpoch: number
      readonly claim: Uint8Array
    }
  | {
      readonly kind: 'signatureRequest'
      readonly genesisHash: Uint8Array
      readonly batchId: Uint8Array
      readonly version: number
      readonly attempt: number
      readonly height: number
    }
  | {
      readonly kind: 'partsRequest'
      readonly batchId: Uint8Array
      readonly version: number
      readonly attempt: number
      readonly offers: readonly NonceOfferBytes[]
    }
  | {
      readonly kind: 'certifiedHeaders'
      readonly fromHeight: number
      readonly headers: readonly CertifiedHeaderBytes[]
    }
  | {
      readonly kind: 'ledgerProof'
      readonly height: number
      readonly rows: readonly ProvenRowBytes[]
    }
  | {
      readonly kind: 'chainStatus'
      readonly height: number
      readonly blockHash: Uint8Array
      readonly connectedMembers: number
    }
  | { readonly kind: 'newHead'; readonly height: number; readonly head: CertifiedHeaderBytes }
  | ErrorBody
  | Unrecognized

interface Addressed<Body> {
  /** Of the one who asks; its answer repeats it. Empty for notifications. */
  readonly requestId: string
  readonly correlationId: string
  readonly body: Body
}

/** From a member to a federation node. */
export type MemberMessage = Addressed<MemberBody>
/** From a federation node to a member. */
export type NodeMessage = Addressed<NodeBody>

const MEMBER_KINDS: ReadonlySet<string> = new Set<MemberBody['kind']>([
  'nodeRegistration',
  'heartbeat',
  'approvalResponse',
  'signatureResponse',
  'partsResponse',
  'keygenItem',
  'headerRequest',
  'ledgerProofRequest',
  'chainStatusRequest',
  'errorResponse',
])

const NODE_KINDS: ReadonlySet<string> = new Set<NodeBody['kind']>([
  'registrationAck',
  'heartbeatAck',
  'requestFederationApproval',
  'signatureRequest',
  'partsRequest',
  'certifiedHeaders',
  'ledgerProof',
  'chainStatus',
  'newHead',
  'errorResponse',
])

type Fields = Readonly<Record<string, unknown>>

/** The object that protobuf encodes. */
export function toWire(message: MemberMessage | NodeMessage): Fields {
  const { kind, ...fields } = message.body
  const { requestId, correlationId } = message
  return { requestId, correlationId, [kind]: fields }
}

export function memberMessageFromWire(wire: unknown): MemberMessage {
  return fromWire(wire, MEMBER_KINDS) as MemberMessage
}

export function nodeMessageFromWire(wire: unknown): NodeMessage {
  return fromWire(wire, NODE_KINDS) as NodeMessage
}

const UNRECOGNIZED: Unrecognized = { kind: 'unrecognized' }
const MAX_ID_LENGTH = 128

/** `wire` comes from protobuf, so its fields have the schema's types; numbers may still be beyond 2^53. */
function fromWire(wire: unknown, kinds: ReadonlySet<string>): Addressed<unknown> {
  const fields = (typeof wire === 'object' && wire !== null ? wire : {}) as Fields
  const requestId = String(fields['requestId'] ?? '').slice(0, MAX_ID_LENGTH)
  const correlationId = String(fields['correlationId'] ?? '').slice(0, MAX_ID_LENGTH)
  const kind = String(fields['body'] ?? '')
  const inner = fields[kind]
  if (!kinds.has(kind) || typeof inner !== 'object' || inner === null) {
    return { requestId, correlationId, body: UNRECOGNIZED }
  }
  const body = plainFields(inner, STREAM_LIMITS.maxFields) as Fields | undefined
  return { requestId, correlationId, body: body === undefined ? UNRECOGNIZED : { kind, ...body } }
}
