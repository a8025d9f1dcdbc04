import {
  type ConsensusMessage,
  decodeEvidence,
  decodeValidatorChange,
  encodeConsensusMessage,
  encodeEvidence,
  encodeValidatorChange,
  type QuorumCertificate,
} from '../../core/block/index.ts'
import { equalBytes, sha256, toHex } from '../../crypto/index.ts'
import type {
  EvidenceJudged,
  FetchBlock,
  FrameReceived,
  GossipReceived,
  NetworkInbox,
  RangeFetched,
  RequestReceived,
  TransactionJudged,
  ValidatorChangeJudged,
} from '../../messages/index.ts'
import {
  type About,
  after,
  type KernelEffect,
  reply,
  type Step,
  tell,
} from '../../supervisor/index.ts'
import { pointsOf, take } from './conduct.ts'
import { type NetworkContext, type NetworkEffect, type Outcome, outcome, then } from './context.ts'
import { peerOfAddress } from './dialing.ts'
import type { PenaltyCode } from './errors.ts'
import { dueLate, type Later, withLate } from './later.ts'
import {
  DIRECT_COPY_BYTES,
  MAX_FETCH_PEERS,
  MAX_PREPARED,
  MAX_SERVING,
  MAX_WEIGHED,
  type RateClass,
  REPEAT_MS,
  STALE_HEIGHTS,
  STATUS_TIMEOUT_MS,
  WEIGH_TIMEOUT_MS,
} from './limits.ts'
import {
  appeared,
  headSeen,
  ownStatus,
  punish,
  punishBy,
  readyPeers,
  retryLater,
  spend,
  statusSeen,
  tended,
  vanished,
  withPeer,
} from './peers.ts'
import type { GossipVerdict } from './port.ts'
import { noted, toldAt } from './recent.ts'
import {
  decodeApprovedClaim,
  decodeConsensus,
  decodeHeadFrame,
  decodePoint,
  decodeRangeRequest,
  encodeApprovedClaim,
  encodeEvidenceFrame,
  encodeHeadFrame,
  heightOfMessage,
  isEvidenceFrame,
  isHeadFrame,
} from './wire.ts'

type NetworkStep = Step<NetworkContext, NetworkEffect>

export function handle(
  context: NetworkContext,
  message: NetworkInbox,
  about: About<NetworkInbox>,
): NetworkStep {
  if (message.type === 'network.NetworkStopping') {
    return about.state === 'Stopping' ? { context } : { context, event: 'STOP' }
  }
  const { context: next, effects } = decide(context, message, about)
  const event = modeEvent(next, about)
  return event === undefined ? { context: next, effects } : { context: next, effects, event }
}

/** Degraded: peers are configured, none is ready, and the node had time to find one. */
function modeEvent(context: NetworkContext, about: About): 'DEGRADED' | 'RECOVERED' | undefined {
  const alone =
    context.settings.staticPeers.size > 0 &&
    about.nowMs - context.startedMs > STATUS_TIMEOUT_MS &&
    !context.peers.values().some((peer) => peer.ready)
  if (alone && about.state === 'Running') return 'DEGRADED'
  if (!alone && about.state === 'Degraded') return 'RECOVERED'
  return undefined
}

