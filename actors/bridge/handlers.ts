/**
 * What the BridgeActor makes of each message: it follows deposits from Bitcoin to their approval, and recorded batches from their
 * signatures to their booking. All that decides about coins is in core/peg and bridge; this room says when.
 */
import { signatureFault } from '../../bridge/index.ts'
import type { PegInClaim } from '../../core/block/index.ts'
import {
  type BatchRow,
  type Ledger,
  rowOf,
  SPEND_STATE,
  type SpendRow,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { approvalMessage, combineApprovals } from '../../core/peg/index.ts'
import { blsVerify, fromHex, toDisplayHash, toHex } from '../../crypto/index.ts'
import type { BridgeInbox } from '../../messages/index.ts'
import {
  type About,
  after,
  type Envelope,
  type KernelEffect,
  type Step,
  tell,
} from '../../supervisor/index.ts'
import { APPROVAL_RETRY_MS, MAX_DEPOSITS, REBROADCAST_MS, SIGNATURE_ROUND_MS } from './limits.ts'
import {
  coordinatorOf,
  type DepositOperation,
  detectedDeposit,
  type PayoutOperation,
  type PegOperationView,
  recordedPayout,
  walk,
} from './operations.ts'

export interface ScannedBlock {
  readonly height: number
  readonly hash: Uint8Array
}

export interface BridgeContext {
  readonly genesis: Genesis
  readonly validatorIndex: number | undefined
  readonly pollMs: number
  /** After the last committed block; undefined until Chain told it. */
  readonly ledger: Ledger | undefined
  readonly height: number
  readonly bitcoin: { readonly tipHeight: number; readonly reachable: boolean }
  /** The last scanned blocks, oldest first. */
  readonly scanned: readonly ScannedBlock[]
  readonly deposits: ReadonlyMap<string, DepositOperation>
  readonly payouts: ReadonlyMap<string, PayoutOperation>
  readonly scanning: boolean
}

export type BridgeEffect =
  | {
      readonly kind: 'scan'
      readonly ledger: Ledger
      readonly scanned: readonly ScannedBlock[]
    }
  | {
      readonly kind: 'checkProposal'
      readonly headers: readonly Uint8Array[]
      readonly blocks: readonly Uint8Array[]
      readonly replyTo: Envelope
    }
  | {
      readonly kind: 'assemble'
      readonly ledger: Ledger
      readonly batchId: string
      readonly version: number
      readonly spend: SpendRow
      readonly signatures: ReadonlyMap<number, readonly Uint8Array[]>
    }
  | {
      readonly kind: 'broadcast'
      readonly batchId: string
      readonly version: number
      readonly raw: Uint8Array
    }
  | { readonly kind: 'findPayout'; readonly batchId: string; readonly txid: Uint8Array }
  | { readonly kind: 'publish'; readonly operations: readonly PegOperationView[] }
  | {
      readonly kind: 'publishBitcoin'
      readonly status: {
        readonly reachable: boolean
        readonly height?: number
        readonly feeRateSatPerKvb?: number
        readonly code?: string
      }
    }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn'
      readonly event: string
      readonly fields: Readonly<Record<string, unknown>>
    }

type BridgeStep = Step<BridgeContext, BridgeEffect>
type AnyEffect = BridgeEffect | KernelEffect

