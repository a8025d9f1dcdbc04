/**
 * The actor that decides: what deposits to approve and what batches to sign (protocol §4.2, §4.5, §5.6; PI-10, PO-11, PO-13). It asks its own
 * Bitcoin about deposits and takes batches only from ledger rows that are proven under a header which the follower
 * verified. What it signs is in the journal before the signature exists outside; the same question gets the same answer.
 */
import {
  type ApprovedBatch,
  claimKind,
  decideApproval,
  decideSignature,
  FIRST_FEDERATION,
  isLeafEarly,
  type KnownFederation,
  type ProvenRow,
  readApprovalRequest,
  readBatchRows,
  signingTask,
} from '../bridge/index.ts'
import { type PegInClaim, PegInClaimType } from '../core/block/index.ts'
import { heightKey } from '../core/ledger/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { approvalMessage, type FederationKeys } from '../core/peg/index.ts'
import {
  listFault,
  makeOffer,
  type SigningMember,
  type SigningTask,
  signMyParts,
} from '../core/signing/index.ts'
import { equalBytes, type KeyShare, toDisplayHash, toHex } from '../crypto/index.ts'
import type { MemberBody } from '../proto/index.ts'
import {
  type About,
  type ActorDefinition,
  type ActorRun,
  every,
  type KernelEffect,
  type Step,
  tell,
} from '../supervisor/index.ts'
import type { FollowedHeader } from './light-client.ts'
import { memberMachine } from './machine.ts'
import type {
  ApprovalAsked,
  NodeIndex,
  PartsAsked,
  SignatureAsked,
  SignerInbox,
} from './messages.ts'
import { type AttemptName, Offers } from './offers.ts'
import { withinDailyLimit } from './policy.ts'
import type { SignerPorts } from './port.ts'

type ApprovalBody = Extract<MemberBody, { readonly kind: 'approvalResponse' }>
type SignatureBody = Extract<MemberBody, { readonly kind: 'signatureResponse' }>
type PartsBody = Extract<MemberBody, { readonly kind: 'partsResponse' }>

/** Who waits for an answer. */
interface Asker {
  readonly node: NodeIndex
  readonly requestId: string
  readonly correlationId: string
}

interface Job {
  readonly askers: readonly Asker[]
  readonly startedAtMs: number
  /** For a batch: the request, and the node's proof once it is here. */
  readonly request?: SignatureAsked['payload']['request']
  readonly proof?: { readonly height: number; readonly rows: readonly ProvenRow[] }
}

export interface SignerContext {
  readonly ports: SignerPorts
  /** Verified headers, oldest first, the head last. */
  readonly headers: readonly FollowedHeader[]
  readonly contradicted: boolean
  /** Which keys it knows to be the federation's (5.1). */
  readonly federation: KnownFederation
  readonly jobs: ReadonlyMap<string, Job>
  /** Nonces in memory; a member that starts again has none. */
  readonly offers: Offers
}

export type SignerEffect =
  | {
      readonly kind: 'judgeDeposit'
      readonly key: string
      readonly outpoint: string
      readonly membersEpoch: number
      readonly claim: PegInClaim
      readonly federation: KnownFederation
    }
  | {
      readonly kind: 'offerNonces'
      readonly key: string
      readonly node: NodeIndex
      readonly request: SignatureAsked['payload']['request']
      readonly approved: ApprovedBatch
      readonly offers: Offers
    }
  | {
      readonly kind: 'giveParts'
      readonly asker: Asker
      readonly request: PartsAsked['payload']['request']
      readonly offers: Offers
    }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly event: string
      readonly fields: Readonly<Record<string, unknown>>
    }

type SignerStep = Step<SignerContext, SignerEffect>

/** Questions of one node that are being answered at a time; the others are not kept waiting by it. */
const MAX_JOBS_PER_NODE = 64
/** Headers whose roots may stand under a proof. */
const KEPT_HEADERS = 256
/** A proof under an older root is stale. */
const MAX_PROOF_AGE = 120
/** A proof, or the header it is under, that has not come by then is not waited for. */
const PENDING_MS = 15_000
const CHECK_MS = 1_000
const RETRY_MS = 2_000

