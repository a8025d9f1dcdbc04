import type { SenderAccount } from '../../core/mempool/index.ts'
import { equalBytes, hexBytes } from '../../crypto/index.ts'
import type {
  EngineFailed,
  EngineHead,
  ExecutionOutcome,
  PayloadCommitted,
  PayloadExecuted,
  TransactionsRecovered,
} from '../../messages/index.ts'
import { type BlockOutcome, isLostCause } from '../../vm/evm/index.ts'
import { accountsOf } from './admission.ts'
import type { EngineEffect } from './handlers.ts'
import { ENGINE_METRICS } from './metrics.ts'
import type { EnginePort, EnginePorts } from './port.ts'

type EffectOf<Kind extends EngineEffect['kind']> = Extract<EngineEffect, { kind: Kind }>

export async function perform(
  effect: EngineEffect,
  ports: EnginePorts,
): Promise<PayloadExecuted | PayloadCommitted | TransactionsRecovered | undefined> {
  switch (effect.kind) {
    case 'build':
      ports.metrics.count(ENGINE_METRICS.builds, {})
      return build(effect, ports.metrics)
    case 'prepare': {
      const { port, request, transactions } = effect
      await port.prepare?.({ ...request, transactions })
      return undefined
    }
    case 'execute':
      return execute(effect)
    case 'commit':
      ports.metrics.count(ENGINE_METRICS.commits, {})
      return commit(effect)
    case 'recover':
      return recover(effect)
    case 'remember':
      ports.journal?.remember(effect.raws.map((raw) => ({ raw, sinceMs: effect.sinceMs })))
      return undefined
    case 'tidy': {
      const { pool } = effect
      ports.journal?.forget({ bytes: pool.stats().bytes, all: () => pool.arrivals() })
      return undefined
    }
    case 'publish': {
      const { pool, candidates } = effect.context
      ports.views.publishPool({ pool, candidates }, effect.added)
      return undefined
    }
  }
}

function failed(code: string, reason: string): EngineFailed {
  return { type: 'engine.EngineFailed', payload: { code, reason } }
}

function outcomeOf(outcome: BlockOutcome, withdrawals: number): ExecutionOutcome {
  const { burns, cancels, funds, feesBurnedWei } = outcome
  return { burns, cancels, funds, feesBurnedWei, mint: { success: true, withdrawals } }
}

const NO_BLOCK = { transactions: [], senders: [], dropped: [] }

async function build(
  effect: EffectOf<'build'>,
  metrics: EnginePorts['metrics'],
): Promise<PayloadExecuted> {
  const { port, request, transactions, replyTo } = effect
  const { mint, ...attributes } = request
  const { withdrawals } = mint
  const built = await port.build({ ...attributes, withdrawals, transactions })
  const offered = transactions.length
  const done = { hash: undefined, outcome: undefined, ...NO_BLOCK, offered, to: replyTo }
  if (built.status !== 'BUILT') {
    return {
      type: 'engine.PayloadExecuted',
      payload: { ...done, answer: failed(built.code, built.reason) },
    }
  }
  const { payload, prepared = 0 } = built
  if (prepared > 0) metrics.count(ENGINE_METRICS.prepared, {}, prepared)
  const outcome = outcomeOf(built.outcome, payload.withdrawals.length)
  const dropped = built.dropped
    .filter(({ reason }) => isLostCause(reason))
    .map(({ hash, reason }) => ({ hash: hexBytes(hash), reason }))
  return {
    type: 'engine.PayloadExecuted',
    payload: {
      hash: payload.blockHash,
      outcome,
      transactions: payload.transactions,
      senders: built.senders ?? sendersOf(payload.transactions, transactions),
      dropped,
      offered,
      to: replyTo,
      answer: { type: 'engine.BlockTemplate', payload: { payload, outcome } },
    },
  }
}

/** Of those that came into the block, which holds them in the order in which they were offered. */
function sendersOf(
  included: readonly Uint8Array[],
  offered: EffectOf<'build'>['transactions'],
): Uint8Array[] {
  const senders: Uint8Array[] = []
  for (const { raw, sender } of offered) {
    const next = included[senders.length]
    if (next !== undefined && equalBytes(next, raw)) senders.push(sender)
  }
  return senders
}

async function execute(effect: EffectOf<'execute'>): Promise<PayloadExecuted> {
  const { port, payload, known, replyTo } = effect
  const senders = await allSenders(port, payload.transactions, known)
  const result = await port.execute({ payload, senders })
  const done = { ...NO_BLOCK, to: replyTo }
  switch (result.status) {
    case 'VALID': {
      const outcome = outcomeOf(result.outcome, payload.withdrawals.length)
      return {
        type: 'engine.PayloadExecuted',
        payload: {
          ...done,
          hash: payload.blockHash,
          outcome,
          transactions: payload.transactions,
          senders: senders.filter((sender) => sender !== undefined),
          answer: { type: 'engine.ExecutionResult', payload: { status: 'VALID', outcome } },
        },
      }
    }
    case 'INVALID':
    case 'UNKNOWN':
      return {
        type: 'engine.PayloadExecuted',
        payload: {
          ...done,
          hash: undefined,
          outcome: undefined,
          answer: { type: 'engine.ExecutionResult', payload: result },
        },
      }
  }
}

/** Recovers those that are not known. */
async function allSenders(
  port: EnginePort,
  transactions: readonly Uint8Array[],
  known: readonly (Uint8Array | undefined)[],
): Promise<readonly (Uint8Array | undefined)[]> {
  const unknown = transactions.filter((_, index) => known[index] === undefined)
  if (unknown.length === 0) return known
  const recovered = await port.recoverSenders(unknown)
  let next = 0
  return transactions.map((_, index) => known[index] ?? recovered[next++])
}

async function commit(effect: EffectOf<'commit'>): Promise<PayloadCommitted> {
  const { port, hash, height, senders, replyTo } = effect
  const result = await port.commit(hash)
  const answer: EngineHead | EngineFailed =
    result.status === 'COMMITTED'
      ? { type: 'engine.EngineHead', payload: result.head }
      : failed(result.code, result.reason)
  const found = await port.accounts(senders)
  const accounts = senders.map((address, index) => {
    return { address, account: found[index] as SenderAccount }
  })
  return {
    type: 'engine.PayloadCommitted',
    payload: { hash, height, accounts, answer, to: replyTo },
  }
}

async function recover(effect: EffectOf<'recover'>): Promise<TransactionsRecovered> {
  const { port, transactions } = effect
  const senders = (await port.recoverSenders(transactions.map(({ raw }) => raw))).map((sender) => {
    return sender === undefined || isZero(sender) ? undefined : sender
  })
  const accounts = await accountsOf(port, senders)
  const recovered = transactions.map(({ hash }, index) => {
    const sender = senders[index]
    return { hash, sender, account: accounts[index] as SenderAccount }
  })
  return { type: 'engine.TransactionsRecovered', payload: { recovered } }
}

function isZero(address: Uint8Array): boolean {
  return address.every((byte) => byte === 0)
}
