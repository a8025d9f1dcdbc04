/**
 * What the BridgeActor makes of each message: it follows deposits from Bitcoin to their approval (`deposits.ts`), and recorded
 * batches from their signatures to their booking (`payouts.ts`). All that decides about coins is in core/peg and bridge; this
 * room says when.
 */

import { heightKey, type Ledger, rowOf } from '../../core/ledger/index.ts'
import { missingDeposits, oldestOutput, outpointName } from '../../core/peg/index.ts'
import { equalBytes, sha256d, toDisplayHash } from '../../crypto/index.ts'
import type { BridgeInbox } from '../../messages/index.ts'
import { type About, after, tell } from '../../supervisor/index.ts'
import {
  type AnyEffect,
  type BridgeContext,
  type BridgeEffect,
  type BridgeStep,
  log,
  published,
} from './context.ts'
import {
  depositsDetected,
  dueDeposits,
  earlyApprovals,
  inBlockHeight,
  included,
  memberAnswered,
  quorumReceived,
  tellApproved,
  validateDeposit,
  withoutOrphans,
} from './deposits.ts'
import { keyCalled, keygenArrived, keygenFinalized } from './keygen.ts'
import {
  AGE_ALARM_PERCENT,
  AGE_LOOK_BLOCKS,
  CLAIM_PAUSE_MS,
  CONFLICT_LOOK_MS,
  CONFLICT_LOST_MS,
  MEMPOOL_LOOK_MS,
  MEMPOOL_LOST_MS,
  SCAN_MEMORY_BLOCKS,
} from './limits.ts'
import { NOTHING_SEEN } from './mempool.ts'
import {
  batchesFinalized,
  broadcastAnswered,
  burnCommitted,
  createTransaction,
  offerReceived,
  signaturesArrived,
  signaturesJoined,
  signatureTimeout,
  spendDetected,
  transactionConfirmed,
  withoutLostConfirmations,
} from './payouts.ts'

type PayloadOf<Type extends BridgeInbox['type']> = Extract<BridgeInbox, { type: Type }>['payload']

export function handle(
  context: BridgeContext,
  message: BridgeInbox,
  about: About<BridgeInbox>,
): BridgeStep {
  const { nowMs } = about
  const flow = about.envelope.correlationId
  switch (message.type) {
    case 'bridge.PollBitcoin': {
      const poll = { type: 'bridge.PollBitcoin', payload: {} } as const
      const again = after(context.pollMs, 'poll', poll, { newFlow: true })
      if (context.scanning || context.ledger === undefined) return { context, effects: [again] }
      const { ledger, scanned } = context
      return {
        context: { ...context, scanning: true },
        effects: [again, { kind: 'scan', ledger, scanned }],
      }
    }
    case 'bridge.BitcoinScanned':
      return bitcoinScanned(context, message.payload, about)
    case 'bridge.MempoolSeen':
      return mempoolSeen(context, message.payload, nowMs)
    case 'bridge.ConflictsLooked':
      return conflictsLooked(context, message.payload, nowMs)
    case 'bridge.BitcoinUnavailable':
      return bitcoinUnavailable(context, message.payload, about)
    case 'bridge.BitcoinTransactionDetected': {
      const found = depositsDetected(context, message.payload, flow, nowMs)
      const effects = [...found.effects, ...spendDetected(context, message.payload)]
      return published({ context: found.context, effects })
    }
    case 'bridge.ValidatePegInTransaction':
      return validateDeposit(context, message.payload.outpoint, nowMs)
    case 'bridge.GovernanceApproval':
      return memberAnswered(context, message.payload, nowMs)
    case 'bridge.ApprovalReceived':
      return quorumReceived(context, message.payload, nowMs)
    case 'bridge.KeygenItemReceived':
      return keygenArrived(context, message.payload.memberIndex, message.payload.item)
    case 'bridge.SubmitKeyCall':
      return keyCalled(context, message.payload.item, about)
    case 'bridge.ClaimDeposits':
      return claimDeposits(context, message.payload, about)
    case 'bridge.ValidatePegOperations': {
      const { headers, deposits } = message.payload
      const blocks = deposits.map((deposit) => deposit.blockHash)
      return {
        context,
        effects: [{ kind: 'checkProposal', headers, blocks, replyTo: about.envelope }],
      }
    }
    case 'bridge.PegInComplete':
      return published(included(context, message.payload.outpoints, nowMs))
    case 'bridge.BurnEventDetected':
      return burnCommitted(context, message.payload, flow)
    case 'chain.FinalizeBlock': {
      const { height, ledger } = message.payload
      const making = keygenFinalized(lookingBack({ ...context, height, ledger }, context.ledger))
      const early = earlyApprovals(making.context, nowMs)
      const approved = tellApproved(early.context, nowMs)
      const batches = batchesFinalized(approved.context, ledger, flow, nowMs)
      const looking = lookingForConflicts(batches.context, ledger, nowMs)
      return published({
        context: looking.context,
        effects: [
          ...making.effects,
          ...early.effects,
          ...approved.effects,
          ...batches.effects,
          ...looking.effects,
          ...ageAlarm(batches.context),
        ],
      })
    }
    case 'bridge.CreateBitcoinTransaction':
      return createTransaction(context, message.payload, nowMs)
    case 'bridge.NonceOfferReceived':
      return offerReceived(context, message.payload, nowMs)
    case 'bridge.CollectedSignatures':
      return signaturesArrived(context, message.payload, nowMs)
    case 'bridge.SignaturesJoined':
      return signaturesJoined(context, message.payload, nowMs)
    case 'bridge.SignatureTimeout':
      return signatureTimeout(context, message.payload, nowMs)
    case 'bridge.BroadcastBitcoinTransaction': {
      const { batchId, version, raw } = message.payload
      return { context, effects: [{ kind: 'broadcast', batchId, version, raw }] }
    }
    case 'bridge.BroadcastResult':
      return broadcastAnswered(context, message.payload, nowMs)
    case 'bridge.TransactionConfirmed':
      return transactionConfirmed(context, message.payload, flow, nowMs)
    case 'system.DeferredReply':
      return {
        context,
        effects: [{ kernel: 'reply', to: message.payload.to, message: message.payload.answer }],
      }
  }
}

