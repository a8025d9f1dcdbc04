/** What the EngineActor makes of each message: blocks go to the engine, transactions to the pool. */
import { hashKey } from '../../core/block/index.ts'
import type { Mempool } from '../../core/mempool/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { EngineInbox, ExecutionOutcome } from '../../messages/index.ts'
import {
  type About,
  type Envelope,
  fail,
  type KernelEffect,
  reply,
  type Step,
  tell,
} from '../../supervisor/index.ts'
import { type EvmTransaction, keccak256, poolTransaction } from '../../vm/evm/index.ts'
import {
  type Admission,
  describe,
  gossipVerdict,
  type Refusal,
  type TransactionVerdict,
  type Waiter,
} from './admission.ts'
import { ENGINE_FAULTS } from './errors.ts'
import { MAX_CANDIDATES, MAX_TEMPLATE_TRANSACTIONS, MIN_TEMPLATE_TRANSACTIONS } from './limits.ts'
import type { EnginePort } from './port.ts'

/** A block that was executed here and may be committed. */
export interface Candidate {
  readonly outcome: ExecutionOutcome
  readonly transactions: readonly Uint8Array[]
  readonly senders: readonly Uint8Array[]
}

export interface EngineContext {
  readonly port: EnginePort
  /** Both changed in place by this actor alone; every call checks before it writes. */
  readonly pool: Mempool
  readonly admission: Admission
  /** What executed blocks did, until one of them is committed. By EVM block hash. */
  readonly candidates: ReadonlyMap<string, Candidate>
  /** Transactions that the engine is offered for a block: what it lately had the time for, and some more. */
  readonly templateSize: number
}

type PayloadOf<Type extends EngineInbox['type']> = Extract<EngineInbox, { type: Type }>['payload']

export type EngineEffect =
  | {
      readonly kind: 'build'
      readonly port: EnginePort
      readonly request: PayloadOf<'engine.BuildBlockRequest'>
      readonly transactions: readonly { readonly raw: Uint8Array; readonly sender: Uint8Array }[]
      readonly replyTo: Envelope
    }
  | {
      readonly kind: 'prepare'
      readonly port: EnginePort
      readonly request: PayloadOf<'engine.PrepareBlock'>
      readonly transactions: readonly { readonly raw: Uint8Array; readonly sender: Uint8Array }[]
    }
  | {
      readonly kind: 'execute'
      readonly port: EnginePort
      readonly payload: PayloadOf<'engine.ExecutePayload'>['payload']
      /** Senders by position, of transactions that this node has recovered before. */
      readonly known: readonly (Uint8Array | undefined)[]
      readonly replyTo: Envelope
    }
  | {
      readonly kind: 'commit'
      readonly port: EnginePort
      readonly hash: Uint8Array
      readonly height: number
      readonly senders: readonly Uint8Array[]
      readonly replyTo: Envelope
    }
  | {
      readonly kind: 'recover'
      readonly port: EnginePort
      readonly transactions: readonly EvmTransaction[]
    }
  | { readonly kind: 'remember'; readonly raws: readonly Uint8Array[]; readonly sinceMs: number }
  | { readonly kind: 'tidy'; readonly pool: Mempool }
  | {
      readonly kind: 'publish'
      readonly context: EngineContext
      /** Hashes of transactions that came into the pool. */
      readonly added: readonly Uint8Array[]
    }

type EngineStep = Step<EngineContext, EngineEffect>
type AnyEffect = EngineEffect | KernelEffect

