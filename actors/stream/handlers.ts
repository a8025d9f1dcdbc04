/** (context, message) → step: whom to ask, whom to tell. Pure. */
import { decodeKeygenItem, PegInClaimType } from '../../core/block/index.ts'
import { equalBytes, hexBytes, toHex } from '../../crypto/index.ts'
import type {
  CollectedSignatures,
  GetConnectedMembers,
  GovernanceApproval,
  GovernanceApprovalRequest,
  NonceOfferReceived,
  RequestFederationSignatures,
  RequestSignatureParts,
} from '../../messages/index.ts'
import type {
  MemberBody,
  MemberMessage,
  NodeBody,
  NodeMessage,
  NonceOfferBytes,
} from '../../proto/index.ts'
import { type About, type KernelEffect, reply, type Step, tell } from '../../supervisor/index.ts'
import { MAX_OPEN_REQUESTS, MAX_QUERIES_PER_MEMBER, MAX_SIGNATURES } from './limits.ts'
import type { StreamInternal } from './messages.ts'
import {
  answered,
  type Dispatch,
  dueRequests,
  forgetAsked,
  type MemberAnswer,
  type OpenRequest,
  type OpenRequests,
  openRequest,
  postponed,
} from './requests.ts'

export type StreamInbox =
  | GovernanceApprovalRequest
  | RequestFederationSignatures
  | RequestSignatureParts
  | GetConnectedMembers
  | StreamInternal

export interface StreamOptions {
  readonly genesisHash: Uint8Array
  readonly memberCount: number
  /** t: below it the actor is Degraded. */
  readonly memberThreshold: number
}

export interface MemberState {
  readonly connected: boolean
  readonly lastSeenMs: number
  /** Queries that are being answered. */
  readonly queries: number
}

export interface StreamContext {
  readonly options: StreamOptions
  /** Ends the subscription to new heads. */
  readonly unsubscribe: () => void
  readonly members: readonly MemberState[]
  /** By outpoint. */
  readonly approvals: OpenRequests
  /** By `batchId:version:attempt`, of each batch the latest attempt only. */
  readonly signatures: OpenRequests
  /** How many answers each member owes to requests for parts, by `batchId:version:attempt`. */
  readonly parts: ReadonlyMap<string, ReadonlyMap<number, number>>
}

/** A read of the chain for one member. */
export type StreamQuery = Extract<
  MemberBody,
  { readonly kind: 'headerRequest' | 'ledgerProofRequest' | 'chainStatusRequest' }
>

export type StreamEffect =
  | { readonly kind: 'send'; readonly memberIndex: number; readonly message: NodeMessage }
  | {
      readonly kind: 'answerQuery'
      readonly memberIndex: number
      readonly message: MemberMessage
      readonly query: StreamQuery
      readonly connectedMembers: number
    }
  | { readonly kind: 'announceHead'; readonly memberIndexes: readonly number[] }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn'
      readonly event: string
      readonly fields: Readonly<Record<string, unknown>>
    }

type StreamStep = Step<StreamContext, StreamEffect>
type Effects = readonly (StreamEffect | KernelEffect)[]

export function initialContext(options: StreamOptions, unsubscribe: () => void): StreamContext {
  const members = Array.from({ length: options.memberCount }, () => ({
    connected: false,
    lastSeenMs: 0,
    queries: 0,
  }))
  return {
    options,
    unsubscribe,
    members,
    approvals: new Map(),
    signatures: new Map(),
    parts: new Map(),
  }
}