export const signerActor: ActorDefinition<SignerContext, SignerInbox, SignerEffect, SignerPorts> = {
  name: 'signer',
  machine: memberMachine('signer'),
  mailbox: { capacity: 1_000 },
  init: async ({ ports }) => ({
    context: {
      ports,
      headers: [],
      contradicted: false,
      federation: FIRST_FEDERATION,
      jobs: new Map(),
      offers: new Offers(),
    },
    effects: [every(CHECK_MS, 'check', { type: 'signer.CheckPending', payload: {} })],
    event: 'READY',
  }),
  handle: (context, message, about) => {
    switch (message.type) {
      case 'signer.ApprovalAsked':
        return approvalAsked(context, message.payload, about)
      case 'signer.SignatureAsked':
        return signatureAsked(context, message.payload, about)
      case 'signer.PartsAsked':
        return partsAsked(context, message.payload, about)
      case 'signer.ProofReceived': {
        const { node, requestId, height, rows, reason } = message.payload
        return proofReceived(context, node, requestId, height, rows, reason)
      }
      case 'signer.AnswerReady':
        return answer(context, message.payload.key, message.payload.body)
      case 'signer.HeadersFollowed':
        return headersFollowed(context, message.payload.headers)
      case 'signer.FederationFollowed':
        return { context: { ...context, federation: message.payload } }
      case 'signer.CheckPending':
        return dropOverdue(context, about.nowMs)
      case 'signer.ChainContradicted':
        return { context: { ...context, contradicted: true } }
      case 'member.MemberStopping':
        return about.state === 'Stopping' ? { context } : { context, event: 'STOP' }
    }
  },
  perform,
  /** One after another, so that the second question about a batch finds what was decided at the first. */
  lane: ({ kind }) => (kind === 'offerNonces' || kind === 'giveParts' ? 'sign' : undefined),
  notice: (fact) =>
    fact.kind === 'stopping' ? { type: 'member.MemberStopping', payload: {} } : undefined,
}

/** Why this member signs nothing at present, whatever is asked. */
function standstill(
  { contradicted, jobs, ports }: SignerContext,
  node: NodeIndex,
): string | undefined {
  if (contradicted) return 'ChainContradicted'
  if (ports.policy.hold) return 'PolicyHold'
  let open = 0
  for (const { askers } of jobs.values()) if (askers[0]?.node === node) open += 1
  return open >= MAX_JOBS_PER_NODE ? 'Busy' : undefined
}

function withJob(context: SignerContext, key: string, job: Job): SignerContext {
  return { ...context, jobs: new Map(context.jobs).set(key, job) }
}

function askerOf(node: NodeIndex, requestId: string, about: About<SignerInbox>): Asker {
  return { node, requestId, correlationId: about.envelope.correlationId }
}

function approvalAsked(
  context: SignerContext,
  { node, requestId, request }: ApprovalAsked['payload'],
  about: About<SignerInbox>,
): SignerStep {
  const asker = askerOf(node, requestId, about)
  const read = readApprovalRequest(context.ports.genesis, request, context.federation)
  const { outpoint, membersEpoch } = request
  if (read.kind !== 'sign') {
    const body = approvalBody(outpoint, new Uint8Array(0), read)
    return { context, effects: [...decisionLog('deposit', outpoint, read), send(asker, body)] }
  }
  const claim = read.value
  const claimRoot = PegInClaimType.hashTreeRoot(claim)
  const reason = standstill(context, node)
  if (reason !== undefined) {
    const body = approvalBody(outpoint, claimRoot, unknownVerdict(reason))
    return { context, effects: [send(asker, body)] }
  }
  const key = `deposit:${outpoint}:${toHex(claimRoot)}`
  const job = context.jobs.get(key)
  if (job !== undefined) {
    const others = job.askers.filter((other) => other.node !== node)
    return { context: withJob(context, key, { ...job, askers: [...others, asker] }) }
  }
  return {
    context: withJob(context, key, { askers: [asker], startedAtMs: about.nowMs }),
    effects: [
      { kind: 'judgeDeposit', key, outpoint, membersEpoch, claim, federation: context.federation },
    ],
  }
}

