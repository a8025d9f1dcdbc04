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
} from '../../vm/evm/index.ts'

export interface EnginePort {
  /** The durable head. */
  head(): EngineHead
  build(request: BuildRequest): Promise<BuildReply>
  execute(request: ExecuteRequest): Promise<ExecuteReply>
  /** Resolves when the block and its uncommitted ancestors are durable. */
  commit(hash: Uint8Array): Promise<CommitReply>
  /** Senders by position; undefined where a transaction is malformed or no key fits. */
  recoverSenders(raws: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** At the durable head. */
  account(address: Uint8Array): SenderAccount
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
   * Empties the durable state while nobody has it open; the next `open` starts from genesis. Resolves when that is durable; a
   * crash leaves all of it or nothing.
   */
  rollback(): Promise<void>
  readonly chainId: number
  /** Fee caps below this are not kept. */
  readonly minFeeCapWei: bigint
  readonly views: {
    /** The pool that readers may look into; the actor alone changes it. */
    publishPool(pool: Mempool): void
    publishPoolChange(): void
  }
}