export function handle(
  context: StreamContext,
  message: StreamInbox,
  about: About<StreamInbox>,
): StreamStep {
  const { nowMs } = about
  switch (message.type) {
    case 'stream.GovernanceApprovalRequest':
      return wantApproval(context, message.payload, about)
    case 'stream.RequestFederationSignatures':
      return wantSignatures(context, message.payload, about)
    case 'stream.RequestSignatureParts':
      return wantParts(context, message.payload, about)
    case 'stream.GetConnectedMembers':
      return { context, effects: [reply(about.envelope, memberList(context))] }
    case 'stream.MemberConnected':
      return connect(context, message.payload.memberIndex, message.payload.peer, about)
    case 'stream.MemberDisconnected':
      return disconnect(context, message.payload.memberIndex, message.payload.reason, about)
    case 'stream.MemberSeen':
      return { context: withMember(context, message.payload.memberIndex, { lastSeenMs: nowMs }) }
    case 'stream.MemberMessageReceived':
      return receive(context, message.payload.memberIndex, message.payload.message, nowMs)
    case 'stream.QueryAnswered': {
      const { memberIndex } = message.payload
      const queries = Math.max(0, (context.members[memberIndex]?.queries ?? 0) - 1)
      return { context: withMember(context, memberIndex, { queries }) }
    }
    case 'stream.HeadChanged': {
      const memberIndexes = connectedMembers(context)
      return memberIndexes.length === 0
        ? { context }
        : { context, effects: [{ kind: 'announceHead', memberIndexes }] }
    }
    case 'stream.ResendDue':
      return dispatch(context, [], nowMs)
    case 'stream.StreamStopping':
      return about.state === 'Stopping' ? { context } : { context, event: 'STOP' }
  }
}

function connectedMembers(context: StreamContext): number[] {
  return [...context.members.keys()].filter((index) => context.members[index]?.connected === true)
}

function withMember(
  context: StreamContext,
  memberIndex: number,
  change: Partial<MemberState>,
): StreamContext {
  const members = context.members.map((member, index) =>
    index === memberIndex ? { ...member, ...change } : member,
  )
  return { ...context, members }
}

function memberList(context: StreamContext) {
  const members = context.members.map(({ connected, lastSeenMs }, index) => ({
    index,
    connected,
    lastSeenMs,
  }))
  return { type: 'stream.MemberList', payload: { members } } as const
}

/** The mode follows the number of members that are here; the event, if the mode has to change. */
function modeEvent(context: StreamContext, state: string): string | undefined {
  const enough = connectedMembers(context).length >= context.options.memberThreshold
  if (enough && state === 'Degraded') return 'RECOVERED'
  return !enough && state === 'Running' ? 'DEGRADED' : undefined
}

function connect(
  context: StreamContext,
  memberIndex: number,
  peer: string,
  about: About<StreamInbox>,
): StreamStep {
  const here = {
    ...withMember(context, memberIndex, { connected: true, lastSeenMs: about.nowMs, queries: 0 }),
    approvals: forgetAsked(context.approvals, memberIndex),
    signatures: forgetAsked(context.signatures, memberIndex),
  }
  const step = dispatch(
    here,
    [
      { kind: 'log', level: 'info', event: 'member connected', fields: { memberIndex, peer } },
      { kind: 'announceHead', memberIndexes: [memberIndex] },
    ],
    about.nowMs,
  )
  const event = modeEvent(here, about.state)
  return event === undefined ? step : { ...step, event }
}

function disconnect(
  context: StreamContext,
  memberIndex: number,
  reason: string,
  about: About<StreamInbox>,
): StreamStep {
  const gone = withMember(context, memberIndex, { connected: false, queries: 0 })
  const event = modeEvent(gone, about.state)
  const fields = { memberIndex, reason }
  const effects: Effects = [{ kind: 'log', level: 'warn', event: 'member disconnected', fields }]
  return event === undefined ? { context: gone, effects } : { context: gone, effects, event }
}