export function handle(
  context: BridgeContext,
  message: BridgeInbox,
  about: About<BridgeInbox>,
): BridgeStep {
  const { nowMs } = about
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
    case 'bridge.BitcoinUnavailable': {
      const { code, reason } = message.payload
      const lost: BridgeContext = {
        ...context,
        scanning: false,
        bitcoin: { ...context.bitcoin, reachable: false },
      }
      const effects: AnyEffect[] = [{ kind: 'publishBitcoin', status: { reachable: false, code } }]
      if (about.state !== 'Monitoring') return { context: lost, effects }
      effects.push({
        kind: 'log',
        level: 'warn',
        event: 'Bitcoin is lost',
        fields: { code, reason },
      })
      return { context: lost, effects, event: 'BITCOIN_LOST' }
    }
    case 'bridge.BitcoinTransactionDetected':
      return transactionDetected(context, message.payload, nowMs)
    case 'bridge.ValidatePegInTransaction':
      return validateDeposit(context, message.payload.outpoint, nowMs)
    case 'bridge.GovernanceApproval':
      return memberAnswered(context, message.payload, nowMs)
    case 'bridge.ApprovalReceived':
      return quorumReceived(context, message.payload, nowMs)
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
    case 'bridge.BurnEventDetected': {
      const { height, burn } = message.payload
      const fields = {
        height,
        from: toHex(burn.evmAddress),
        valueWei: String(burn.valueWei),
        logIndex: burn.logIndex,
      }
      return { context, effects: [{ kind: 'log', level: 'info', event: 'burn committed', fields }] }
    }
    case 'chain.FinalizeBlock':
      return blockFinalized(context, message.payload, nowMs)
    case 'bridge.CreateBitcoinTransaction':
      return createTransaction(context, message.payload, nowMs)
    case 'bridge.CollectedSignatures':
      return signaturesArrived(context, message.payload, nowMs)
    case 'bridge.SignatureTimeout':
      return signatureTimeout(context, message.payload, nowMs)
    case 'bridge.BroadcastBitcoinTransaction': {
      const { batchId, version, raw } = message.payload
      return { context, effects: [{ kind: 'broadcast', batchId, version, raw }] }
    }
    case 'bridge.BroadcastResult':
      return broadcastAnswered(context, message.payload, nowMs)
    case 'bridge.TransactionConfirmed':
      return transactionConfirmed(context, message.payload, nowMs)
    case 'system.DeferredReply':
      return {
        context,
        effects: [{ kernel: 'reply', to: message.payload.to, message: message.payload.answer }],
      }
  }
}

/** Looks at Bitcoin are one at a time; broadcasts keep their order. */
export function lane(effect: BridgeEffect): string | undefined {
  if (effect.kind === 'scan') return 'scan'
  if (effect.kind === 'broadcast' || effect.kind === 'assemble') return 'broadcast'
  return undefined
}

function published(step: BridgeStep): BridgeStep {
  const { deposits, payouts } = step.context
  const operations: PegOperationView[] = [
    ...[...deposits.values()].map(depositView),
    ...[...payouts.values()].map(payoutView),
  ]
  return { ...step, effects: [...(step.effects ?? []), { kind: 'publish', operations }] }
}

function depositView(operation: DepositOperation): PegOperationView {
  const { id, step, mode, claim, bitcoinHeight, approvals, denials } = operation
  const [reason] = denials.values()
  return {
    direction: 'in',
    id,
    step,
    mode: mode.name,
    amountSat: claim.amountSat,
    bitcoinHeight,
    approvals: approvals.size,
    refundable: claim.kind === 1,
    evmAddress: claim.evmAddress,
    ...(reason !== undefined && { reason }),
    startedAtMs: operation.startedAtMs,
    updatedAtMs: operation.updatedAtMs,
  }
}

function payoutView(operation: PayoutOperation): PegOperationView {
  const { id, step, mode, txid, signatures, attempt, reason } = operation
  return {
    direction: 'out',
    id,
    step,
    mode: mode.name,
    txid: toDisplayHash(txid),
    signatures: signatures.size,
    attempt,
    ...(reason !== undefined && { reason }),
    startedAtMs: operation.startedAtMs,
    updatedAtMs: operation.updatedAtMs,
  }
}

// Peg-in

function bitcoinScanned(
  context: BridgeContext,
  payload: Extract<BridgeInbox, { type: 'bridge.BitcoinScanned' }>['payload'],
  about: About<BridgeInbox>,
): BridgeStep {
  const { tipHeight, headers, feeRateSatPerKvb, scanned } = payload
  const seen: BridgeContext = {
    ...context,
    scanning: false,
    scanned,
    bitcoin: { tipHeight, reachable: true },
  }
  const effects: AnyEffect[] = [
    tell('chain', { type: 'chain.BitcoinHeadersDetected', payload: { headers } }),
    tell('chain', { type: 'chain.FeeRateEstimated', payload: { feeRateSatPerKvb } }),
    {
      kind: 'publishBitcoin',
      status: { reachable: true, height: tipHeight, feeRateSatPerKvb },
    },
  ]
  for (const operation of seen.deposits.values()) {
    if (isDue(seen, operation, about.nowMs)) {
      effects.push(
        tell('bridge', {
          type: 'bridge.ValidatePegInTransaction',
          payload: { outpoint: operation.id },
        }),
      )
    }
  }
  const step: BridgeStep = { context: seen, effects }
  if (about.state === 'Initializing') return { ...step, event: 'CONNECTED' }
  return about.state === 'Failed' ? { ...step, event: 'RECOVERED' } : step
}

