/** What the EngineActor needs from outside: an execution engine, embedded or external, and a place to show the pool. */
import type { Mempool, SenderAccount } from '../../core/mempool/index.ts'
import type { MetricSink } from '../../supervisor/index.ts'
import type {
  BuildReply,
  BuildRequest,
  CommitReply,
  EngineHead,
  ExecuteReply,
  ExecuteRequest,
  PrepareRequest,
} from '../../vm/evm/index.ts'

export interface EnginePort {
  /** The durable head. */
  head(): EngineHead
  build(request: BuildRequest): Promise<BuildReply>
  /** Executes ahead what `build` will be asked for; absent where the engine cannot. */
  prepare?(request: PrepareRequest): Promise<void>
  execute(request: ExecuteRequest): Promise<ExecuteReply>
  /** Resolves when the block and its uncommitted ancestors are durable. */
  commit(hash: Uint8Array): Promise<CommitReply>
  /** Senders by position; undefined where a transaction is malformed or no key fits. */
  recoverSenders(raws: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** At the durable head, by position. */
  accounts(addresses: readonly Uint8Array[]): Promise<readonly SenderAccount[]>
  /** Base fee of the block after the durable head. */
  nextBaseFeeWei(): bigint
  close(): Promise<void>
}

export interface EnginePorts {
  readonly metrics: MetricSink
  /**
   * Rejects with a fault class: a store that belongs to another genesis is a configuration fault, one that is damaged is
   * corruption.
   */
  open(): Promise<EnginePort>
  /**
   * Puts the durable state back to a checkpoint, further back each time, or to genesis, while nobody has it open. Resolves when that
   * is durable; one that a crash cuts off opens as damaged.
   */
  rollback(): Promise<void>
  readonly chainId: number
  /** Fee caps below this are not kept. */
  readonly minFeeCapWei: bigint
  /** Transactions that may wait, where it is not the pool's own bound. */
  readonly maxPoolTransactions?: number
  readonly views: {
    /** The pool that readers may look into; the actor alone changes it. `added`: hashes of what has just come in. */
    publishPool(view: PublishedPool, added: readonly Uint8Array[]): void
  }
  /** Absent: what waits is forgotten with the process. */
  readonly journal?: PoolJournal
}

export interface PublishedPool {
  readonly pool: Mempool
  /** Executed blocks that may be committed, by EVM block hash. */
  readonly candidates: ReadonlyMap<string, { readonly transactions: readonly Uint8Array[] }>
}

export interface RememberedTransaction {
  readonly raw: Uint8Array
  /** When it came into the pool. */
  readonly sinceMs: number
}

/** Transactions that wait, kept over restarts and kills of the process (MP-7). */
export interface PoolJournal {
  /** What may still wait, in the order of arrival; at most the pool's bounds of it. */
  load(): Promise<readonly RememberedTransaction[]>
  /** Handed to the system before it returns. A fault of the disk is not thrown: the pool goes on without its journal. */
  remember(transactions: readonly RememberedTransaction[]): void
  /** After a block: forgets what no longer waits, when that is worth it. */
  forget(waiting: { readonly bytes: number; all(): Iterable<RememberedTransaction> }): void
  close(): Promise<void>
}