function wantApproval(
  context: StreamContext,
  { outpoint, membersEpoch, claim }: GovernanceApprovalRequest['payload'],
  about: About<StreamInbox>,
): StreamStep {
  const bound = PegInClaimType.hashTreeRoot(claim)
  const approvals = openRequest(
    context.approvals,
    {
      key: outpoint,
      correlationId: about.envelope.correlationId,
      body: {
        kind: 'requestFederationApproval',
        genesisHash: context.options.genesisHash,
        outpoint,
        membersEpoch,
        claim: PegInClaimType.serialize(claim),
      },
      bound,
      wantedAtMs: about.nowMs,
    },
    (present) => equalBytes(present.bound, bound),
  )
  const known = storedAnswers(approvals.get(outpoint) as OpenRequest, approvalTo)
  return dispatch({ ...context, approvals }, known, about.nowMs)
}

function wantSignatures(
  context: StreamContext,
  { batchId, version, attempt, height }: RequestFederationSignatures['payload'],
  about: About<StreamInbox>,
): StreamStep {
  const key = `${batchId}:${version}:${attempt}`
  const bound = hexBytes(batchId)
  const others = new Map(
    [...context.signatures].filter(([other]) => other === key || !other.startsWith(`${batchId}:`)),
  )
  const signatures = openRequest(
    others,
    {
      key,
      correlationId: about.envelope.correlationId,
      body: {
        kind: 'signatureRequest',
        genesisHash: context.options.genesisHash,
        batchId: bound,
        version,
        attempt,
        height,
      },
      bound,
      wantedAtMs: about.nowMs,
    },
    () => true,
  )
  const known = storedAnswers(signatures.get(key) as OpenRequest, offerTo)
  return dispatch({ ...context, signatures }, known, about.nowMs)
}

/** What members have answered before is told again: the request may come from a Bridge that started anew. */
function storedAnswers(
  request: OpenRequest,
  toBridge: (request: OpenRequest, memberIndex: number, answer: MemberAnswer) => KernelEffect,
): KernelEffect[] {
  return [...request.asked].flatMap(([memberIndex, { answer }]) =>
    answer === undefined ? [] : [toBridge(request, memberIndex, answer)],
  )
}

/** Sends whatever is due to whoever is here. */
function dispatch(context: StreamContext, effects: Effects, nowMs: number): StreamStep {
  const connected = connectedMembers(context)
  const approvals = dueRequests(context.approvals, connected, nowMs)
  const signatures = dueRequests(context.signatures, connected, nowMs)
  const sends = [...signatures.dispatches, ...approvals.dispatches].map(sendRequest)
  return {
    context: { ...context, approvals: approvals.open, signatures: signatures.open },
    effects: [...effects, ...sends],
  }
}

function sendRequest({ memberIndex, request }: Dispatch): StreamEffect {
  const { key, correlationId, body } = request
  return { kind: 'send', memberIndex, message: { requestId: key, correlationId, body } }
}