export function handle(
  context: EngineContext,
  message: EngineInbox,
  about: About<EngineInbox>,
): EngineStep {
  const { port, pool } = context
  const replyTo = about.envelope
  switch (message.type) {
    case 'engine.BuildBlockRequest': {
      const request = message.payload
      const transactions = templateOf(context, request.gasLimitTarget)
      return { context, effects: [{ kind: 'build', port, request, transactions, replyTo }] }
    }
    case 'engine.PrepareBlock': {
      const request = message.payload
      if (port.prepare === undefined || pool.stats().pending === 0) return { context }
      const transactions = templateOf(context, request.gasLimitTarget)
      return { context, effects: [{ kind: 'prepare', port, request, transactions }] }
    }
    case 'engine.ExecutePayload': {
      const { payload } = message.payload
      const known = knownSenders(context, payload)
      return { context, effects: [{ kind: 'execute', port, payload, known, replyTo }] }
    }
    case 'engine.CommitPayload': {
      const { hash, height } = message.payload
      const senders = sendersToLookAt(context, hash)
      return { context, effects: [{ kind: 'commit', port, hash, height, senders, replyTo }] }
    }
    case 'engine.EngineStatus':
      return {
        context,
        effects: [reply(replyTo, { type: 'engine.EngineHead', payload: port.head() })],
      }
    case 'engine.RollBack':
      return rollBack(context, message.payload.reason)
    case 'engine.SubmitTransaction':
      return offer(context, message.payload.raw, { replyTo, gossipId: undefined }, about.nowMs)
    case 'engine.TransactionReceived': {
      const { raw, id } = message.payload
      return offer(context, raw, { replyTo: undefined, gossipId: id }, about.nowMs)
    }
    case 'engine.TransactionsRecovered':
      return admit(context, message.payload.recovered, about.nowMs)
    case 'engine.PayloadExecuted': {
      const { hash, outcome, transactions, senders, dropped, answer, offered, to } = message.payload
      for (const { hash: lost, reason } of dropped) pool.remove(lost, reason)
      const candidates = new Map(context.candidates)
      if (outcome !== undefined && hash !== undefined) {
        candidates.set(hashKey(hash), { outcome, transactions, senders })
      }
      const [oldest] = candidates.keys()
      if (candidates.size > MAX_CANDIDATES) candidates.delete(oldest as string)
      const used = transactions.length + dropped.length
      const templateSize = nextTemplateSize(context.templateSize, offered, used)
      const next = { ...context, candidates, templateSize }
      return withMode({ context: next, effects: [reply(to, answer), shown(next)] }, answer, about)
    }
    case 'engine.PayloadCommitted':
      return withMode(
        committed(context, message.payload, about.nowMs),
        message.payload.answer,
        about,
      )
    case 'engine.StorageAway':
      return about.state === 'Running' ? { context, event: 'DEGRADED' } : { context }
  }
}

/** What the engine is offered for the next block. */
function templateOf({ pool, port, templateSize }: EngineContext, gasLimit: number) {
  return pool
    .template(port.nextBaseFeeWei(), BigInt(gasLimit), templateSize)
    .map(({ raw, sender }) => ({ raw, sender }))
}

/** Twice as many after a block that took what it was offered, little more than it had the time for after another one. */
function nextTemplateSize(size: number, offered: number | undefined, used: number): number {
  if (offered === undefined) return size
  if (used * 10 < offered * 9) {
    return Math.min(size, Math.max(MIN_TEMPLATE_TRANSACTIONS, used + (used >> 1)))
  }
  return offered < size ? size : Math.min(MAX_TEMPLATE_TRANSACTIONS, size * 2)
}

/** At genesis there is nothing to go back to: whoever asks has a replay of all blocks behind it already. */
function rollBack(context: EngineContext, reason: string): EngineStep {
  if (context.port.head().number === 0) return { context }
  const code = 'StateDiverged'
  return { context, effects: [fail({ code, faultClass: ENGINE_FAULTS[code], reason })] }
}

/**
 * Degraded: the engine's last answer was a fault of its own, or Storage is away. The next answer that is none ends it, and so does
 * the start after Storage came back.
 */
function withMode(
  step: EngineStep,
  answer: PayloadOf<'engine.PayloadExecuted' | 'engine.PayloadCommitted'>['answer'],
  { state }: About<EngineInbox>,
): EngineStep {
  const { payload } = answer
  const failed = 'code' in payload && payload.code === 'EngineFault'
  if (failed && state === 'Running') return { ...step, event: 'DEGRADED' }
  return !failed && state === 'Degraded' ? { ...step, event: 'RECOVERED' } : step
}

/** The engine's calls keep their order; transactions are recovered beside them. */
export function lane({ kind }: EngineEffect): string | undefined {
  switch (kind) {
    case 'build':
    case 'commit':
    case 'execute':
    case 'prepare':
      return 'engine'
    default:
      return undefined
  }
}

/** Readers see the pool through the context that is shown. */
function shown(context: EngineContext, added: readonly Uint8Array[] = []): EngineEffect {
  return { kind: 'publish', context, added }
}

function offer(context: EngineContext, raw: Uint8Array, waiter: Waiter, nowMs: number): EngineStep {
  const { admission } = context
  const refusal = admission.offer(raw, waiter, nowMs)
  if (refusal !== undefined) return { context, effects: refused(waiter, refusal) }
  return { context, effects: recovery(context) }
}

function recovery({ admission, port }: EngineContext): EngineEffect[] {
  const transactions = admission.nextBatch()
  return transactions.length === 0 ? [] : [{ kind: 'recover', port, transactions }]
}

function refused({ replyTo, gossipId }: Waiter, { code, reason }: Refusal): KernelEffect[] {
  const payload = { code, reason }
  return [
    ...(replyTo ? [reply(replyTo, { type: 'engine.TransactionRejected', payload })] : []),
    ...judged(gossipId, gossipVerdict(code)),
  ]
}