/** A block that is not in the chain of headers is one that the scan still comes to. */
function claimDeposits(
  context: BridgeContext,
  { addresses, blockHash }: PayloadOf<'bridge.ClaimDeposits'>,
  { envelope: replyTo, nowMs }: About<BridgeInbox>,
): BridgeStep {
  const refused = (code: string): BridgeStep => {
    const message = { type: 'bridge.ClaimRefused', payload: { code } } as const
    return { context, effects: [{ kernel: 'reply', to: replyTo, message }] }
  }
  const { claimedAtMs, ledger } = context
  const height = ledger && inBlockHeight(ledger, blockHash)
  if (ledger === undefined || height === undefined) return refused('BitcoinBlockUnknown')
  if (nowMs - claimedAtMs < CLAIM_PAUSE_MS) return refused('Busy')
  const block = { hash: blockHash, height }
  return {
    context: { ...context, claimedAtMs: nowMs },
    effects: [{ kind: 'claim', ledger, block, addresses, replyTo }],
  }
}

/**
 * Blocks that were scanned before this node knew of a new epoch's script are looked at again; so are those of a branch that took
 * deposits away: it may hold them, and was perhaps scanned before the ledger had their rows.
 */
function lookingBack(context: BridgeContext, before: Ledger | undefined): BridgeContext {
  const { ledger, missedHeight = Number.POSITIVE_INFINITY } = context
  if (before === undefined || ledger === undefined) return context
  const heights = [missedHeight]
  if (ledger.state.epoch !== before.state.epoch) heights.push(before.state.tipHeight)
  const isShort = [...ledger.open.deficits.keys()].some((key) => !before.open.deficits.has(key))
  if (isShort) heights.push(firstReplaced(before, ledger))
  const lowest = Math.min(...heights)
  return lowest === Number.POSITIVE_INFINITY ? context : { ...context, missedHeight: lowest }
}

/** The lowest Bitcoin block that is another than before; above the chain of headers where there is none. */
function firstReplaced(before: Ledger, ledger: Ledger): number {
  let height = before.state.tipHeight
  const least = height - SCAN_MEMORY_BLOCKS
  for (; height > least; height--) {
    const key = heightKey(height)
    const [was, is] = [rowOf(before, 'chain', key)?.hash, rowOf(ledger, 'chain', key)?.hash]
    if (was === undefined || (is !== undefined && equalBytes(was, is))) break
  }
  return height + 1
}

/** While open batches wait for deposits that a reorg took away, what is buried deep enough is looked through for their coins. */
function lookingForConflicts(
  context: BridgeContext,
  ledger: Ledger,
  nowMs: number,
): { readonly context: BridgeContext; readonly effects: readonly AnyEffect[] } {
  const { bitcoin, conflictCursors: before, conflictDueMs } = context
  const isDue = bitcoin.reachable && nowMs >= conflictDueMs && missingDeposits(ledger).length > 0
  if (!isDue) return { context, effects: [] }
  return {
    context: { ...context, conflictDueMs: nowMs + CONFLICT_LOST_MS },
    effects: [{ kind: 'conflicts', ledger, before }],
  }
}

function conflictsLooked(
  context: BridgeContext,
  { code, cursors, found }: PayloadOf<'bridge.ConflictsLooked'>,
  nowMs: number,
): BridgeStep {
  const effects: AnyEffect[] = []
  if (found.length > 0) {
    effects.push(tell('chain', { type: 'chain.DepositsLost', payload: { conflicts: found } }))
    const txids = found.map(({ ancestry: [deposit] }) =>
      toDisplayHash(sha256d(deposit as Uint8Array)),
    )
    effects.push(log('warn', 'deposits are lost for good', { txids }))
  }
  if (code !== undefined && code !== context.conflictFault) {
    effects.push(log('warn', 'lost deposits are not looked for', { code }))
  }
  const conflictDueMs = nowMs + CONFLICT_LOOK_MS
  const looked = { conflictCursors: cursors, conflictDueMs, conflictFault: code }
  return { context: { ...context, ...looked }, effects }
}

