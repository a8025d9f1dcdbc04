/** The peg operations that the bridge follows, as plain data, and the pure steps that they take. */
import type { UnsignedBatch } from '../../bridge/index.ts'
import type { MemberApproval, PegInClaim, TransactionProof } from '../../core/block/index.ts'
import type { FederationKeys } from '../../core/peg/index.ts'
import { type Coordinator, partsGiven } from '../../core/signing/index.ts'
import { toDisplayHash } from '../../crypto/index.ts'
import type { PendingDeposit } from '../../messages/index.ts'
import { compileMachine, type Mode } from '../../supervisor/index.ts'
import { pegInMachine, pegOutMachine } from './machine.ts'

/** What readers see of an operation. */
export type PegOperationView =
  | {
      readonly direction: 'in'
      /** `txid:vout`, txid in display form. */
      readonly id: string
      readonly step: 'Detected' | DepositStep
      readonly mode: string
      readonly amountSat: bigint
      /** Absent: no block holds it. */
      readonly bitcoinHeight?: number
      readonly approvals: number
      readonly refundable: boolean
      readonly evmAddress: Uint8Array
      readonly reason?: string
      readonly startedAtMs: number
      readonly updatedAtMs: number
    }
  | {
      readonly direction: 'out'
      /** Batch id in hex. */
      readonly id: string
      readonly step: PayoutStep
      readonly mode: string
      /** Display form. */
      readonly txid: string
      readonly signatures: number
      readonly attempt: number
      readonly reason?: string
      readonly startedAtMs: number
      readonly updatedAtMs: number
    }

export type DepositStep = 'Confirming' | 'AwaitingApproval' | 'Approved' | 'Included' | 'Denied'
export type PayoutStep = 'Batched' | 'CollectingSignatures' | 'Broadcast' | 'Confirmed' | 'Booked'

const PEG_IN_START = compileMachine(pegInMachine)
const PEG_OUT_START = compileMachine(pegOutMachine)

/** The mode after events that the machine must accept; anything else is a bug of the caller. */
export function walk(mode: Mode, ...events: readonly string[]): Mode {
  return events.reduce((at, event) => {
    const next = at.on.get(event)
    if (next === undefined) throw new Error(`${event} is not accepted in ${at.name}`)
    return next
  }, mode)
}

export interface DepositOperation {
  readonly id: string
  /** The correlation id of all that happens to it. */
  readonly flow: string
  readonly claim: PegInClaim
  readonly bitcoinHeight: number
  readonly mode: Mode
  readonly step: DepositStep
  /** BLS signatures by member index. */
  readonly approvals: ReadonlyMap<number, Uint8Array>
  /** Members that denied, with their reason. */
  readonly denials: ReadonlyMap<number, string>
  readonly approval?: MemberApproval
  readonly askedAtMs: number
  readonly startedAtMs: number
  readonly updatedAtMs: number
}

export function detectedDeposit(
  id: string,
  claim: PegInClaim,
  bitcoinHeight: number,
  flow: string,
  nowMs: number,
): DepositOperation {
  return {
    id,
    flow,
    claim,
    bitcoinHeight,
    mode: walk(PEG_IN_START, 'BITCOIN_TX_DETECTED'),
    step: 'Confirming',
    approvals: new Map(),
    denials: new Map(),
    askedAtMs: 0,
    startedAtMs: nowMs,
    updatedAtMs: nowMs,
  }
}

export interface PayoutOperation {
  readonly id: string
  /** The correlation id of all that happens to it. */
  readonly flow: string
  readonly version: number
  /** Internal order. */
  readonly txid: Uint8Array
  /** Millrace height of the record. */
  readonly height: number
  readonly mode: Mode
  readonly step: PayoutStep
  readonly attempt: number
  /** Of this node's turn: who signs with whom. */
  readonly session?: PayoutSession
  readonly raw?: Uint8Array
  readonly sentAtMs: number
  /** Bitcoin's height when this version was first seen on its way, or first refused for its fee. */
  readonly sentAtHeight?: number
  readonly proof?: TransactionProof
  readonly bitcoinHeight?: number
  readonly reason?: string
  readonly startedAtMs: number
  readonly updatedAtMs: number
}

/** What is signed in an attempt, and how far that is. */
export interface PayoutSession {
  readonly batch: UnsignedBatch
  readonly keys: FederationKeys
  readonly coordinator: Coordinator
}

export function recordedPayout(
  id: string,
  version: number,
  txid: Uint8Array,
  height: number,
  flow: string,
  nowMs: number,
  attempt = 0,
): PayoutOperation {
  return {
    id,
    flow,
    version,
    txid,
    height,
    mode: PEG_OUT_START,
    step: 'Batched',
    attempt,
    sentAtMs: 0,
    startedAtMs: nowMs,
    updatedAtMs: nowMs,
  }
}

export function depositView(operation: DepositOperation): PegOperationView {
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

/** It waits in Bitcoin's mempool: it may be replaced there, or go. */
export function pendingView(deposit: PendingDeposit): PegOperationView {
  const { amountSat, evmAddress, outpoint, refundable, seenAtMs } = deposit
  return {
    direction: 'in',
    id: outpoint,
    step: 'Detected',
    mode: PEG_IN_START.name,
    amountSat,
    approvals: 0,
    refundable,
    evmAddress,
    startedAtMs: seenAtMs,
    updatedAtMs: seenAtMs,
  }
}

export function payoutView(operation: PayoutOperation): PegOperationView {
  const { id, step, mode, txid, session, attempt, reason } = operation
  return {
    direction: 'out',
    id,
    step,
    mode: mode.name,
    txid: toDisplayHash(txid),
    signatures: session === undefined ? 0 : partsGiven(session.coordinator),
    attempt,
    ...(reason !== undefined && { reason }),
    startedAtMs: operation.startedAtMs,
    updatedAtMs: operation.updatedAtMs,
  }
}

/** The validator that coordinates an attempt: validators[(H(batch) + attempt) mod n] (5.5). */
export function coordinatorOf(batchId: Uint8Array, attempt: number, validators: number): number {
  const seed = new DataView(batchId.buffer, batchId.byteOffset, 4).getUint32(0)
  return (seed + attempt) % validators
}