function signatureAsked(
  context: SignerContext,
  { node, requestId, request }: SignatureAsked['payload'],
  about: About<SignerInbox>,
): SignerStep {
  const asker = askerOf(node, requestId, about)
  const { genesis } = context.ports
  const { batchId, version } = request
  const name = toHex(batchId)
  if (!equalBytes(request.genesisHash, genesis.hash) || batchId.length !== 32) {
    const verdict = { kind: 'refuse', code: 'WrongChain' } as const
    const body = signatureBody(request, verdict)
    return { context, effects: [...decisionLog('batch', name, verdict), send(asker, body)] }
  }
  const reason = standstill(context, node)
  if (reason !== undefined) {
    return {
      context,
      effects: [send(asker, signatureBody(request, unknownVerdict(reason)))],
    }
  }
  // Before the node is asked for a proof: what comes too often costs a look into a table.
  const passed = context.offers.refusal(node, attemptName(genesis, request), about.nowMs)
  if (passed !== undefined) {
    return { context, effects: [send(asker, signatureBody(request, unknownVerdict(passed)))] }
  }
  const key = `batch:${name}:${version}@${node}`
  if (context.jobs.has(key)) return { context }
  const query = { kind: 'ledgerProofRequest', rows: [], batchId, version } as const
  return {
    context: withJob(context, key, { askers: [asker], startedAtMs: about.nowMs, request }),
    effects: [send({ ...asker, requestId: key }, query)],
  }
}

function attemptName(
  { members, memberThreshold: threshold }: Genesis,
  { attempt, batchId, version }: SignatureAsked['payload']['request'],
): AttemptName {
  return { batchId, version, attempt, members, threshold }
}

/** The second round: the decision fell in the first; whoever asks has to hold the member's offer in its list. */
function partsAsked(
  context: SignerContext,
  { node, requestId, request }: PartsAsked['payload'],
  about: About<SignerInbox>,
): SignerStep {
  const asker = askerOf(node, requestId, about)
  const reason = standstill(context, node)
  if (reason !== undefined) return { context, effects: [send(asker, noParts(request, reason))] }
  return { context, effects: [{ kind: 'giveParts', asker, request, offers: context.offers }] }
}

function proofReceived(
  context: SignerContext,
  node: NodeIndex,
  key: string,
  height: number,
  rows: readonly ProvenRow[] | undefined,
  reason: string | undefined,
): SignerStep {
  const job = context.jobs.get(key)
  if (job?.request === undefined || job.proof !== undefined || job.askers[0]?.node !== node) {
    return { context }
  }
  if (rows === undefined) {
    const fields = { batch: toHex(job.request.batchId), node, reason: reason ?? '' }
    const step = answerBatch(context, key, job, unknownVerdict('ProofUnavailable'))
    const log = { kind: 'log', level: 'info', event: 'a node proves no batch', fields } as const
    return { context: step.context, effects: [log, ...(step.effects ?? [])] }
  }
  return judgeBatch(context, key, { ...job, proof: { height, rows } })
}

/** Decides about a batch whose proof is here, or waits for the header that the proof is under. */
function judgeBatch(context: SignerContext, key: string, job: Job): SignerStep {
  const { request, proof } = job
  const head = context.headers.at(-1)
  if (request === undefined || proof === undefined) return { context }
  if (head === undefined || proof.height > head.height) {
    return { context: withJob(context, key, job) }
  }
  const header = context.headers.find(({ height }) => height === proof.height)
  if (header === undefined || proof.height < head.height - MAX_PROOF_AGE) {
    return answerBatch(context, key, job, unknownVerdict('ProofStale'))
  }
  const rows = readBatchRows(header.ledgerRoot, request, proof.rows)
  if (rows.kind !== 'sign') return answerBatch(context, key, job, rows)
  const verdict = decideSignature(context.ports.genesis, request, rows.value, context.federation)
  if (verdict.kind !== 'sign') return answerBatch(context, key, job, verdict)
  return {
    context: withJob(context, key, job),
    effects: [
      {
        kind: 'offerNonces',
        key,
        node: job.askers[0]?.node ?? 0,
        request,
        approved: verdict.value,
        offers: context.offers,
      },
    ],
  }
}

