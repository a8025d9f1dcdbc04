/** What the EngineActor makes of each message: blocks go to the engine, transactions to the pool. */
import { hashKey } from '../../core/block/index.ts'
import type { Mempool } from '../../core/mempool/index.ts'
import type { EngineInbox, ExecutionOutcome, TransactionJudged } from '../../messages/index.ts'
import {
  type About,
  type Envelope,
  fail,
  type KernelEffect,
  reply,
  type Step,
  tell,
} from '../../supervisor/index.ts'
import { ENGINE_FAULTS } from './errors.ts'
import { MAX_OUTCOMES, MAX_TEMPLATE_TRANSACTIONS } from './limits.ts'
import type { EnginePort } from './port.ts'

export interface EngineContext {
  readonly port: EnginePort
  /** Changed in place by this actor alone; every call checks before it writes. */
  readonly pool: Mempool
  /** What executed blocks did, until one of them is committed. By EVM block hash. */
  readonly outcomes: ReadonlyMap<string, ExecutionOutcome>
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
      readonly kind: 'execute'
      readonly port: EnginePort
      readonly payload: PayloadOf<'engine.ExecutePayload'>['payload']
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
      readonly kind: 'admit'
      readonly port: EnginePort
      readonly raw: Uint8Array
      readonly replyTo: Envelope | undefined
      readonly gossipId: number | undefined
    }
  | { readonly kind: 'poolChanged' }

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
      const transactions = pool
        .template(port.nextBaseFeeWei(), BigInt(request.gasLimitTarget))
        .slice(0, MAX_TEMPLATE_TRANSACTIONS)
        .map(({ raw, sender }) => ({ raw, sender }))
      return { context, effects: [{ kind: 'build', port, request, transactions, replyTo }] }
    }
    case 'engine.ExecutePayload': {
      const { payload } = message.payload
      return { context, effects: [{ kind: 'execute', port, payload, replyTo }] }
    }
    case 'engine.CommitPayload': {
      const { hash, height } = message.payload
      const senders = pool.senders()
      return { context, effects: [{ kind: 'commit', port, hash, height, senders, replyTo }] }
    }
    case 'engine.EngineStatus':
      return {
        context,
        effects: [reply(replyTo, { type: 'engine.EngineHead', payload: port.head() })],
      }
    case 'engine.RollBack':
      return rollBack(context, message.payload.reason)
    case 'engine.SubmitTransaction': {
      const { raw } = message.payload
      return { context, effects: [{ kind: 'admit', port, raw, replyTo, gossipId: undefined }] }
    }
    case 'engine.TransactionReceived': {
      const { raw, id } = message.payload
      return {
        context,
        effects: [{ kind: 'admit', port, raw, replyTo: undefined, gossipId: id }],
      }
    }
    case 'engine.TransactionRecovered':
      return admit(context, message.payload)
    case 'engine.PayloadExecuted': {
      const { hash, outcome, dropped, answer, to } = message.payload
      pool.remove(dropped)
      const outcomes = new Map(context.outcomes)
      if (outcome !== undefined && hash !== undefined) outcomes.set(hashKey(hash), outcome)
      const [oldest] = outcomes.keys()
      if (outcomes.size > MAX_OUTCOMES) outcomes.delete(oldest as string)
      return withMode(
        { context: { ...context, outcomes }, effects: [reply(to, answer)] },
        answer,
        about,
      )
    }
    case 'engine.PayloadCommitted':
      return withMode(committed(context, message.payload), message.payload.answer, about)
    case 'engine.StorageAway':
      return about.state === 'Running' ? { context, event: 'DEGRADED' } : { context }
  }
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
export function lane(effect: EngineEffect): string | undefined {
  return effect.kind === 'admit' || effect.kind === 'poolChanged' ? undefined : 'engine'
}

function admit(
  context: EngineContext,
  payload: PayloadOf<'engine.TransactionRecovered'>,
): EngineStep {
  const { transaction, account, gossipId, refusal, to } = payload
  const answer = (message: Parameters<typeof reply>[1]): AnyEffect[] =>
    to === undefined ? [] : [reply(to, message)]
  const refuse = (code: string, reason: string): EngineStep => ({
    context,
    effects: [
      ...answer({ type: 'engine.TransactionRejected', payload: { code, reason } }),
      ...judged(gossipId, gossipVerdict(code)),
    ],
  })
  if (transaction === undefined || account === undefined) {
    const { code, reason } = refusal ?? { code: 'TransactionMalformed', reason: 'no transaction' }
    return refuse(code, reason)
  }
  const verdict = context.pool.add(transaction, account)
  const { hash, raw } = transaction
  if (verdict.kind === 'added') {
    return {
      context,
      effects: [
        ...answer({ type: 'engine.TransactionAccepted', payload: { hash } }),
        ...relayed(gossipId, raw),
        { kind: 'poolChanged' },
      ],
    }
  }
  const { kind: _, ...refused } = verdict
  const { code, ...details } = refused
  const reason = Object.entries(details)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
  return refuse(code, reason)
}

/** One of our own users begins its way; one that was gossiped goes on by its verdict. */
function relayed(gossipId: number | undefined, raw: Uint8Array): KernelEffect[] {
  return gossipId === undefined
    ? [tell('network', { type: 'network.GossipTransaction', payload: { raw } })]
    : judged(gossipId, 'accept')
}

function judged(id: number | undefined, verdict: TransactionVerdict): KernelEffect[] {
  if (id === undefined) return []
  return [tell('network', { type: 'network.TransactionJudged', payload: { id, verdict } })]
}

type TransactionVerdict = TransactionJudged['payload']['verdict']

/** What is wrong with a transaction wherever and whenever it is looked at: no honest node passes it on. */
const NEVER_VALID: ReadonlySet<string> = new Set([
  'TransactionMalformed',
  'BadSignature',
  'TransactionTooLarge',
  'WrongChain',
  'GasLimitTooHigh',
  'IntrinsicGasTooLow',
])

/** The other refusals follow from this node's state or settings: nobody is to blame, and nothing is passed on. */
function gossipVerdict(code: string): TransactionVerdict {
  if (NEVER_VALID.has(code)) return 'reject'
  return code === 'AlreadyKnown' ? 'accept' : 'ignore'
}

function committed(
  context: EngineContext,
  payload: PayloadOf<'engine.PayloadCommitted'>,
): EngineStep {
  const { hash, height, accounts, answer, to } = payload
  const effects: AnyEffect[] = [reply(to, answer), { kind: 'poolChanged' }]
  if (answer.type !== 'engine.EngineHead') return { context, effects }
  for (const { address, account } of accounts) context.pool.refresh(address, account)
  for (const burn of context.outcomes.get(hashKey(hash))?.burns ?? []) {
    effects.push(
      tell('bridge', {
        type: 'bridge.BurnEventDetected',
        payload: { evmBlockHash: hash, height, burn },
      }),
    )
  }
  // Those of later blocks stay: a batch is executed before its first block is committed.
  const outcomes = new Map(context.outcomes)
  outcomes.delete(hashKey(hash))
  return { context: { ...context, outcomes }, effects }
}