function decide(
  context: NetworkContext,
  message: NetworkInbox,
  { envelope, nowMs }: About<NetworkInbox>,
): Outcome {
  switch (message.type) {
    case 'network.PropagateBlock':
      return propagate(context, encodeConsensusMessage(message.payload.message), message, nowMs)
    case 'network.SendToPeer': {
      const bytes = encodeConsensusMessage(message.payload.message)
      return outcome(context, { kind: 'send', peers: [message.payload.peer], bytes })
    }
    case 'network.GossipTransaction': {
      const topic = context.settings.names.transactions
      return outcome(context, { kind: 'publish', topic, bytes: message.payload.raw })
    }
    case 'network.GossipApproval': {
      const topic = context.settings.names.approvals
      return outcome(context, {
        kind: 'publish',
        topic,
        bytes: encodeApprovedClaim(message.payload),
      })
    }
    case 'network.GossipValidatorChange': {
      const topic = context.settings.names.validators
      const bytes = encodeValidatorChange(message.payload.change)
      return outcome(context, { kind: 'publish', topic, bytes })
    }
    case 'network.GossipEvidence': {
      const topic = context.settings.names.evidence
      return outcome(context, {
        kind: 'publish',
        topic,
        bytes: encodeEvidence(message.payload.evidence),
      })
    }
    case 'network.SendEvidence': {
      const { evidence, peer } = message.payload
      const bytes = encodeEvidenceFrame(encodeEvidence(evidence))
      return outcome(context, { kind: 'send', peers: [peer], bytes })
    }
    case 'network.GetConnectedPeers':
      return outcome(context, reply(envelope, peerList(context, nowMs)))
    case 'network.RequestBlocks':
      return outcome(context, {
        kind: 'fetchRange',
        replyTo: envelope,
        protocol: context.settings.names.blocks,
        ...message.payload,
      })
    case 'network.RangeFetched':
      return rangeFetched(context, message.payload, nowMs)
    case 'network.FetchBlock':
      return fetchBlock(context, message.payload)
    case 'network.PenalizePeer': {
      const { peer, code, score } = message.payload
      return punishBy(context, peer, code, score, nowMs)
    }
    case 'network.HeadAnnounced': {
      const peers = readyPeers(context).map(({ peer }) => peer)
      const bytes = encodeHeadFrame(message.payload)
      return outcome({ ...context, head: message.payload }, { kind: 'send', peers, bytes })
    }
    case 'network.PeerAppeared':
      return appeared(context, message.payload, nowMs)
    case 'network.PeerVanished':
      return vanished(context, message.payload.peer, message.payload.chance)
    case 'network.FrameReceived':
      return frameReceived(context, message.payload, nowMs)
    case 'network.GossipReceived':
      return gossipReceived(context, message.payload, nowMs)
    case 'network.TransactionJudged':
    case 'network.EvidenceJudged':
    case 'network.ValidatorChangeJudged':
      return weighedJudged(context, message.payload, nowMs)
    case 'network.RequestReceived':
      return requestReceived(context, message.payload, nowMs)
    case 'network.RequestServed':
      return outcome({ ...context, serving: context.serving - 1 })
    case 'network.StatusReceived': {
      const { peer, bytes } = message.payload
      return bytes === undefined
        ? outcome(context, { kind: 'disconnect', peer, code: 'NoStatus' })
        : statusSeen(context, peer, bytes, nowMs)
    }
    case 'network.DialPeer': {
      const { address } = message.payload
      const peer = peerOfAddress(address)
      if (peer !== undefined && context.peers.has(peer)) return outcome(context)
      return outcome(context, { kind: 'dial', address })
    }
    case 'network.DialEnded': {
      const { address, connected, chance } = message.payload
      return connected ? outcome(context) : retryLater(context, address, chance)
    }
    case 'network.GossipDue':
      return gossipDue(context, nowMs)
    case 'network.TendPeers':
      return tended(context, nowMs)
    case 'network.NetworkStopping':
      return outcome(context)
  }
}

/**
 * To everybody. While all static peers are there, directly, and by gossip a moment later if its height is still open then. Otherwise, and
 * when it is repeated, by both at once; a large one by gossip alone the first time.
 */
function propagate(
  context: NetworkContext,
  bytes: Uint8Array,
  { payload }: Extract<NetworkInbox, { type: 'network.PropagateBlock' }>,
  nowMs: number,
): Outcome {
  const hash = sha256(bytes)
  const repeated = toldAt(context.recent, hash) !== undefined
  const kept = withPrepared(context, payload.message, nowMs)
  // Our own message that comes back by another path is nothing new.
  const next = { ...kept, recent: noted(context.recent, hash, nowMs) }
  const peers = readyPeers(context).map(({ peer }) => peer)
  const send = { kind: 'send', peers, bytes } as const
  if (!repeated && reachesFederation(context)) {
    const height = heightOfMessage(payload.message)
    const { later, due } = withLate(next.later, height, bytes, nowMs)
    const timer = next.later.length === 0 ? lateTimer(later, nowMs) : []
    return outcome({ ...next, later }, send, ...due.map(publishIn(context)), ...timer)
  }
  const publish = publishIn(context)(bytes)
  if (bytes.length > DIRECT_COPY_BYTES && !repeated) return outcome(next, publish)
  return outcome(next, send, publish)
}

function publishIn({ settings }: NetworkContext) {
  const topic = settings.names.consensus
  return (bytes: Uint8Array) => ({ kind: 'publish', topic, bytes }) as const
}