/** At N + 1 confirmations of our own Bitcoin the members are asked, and asked again while a quorum is missing. */
function isDue(context: BridgeContext, operation: DepositOperation, nowMs: number): boolean {
  if (operation.step !== 'Confirming' && operation.step !== 'AwaitingApproval') return false
  const confirmations = context.bitcoin.tipHeight - operation.bitcoinHeight + 1
  if (confirmations < context.genesis.params.pegInConfirmations + 1) return false
  return nowMs - operation.askedAtMs >= APPROVAL_RETRY_MS
}

function transactionDetected(
  context: BridgeContext,
  payload: Extract<BridgeInbox, { type: 'bridge.BitcoinTransactionDetected' }>['payload'],
  nowMs: number,
): BridgeStep {
  const { deposits, bitcoinHeight, spends, txid } = payload
  const effects: AnyEffect[] = []
  const followed = new Map(context.deposits)
  for (const claim of deposits) {
    const id = outpointId(claim)
    const known = followed.get(id)
    if (known?.step === 'Included') continue
    // A reorg moved it: the proof is another one and what was approved for the old one is void.
    const moved =
      known !== undefined && toHex(known.claim.proof.blockHash) !== toHex(claim.proof.blockHash)
    if (known !== undefined && !moved) continue
    if (known === undefined && followed.size >= MAX_DEPOSITS) continue
    followed.set(id, detectedDeposit(id, claim, bitcoinHeight, nowMs))
    const fields = { outpoint: id, amountSat: String(claim.amountSat), bitcoinHeight }
    effects.push({ kind: 'log', level: 'info', event: 'deposit detected', fields })
  }
  if (spends !== undefined) {
    effects.push(
      tell('bridge', {
        type: 'bridge.TransactionConfirmed',
        payload: { txid, confirmations: 1, proof: spends, bitcoinHeight },
      }),
    )
  }
  return published({ context: { ...context, deposits: followed }, effects })
}

