/**
 * The actor that is asked what deposits to approve and what batches to sign (protocol §4.2, §4.5, §5.6; PI-10, PO-11, PO-13). It puts together what
 * a decision follows from: what its own Bitcoin shows of a deposit, and ledger rows under a header that the follower verified. The vault,
 * which holds the secrets, decides by them, writes down what it agreed to, and signs; the same question gets the same answer.
 */
import { claimKind, type ProvenRow, readApprovalRequest } from '../bridge/index.ts'
import { type PegInClaim, PegInClaimType } from '../core/block/index.ts'
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
import { type ConfirmedKey, federationOf } from './evidence.ts'
import type { FollowedHeader } from './light-client.ts'
import { memberMachine } from './machine.ts'
import type {
  ApprovalAsked,
  LogEffect,
  NodeIndex,
  PartsAsked,
  SignatureAsked,
  SignerInbox,
} from './messages.ts'
import { attemptName, Offers } from './offers.ts'
import type { OfferQuestion, SignerPorts } from './port.ts'
import { MAX_PROOF_AGE } from './trust.ts'

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
  /** Coins of the reserve that its own Bitcoin lacks (4.8). */
  readonly missing: readonly string[]
  /** Those that it knows to be the federation's (5.1). */
  readonly keys: readonly ConfirmedKey[]
  readonly jobs: ReadonlyMap<string, Job>
  /** What was served of which node. */
  readonly served: Offers<never>
}

export type SignerEffect =
  | {
      readonly kind: 'judgeDeposit'
      readonly key: string
      readonly request: ApprovalAsked['payload']['request']
      readonly claim: PegInClaim
      readonly keys: readonly ConfirmedKey[]
    }
  | {
      readonly kind: 'offerNonces'
      readonly key: string
      readonly question: OfferQuestion
      readonly served: Offers<never>
    }
  | {
      readonly kind: 'giveParts'
      readonly asker: Asker
      readonly request: PartsAsked['payload']['request']
      readonly served: Offers<never>
    }
  | LogEffect

type SignerStep = Step<SignerContext, SignerEffect>

/** Questions of one node that are being answered at a time; the others are not kept waiting by it. */
const MAX_JOBS_PER_NODE = 64
/** Headers whose roots may stand under a proof. */
const KEPT_HEADERS = 256
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
      missing: [],
      keys: [],
      jobs: new Map(),
      served: new Offers(),
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
        return { context: { ...context, keys: message.payload.keys } }
      case 'signer.CheckPending':
        return dropOverdue(context, about.nowMs)
      case 'signer.ChainContradicted':
        return { context: { ...context, contradicted: true } }
      case 'signer.ReserveAudited':
        return { context: { ...context, missing: message.payload.missing } }
      case 'member.MemberStopping':
        return about.state === 'Stopping' ? { context } : { context, event: 'STOP' }
    }
  },
  perform,
  notice: (fact) =>
    fact.kind === 'stopping' ? { type: 'member.MemberStopping', payload: {} } : undefined,
}