function lateTimer([next]: Later, nowMs: number): KernelEffect[] {
  if (next === undefined) return []
  const due = { type: 'network.GossipDue', payload: {} } as const
  return [after(Math.max(0, next.dueMs - nowMs), 'late gossip', due)]
}

/** Whether everybody whom the operator named is there. */
function reachesFederation({ settings: { staticPeers }, peers }: NetworkContext): boolean {
  return staticPeers.size > 0 && staticPeers.keys().every((peer) => peers.get(peer)?.ready === true)
}

function gossipDue(context: NetworkContext, nowMs: number): Outcome {
  const { later, due } = dueLate(context.later, context.head.height, nowMs)
  const effects = [...due.map(publishIn(context)), ...lateTimer(later, nowMs)]
  return outcome({ ...context, later }, ...effects)
}

/** What a certificate proves, whoever signed it: there are as many for one statement as there are quorums. */
function statementOf({ height, view, blockHash: hash }: QuorumCertificate): string {
  return `${height} ${view} ${toHex(hash)}`
}

/** Our own certificate, or one that was verified: another of the same statement says nothing new for a while. */
function withPrepared(
  context: NetworkContext,
  message: ConsensusMessage,
  nowMs: number,
): NetworkContext {
  if (message.kind !== 'prepareCertificate') return context
  const statement = statementOf(message.value)
  const prepared = new Map(context.prepared)
  prepared.delete(statement)
  prepared.set(statement, nowMs)
  if (prepared.size > MAX_PREPARED) prepared.delete(prepared.keys().next().value as string)
  return { ...context, prepared }
}

function isPrepared({ prepared }: NetworkContext, message: ConsensusMessage, nowMs: number) {
  if (message.kind !== 'prepareCertificate') return false
  const atMs = prepared.get(statementOf(message.value))
  return atMs !== undefined && Math.abs(nowMs - atMs) < REPEAT_MS
}

function peerList(context: NetworkContext, nowMs: number) {
  const { limits } = context.settings
  const peers = readyPeers(context).map(({ peer, height, inbound, validator }) => {
    const points = pointsOf(context.penalties, peer, limits, nowMs)
    const score = points === 0 ? 0 : -points
    return { peer, height, inbound, score, ...(validator && { validator }) }
  })
  return { type: 'network.PeerList', payload: { peers } } as const
}

/** Settles a frame: the next one of a stream may come, gossip is relayed or not. */
function settle(
  { peer, origin }: FrameReceived['payload'],
  verdict: GossipVerdict,
): NetworkEffect[] {
  return origin === 'stream'
    ? [{ kind: 'takeFrame', peer }]
    : [{ kind: 'judge', id: origin, verdict }]
}