function receive(
  context: StreamContext,
  memberIndex: number,
  message: MemberMessage,
  nowMs: number,
): StreamStep {
  const seen = withMember(context, memberIndex, { lastSeenMs: nowMs })
  const { body } = message
  switch (body.kind) {
    case 'approvalResponse': {
      const request = seen.approvals.get(message.requestId)
      if (request === undefined || !equalBytes(request.bound, body.claimRoot)) {
        return ignore(seen, memberIndex, message, 'answers no open request')
      }
      const signatures = body.decision === 'APPROVED' ? [body.signature] : []
      if (signatures.some((signature) => signature.length !== 96)) {
        return ignore(seen, memberIndex, message, 'malformed signature')
      }
      const update = (approvals: OpenRequests) => ({ ...seen, approvals })
      return note(seen.approvals, request, update, approvalTo)({ ...body, signatures })
    }
    case 'signatureResponse': {
      const request = seen.signatures.get(message.requestId)
      const isBound =
        request !== undefined &&
        equalBytes(request.bound, body.batchId) &&
        request.key === `${toHex(body.batchId)}:${body.version}:${body.attempt}`
      if (!isBound) return ignore(seen, memberIndex, message, 'answers no open request')
      const { code, decision, offers, retryAfterMs } = body
      const [offer] = offers
      if (!isOne(offers, decision === 'APPROVED')) {
        return ignore(seen, memberIndex, message, 'malformed offer')
      }
      const update = (open: OpenRequests) => ({ ...seen, signatures: open })
      const given = { decision, code, retryAfterMs, signatures: [], ...(offer && { offer }) }
      return note(seen.signatures, request, update, offerTo)(given)
    }
    case 'partsResponse':
      return partsGiven(seen, memberIndex, message, body)
    case 'keygenItem': {
      const item = decodeKeygenItem(body.item)
      if (!item.ok) return ignore(seen, memberIndex, message, 'malformed item')
      const told = { memberIndex, item: item.value }
      const { correlationId } = message
      return {
        context: seen,
        effects: [
          tell('bridge', { type: 'bridge.KeygenItemReceived', payload: told }, { correlationId }),
        ],
      }
    }
    case 'headerRequest':
    case 'ledgerProofRequest':
    case 'chainStatusRequest':
      return query(seen, memberIndex, message, body)
    default:
      return ignore(seen, memberIndex, message, body.kind)
  }

  /** Keeps an answer and tells Bridge, or puts the question off. */
  function note(
    open: OpenRequests,
    request: OpenRequest,
    update: (open: OpenRequests) => StreamContext,
    toBridge: (request: OpenRequest, memberIndex: number, answer: MemberAnswer) => KernelEffect,
  ) {
    return (
      given: Omit<MemberAnswer, 'decision'> & {
        readonly decision: string
        readonly retryAfterMs: number
      },
    ): StreamStep => {
      const { decision, code, offer, signatures } = given
      // Each that goes on costs Bridge curve operations.
      if (request.asked.get(memberIndex)?.answer !== undefined) {
        return ignore(seen, memberIndex, message, 'answered already')
      }
      if (decision !== 'APPROVED' && decision !== 'REFUSED') {
        const later = postponed(open, request, memberIndex, given.retryAfterMs, nowMs)
        return { context: update(later) }
      }
      const answer: MemberAnswer = { decision, code, signatures, ...(offer && { offer }) }
      return {
        context: update(answered(open, request, memberIndex, answer, nowMs)),
        effects: [toBridge(request, memberIndex, answer)],
      }
    }
  }
}

function ignore(
  context: StreamContext,
  memberIndex: number,
  message: MemberMessage,
  reason: string,
): StreamStep {
  const fields = { memberIndex, requestId: message.requestId, reason }
  return {
    context,
    effects: [{ kind: 'log', level: 'warn', event: 'member message ignored', fields }],
  }
}

function query(
  context: StreamContext,
  memberIndex: number,
  message: MemberMessage,
  body: StreamQuery,
): StreamStep {
  const queries = context.members[memberIndex]?.queries ?? 0
  if (queries >= MAX_QUERIES_PER_MEMBER) {
    const { requestId, correlationId } = message
    const busy = {
      kind: 'errorResponse',
      code: 'UNAVAILABLE',
      message: `more than ${MAX_QUERIES_PER_MEMBER} queries at a time`,
      retryAfterMs: 1000,
    } as const
    return {
      context,
      effects: [{ kind: 'send', memberIndex, message: { requestId, correlationId, body: busy } }],
    }
  }
  const connected = connectedMembers(context).length
  return {
    context: withMember(context, memberIndex, { queries: queries + 1 }),
    effects: [
      { kind: 'answerQuery', memberIndex, message, query: body, connectedMembers: connected },
    ],
  }
}

function approvalTo(
  request: OpenRequest,
  memberIndex: number,
  { decision, code, signatures }: MemberAnswer,
): KernelEffect {
  const [signature] = signatures
  const message: GovernanceApproval = {
    type: 'bridge.GovernanceApproval',
    payload: {
      outpoint: request.key,
      memberIndex,
      approved: decision === 'APPROVED',
      ...(code === '' ? {} : { reason: code }),
      ...(signature === undefined ? {} : { signature }),
    },
  }
  return tell('bridge', message, { correlationId: request.correlationId })
}

