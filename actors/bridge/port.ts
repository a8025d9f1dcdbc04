/** What the BridgeActor needs from outside: a view of Bitcoin, and a place to show its operations. */
import type { WholeBlock } from '../../core/bitcoin/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import type { OwnAddress } from '../../core/peg/index.ts'
import type { Joined, SignedParts, SigningList, SigningTask } from '../../core/signing/index.ts'
import type { MetricSink } from '../../supervisor/index.ts'
import type { PegOperationView } from './operations.ts'

export interface BitcoinFault {
  /** `BitcoinUnreachable`, `BitcoinTimeout`, `BitcoinRpcError`, `BitcoinBadAnswer`; `BlockReaderFailed`: of us, not of Bitcoin. */
  readonly code: string
  readonly message: string
}

export type BitcoinResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: BitcoinFault }

export interface BitcoinTip {
  readonly height: number
  /** Internal order, as all hashes here. */
  readonly hash: Uint8Array
}

/** Bitcoin Core as the bridge uses it: pruned, without txindex, without a wallet (design §7). */
export interface BitcoinPort {
  tip(): Promise<BitcoinResult<BitcoinTip>>
  /** Hash of the best chain's block at a height; undefined above the tip. */
  hashAt(height: number): Promise<BitcoinResult<Uint8Array | undefined>>
  /** The raw header, and whether it is on the best chain; undefined when the node does not know it. */
  header(
    hash: Uint8Array,
  ): Promise<BitcoinResult<{ readonly header: Uint8Array; readonly isBest: boolean } | undefined>>
  /**
   * The block, checked: all transactions of its header and no others, or `BitcoinBadAnswer`. Undefined when the node does not have it.
   */
  block(hash: Uint8Array): Promise<BitcoinResult<WholeBlock | undefined>>
  /** Absent: what no block holds yet is not looked at. */
  readonly mempool?: {
    /** Txids in display form, as Bitcoin lists them; `MempoolTooLarge`, and never read, where more than `most` wait. */
    txids(most: number): Promise<BitcoinResult<readonly string[]>>
    /** By its txid in display form; undefined when it waits no more. */
    transaction(txid: string): Promise<BitcoinResult<Uint8Array | undefined>>
  }
  inMempool(txid: Uint8Array): Promise<BitcoinResult<boolean>>
  /** Undefined: accepted, or known already (PO-14). Otherwise why not. */
  send(raw: Uint8Array): Promise<BitcoinResult<string | undefined>>
  /** Satoshi per 1000 vB; undefined when there is no estimate. */
  feeRate(): Promise<BitcoinResult<number | undefined>>
}

export interface BridgeViewSink {
  publishOperations(operations: readonly PegOperationView[]): void
  publishBitcoin(status: {
    readonly reachable: boolean
    readonly height?: number
    /** Time of the last block that was read. */
    readonly tipTimeMs?: number
    readonly feeRateSatPerKvb?: number
    readonly code?: string
  }): void
}

export interface BridgePorts {
  readonly metrics: MetricSink
  readonly genesis: Genesis
  /** Undefined: this node coordinates nothing. */
  readonly validatorKey?: Uint8Array
  readonly bitcoin: BitcoinPort
  readonly views: BridgeViewSink
  readonly pollMs: number
  /** Absent: only deposits with an OP_RETURN are found. */
  readonly depositAddresses?: DepositAddresses
  /** `joinAllParts` in another thread; absent: in this one. */
  readonly joinSignatures?: JoinSignatures
}

/** Addresses that were given to users (5.3). */
export interface DepositAddresses {
  find(scriptPubKey: Uint8Array): OwnAddress | undefined
  /** Resolves when it is on disk. Where there is no room for more the oldest is forgotten. */
  watch(scriptPubKey: Uint8Array, address: OwnAddress): Promise<void>
}

export type JoinSignatures = (
  task: SigningTask,
  list: SigningList,
  all: readonly SignedParts[],
) => Promise<readonly Joined[]>