function frameReceived(
  context: NetworkContext,
  frame: FrameReceived['payload'],
  nowMs: number,
): Outcome {
  const { peer, bytes } = frame
  const ignore = (from: NetworkContext): Outcome => outcome(from, ...settle(frame, 'ignore'))
  const refuse = (from: NetworkContext, code: PenaltyCode): Outcome =>
    then(outcome(from, ...settle(frame, code === 'TooFast' ? 'ignore' : 'reject')), (after) =>
      punish(after, peer, code, nowMs),
    )
  const relayed = typeof frame.origin === 'number'
  const spent = spend(context, peer, nowMs, ...frameCosts(relayed, bytes.length))
  // What a peer relays was written by others, who could make it too much: it pays for its own frames only.
  if (spent === undefined) return relayed ? ignore(context) : refuse(context, 'TooFast')
  if (isHeadFrame(bytes) && !relayed) {
    const head = decodeHeadFrame(bytes)
    if (head === undefined) return refuse(spent, 'Malformed')
    return then(ignore(spent), (next) => headSeen(next, peer, head))
  }
  if (isEvidenceFrame(bytes) && !relayed) {
    const bounded = spend(spent, peer, nowMs, ['evidence', 1])
    if (bounded === undefined) return ignore(spent)
    const evidence = decodeEvidence(bytes.subarray(1))
    if (!evidence.ok) return refuse(bounded, 'Malformed')
    const payload = { id: undefined, peer, evidence: evidence.value }
    return then(ignore(bounded), (next) =>
      outcome(next, tell('chain', { type: 'chain.EvidenceReceived', payload })),
    )
  }
  const hash = sha256(bytes)
  const toldMs = toldAt(spent.recent, hash)
  // Verified a moment ago and told; by gossip it may still have to be passed on.
  if (toldMs !== undefined && nowMs - toldMs < REPEAT_MS) {
    return outcome(spent, ...settle(frame, 'accept'))
  }
  const message = decodeConsensus(bytes)
  if (message === undefined) return refuse(spent, 'Malformed')
  const stale = heightOfMessage(message) + STALE_HEIGHTS <= spent.head.height
  // A committed block goes to those who ask: one block has as many valid certificates as there are quorums.
  if (relayed && (stale || message.kind === 'committedBlock')) return ignore(spent)
  if (isPrepared(spent, message, nowMs)) return ignore(spent)
  if (frame.origin === 'stream' && isOwnVote(spent, peer, message)) {
    return outcome(spent, ...settle(frame, 'accept'), tellChain(message, peer, false))
  }
  // Old votes are genuine for ever: without a bound of their own, sending them again would keep this node verifying.
  const bounded = stale ? spend(spent, peer, nowMs, ['stale', 1]) : spent
  const heard = bounded && spendOfSigner(bounded, message, nowMs)
  if (heard === undefined) return ignore(spent)
  let charged = heard
  if (toldMs === undefined) {
    const verdict = heard.settings.checks.consensus(message, nowMs)
    if (verdict.kind === 'invalid') return refuse(spent, 'InvalidMessage')
    if (verdict.kind === 'unknown') return ignore(spent)
    const paid = verdict.signer === undefined ? heard : takeShare(heard, verdict.signer, nowMs)
    if (paid === undefined) return ignore(spent)
    charged = paid
  }
  // A stale one is not remembered: by gossip it is looked at again, and ignored.
  const recent = stale ? charged.recent : noted(charged.recent, hash, nowMs)
  const known = frame.origin === 'stream' ? namedPeer(charged, peer, message) : charged
  return outcome(
    { ...withPrepared(known, message, nowMs), recent },
    ...settle(frame, 'accept'),
    tellChain(message, peer, true),
  )
}

function tellChain(message: ConsensusMessage, peer: string, verified: boolean): KernelEffect {
  const payload = { message, peer, verified }
  return tell('chain', { type: 'chain.ConsensusMessageReceived', payload })
}

/**
 * A vote for the open or the last height that comes over the stream of the peer whose genuine votes came there before. Chain checks it together
 * with others when they are a quorum (2.10); nothing is relayed or remembered of it, and it costs the peer's allowance alone.
 */
function isOwnVote({ head, peers }: NetworkContext, peer: string, message: ConsensusMessage) {
  if (message.kind !== 'vote' || message.value.height < head.height) return false
  const validator = peers.get(peer)?.validator
  return validator !== undefined && equalBytes(validator, message.value.validator)
}

function frameCosts(relayed: boolean, bytes: number): readonly (readonly [RateClass, number])[] {
  return relayed
    ? [
        ['relayed', 1],
        ['relayedBytes', bytes],
      ]
    : [
        ['consensus', 1],
        ['consensusBytes', bytes],
      ]
}

/**
 * Takes a message from its signer's allowance; undefined when that is used up. Kept only once the message proved genuine, so
 * nobody but a validator itself can use up what it may say.
 */
function spendOfSigner(
  context: NetworkContext,
  message: ConsensusMessage,
  nowMs: number,
): NetworkContext | undefined {
  const signer = signerOf(message)
  return signer === undefined ? context : takeShare(context, signer, nowMs)
}

function takeShare(
  context: NetworkContext,
  signer: Uint8Array,
  nowMs: number,
): NetworkContext | undefined {
  const key = toHex(signer)
  const { signer: rate } = context.settings.limits.rates
  const left = take(context.signers.get(key) ?? {}, 'signer', rate, 1, nowMs)
  return left && { ...context, signers: new Map(context.signers).set(key, left) }
}

/** Undefined where a quorum speaks, and where only the check shows it: who proposes another's block again. */
function signerOf(message: ConsensusMessage): Uint8Array | undefined {
  switch (message.kind) {
    case 'vote':
    case 'viewChange':
      return message.value.validator
    case 'prePrepare':
      return message.value.certificate.length === 0 ? message.value.block.header.author : undefined
    case 'prepareCertificate':
    case 'committedBlock':
      return undefined
  }
}