/** Why this member signs nothing at present, whatever is asked. */
function standstill(
  { contradicted, jobs, missing }: SignerContext,
  node: NodeIndex,
): string | undefined {
  if (contradicted) return 'ChainContradicted'
  if (missing.length > 0) return 'ReserveMissing'
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
  const { keys, ports } = context
  const read = readApprovalRequest(ports.genesis, request, federationOf(keys))
  const { outpoint } = request
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
    effects: [{ kind: 'judgeDeposit', key, request, claim, keys }],
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
  const passed = context.served.refusal(node, attemptName(genesis, request), about.nowMs)
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

/** The second round: the decision fell in the first; whoever asks has to hold the member's offer in its list. */
function partsAsked(
  context: SignerContext,
  { node, requestId, request }: PartsAsked['payload'],
  about: About<SignerInbox>,
): SignerStep {
  const asker = askerOf(node, requestId, about)
  const reason = standstill(context, node)
  if (reason !== undefined) return { context, effects: [send(asker, noParts(request, reason))] }
  return { context, effects: [{ kind: 'giveParts', asker, request, served: context.served }] }
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
  const certified = header?.certified
  if (certified === undefined || proof.height < head.height - MAX_PROOF_AGE) {
    return answerBatch(context, key, job, unknownVerdict('ProofStale'))
  }
  const { keys, served } = context
  const evidence = { header: certified, rows: proof.rows }
  const question = { node: job.askers[0]?.node ?? 0, request, evidence, keys }
  return {
    context: withJob(context, key, job),
    effects: [{ kind: 'offerNonces', key, question, served }],
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
  const fields = withDetail({ [what]: id, code }, detail)
  return [{ kind: 'log', level: 'warn', event: `${what} refused`, fields }]
}

function withDetail(fields: Readonly<Record<string, unknown>>, detail: string | undefined) {
  return detail === undefined ? fields : { ...fields, detail }
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
  { batchId, version, attempt }: OfferQuestion['request'],
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
  { claim, keys, request }: Extract<SignerEffect, { readonly kind: 'judgeDeposit' }>,
  run: SignerRun,
): Promise<ApprovalBody> {
  const { bitcoin, vault } = run.ports
  const { outpoint } = request
  const claimRoot = PegInClaimType.hashTreeRoot(claim)
  const sight = await bitcoin.sight(claim.proof.blockHash, claim.txid)
  const verdict = await vault.approve({ request, sight, keys })
  if (verdict.kind !== 'sign') {
    if (verdict.kind === 'refuse') {
      run.log('warn', 'deposit refused', { deposit: outpoint, code: verdict.code })
    }
    return approvalBody(outpoint, claimRoot, verdict)
  }
  const { isNew, signature } = verdict.value
  if (isNew) {
    run.log('info', 'deposit approved', {
      deposit: outpoint,
      amountSat: String(claim.amountSat),
      kind: claimKind(claim),
      evmAddress: `0x${toHex(claim.evmAddress)}`,
    })
  }
  const decided = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const
  return { kind: 'approvalResponse', outpoint, claimRoot, ...decided, signature }
}

async function offerNonces(
  { question, served }: Extract<SignerEffect, { readonly kind: 'offerNonces' }>,
  run: SignerRun,
): Promise<SignatureBody> {
  const { genesis, vault } = run.ports
  const { node, request } = question
  const { attempt, batchId, version } = request
  const batch = toHex(batchId)
  const verdict = await vault.offer(question)
  if (verdict.kind !== 'sign') {
    const fields = { batch, code: verdict.code }
    if (verdict.kind === 'refuse') {
      const isOurs = OWN_FAULTS.has(verdict.code)
      run.log(isOurs ? 'error' : 'warn', 'batch refused', withDetail(fields, verdict.detail))
    } else if (verdict.code === 'DailyLimit' || verdict.code === 'SweepFeeLimit') {
      run.log('warn', 'batch waits for a daily limit', fields)
    }
    return signatureBody(request, verdict)
  }
  const { begun, offer } = verdict.value
  if (begun !== undefined) {
    run.log('info', 'batch approved', {
      batch,
      version,
      txid: toDisplayHash(begun.txid),
      paidSat: String(begun.paidSat),
      minerFeeSat: String(begun.minerFeeSat),
    })
  }
  served.put(node, attemptName(genesis, request), offer.serial, run.clock.nowMs())
  const decided = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const
  return { kind: 'signatureResponse', batchId, version, attempt, ...decided, offers: [offer] }
}

/** The vault refuses for what is wrong with this member itself. */
const OWN_FAULTS: ReadonlySet<string> = new Set(['OtherTransactionSigned', 'NoShareOfKey'])

async function giveParts(
  { asker, request, served }: Extract<SignerEffect, { readonly kind: 'giveParts' }>,
  run: SignerRun,
): Promise<PartsBody> {
  const { attempt, batchId, offers, version } = request
  const { genesis, vault } = run.ports
  const { node } = asker
  const verdict = await vault.parts({ node, batchId, version, attempt, offers })
  if (verdict.kind !== 'sign') {
    const { code } = verdict
    if (verdict.kind === 'refuse') {
      run.log('warn', 'a list is not signed under', { batch: toHex(batchId), node, code })
    }
    return noParts(request, code)
  }
  const { listHash, next, parts, signature } = verdict.value
  if (next !== undefined) {
    served.put(node, attemptName(genesis, request), next.serial, run.clock.nowMs())
  }
  const decided = { decision: 'APPROVED', code: '' } as const
  const id = { kind: 'partsResponse', batchId, version, attempt } as const
  return { ...id, ...decided, listHash, parts, signature, offers: next ? [next] : [] }
}
