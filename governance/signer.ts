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
  type KnownFederation,
  type ProvenRow,
  readApprovalRequest,
  readBatchRows,
  signBatch,
} from '../bridge/index.ts'
import { type PegInClaim, PegInClaimType } from '../core/block/index.ts'
import { approvalMessage } from '../core/peg/index.ts'
import { equalBytes, toDisplayHash, toHex } from '../crypto/index.ts'
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
import type { ApprovalAsked, NodeIndex, SignatureAsked, SignerInbox } from './messages.ts'
import { withinDailyLimit } from './policy.ts'
import type { SignerPorts } from './port.ts'

type ApprovalBody = Extract<MemberBody, { readonly kind: 'approvalResponse' }>
type SignatureBody = Extract<MemberBody, { readonly kind: 'signatureResponse' }>

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
      readonly kind: 'signBatch'
      readonly key: string
      readonly request: SignatureAsked['payload']['request']
      readonly approved: ApprovedBatch
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
  /** One batch after another, so that the second question about one finds the first one's signatures. */
  lane: (effect) => (effect.kind === 'signBatch' ? 'sign' : undefined),
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
  const { genesis, journal } = context.ports
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
  const stored = journal.batch(batchId, version)
  if (stored !== undefined) {
    return { context, effects: [send(asker, signedBody(request, stored.signatures))] }
  }
  const key = `batch:${name}:${version}@${node}`
  if (context.jobs.has(key)) return { context }
  const query = { kind: 'ledgerProofRequest', rows: [], batchId, version } as const
  return {
    context: withJob(context, key, { askers: [asker], startedAtMs: about.nowMs, request }),
    effects: [send({ ...asker, requestId: key }, query)],
  }
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
  const verdict = decideSignature(context.ports.genesis, request, rows.value)
  if (verdict.kind !== 'sign') return answerBatch(context, key, job, verdict)
  return {
    context: withJob(context, key, job),
    effects: [{ kind: 'signBatch', key, request, approved: verdict.value }],
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
    signatures: [],
  }
}

function signedBody(
  request: SignatureAsked['payload']['request'],
  signatures: readonly Uint8Array[],
): SignatureBody {
  const { batchId, version, attempt } = request
  const decided = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const
  return { kind: 'signatureResponse', batchId, version, attempt, ...decided, signatures }
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
    case 'signBatch': {
      const body = await signApproved(effect, run)
      return { type: 'signer.AnswerReady', payload: { key: effect.key, body } }
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

async function signApproved(
  effect: Extract<SignerEffect, { readonly kind: 'signBatch' }>,
  run: SignerRun,
): Promise<SignatureBody> {
  const { request, approved } = effect
  const { batchId, version } = request
  const { journal, keys, policy } = run.ports
  const name = toHex(batchId)
  const stored = journal.batch(batchId, version)
  if (stored !== undefined) return signedBody(request, stored.signatures)
  const begun = journal.intent(batchId, version)
  if (begun !== undefined && !equalBytes(begun, approved.txid)) {
    run.log('error', 'batch refused', { batch: name, code: 'OtherTransactionSigned' })
    return signatureBody(request, { kind: 'refuse', code: 'OtherTransactionSigned' })
  }
  const nowMs = run.clock.nowMs()
  if (!withinDailyLimit(policy, journal.payments(), name, approved.paidSat, nowMs)) {
    run.log('warn', 'batch waits for the daily limit', { batch: name })
    return signatureBody(request, { kind: 'unknown', code: 'DailyLimit', retryAfterMs: 30_000 })
  }
  await journal.noteIntent(nowMs, batchId, version, approved.txid, approved.paidSat)
  const signatures = signBatch(keys.schnorrSecret, approved.batch, run.random.bytes(32))
  await journal.noteSigned(nowMs, batchId, version, { txid: approved.txid, signatures })
  run.log('info', 'batch signed', {
    batch: name,
    version,
    txid: toDisplayHash(approved.txid),
    paidSat: String(approved.paidSat),
    minerFeeSat: String(approved.minerFeeSat),
  })
  return signedBody(request, signatures)
}