/** A validator sends its own votes over its direct stream: so a peer shows who it most likely is. */
function namedPeer(
  context: NetworkContext,
  name: string,
  message: ConsensusMessage,
): NetworkContext {
  if (message.kind !== 'vote' && message.kind !== 'viewChange') return context
  const peer = context.peers.get(name)
  if (peer === undefined || peer.validator !== undefined) return context
  return withPeer(context, { ...peer, validator: message.value.validator })
}

function transactionCosts(bytes: number): readonly (readonly [RateClass, number])[] {
  return [
    ['transactions', 1],
    ['transactionBytes', bytes],
  ]
}

function gossipReceived(
  context: NetworkContext,
  { id, topic, peer, bytes }: GossipReceived['payload'],
  nowMs: number,
): Outcome {
  const judge = (verdict: GossipVerdict) => ({ kind: 'judge', id, verdict }) as const
  const refuse = (from: NetworkContext, code: PenaltyCode): Outcome =>
    then(outcome(from, judge('reject')), (after) => punish(after, peer, code, nowMs))
  const spent = spend(context, peer, nowMs, ['gossip', 1], ['gossipBytes', bytes.length])
  // It relays what others wrote: too much of that is not read, but is no fault of its own.
  if (spent === undefined) return outcome(context, judge('ignore'))
  const { names, checks } = spent.settings
  if (topic === names.transactions) {
    const costs = spent.settings.staticPeers.has(peer) ? [] : transactionCosts(bytes.length)
    const bounded = spend(spent, peer, nowMs, ...costs)
    if (bounded === undefined) return outcome(spent, judge('ignore'))
    const verdict = checks.transaction(bytes)
    if (verdict.kind === 'invalid') return refuse(bounded, 'InvalidMessage')
    if (verdict.kind === 'unknown') return outcome(bounded, judge('ignore'))
    if (bounded.weighed.size >= MAX_WEIGHED) return outcome(bounded, judge('ignore'))
    const payload = { raw: bytes, peer, id }
    const onRefused = (): TransactionJudged => ({
      type: 'network.TransactionJudged',
      payload: { id, verdict: 'ignore' },
    })
    const weighed = new Map(bounded.weighed).set(id, { peer, untilMs: nowMs + WEIGH_TIMEOUT_MS })
    return outcome(
      { ...bounded, weighed },
      tell('engine', { type: 'engine.TransactionReceived', payload }, { onRefused }),
    )
  }
  if (topic === names.evidence) {
    // Chain looks first at what it knows already; what is left over is bounded here, before a signature is verified.
    const bounded = spend(spent, peer, nowMs, ['evidence', 1])
    if (bounded === undefined) return outcome(spent, judge('ignore'))
    const evidence = decodeEvidence(bytes)
    if (!evidence.ok) return refuse(bounded, 'Malformed')
    if (bounded.weighed.size >= MAX_WEIGHED) return outcome(bounded, judge('ignore'))
    const onRefused = (): EvidenceJudged => ({
      type: 'network.EvidenceJudged',
      payload: { id, verdict: 'ignore' },
    })
    const weighed = new Map(bounded.weighed).set(id, { peer, untilMs: nowMs + WEIGH_TIMEOUT_MS })
    const payload = { id, peer, evidence: evidence.value }
    return outcome(
      { ...bounded, weighed },
      tell('chain', { type: 'chain.EvidenceReceived', payload }, { onRefused }),
    )
  }
  if (topic === names.validators) {
    const bounded = spend(spent, peer, nowMs, ['evidence', 1])
    if (bounded === undefined) return outcome(spent, judge('ignore'))
    const change = decodeValidatorChange(bytes)
    if (!change.ok) return refuse(bounded, 'Malformed')
    if (bounded.weighed.size >= MAX_WEIGHED) return outcome(bounded, judge('ignore'))
    const onRefused = (): ValidatorChangeJudged => ({
      type: 'network.ValidatorChangeJudged',
      payload: { id, verdict: 'ignore' },
    })
    const weighed = new Map(bounded.weighed).set(id, { peer, untilMs: nowMs + WEIGH_TIMEOUT_MS })
    const payload = { id, peer, change: change.value }
    return outcome(
      { ...bounded, weighed },
      tell('chain', { type: 'chain.ValidatorChangeReceived', payload }, { onRefused }),
    )
  }
  if (topic !== names.approvals) return outcome(spent, judge('ignore'))
  const approved = decodeApprovedClaim(bytes)
  if (approved === undefined) return refuse(spent, 'Malformed')
  const verdict = checks.approval(approved.claim, approved.approval)
  if (verdict.kind === 'invalid') return refuse(spent, 'InvalidMessage')
  if (verdict.kind === 'unknown') return outcome(spent, judge('ignore'))
  return outcome(
    spent,
    judge('accept'),
    tell('bridge', { type: 'bridge.ApprovalReceived', payload: { ...approved, peer } }),
  )
}