function offerTo(
  request: OpenRequest,
  memberIndex: number,
  { code, offer }: MemberAnswer,
): KernelEffect {
  const { body } = request
  if (body.kind !== 'signatureRequest') throw new Error(`${request.key}: no signature request`)
  const message: NonceOfferReceived = {
    type: 'bridge.NonceOfferReceived',
    payload: {
      batchId: toHex(body.batchId),
      version: body.version,
      attempt: body.attempt,
      memberIndex,
      ...(offer && { offer }),
      ...(code === '' ? {} : { reason: code }),
    },
  }
  return tell('bridge', message, { correlationId: request.correlationId })
}

/** The members of a list are asked once: who does not answer has an attempt less, the coordinator another list. */
function wantParts(
  context: StreamContext,
  { batchId, version, attempt, list }: RequestSignatureParts['payload'],
  about: About<StreamInbox>,
): StreamStep {
  const body: NodeBody = {
    kind: 'partsRequest',
    batchId: hexBytes(batchId),
    version,
    attempt,
    offers: list,
  }
  const { correlationId } = about.envelope
  const requestId = `${batchId}:${version}:${attempt}`
  const effects = list.map(
    ({ member }): StreamEffect => ({
      kind: 'send',
      memberIndex: member,
      message: { requestId, correlationId, body },
    }),
  )
  const owed = new Map(context.parts.get(requestId))
  for (const { member } of list) owed.set(member, (owed.get(member) ?? 0) + 1)
  const parts = new Map(context.parts)
  parts.delete(requestId)
  parts.set(requestId, owed)
  if (parts.size > MAX_OPEN_REQUESTS) parts.delete(parts.keys().next().value as string)
  return { context: { ...context, parts }, effects }
}

/** A member's parts and, behind them, its next offer. Who gives none says why. */
function partsGiven(
  context: StreamContext,
  memberIndex: number,
  message: MemberMessage,
  body: Extract<MemberMessage['body'], { readonly kind: 'partsResponse' }>,
): StreamStep {
  const { attempt, batchId, code, decision, listHash, offers, parts, signature, version } = body
  const isWhole =
    batchId.length === 32 &&
    parts.length <= MAX_SIGNATURES &&
    parts.every(({ length }) => length <= 64) &&
    isOne(offers, false)
  if (!isWhole) return ignore(context, memberIndex, message, 'malformed parts')
  const key = `${toHex(batchId)}:${version}:${attempt}`
  const owed = context.parts.get(key)?.get(memberIndex) ?? 0
  if (owed === 0) return ignore(context, memberIndex, message, 'parts that nobody asked for')
  const left = new Map(context.parts.get(key)).set(memberIndex, owed - 1)
  const settled = { ...context, parts: new Map(context.parts).set(key, left) }
  const id = { batchId: toHex(batchId), version, attempt, memberIndex }
  const { correlationId } = message
  const effects: KernelEffect[] = []
  if (decision === 'APPROVED') {
    const signed: CollectedSignatures = {
      type: 'bridge.CollectedSignatures',
      payload: { ...id, parts: { member: memberIndex, listHash, parts, signature } },
    }
    effects.push(tell('bridge', signed, { correlationId }))
  }
  const [offer] = offers
  if (offer !== undefined || decision !== 'APPROVED') {
    const next: NonceOfferReceived = {
      type: 'bridge.NonceOfferReceived',
      payload: { ...id, ...(offer && { offer }), ...(code === '' ? {} : { reason: code }) },
    }
    effects.push(tell('bridge', next, { correlationId }))
  }
  return { context: settled, effects }
}

/** At most one offer, with no more commitments than a batch has inputs. */
function isOne(offers: readonly NonceOfferBytes[], must: boolean): boolean {
  const isBounded = offers.every(({ commitments }) => commitments.length <= MAX_SIGNATURES)
  return isBounded && offers.length <= 1 && (offers.length === 1 || !must)
}