/** PO-22: renewals that do not get through are said aloud, long before the recovery keys could spend the coins. */
function ageAlarm({ bitcoin, genesis, height, ledger }: BridgeContext): AnyEffect[] {
  if (ledger === undefined || height % AGE_LOOK_BLOCKS !== 0) return []
  const rate = bitcoin.feeRateSatPerKvb ?? genesis.params.minFeeRateSatPerKvb
  const oldest = oldestOutput(genesis, ledger, rate)
  if (oldest === undefined || oldest.percent < AGE_ALARM_PERCENT) return []
  const { amountSat, key, percent, waitsFor } = oldest
  const fields = { outpoint: outpointName(key), amountSat: String(amountSat), percent, waitsFor }
  return [log('warn', 'outputs are not renewed', fields)]
}

/** Looks at Bitcoin are one at a time; broadcasts keep their order. */
export function lane(effect: BridgeEffect): string | undefined {
  if (effect.kind === 'scan' || effect.kind === 'claim') return 'scan'
  if (effect.kind === 'mempool') return 'mempool'
  if (effect.kind === 'conflicts') return 'conflicts'
  if (effect.kind === 'broadcast' || effect.kind === 'assemble') return 'broadcast'
  return undefined
}

function bitcoinScanned(
  context: BridgeContext,
  payload: PayloadOf<'bridge.BitcoinScanned'>,
  { nowMs, state }: About<BridgeInbox>,
): BridgeStep {
  const { tipHeight, headers, feeRateSatPerKvb, scanned } = payload
  const { missedHeight } = context
  const last = scanned.at(-1)
  const seen: BridgeContext = {
    ...context,
    scanning: false,
    missedHeight: undefined,
    // What found no room is looked for again.
    scanned: scanned.filter(({ height }) => missedHeight === undefined || height < missedHeight),
    bitcoin: { tipHeight, reachable: true, feeRateSatPerKvb },
  }
  const kept = withoutOrphans(seen)
  const paid = withoutLostConfirmations(kept.context, nowMs)
  const effects: AnyEffect[] = [
    tell('chain', { type: 'chain.BitcoinHeadersDetected', payload: { headers } }),
    tell('chain', { type: 'chain.FeeRateEstimated', payload: { feeRateSatPerKvb } }),
    {
      kind: 'publishBitcoin',
      status: {
        reachable: true,
        height: tipHeight,
        feeRateSatPerKvb,
        ...(last !== undefined && { tipTimeMs: last.timeMs }),
      },
    },
    ...kept.effects,
    ...paid.effects,
    ...dueDeposits(paid.context, nowMs),
  ]
  const { ledger, mempool, mempoolDueMs } = paid.context
  const lastHeight = last?.height ?? context.genesis.bitcoin.checkpoint.height
  const isAtTip = lastHeight >= tipHeight
  const looks = isAtTip && ledger !== undefined && nowMs >= mempoolDueMs
  if (looks) effects.push({ kind: 'mempool', ledger, before: mempool ?? NOTHING_SEEN })
  const looking = looks ? { ...paid.context, mempoolDueMs: nowMs + MEMPOOL_LOST_MS } : paid.context
  if (!context.bitcoin.reachable) effects.push(log('info', 'Bitcoin answers', { tipHeight }))
  const step = published({ context: looking, effects })
  if (state === 'Initializing') return { ...step, event: 'CONNECTED' }
  return state === 'Failed' ? { ...step, event: 'RECOVERED' } : step
}

/** Who waits is told what is seen of it; what was replaced or forgotten by Bitcoin is gone from here too. */
function mempoolSeen(
  context: BridgeContext,
  { code, sight }: PayloadOf<'bridge.MempoolSeen'>,
  nowMs: number,
): BridgeStep {
  const isNews = code !== context.mempoolFault
  const effects = isNews ? [mempoolNews(code)] : []
  const mempoolDueMs = nowMs + MEMPOOL_LOOK_MS
  return published({
    context: { ...context, mempool: sight, mempoolFault: code, mempoolDueMs },
    effects,
  })
}

function mempoolNews(code: string | undefined): AnyEffect {
  return code === undefined
    ? log('info', 'Bitcoin mempool is known', {})
    : log('warn', 'Bitcoin mempool is not known', { code })
}

/** Operations stay where they are: Bitcoin is looked for with every poll. */
function bitcoinUnavailable(
  context: BridgeContext,
  { code, reason }: PayloadOf<'bridge.BitcoinUnavailable'>,
  { state }: About<BridgeInbox>,
): BridgeStep {
  const lost: BridgeContext = {
    ...context,
    scanning: false,
    mempool: undefined,
    bitcoin: { ...context.bitcoin, reachable: false },
  }
  const effects: AnyEffect[] = [{ kind: 'publishBitcoin', status: { reachable: false, code } }]
  const isNews = context.bitcoin.reachable || state === 'Initializing'
  if (isNews) effects.push(log('warn', 'Bitcoin is lost', { code, reason }))
  const step = published({ context: lost, effects })
  return state === 'Initializing' ? { ...step, event: 'CONNECTION_ERROR' } : step
}