/** A pool's word on a transaction or evidence: only what it keeps is relayed, so what nobody pays for travels one hop. */
function weighedJudged(
  context: NetworkContext,
  { id, verdict }: (TransactionJudged | EvidenceJudged | ValidatorChangeJudged)['payload'],
  nowMs: number,
): Outcome {
  const entry = context.weighed.get(id)
  if (entry === undefined) return outcome(context)
  const weighed = new Map(context.weighed)
  weighed.delete(id)
  const judged = outcome({ ...context, weighed }, { kind: 'judge', id, verdict })
  return verdict === 'reject'
    ? then(judged, (next) => punish(next, entry.peer, 'InvalidMessage', nowMs))
    : judged
}

function requestReceived(
  context: NetworkContext,
  { id, peer, protocol, bytes }: RequestReceived['payload'],
  nowMs: number,
): Outcome {
  const refuse = (from: NetworkContext, code: PenaltyCode): Outcome =>
    then(outcome(from, { kind: 'respond', id, bytes: undefined }), (after) =>
      punish(after, peer, code, nowMs),
    )
  const spent = spend(context, peer, nowMs, ['request', 1])
  if (spent === undefined) return refuse(context, 'TooFast')
  const { names } = spent.settings
  if (protocol === names.status) {
    return then(outcome(spent, { kind: 'respond', id, bytes: ownStatus(spent) }), (next) =>
      statusSeen(next, peer, bytes, nowMs),
    )
  }
  if (protocol === names.blocks) {
    const range = decodeRangeRequest(bytes)
    if (range === undefined) return refuse(spent, 'Malformed')
    return serve(spent, { kind: 'serveRange', id, ...range })
  }
  const point = decodePoint(bytes)
  if (point === undefined) return refuse(spent, 'Malformed')
  return serve(spent, { kind: 'serveBlock', id, point })
}

/** A few at a time: an answer holds up to 16 MiB until it is sent. */
function serve(
  context: NetworkContext,
  effect: Extract<NetworkEffect, { kind: 'serveRange' | 'serveBlock' }>,
): Outcome {
  if (context.serving >= MAX_SERVING) {
    return outcome(context, { kind: 'respond', id: effect.id, bytes: undefined })
  }
  return outcome({ ...context, serving: context.serving + 1 }, effect)
}

function rangeFetched(
  context: NetworkContext,
  { replyTo, peer, batch }: RangeFetched['payload'],
  nowMs: number,
): Outcome {
  const answered = outcome(context, reply(replyTo, { type: 'network.BlockBatch', payload: batch }))
  const { code } = batch
  // A peer that says what it has pruned does what it should (PR-3).
  if (code === undefined || code === 'Pruned' || !context.peers.has(peer)) return answered
  return then(answered, (next) => {
    if (code === 'Malformed') return punish(next, peer, 'Malformed', nowMs)
    if (code === 'TooLarge') return punish(next, peer, 'OversizedAnswer', nowMs)
    return punish(next, peer, 'NoAnswer', nowMs)
  })
}

/** Those named first, then others that should have it. */
function fetchBlock(
  context: NetworkContext,
  { height, hash, peers }: FetchBlock['payload'],
): Outcome {
  const ready = readyPeers(context).map(({ peer }) => peer)
  const named = (peers ?? []).filter((peer) => ready.includes(peer))
  const asked = [...new Set([...named, ...ready])].slice(0, MAX_FETCH_PEERS)
  if (asked.length === 0) return outcome(context)
  return outcome(context, {
    kind: 'fetchBlock',
    peers: asked,
    protocol: context.settings.names.block,
    point: { height, hash },
  })
}
