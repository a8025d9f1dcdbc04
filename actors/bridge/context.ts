/** What the BridgeActor keeps in mind, and what it may ask of its effects. */
import type { KeygenItem, MemberApproval, PegInClaim } from '../../core/block/index.ts'
import { type Ledger, outpointKey, rowOf } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import type { SignedParts, SigningList, SigningTask } from '../../core/signing/index.ts'
import { equalBytes, fromDisplayHash } from '../../crypto/index.ts'
import type { ClaimDeposits, ConflictsLooked, MempoolSight } from '../../messages/index.ts'
import type { Envelope, KernelEffect, Step } from '../../supervisor/index.ts'
import {
  type DepositOperation,
  depositView,
  type PayoutOperation,
  type PayoutSession,
  type PegOperationView,
  payoutView,
  pendingView,
} from './operations.ts'

export interface BitcoinBlockAt {
  readonly height: number
  readonly hash: Uint8Array
}

export interface ScannedBlock extends BitcoinBlockAt {
  /** As its header tells it. */
  readonly timeMs: number
}

export interface EarlyApproval {
  readonly claim: PegInClaim
  readonly approval: MemberApproval
  readonly heardAtMs: number
}

export interface BridgeContext {
  readonly genesis: Genesis
  readonly validatorKey: Uint8Array | undefined
  readonly pollMs: number
  /** After the last committed block; undefined until Chain told it. */
  readonly ledger: Ledger | undefined
  readonly height: number
  readonly bitcoin: {
    readonly tipHeight: number
    readonly reachable: boolean
    /** As it was estimated last. */
    readonly feeRateSatPerKvb?: number
  }
  /** The last scanned blocks, oldest first. */
  readonly scanned: readonly ScannedBlock[]
  /** The lowest Bitcoin block of a deposit that found no room; the next scan begins there. */
  readonly missedHeight: number | undefined
  readonly deposits: ReadonlyMap<string, DepositOperation>
  /** Approved by the members, of blocks that the chain of headers has not come to, by outpoint. */
  readonly early: ReadonlyMap<string, EarlyApproval>
  readonly payouts: ReadonlyMap<string, PayoutOperation>
  /** The flow of each burn that no batch holds yet, by request id. */
  readonly burns: ReadonlyMap<string, string>
  readonly scanning: boolean
  /** Of Bitcoin's mempool; undefined while nobody knows. */
  readonly mempool: MempoolSight | undefined
  /** Why nobody knows, as it was told last. */
  readonly mempoolFault: string | undefined
  /** Before this no other look at the mempool begins. */
  readonly mempoolDueMs: number
  /** Where the looks for conflicts of lost deposits go on, by outpoint. */
  readonly conflictCursors: ConflictsLooked['payload']['cursors']
  /** Why the last one could not be made. */
  readonly conflictFault: string | undefined
  /** Before this no other look for them begins. */
  readonly conflictDueMs: number
  /** When a block was last looked at because somebody claimed a deposit. */
  readonly claimedAtMs: number
  /** Parts in the making of a key that wait for a block. */
  readonly keygen: ReadonlyMap<string, KeygenItem>
  /** The height at which a member's part was refused last. */
  readonly keygenRefused: ReadonlyMap<number, number>
}

export type BridgeEffect =
  | {
      readonly kind: 'scan'
      readonly ledger: Ledger
      readonly scanned: readonly ScannedBlock[]
    }
  | { readonly kind: 'mempool'; readonly ledger: Ledger; readonly before: MempoolSight }
  | {
      readonly kind: 'conflicts'
      readonly ledger: Ledger
      readonly before: ConflictsLooked['payload']['cursors']
    }
  | {
      readonly kind: 'claim'
      readonly ledger: Ledger
      readonly block: BitcoinBlockAt
      readonly addresses: ClaimDeposits['payload']['addresses']
      readonly replyTo: Envelope
    }
  | {
      readonly kind: 'checkProposal'
      readonly headers: readonly Uint8Array[]
      readonly blocks: readonly Uint8Array[]
      readonly replyTo: Envelope
    }
  | {
      readonly kind: 'join'
      readonly batchId: string
      readonly version: number
      readonly attempt: number
      readonly task: SigningTask
      readonly list: SigningList
      readonly all: readonly SignedParts[]
    }
  | {
      readonly kind: 'assemble'
      readonly batchId: string
      readonly version: number
      readonly session: PayoutSession
      readonly members: readonly number[]
      readonly signatures: readonly (readonly Uint8Array[])[]
    }
  | {
      readonly kind: 'broadcast'
      readonly batchId: string
      readonly version: number
      readonly raw: Uint8Array
    }
  | {
      readonly kind: 'findPayout'
      readonly batchId: string
      readonly version: number
      readonly txid: Uint8Array
    }
  | { readonly kind: 'publish'; readonly operations: readonly PegOperationView[] }
  | {
      readonly kind: 'publishBitcoin'
      readonly status: {
        readonly reachable: boolean
        readonly height?: number
        readonly tipTimeMs?: number
        readonly feeRateSatPerKvb?: number
        readonly code?: string
      }
    }
  | LogEffect

export interface LogEffect {
  readonly kind: 'log'
  readonly level: 'info' | 'warn'
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

export type BridgeStep = Step<BridgeContext, BridgeEffect>
export type AnyEffect = BridgeEffect | KernelEffect

export function log(
  level: LogEffect['level'],
  event: string,
  fields: LogEffect['fields'],
): LogEffect {
  return { kind: 'log', level, event, fields }
}

/** The step, and the operations after it for those who read past the mailbox. */
export function published(step: BridgeStep): BridgeStep {
  const { deposits, ledger, mempool, payouts } = step.context
  // What a block holds is followed by then, or has its row.
  const pending = (mempool?.deposits ?? []).filter(
    ({ outpoint }) => !deposits.has(outpoint) && !hasRow(ledger, outpoint),
  )
  const operations: PegOperationView[] = [
    ...pending.map(pendingView),
    ...[...deposits.values()].map(depositView),
    ...[...payouts.values()].map(payoutView),
  ]
  return { ...step, effects: [...(step.effects ?? []), { kind: 'publish', operations }] }
}

function hasRow(ledger: Ledger | undefined, outpoint: string): boolean {
  const [txid = '', vout] = outpoint.split(':')
  const key = outpointKey(fromDisplayHash(txid), Number(vout))
  return ledger !== undefined && rowOf(ledger, 'outputs', key) !== undefined
}

export function withDeposit(context: BridgeContext, operation: DepositOperation): BridgeContext {
  return { ...context, deposits: new Map(context.deposits).set(operation.id, operation) }
}

export function withPayout(context: BridgeContext, operation: PayoutOperation): BridgeContext {
  return { ...context, payouts: new Map(context.payouts).set(operation.id, operation) }
}

/**
 * Whether a Bitcoin block is on the best chain as far as it was scanned: `off` after a reorg took it away, `unseen` while its
 * height is scanned anew. Blocks older than what is remembered count as on it.
 */
export function standing(
  scanned: readonly ScannedBlock[],
  height: number,
  hash: Uint8Array,
): 'on' | 'off' | 'unseen' {
  const [first] = scanned
  if (first === undefined) return 'unseen'
  if (height < first.height) return 'on'
  const found = scanned[height - first.height]
  if (found === undefined) return 'unseen'
  return equalBytes(found.hash, hash) ? 'on' : 'off'
}