/**
 * A batch is recovered: each goes into the pool or is refused, whoever waits for it is told, and the next batch begins. What came in
 * is in the journal before anybody is told.
 */
function admit(
  context: EngineContext,
  recovered: PayloadOf<'engine.TransactionsRecovered'>['recovered'],
  nowMs: number,
): EngineStep {
  const { admission, pool } = context
  const effects: AnyEffect[] = []
  const added: Uint8Array[] = []
  const raws: Uint8Array[] = []
  admission.batchDone()
  for (const { hash, sender, account } of recovered) {
    const arrival = admission.take(hash)
    if (arrival === undefined) continue
    const { transaction, waiters } = arrival
    if (sender === undefined) {
      const refusal = { code: 'BadSignature', reason: 'no key made this signature' }
      admission.refuse(hash, refusal, nowMs)
      for (const waiter of waiters) effects.push(...refused(waiter, refusal))
      continue
    }
    const verdict = pool.add(poolTransaction(transaction, sender), account, nowMs)
    if (verdict.kind === 'refused') {
      const { kind: _, ...refusal } = verdict
      const described = admission.refuse(hash, describe(refusal), nowMs)
      for (const waiter of waiters) effects.push(...refused(waiter, described))
      continue
    }
    added.push(hash)
    raws.push(transaction.raw)
    effects.push(...accepted(transaction, waiters))
  }
  if (raws.length > 0) effects.unshift({ kind: 'remember', raws, sinceMs: nowMs })
  effects.push(...recovery(context), shown(context, added))
  return { context, effects }
}

/** All who sent it meanwhile sent the same: every peer may pass on its own, and ours go out once. */
function accepted({ hash, raw }: EvmTransaction, waiters: readonly Waiter[]): AnyEffect[] {
  const effects: AnyEffect[] = []
  let isRelayed = false
  for (const { replyTo, gossipId } of waiters) {
    if (replyTo !== undefined) {
      effects.push(reply(replyTo, { type: 'engine.TransactionAccepted', payload: { hash } }))
    }
    isRelayed ||= gossipId !== undefined
    effects.push(...judged(gossipId, 'accept'))
  }
  if (!isRelayed) {
    effects.push(tell('network', { type: 'network.GossipTransaction', payload: { raw } }))
  }
  return effects
}

function judged(id: number | undefined, verdict: TransactionVerdict): KernelEffect[] {
  if (id === undefined) return []
  return [tell('network', { type: 'network.TransactionJudged', payload: { id, verdict } })]
}

/** A block's transactions have mostly been in the pool, where each was recovered once: a hash costs a fraction of that. */
function knownSenders(
  { pool, candidates }: EngineContext,
  { blockHash, transactions }: PayloadOf<'engine.ExecutePayload'>['payload'],
): readonly (Uint8Array | undefined)[] {
  const candidate = candidates.get(hashKey(blockHash))
  // The very list that this node built or executed; another payload may name the same hash.
  if (candidate?.transactions === transactions) return candidate.senders
  if (pool.stats().transactions === 0) return transactions.map(() => undefined)
  return transactions.map((raw) => pool.get(keccak256(raw))?.sender)
}

/** Those whose account a block changes by itself: the senders in it. Of a block that is not known here, all. */
function sendersToLookAt({ pool, candidates }: EngineContext, hash: Uint8Array): Uint8Array[] {
  const candidate = candidates.get(hashKey(hash))
  if (candidate === undefined) return pool.senders()
  const unique = new Map(candidate.senders.map((sender) => [toHex(sender), sender]))
  return [...unique.values()].filter((sender) => pool.hasSender(sender))
}

function committed(
  context: EngineContext,
  payload: PayloadOf<'engine.PayloadCommitted'>,
  nowMs: number,
): EngineStep {
  const { hash, height, accounts, answer, to } = payload
  const { pool, admission, port } = context
  if (answer.type !== 'engine.EngineHead') return { context, effects: [reply(to, answer)] }
  for (const { address, account } of accounts) pool.refresh(address, account)
  pool.onHead(port.nextBaseFeeWei(), nowMs)
  admission.onHead()
  const effects: AnyEffect[] = [reply(to, answer)]
  for (const burn of context.candidates.get(hashKey(hash))?.outcome.burns ?? []) {
    effects.push(
      tell('bridge', {
        type: 'bridge.BurnEventDetected',
        payload: { evmBlockHash: hash, height, burn },
      }),
    )
  }
  // Those of later blocks stay: a batch is executed before its first block is committed.
  const candidates = new Map(context.candidates)
  candidates.delete(hashKey(hash))
  const next = { ...context, candidates }
  return { context: next, effects: [...effects, { kind: 'tidy', pool }, shown(next)] }
}
