/** Flow 2: a deposit from its block in Bitcoin to its approval and its mint. */
import { parseTransaction } from '../../core/bitcoin/index.ts'
import { type PegInClaim, PegInClaimType } from '../../core/block/index.ts'
import {
  heightKey,
  type Ledger,
  OUTPUT_STATE,
  outpointKey,
  rowOf,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { approvalMessage, changeOutput, combineApprovals } from '../../core/peg/index.ts'
import { equalBytes, fromHex, toDisplayHash } from '../../crypto/index.ts'
import type { BridgeInbox } from '../../messages/index.ts'
import { type Mode, tell } from '../../supervisor/index.ts'
import {
  type AnyEffect,
  type BridgeContext,
  type BridgeStep,
  log,
  published,
  standing,
  withDeposit,
} from './context.ts'
import {
  APPROVAL_RETRY_MS,
  EARLY_APPROVAL_MS,
  MAX_ASKED_DEPOSITS,
  MAX_DEPOSITS,
  MAX_EARLY_APPROVALS,
  MAX_FINISHED,
} from './limits.ts'
import { type DepositOperation, detectedDeposit, walk } from './operations.ts'

type PayloadOf<Type extends BridgeInbox['type']> = Extract<BridgeInbox, { type: Type }>['payload']

/** New deposits are followed, each in the flow that found it; one that a reorg moved begins anew with its new proof. */
export function depositsDetected(
  context: BridgeContext,
  { deposits, bitcoinHeight }: PayloadOf<'bridge.BitcoinTransactionDetected'>,
  flow: string,
  nowMs: number,
): { context: BridgeContext; effects: AnyEffect[] } {
  const effects: AnyEffect[] = []
  const followed = new Map(context.deposits)
  let { missedHeight } = context
  for (const claim of deposits) {
    const id = outpointId(claim)
    const known = followed.get(id)
    const isBack = known?.step === 'Included' && isAbsent(context.ledger, claim)
    if (known !== undefined && isSameBlock(known.claim, claim) && !isBack) continue
    if (known === undefined && openCount(followed) >= MAX_DEPOSITS) {
      missedHeight = Math.min(missedHeight ?? bitcoinHeight, bitcoinHeight)
      continue
    }
    followed.set(id, detectedDeposit(id, claim, bitcoinHeight, flow, nowMs))
    const fields = { outpoint: id, amountSat: String(claim.amountSat), bitcoinHeight }
    effects.push(log('info', known ? 'deposit moved' : 'deposit detected', fields))
  }
  return { context: { ...context, deposits: followed, missedHeight }, effects }
}

/** Counted once and taken by a reorg; its own block may come back. */
function isAbsent(ledger: Ledger | undefined, { txid, vout }: PegInClaim): boolean {
  const row = ledger && rowOf(ledger, 'outputs', outpointKey(txid, vout))
  return row?.state === OUTPUT_STATE.absent
}

function isSameBlock(left: PegInClaim, right: PegInClaim): boolean {
  return equalBytes(left.proof.blockHash, right.proof.blockHash)
}

function openCount(deposits: ReadonlyMap<string, DepositOperation>): number {
  let count = 0
  for (const operation of deposits.values()) if (!isFinished(operation)) count += 1
  return count
}

function isFinished({ step }: DepositOperation): boolean {
  return step === 'Included' || step === 'Denied'
}

/** PI-6: what a reorg took out of Bitcoin is followed no longer; nothing was minted for it. */
export function withoutOrphans(context: BridgeContext): {
  context: BridgeContext
  effects: AnyEffect[]
} {
  const deposits = new Map(context.deposits)
  const effects: AnyEffect[] = []
  for (const [id, operation] of deposits) {
    if (operation.step === 'Included' || standingOf(context, operation) !== 'off') continue
    deposits.delete(id)
    const { name: mode } = orphaned(operation.mode)
    effects.push(log('warn', 'deposit orphaned', { outpoint: id, step: operation.step, mode }))
  }
  return effects.length === 0
    ? { context, effects }
    : { context: { ...context, deposits }, effects }
}

/** What was not validated yet never will be; what waits for approval is not wanted any more. */
function orphaned(mode: Mode): Mode {
  if (mode.name === 'ProcessingPegIn') return walk(mode, 'VALIDATION_FAILED')
  return mode.name === 'WaitingApproval' ? walk(mode, 'GOVERNANCE_DENIED') : mode
}

function standingOf({ scanned }: BridgeContext, operation: DepositOperation) {
  return standing(scanned, operation.bitcoinHeight, operation.claim.proof.blockHash)
}

/** Asks for what is deep enough, each in its own flow. */
export function dueDeposits(context: BridgeContext, nowMs: number): AnyEffect[] {
  return (
    [...context.deposits.values()]
      .filter((operation) => isDue(context, operation, nowMs))
      // Who waits longest first, so that those which nobody approves do not keep the others.
      .sort((left, right) => left.askedAtMs - right.askedAtMs)
      .slice(0, Math.max(0, MAX_ASKED_DEPOSITS - askedLately(context, nowMs)))
      .map(({ id, flow }) =>
        tell(
          'bridge',
          { type: 'bridge.ValidatePegInTransaction', payload: { outpoint: id } },
          { correlationId: flow },
        ),
      )
  )
}

function askedLately({ deposits }: BridgeContext, nowMs: number): number {
  let count = 0
  for (const { askedAtMs, step } of deposits.values()) {
    if (step === 'AwaitingApproval' && nowMs - askedAtMs < APPROVAL_RETRY_MS) count += 1
  }
  return count
}

/** At N + 1 confirmations of our own Bitcoin the members are asked, and asked again while a quorum is missing. */
function isDue(context: BridgeContext, operation: DepositOperation, nowMs: number): boolean {
  if (operation.step !== 'Confirming' && operation.step !== 'AwaitingApproval') return false
  if (standingOf(context, operation) !== 'on') return false
  // Before its header is in the chain no block can carry it, and this node's ledger may be older than what it sees on Bitcoin.
  const { blockHash } = operation.claim.proof
  if (context.ledger === undefined || inBlockHeight(context.ledger, blockHash) === undefined) {
    return false
  }
  const confirmations = context.bitcoin.tipHeight - operation.bitcoinHeight + 1
  if (confirmations < context.genesis.params.pegInConfirmations + 1) return false
  return nowMs - operation.askedAtMs >= APPROVAL_RETRY_MS
}

export function validateDeposit(context: BridgeContext, id: string, nowMs: number): BridgeStep {
  const operation = context.deposits.get(id)
  if (operation === undefined || context.ledger === undefined) return { context }
  if (operation.step !== 'Confirming' && operation.step !== 'AwaitingApproval') return { context }
  if (isOwnChange(context.genesis, context.ledger, operation.claim)) {
    const deposits = new Map(context.deposits)
    deposits.delete(id)
    return published({
      context: { ...context, deposits },
      effects: [log('info', 'change is no deposit', { outpoint: id })],
    })
  }
  const mode =
    operation.mode.name === 'ProcessingPegIn'
      ? walk(operation.mode, 'VALIDATION_PASSED')
      : operation.mode
  return published({
    context: withDeposit(context, {
      ...operation,
      mode,
      step: 'AwaitingApproval',
      askedAtMs: nowMs,
      updatedAtMs: nowMs,
    }),
    effects: [
      tell('stream', {
        type: 'stream.GovernanceApprovalRequest',
        payload: {
          outpoint: id,
          membersEpoch: context.ledger.state.membersEpoch,
          claim: operation.claim,
        },
      }),
    ],
  })
}

/**
 * A node whose ledger was behind when it looked at Bitcoin takes the federation's change for a deposit; no member can tell by the
 * transaction alone, for what the key signs looks like anybody's (4.2).
 */
function isOwnChange(genesis: Genesis, ledger: Ledger, claim: PegInClaim): boolean {
  const parsed = parseTransaction(claim.proof.transaction)
  if (!parsed.ok) return false
  const { inputs, outputs } = parsed.value
  const plain = changeOutput(genesis, claim.depositEpoch, ledger.open.keys).scriptPubKey
  const output = outputs[claim.vout]
  if (output === undefined || !equalBytes(output.scriptPubKey, plain)) return false
  return inputs.some(({ txid, vout }) => {
    return rowOf(ledger, 'outputs', outpointKey(txid, vout)) !== undefined
  })
}

export function memberAnswered(
  context: BridgeContext,
  payload: PayloadOf<'bridge.GovernanceApproval'>,
  nowMs: number,
): BridgeStep {
  const { outpoint, memberIndex, approved, signature } = payload
  const operation = context.deposits.get(outpoint)
  const { ledger, genesis } = context
  if (operation?.step !== 'AwaitingApproval' || ledger === undefined) return { context }
  const member = genesis.members[memberIndex]
  if (member === undefined) return { context }
  if (!approved || signature === undefined) {
    return denied(context, operation, memberIndex, payload.reason ?? 'Denied', nowMs)
  }
  const message = approvalMessage(genesis, 'pegIn', ledger.state.membersEpoch, operation.claim)
  if (!genesis.signatures.verify(member.blsKey, message, signature)) {
    return { context, effects: [log('warn', 'bad approval', { outpoint, memberIndex })] }
  }
  const approvals = new Map(operation.approvals).set(memberIndex, signature)
  const approval = combineApprovals(genesis, ledger.state.membersEpoch, approvals)
  const counted: DepositOperation = { ...operation, approvals, updatedAtMs: nowMs }
  if (approval === undefined) return published({ context: withDeposit(context, counted) })
  const { claim } = operation
  return published({
    context: withDeposit(context, approvedDeposit(counted, approval, nowMs)),
    effects: [
      tell('chain', { type: 'bridge.PegInOperation', payload: { claim, approval } }),
      tell('network', { type: 'network.GossipApproval', payload: { claim, approval } }),
      log('info', 'deposit approved', { outpoint }),
    ],
  })
}

/** PI-10: with too many denials for a quorum nobody is asked any more. */
function denied(
  context: BridgeContext,
  operation: DepositOperation,
  memberIndex: number,
  reason: string,
  nowMs: number,
): BridgeStep {
  const { members, memberThreshold } = context.genesis
  const denials = new Map(operation.denials).set(memberIndex, reason)
  const fields = { outpoint: operation.id, memberIndex, reason }
  const effects: AnyEffect[] = [log('warn', 'a member denies a deposit', fields)]
  const counted: DepositOperation = { ...operation, denials, updatedAtMs: nowMs }
  if (members.length - denials.size >= memberThreshold) {
    return published({ context: withDeposit(context, counted), effects })
  }
  effects.push(log('warn', 'deposit denied', { outpoint: operation.id, reason }))
  const mode = walk(operation.mode, 'GOVERNANCE_DENIED')
  const over = withDeposit(context, { ...counted, mode, step: 'Denied' })
  return published({ context: forgetFinished(over), effects })
}

function approvedDeposit(
  operation: DepositOperation,
  approval: NonNullable<DepositOperation['approval']>,
  nowMs: number,
): DepositOperation {
  const path =
    operation.mode.name === 'ProcessingPegIn'
      ? ['VALIDATION_PASSED', 'GOVERNANCE_APPROVED']
      : ['GOVERNANCE_APPROVED']
  return {
    ...operation,
    approval,
    step: 'Approved',
    mode: walk(operation.mode, ...path),
    askedAtMs: nowMs,
    updatedAtMs: nowMs,
  }
}

/**
 * A quorum from a peer was checked by Network; it spares asking, and serves a node whose members are cut off. It counts for the
 * claim that this node would ask for: one from before a reorg, sent once more, must not take its place.
 */
export function quorumReceived(
  context: BridgeContext,
  { claim, approval }: Pick<PayloadOf<'bridge.ApprovalReceived'>, 'claim' | 'approval'>,
  nowMs: number,
): BridgeStep {
  const id = outpointId(claim)
  const operation = context.deposits.get(id) ?? unseenDeposit(context, claim, nowMs)
  if (operation === undefined && context.ledger !== undefined && isEarly(context.ledger, claim)) {
    if (context.early.size >= MAX_EARLY_APPROVALS) return { context }
    const early = new Map(context.early).set(id, { claim, approval, heardAtMs: nowMs })
    return { context: { ...context, early } }
  }
  if (operation?.step !== 'Confirming' && operation?.step !== 'AwaitingApproval') return { context }
  if (!PegInClaimType.equals(claim, operation.claim)) return { context }
  return published({
    context: withDeposit(context, approvedDeposit(operation, approval, nowMs)),
    effects: [
      tell(
        'chain',
        { type: 'bridge.PegInOperation', payload: { claim, approval } },
        { correlationId: operation.flow },
      ),
    ],
  })
}

/**
 * The members' Bitcoin is ahead of the blocks: the header of the deposit's block comes with one of the next, or is known from a branch
 * that one of the next makes the best.
 */
function isEarly(ledger: Ledger, { proof }: PegInClaim): boolean {
  return inBlockHeight(ledger, proof.blockHash) === undefined
}

/** With each block: approvals whose header is there now. */
export function earlyApprovals(
  context: BridgeContext,
  nowMs: number,
): { context: BridgeContext; effects: AnyEffect[] } {
  const { early, ledger } = context
  if (early.size === 0 || ledger === undefined) return { context, effects: [] }
  const waiting = [...early].filter(
    ([, { claim, heardAtMs }]) => isEarly(ledger, claim) && nowMs - heardAtMs < EARLY_APPROVAL_MS,
  )
  let next: BridgeContext = { ...context, early: new Map(waiting) }
  const effects: AnyEffect[] = []
  for (const { approval, claim } of early.values()) {
    if (isEarly(ledger, claim)) continue
    const step = quorumReceived(next, { claim, approval }, nowMs)
    next = step.context
    effects.push(...(step.effects ?? []))
  }
  return { context: next, effects }
}

/** A deposit to an address that another node gave out: this one learns of it by the members' word. */
function unseenDeposit(
  { deposits, ledger }: BridgeContext,
  claim: PegInClaim,
  nowMs: number,
): DepositOperation | undefined {
  const height = ledger && inBlockHeight(ledger, claim.proof.blockHash)
  if (ledger === undefined || height === undefined) return undefined
  const row = rowOf(ledger, 'outputs', outpointKey(claim.txid, claim.vout))
  if (row !== undefined && equalBytes(row.bitcoinHash, claim.proof.blockHash)) return undefined
  if (openCount(deposits) >= MAX_DEPOSITS) return undefined
  const id = outpointId(claim)
  return detectedDeposit(id, claim, height, id, nowMs)
}

/** The height of a block in the chain of Bitcoin's headers; undefined off it. */
export function inBlockHeight(ledger: Ledger, blockHash: Uint8Array): number | undefined {
  const height = rowOf(ledger, 'headers', blockHash)?.height
  if (height === undefined) return undefined
  const onChain = rowOf(ledger, 'chain', heightKey(height))
  return onChain !== undefined && equalBytes(onChain.hash, blockHash) ? height : undefined
}

/** Chain forgets its queue when it starts anew: what waits for a block is told again now and then (PI-8). */
export function tellApproved(
  context: BridgeContext,
  nowMs: number,
): { context: BridgeContext; effects: AnyEffect[] } {
  const deposits = new Map(context.deposits)
  const effects: AnyEffect[] = []
  for (const operation of context.deposits.values()) {
    const { approval, claim, flow, id } = operation
    if (operation.step !== 'Approved' || approval === undefined) continue
    if (nowMs - operation.askedAtMs < APPROVAL_RETRY_MS) continue
    deposits.set(id, { ...operation, askedAtMs: nowMs })
    const message = { type: 'bridge.PegInOperation', payload: { claim, approval } } as const
    effects.push(tell('chain', message, { correlationId: flow }))
  }
  return effects.length === 0
    ? { context, effects }
    : { context: { ...context, deposits }, effects }
}

export function included(
  context: BridgeContext,
  keys: readonly string[],
  nowMs: number,
): BridgeStep {
  const deposits = new Map(context.deposits)
  const effects: AnyEffect[] = []
  for (const key of keys) {
    const id = displayOutpoint(key)
    const operation = deposits.get(id)
    if (operation === undefined) continue
    deposits.set(id, { ...operation, step: 'Included', updatedAtMs: nowMs })
    effects.push(log('info', 'deposit included', { outpoint: id }))
  }
  return { context: forgetFinished({ ...context, deposits }), effects }
}

/** What is over stays in view for a while; the oldest give way. */
function forgetFinished(context: BridgeContext): BridgeContext {
  const finished = [...context.deposits.values()].filter(isFinished)
  if (finished.length <= MAX_FINISHED) return context
  const deposits = new Map(context.deposits)
  for (const { id } of finished.slice(0, -MAX_FINISHED)) deposits.delete(id)
  return { ...context, deposits }
}

/** `txid:vout` with the txid in display form. */
export function outpointId(claim: Pick<PegInClaim, 'txid' | 'vout'>): string {
  return `${toDisplayHash(claim.txid)}:${claim.vout}`
}

/** The same from the form that Chain uses: txid in internal order, hex. */
function displayOutpoint(key: string): string {
  const [txid, vout] = key.split(':')
  return `${toDisplayHash(fromHex(txid as string) as Uint8Array)}:${vout}`
}