function validateDeposit(context: BridgeContext, id: string, nowMs: number): BridgeStep {
  const operation = context.deposits.get(id)
  if (operation === undefined || context.ledger === undefined) return { context }
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

function memberAnswered(
  context: BridgeContext,
  payload: Extract<BridgeInbox, { type: 'bridge.GovernanceApproval' }>['payload'],
  nowMs: number,
): BridgeStep {
  const { outpoint, memberIndex, approved, signature, reason } = payload
  const operation = context.deposits.get(outpoint)
  const { ledger, genesis } = context
  if (operation?.step !== 'AwaitingApproval' || ledger === undefined) return { context }
  const member = genesis.members[memberIndex]
  if (member === undefined) return { context }
  if (!approved || signature === undefined) {
    const denials = new Map(operation.denials).set(memberIndex, reason ?? 'Denied')
    const fields = { outpoint, memberIndex, reason }
    return published({
      context: withDeposit(context, { ...operation, denials, updatedAtMs: nowMs }),
      effects: [{ kind: 'log', level: 'warn', event: 'a member denies a deposit', fields }],
    })
  }
  const message = approvalMessage(genesis, 'pegIn', ledger.state.membersEpoch, operation.claim)
  if (!blsVerify(member.blsKey, message, signature)) {
    const fields = { outpoint, memberIndex }
    return { context, effects: [{ kind: 'log', level: 'warn', event: 'bad approval', fields }] }
  }
  const approvals = new Map(operation.approvals).set(memberIndex, signature)
  const approval = combineApprovals(genesis, ledger.state.membersEpoch, approvals)
  const counted: DepositOperation = { ...operation, approvals, updatedAtMs: nowMs }
  if (approval === undefined) return published({ context: withDeposit(context, counted) })
  const { claim } = operation
  return published({
    context: withDeposit(context, approvedDeposit(counted, approval)),
    effects: [
      tell('chain', { type: 'bridge.PegInOperation', payload: { claim, approval } }),
      tell('network', { type: 'network.GossipApproval', payload: { claim, approval } }),
      { kind: 'log', level: 'info', event: 'deposit approved', fields: { outpoint } },
    ],
  })
}

function approvedDeposit(
  operation: DepositOperation,
  approval: NonNullable<DepositOperation['approval']>,
): DepositOperation {
  return {
    ...operation,
    approval,
    step: 'Approved',
    mode: walk(operation.mode, 'GOVERNANCE_APPROVED'),
  }
}

/** A quorum from a peer was checked by Network; it spares asking, and serves a node whose members are cut off. */
function quorumReceived(
  context: BridgeContext,
  payload: Extract<BridgeInbox, { type: 'bridge.ApprovalReceived' }>['payload'],
  nowMs: number,
): BridgeStep {
  const { claim, approval } = payload
  const operation = context.deposits.get(outpointId(claim))
  if (operation?.step !== 'AwaitingApproval') return { context }
  return published({
    context: withDeposit(context, { ...approvedDeposit(operation, approval), updatedAtMs: nowMs }),
    effects: [tell('chain', { type: 'bridge.PegInOperation', payload: { claim, approval } })],
  })
}

function included(context: BridgeContext, keys: readonly string[], nowMs: number): BridgeStep {
  const deposits = new Map(context.deposits)
  const effects: AnyEffect[] = []
  for (const key of keys) {
    const id = displayOutpoint(key)
    const operation = deposits.get(id)
    if (operation === undefined) continue
    deposits.set(id, { ...operation, step: 'Included', updatedAtMs: nowMs })
    effects.push({
      kind: 'log',
      level: 'info',
      event: 'deposit included',
      fields: { outpoint: id },
    })
  }
  return { context: { ...context, deposits }, effects }
}

// Peg-out

function blockFinalized(
  context: BridgeContext,
  payload: Extract<BridgeInbox, { type: 'chain.FinalizeBlock' }>['payload'],
  nowMs: number,
): BridgeStep {
  const { ledger, height } = payload
  const effects: AnyEffect[] = []
  const payouts = new Map<string, PayoutOperation>()
  for (const [id, { key, row }] of ledger.open.batches) {
    const current = currentVersion(row)
    const known = context.payouts.get(id)
    const operation =
      known !== undefined && known.version === current.version
        ? known
        : recordedPayout(id, current.version, current.txid, height, nowMs)
    payouts.set(id, operation)
    if (known === undefined || known.version !== current.version) {
      const fields = { batch: id, txid: toDisplayHash(current.txid) }
      effects.push({ kind: 'log', level: 'info', event: 'batch recorded', fields })
      effects.push(...coordinate(context, id, key, operation.attempt))
    }
    const booking = bookable(context, ledger, operation)
    if (booking !== undefined) effects.push(booking)
  }
  for (const [id, operation] of context.payouts) {
    if (payouts.has(id)) continue
    // Booked: it stays in view for a while, the oldest give way.
    payouts.set(id, { ...operation, step: 'Booked', updatedAtMs: operation.updatedAtMs })
  }
  return published({ context: { ...context, ledger, height, payouts: newest(payouts) }, effects })
}

const MAX_FINISHED_PAYOUTS = 50

function newest(payouts: ReadonlyMap<string, PayoutOperation>): Map<string, PayoutOperation> {
  const finished = [...payouts.values()].filter(({ step }) => step === 'Booked')
  const dropped = new Set(finished.slice(0, -MAX_FINISHED_PAYOUTS).map(({ id }) => id))
  return new Map([...payouts].filter(([id]) => !dropped.has(id)))
}

function currentVersion(row: BatchRow): { version: number; txid: Uint8Array } {
  const version = row.versions.length - 1
  return { version, txid: row.versions[version] as Uint8Array }
}

/** The timer of an attempt runs on every node; the transaction is made on the one whose turn it is (5.5). */
function coordinate(
  context: BridgeContext,
  id: string,
  batchId: Uint8Array,
  attempt: number,
): AnyEffect[] {
  const effects: AnyEffect[] = [
    after(SIGNATURE_ROUND_MS, `round:${id}`, {
      type: 'bridge.SignatureTimeout',
      payload: { batchId: id, attempt },
    }),
  ]
  const turn = coordinatorOf(batchId, attempt, context.genesis.validators.length)
  if (turn === context.validatorIndex) {
    effects.push(
      tell('bridge', {
        type: 'bridge.CreateBitcoinTransaction',
        payload: { batchId: id, attempt },
      }),
    )
  }
  return effects
}

function createTransaction(
  context: BridgeContext,
  payload: { readonly batchId: string; readonly attempt: number },
  nowMs: number,
): BridgeStep {
  const operation = context.payouts.get(payload.batchId)
  if (operation?.step !== 'Batched') return { context }
  const { batchId, attempt } = payload
  const mode = walk(operation.mode, 'BURN_DETECTED', 'TX_CREATED')
  return published({
    context: withPayout(context, {
      ...operation,
      attempt,
      mode,
      step: 'CollectingSignatures',
      signatures: new Map(),
      updatedAtMs: nowMs,
    }),
    effects: [
      tell('stream', {
        type: 'stream.RequestFederationSignatures',
        payload: { batchId, version: operation.version, attempt, height: context.height },
      }),
    ],
  })
}

function signaturesArrived(
  context: BridgeContext,
  payload: Extract<BridgeInbox, { type: 'bridge.CollectedSignatures' }>['payload'],
  nowMs: number,
): BridgeStep {
  const { batchId, version, memberIndex, signatures, reason } = payload
  const operation = context.payouts.get(batchId)
  const { ledger, genesis } = context
  // Once t are there the witness is being put together: what comes later is of no use (incident 37).
  if (operation?.mode.name !== 'CollectingSignatures' || operation.version !== version) {
    return { context }
  }
  const spend = ledger && rowOf(ledger, 'spends', operation.txid)
  if (ledger === undefined || spend === undefined) return { context }
  if (signatures === undefined) {
    const fields = { batch: batchId, memberIndex, reason }
    return {
      context,
      effects: [{ kind: 'log', level: 'warn', event: 'a member does not sign', fields }],
    }
  }
  const fault = signatureFault(genesis, ledger, spend, memberIndex, signatures)
  if (fault !== undefined) {
    const fields = { batch: batchId, memberIndex, fault }
    return {
      context,
      effects: [{ kind: 'log', level: 'warn', event: 'bad signature share', fields }],
    }
  }
  const collected = new Map(operation.signatures).set(memberIndex, signatures)
  const counted: PayoutOperation = { ...operation, signatures: collected, updatedAtMs: nowMs }
  if (collected.size < genesis.memberThreshold) {
    return published({ context: withPayout(context, counted) })
  }
  const mode = walk(operation.mode, 'SIGNATURES_COLLECTED')
  return published({
    context: withPayout(context, { ...counted, mode }),
    effects: [{ kind: 'assemble', ledger, batchId, version, spend, signatures: collected }],
  })
}

function signatureTimeout(
  context: BridgeContext,
  payload: { readonly batchId: string; readonly attempt: number },
  nowMs: number,
): BridgeStep {
  const { batchId } = payload
  const operation = context.payouts.get(batchId)
  const id = fromHex(batchId)
  if (operation === undefined || id === undefined) return { context }
  if (operation.step === 'Booked' || operation.step === 'Confirmed') return { context }
  const attempt = payload.attempt + 1
  if (operation.step === 'Broadcast') {
    const again = operation.raw !== undefined && nowMs - operation.sentAtMs >= REBROADCAST_MS
    const effects: AnyEffect[] = again
      ? [{ kind: 'broadcast', batchId, version: operation.version, raw: operation.raw }]
      : [{ kind: 'findPayout', batchId, txid: operation.txid }]
    return {
      context,
      effects: [
        ...effects,
        after(SIGNATURE_ROUND_MS, `round:${batchId}`, {
          type: 'bridge.SignatureTimeout',
          payload,
        }),
      ],
    }
  }
  const mode =
    operation.mode.name === 'CollectingSignatures'
      ? walk(operation.mode, 'SIGNATURE_TIMEOUT')
      : operation.mode.name === 'Monitoring'
        ? operation.mode
        : recordedPayout(batchId, operation.version, operation.txid, operation.height, nowMs).mode
  const next: PayoutOperation = { ...operation, mode, step: 'Batched', attempt, updatedAtMs: nowMs }
  return published({
    context: withPayout(context, next),
    effects: [
      { kind: 'findPayout', batchId, txid: operation.txid },
      ...coordinate(context, batchId, id, attempt),
    ],
  })
}

function broadcastAnswered(
  context: BridgeContext,
  payload: Extract<BridgeInbox, { type: 'bridge.BroadcastResult' }>['payload'],
  nowMs: number,
): BridgeStep {
  const { batchId, accepted, code, raw } = payload
  const operation = context.payouts.get(batchId)
  if (operation === undefined || operation.step === 'Confirmed' || operation.step === 'Booked') {
    return { context }
  }
  const broadcasting = operation.mode.name === 'Broadcasting'
  if (!accepted) {
    const fields = { batch: batchId, code }
    const mode = broadcasting
      ? walk(operation.mode, 'BROADCAST_ERROR', 'RECOVERED')
      : operation.mode
    return published({
      context: withPayout(context, {
        ...operation,
        mode,
        step: 'Batched',
        updatedAtMs: nowMs,
        ...(code !== undefined && { reason: code }),
      }),
      effects: [{ kind: 'log', level: 'warn', event: 'broadcast refused', fields }],
    })
  }
  const mode = broadcasting ? walk(operation.mode, 'TX_BROADCASTED') : operation.mode
  const { reason: _, ...rest } = operation
  return published({
    context: withPayout(context, {
      ...rest,
      mode,
      step: 'Broadcast',
      sentAtMs: nowMs,
      updatedAtMs: nowMs,
      ...(raw !== undefined && { raw }),
    }),
    effects: [
      {
        kind: 'log',
        level: 'info',
        event: 'payout on its way',
        fields: { batch: batchId, txid: toDisplayHash(operation.txid) },
      },
    ],
  })
}

function transactionConfirmed(
  context: BridgeContext,
  payload: Extract<BridgeInbox, { type: 'bridge.TransactionConfirmed' }>['payload'],
  nowMs: number,
): BridgeStep {
  const { txid, proof, bitcoinHeight } = payload
  const { ledger } = context
  if (ledger === undefined) return { context }
  const spend = rowOf(ledger, 'spends', txid)
  if (spend?.state === SPEND_STATE.booked) return { context }
  const batchId = spend === undefined ? undefined : toHex(spend.batchId)
  const operation = batchId === undefined ? undefined : context.payouts.get(batchId)
  const confirmed: PayoutOperation = {
    ...(operation ?? recordedPayout(toHex(txid), 0, txid, context.height, nowMs)),
    step: 'Confirmed',
    proof,
    bitcoinHeight,
    updatedAtMs: nowMs,
  }
  const fields = { txid: toDisplayHash(txid), bitcoinHeight }
  return published({
    context: withPayout(context, confirmed),
    effects: [{ kind: 'log', level: 'info', event: 'payout in a block', fields }],
  })
}

/** At M confirmations in the in-block header chain the payout can be booked. */
function bookable(
  context: BridgeContext,
  ledger: Ledger,
  operation: PayoutOperation,
): AnyEffect | undefined {
  const { proof, bitcoinHeight } = operation
  if (proof === undefined || bitcoinHeight === undefined) return undefined
  const confirmations = ledger.state.tipHeight - bitcoinHeight + 1
  if (confirmations < context.genesis.params.payoutConfirmations) return undefined
  return tell('chain', { type: 'bridge.PegOutOperation', payload: { proof } })
}

function withDeposit(context: BridgeContext, operation: DepositOperation): BridgeContext {
  return { ...context, deposits: new Map(context.deposits).set(operation.id, operation) }
}

function withPayout(context: BridgeContext, operation: PayoutOperation): BridgeContext {
  return { ...context, payouts: new Map(context.payouts).set(operation.id, operation) }
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