function headersFollowed(context: SignerContext, headers: readonly FollowedHeader[]): SignerStep {
  let next: SignerContext = {
    ...context,
    headers: [...context.headers, ...headers].slice(-KEPT_HEADERS),
  }
  const effects: (SignerEffect | KernelEffect)[] = []
  const head = headers.at(-1)
  for (const [key, job] of context.jobs) {
    const waits =
      job.proof !== undefined && job.proof.height > (context.headers.at(-1)?.height ?? -1)
    if (!waits || head === undefined || job.proof.height > head.height) continue
    const step = judgeBatch(next, key, job)
    next = step.context
    effects.push(...(step.effects ?? []))
  }
  return { context: next, effects }
}

function dropOverdue(context: SignerContext, nowMs: number): SignerStep {
  let next = context
  const effects: (SignerEffect | KernelEffect)[] = []
  const head = context.headers.at(-1)?.height ?? -1
  for (const [key, job] of context.jobs) {
    const waits = job.request !== undefined && (job.proof === undefined || job.proof.height > head)
    if (!waits || nowMs - job.startedAtMs < PENDING_MS) continue
    const code = job.proof === undefined ? 'ProofMissing' : 'HeaderNotFollowed'
    const step = answerBatch(next, key, job, unknownVerdict(code))
    next = step.context
    effects.push(...(step.effects ?? []))
  }
  return { context: next, effects }
}

type NotSigned =
  | { readonly kind: 'refuse'; readonly code: string; readonly detail?: string }
  | { readonly kind: 'unknown'; readonly code: string; readonly retryAfterMs: number }

function unknownVerdict(code: string): NotSigned {
  return { kind: 'unknown', code, retryAfterMs: RETRY_MS }
}

function answerBatch(
  context: SignerContext,
  key: string,
  job: Job,
  verdict: NotSigned,
): SignerStep {
  const { request } = job
  if (request === undefined) return { context }
  const step = answer(withJob(context, key, job), key, signatureBody(request, verdict))
  const log = decisionLog('batch', toHex(request.batchId), verdict)
  return { context: step.context, effects: [...log, ...(step.effects ?? [])] }
}

/** Sends the answer to everybody who waits for it. */
function answer(context: SignerContext, key: string, body: MemberBody): SignerStep {
  const job = context.jobs.get(key)
  if (job === undefined) return { context }
  const jobs = new Map(context.jobs)
  jobs.delete(key)
  return { context: { ...context, jobs }, effects: job.askers.map((asker) => send(asker, body)) }
}

function send({ node, requestId, correlationId }: Asker, body: MemberBody): KernelEffect {
  return tell(
    'links',
    { type: 'links.SendToNode', payload: { node, requestId, body } },
    { correlationId },
  )
}

/** A refusal is a warning: a node asked for what should not be. What is only unknown will be asked again. */
function decisionLog(what: string, id: string, verdict: NotSigned): SignerEffect[] {
  if (verdict.kind === 'unknown') return []
  const { code, detail } = verdict
  const fields = { [what]: id, code, ...(detail === undefined ? {} : { detail }) }
  return [{ kind: 'log', level: 'warn', event: `${what} refused`, fields }]
}

function approvalBody(outpoint: string, claimRoot: Uint8Array, verdict: NotSigned): ApprovalBody {
  return {
    kind: 'approvalResponse',
    outpoint,
    claimRoot,
    ...notSigned(verdict),
    signature: new Uint8Array(0),
  }
}

function signatureBody(
  { batchId, version, attempt }: SignatureAsked['payload']['request'],
  verdict: NotSigned,
): SignatureBody {
  return {
    kind: 'signatureResponse',
    batchId,
    version,
    attempt,
    ...notSigned(verdict),
    offers: [],
  }
}

