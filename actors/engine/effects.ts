import type { PoolTransaction, SenderAccount } from '../../core/mempool/index.ts'
import { equalBytes, hexBytes } from '../../crypto/index.ts'
import type {
  EngineFailed,
  EngineHead,
  ExecutionOutcome,
  PayloadCommitted,
  PayloadExecuted,
  TransactionRecovered,
} from '../../messages/index.ts'
import {
  type BlockOutcome,
  decodeTransaction,
  isLostCause,
  isTransaction,
  poolTransaction,
} from '../../vm/evm/index.ts'
import type { EngineEffect } from './handlers.ts'
import { ENGINE_METRICS } from './metrics.ts'
import type { EnginePorts } from './port.ts'

type EffectOf<Kind extends EngineEffect['kind']> = Extract<EngineEffect, { kind: Kind }>

export async function perform(
  effect: EngineEffect,
  ports: EnginePorts,
): Promise<PayloadExecuted | PayloadCommitted | TransactionRecovered | undefined> {
  switch (effect.kind) {
    case 'build':
      ports.metrics.count(ENGINE_METRICS.builds, {})
      return build(effect)
    case 'execute':
      return execute(effect)
    case 'commit':
      ports.metrics.count(ENGINE_METRICS.commits, {})
      return commit(effect)
    case 'admit':
      return recover(effect)
    case 'poolChanged':
      ports.views.publishPoolChange()
      return undefined
  }
}

function failed(code: string, reason: string): EngineFailed {
  return { type: 'engine.EngineFailed', payload: { code, reason } }
}

function outcomeOf(outcome: BlockOutcome, withdrawals: number): ExecutionOutcome {
  const { burns, cancels, funds, feesBurnedWei } = outcome
  return { burns, cancels, funds, feesBurnedWei, mint: { success: true, withdrawals } }
}

async function build(effect: EffectOf<'build'>): Promise<PayloadExecuted> {
  const { port, request, transactions, replyTo } = effect
  const { mint, ...attributes } = request
  const { withdrawals } = mint
  const built = await port.build({ ...attributes, withdrawals, transactions })
  const done = { hash: undefined, outcome: undefined, dropped: [], to: replyTo }
  if (built.status !== 'BUILT') {
    return {
      type: 'engine.PayloadExecuted',
      payload: { ...done, answer: failed(built.code, built.reason) },
    }
  }
  const { payload } = built
  const outcome = outcomeOf(built.outcome, payload.withdrawals.length)
  const dropped = built.dropped
    .filter(({ reason }) => isLostCause(reason))
    .map(({ hash }) => hexBytes(hash))
  return {
    type: 'engine.PayloadExecuted',
    payload: {
      hash: payload.blockHash,
      outcome,
      dropped,
      to: replyTo,
      answer: { type: 'engine.BlockTemplate', payload: { payload, outcome } },
    },
  }
}

async function execute(effect: EffectOf<'execute'>): Promise<PayloadExecuted> {
  const { port, payload, replyTo } = effect
  const senders = await port.recoverSenders(payload.transactions)
  const result = await port.execute({ payload, senders })
  const done = { dropped: [], to: replyTo }
  switch (result.status) {
    case 'VALID': {
      const outcome = outcomeOf(result.outcome, payload.withdrawals.length)
      return {
        type: 'engine.PayloadExecuted',
        payload: {
          ...done,
          hash: payload.blockHash,
          outcome,
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

async function commit(effect: EffectOf<'commit'>): Promise<PayloadCommitted> {
  const { port, hash, height, senders, replyTo } = effect
  const result = await port.commit(hash)
  const answer: EngineHead | EngineFailed =
    result.status === 'COMMITTED'
      ? { type: 'engine.EngineHead', payload: result.head }
      : failed(result.code, result.reason)
  const accounts: { address: Uint8Array; account: SenderAccount }[] = senders.map((address) => ({
    address,
    account: port.account(address),
  }))
  return {
    type: 'engine.PayloadCommitted',
    payload: { hash, height, accounts, answer, to: replyTo },
  }
}

async function recover(effect: EffectOf<'admit'>): Promise<TransactionRecovered> {
  const { gossipId, port, raw, replyTo } = effect
  const answer = (
    found:
      | { transaction: PoolTransaction; account: SenderAccount }
      | { code: string; reason: string },
  ): TransactionRecovered => ({
    type: 'engine.TransactionRecovered',
    payload: {
      to: replyTo,
      gossipId,
      ...('code' in found
        ? { transaction: undefined, account: undefined, refusal: found }
        : { ...found, refusal: undefined }),
    },
  })
  const decoded = decodeTransaction(raw)
  if (!isTransaction(decoded))
    return answer({ code: 'TransactionMalformed', reason: String(decoded) })
  const [sender] = await port.recoverSenders([raw])
  if (sender === undefined || equalBytes(sender, new Uint8Array(20))) {
    return answer({ code: 'BadSignature', reason: 'no key made this signature' })
  }
  return answer({ transaction: poolTransaction(decoded, sender), account: port.account(sender) })
}