function noParts(
  { attempt, batchId, version }: PartsAsked['payload']['request'],
  code: string,
): PartsBody {
  const nothing = new Uint8Array(0)
  const id = { kind: 'partsResponse', batchId, version, attempt } as const
  return {
    ...id,
    decision: 'UNKNOWN',
    code,
    listHash: nothing,
    parts: [],
    signature: nothing,
    offers: [],
  }
}

function notSigned(verdict: NotSigned) {
  const { code } = verdict
  return verdict.kind === 'refuse'
    ? ({ decision: 'REFUSED', code, retryAfterMs: 0 } as const)
    : ({ decision: 'UNKNOWN', code, retryAfterMs: verdict.retryAfterMs } as const)
}

type SignerRun = ActorRun<SignerInbox, SignerPorts>

async function perform(effect: SignerEffect, run: SignerRun): Promise<SignerInbox | undefined> {
  switch (effect.kind) {
    case 'judgeDeposit': {
      const body = await judgeDeposit(effect, run)
      return { type: 'signer.AnswerReady', payload: { key: effect.key, body } }
    }
    case 'offerNonces': {
      const body = await offerNonces(effect, run)
      return { type: 'signer.AnswerReady', payload: { key: effect.key, body } }
    }
    case 'giveParts': {
      const { node, requestId, correlationId } = effect.asker
      const body = await giveParts(effect, run)
      await run.tell(
        'links',
        { type: 'links.SendToNode', payload: { node, requestId, body } },
        { correlationId },
      )
      return undefined
    }
    case 'log':
      run.log(effect.level, effect.event, { ...effect.fields })
      return undefined
  }
}

async function judgeDeposit(
  effect: Extract<SignerEffect, { readonly kind: 'judgeDeposit' }>,
  run: SignerRun,
): Promise<ApprovalBody> {
  const { claim, federation, membersEpoch, outpoint } = effect
  const { genesis, journal, bitcoin, keys, policy } = run.ports
  const claimRoot = PegInClaimType.hashTreeRoot(claim)
  const approved = { kind: 'approvalResponse', outpoint, claimRoot } as const
  const decided = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const
  const stored = journal.approval(outpoint, claimRoot)
  if (stored !== undefined) return { ...approved, ...decided, signature: stored }
  const sight = await bitcoin.sight(claim.proof.blockHash, claim.txid)
  const verdict = decideApproval(genesis, claim, sight, policy.confirmations, federation)
  if (verdict.kind !== 'sign') {
    if (verdict.kind === 'refuse') {
      run.log('warn', 'deposit refused', { deposit: outpoint, code: verdict.code })
    }
    return approvalBody(outpoint, claimRoot, verdict)
  }
  const message = approvalMessage(genesis, 'pegIn', membersEpoch, claim)
  const signature = keys.approver.sign(message)
  await journal.noteApproval(run.clock.nowMs(), outpoint, claimRoot, signature)
  run.log('info', 'deposit approved', {
    deposit: outpoint,
    amountSat: String(claim.amountSat),
    kind: claimKind(claim),
    evmAddress: `0x${toHex(claim.evmAddress)}`,
  })
  return { ...approved, ...decided, signature }
}

/** The first round: the decision is in the journal before anything that signs is made. */
async function offerNonces(
  { approved, node, offers, request }: Extract<SignerEffect, { readonly kind: 'offerNonces' }>,
  run: SignerRun,
): Promise<SignatureBody> {
  const { attempt, batchId, version } = request
  const { genesis, journal, policy } = run.ports
  const name = toHex(batchId)
  const begun = journal.intent(batchId, version)
  if (begun !== undefined && !equalBytes(begun, approved.txid)) {
    run.log('error', 'batch refused', { batch: name, code: 'OtherTransactionSigned' })
    return signatureBody(request, { kind: 'refuse', code: 'OtherTransactionSigned' })
  }
  const nowMs = run.clock.nowMs()
  const late = (code: string) =>
    signatureBody(request, { kind: 'unknown', code, retryAfterMs: RETRY_MS })
  const passed = offers.refusal(node, attemptName(genesis, request), nowMs)
  if (passed !== undefined) return late(passed)
  if (isLeafEarly(attempt, approved.batch, approved.timestamp, nowMs)) return late('AttemptEarly')
  if (!withinDailyLimit(policy, journal.leaving(), name, approved.leavingSat, nowMs)) {
    run.log('warn', 'batch waits for the daily limit', { batch: name })
    return signatureBody(request, { kind: 'unknown', code: 'DailyLimit', retryAfterMs: 30_000 })
  }
  const { batch, keys, leavingSat, minerFeeSat, paidSat, txid } = approved
  const task = signingTask(genesis, keys, { batchId, version, attempt }, batch)
  const serial = offers.serial(node, task, nowMs)
  if (serial === undefined) return late('AttemptExhausted')
  const made = makeOffer(task, await memberOf(task, keys, run.ports), serial, (length) =>
    run.random.bytes(length),
  )
  if (made === undefined) {
    run.log('error', 'no share to sign with', { batch: name })
    return signatureBody(request, { kind: 'refuse', code: 'NoShareOfKey' })
  }
  if (begun === undefined) {
    await journal.noteIntent(nowMs, batchId, version, txid, leavingSat)
    run.log('info', 'batch approved', {
      batch: name,
      version,
      txid: toDisplayHash(txid),
      paidSat: String(paidSat),
      minerFeeSat: String(minerFeeSat),
    })
  }
  offers.put(node, { task, keys, txid, ...made }, nowMs)
  const decided = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const
  const { offer } = made
  return { kind: 'signatureResponse', batchId, version, attempt, ...decided, offers: [offer] }
}

/** This member with its shares of the keys that a task takes. */
async function memberOf(
  { inputs }: SigningTask,
  made: FederationKeys,
  { keys, memberIndex, shares }: SignerPorts,
): Promise<SigningMember> {
  const held = new Map<number, KeyShare>()
  for (const input of inputs) {
    if (input.path === 'leaf' || held.has(input.epoch)) continue
    const key = made.get(toHex(heightKey(input.epoch)))
    // A file that is damaged ends neither this member nor its word about deposits.
    const found = key && (await shares.share(key.row.sessionId).catch(() => undefined))
    if (found !== undefined) held.set(input.epoch, found.share)
  }
  return { index: memberIndex, secretKey: keys.schnorrSecret, shares: held }
}

/** The second round: the offer is taken, whatever comes of it; the next one goes with the parts. */
async function giveParts(
  { asker, offers, request }: Extract<SignerEffect, { readonly kind: 'giveParts' }>,
  run: SignerRun,
): Promise<PartsBody> {
  const { attempt, batchId, offers: list, version } = request
  const { journal, memberIndex } = run.ports
  const { node } = asker
  const open = offers.take(node, batchId)
  const isAsked = open?.task.attempt === attempt && open.task.version === version
  if (open === undefined || !isAsked) return noParts(request, 'NoncesUnknown')
  const { keys, nonces, offer, task, txid } = open
  const mine = list.find(({ member }) => member === memberIndex)
  const fault = listFault(task, list)
  if (fault !== undefined || mine === undefined || !equalBytes(mine.signature, offer.signature)) {
    const code = fault?.code ?? 'OtherOffer'
    run.log('warn', 'a list is not signed under', { batch: toHex(batchId), node, code })
    return noParts(request, code)
  }
  const random = (length: number) => run.random.bytes(length)
  const member = await memberOf(task, keys, run.ports)
  const given = signMyParts(task, member, nonces, list, random)
  if (given === undefined) return noParts(request, 'NoncesUnknown')
  if (!journal.isSigned(batchId, version)) {
    await journal.noteSigned(run.clock.nowMs(), batchId, version, txid)
  }
  const nowMs = run.clock.nowMs()
  const serial = offers.serial(node, task, nowMs)
  const next = serial === undefined ? undefined : makeOffer(task, member, serial, random)
  if (next !== undefined) offers.put(node, { task, keys, txid, ...next }, nowMs)
  const { listHash, parts, signature } = given
  const decided = { decision: 'APPROVED', code: '' } as const
  const id = { kind: 'partsResponse', batchId, version, attempt } as const
  return { ...id, ...decided, listHash, parts, signature, offers: next ? [next.offer] : [] }
}
