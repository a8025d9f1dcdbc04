/** What the ChainActor needs from outside. */
import type { Evidence, QuorumCertificate } from '../../core/block/index.ts'
import type { ChainHead } from '../../core/chain/index.ts'
import type { GuardDecision, GuardRecord, GuardView } from '../../core/guard/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import type { MetricSink } from '../../supervisor/index.ts'

/** The key that this node proposes and votes with. Signs only what the sign guard recorded. */
export interface ValidatorKey {
  readonly blsKey: Uint8Array
  sign(message: Uint8Array): Uint8Array
}

/** The durable record of everything that was signed (protocol §2.8). One process holds it open. */
export interface SignGuard {
  view(): GuardView
  /** Resolves once the record is durable, or stands there already; on a refusal nothing is written. */
  append(record: GuardRecord): Promise<GuardDecision>
  /** Drops what is of no use once `height` is committed. */
  compact(height: number): Promise<void>
  close(): Promise<void>
}

/** A committed head as readers see it. */
export interface PublishedHead {
  readonly head: ChainHead
  /** Undefined for the genesis block. */
  readonly certificate?: QuorumCertificate
  readonly committedAtMs: number
}

/** What consensus is doing, for the status page and `millrace_consensusState`. */
export interface ConsensusStatus {
  readonly height: number
  readonly view: number
  readonly proposer?: Uint8Array
  readonly reason: string
  readonly atMs: number
}

/** Where committed heads and the state of consensus go for those who read past the mailboxes. */
export interface ChainViewSink {
  publishHead(head: PublishedHead): void
  publishConsensus(status: ConsensusStatus): void
  /** The driver's state as plain data. */
  publishSnapshot(snapshot: unknown): void
  /** Evidence that waits for a block. */
  publishEvidence(waiting: readonly Evidence[]): void
}

export interface ChainPorts {
  readonly genesis: Genesis
  /** Absent: the node follows and votes for nothing. */
  readonly validator?: ValidatorKey
  /** `committedHeight`: a guard that lags behind the chain refuses what it may have forgotten (BP-4). */
  openGuard(committedHeight: number): Promise<SignGuard>
  /** The halt (`HaltRecord.id`) that an operator has looked at: the node goes on after that one. */
  readonly resumeHalt?: string
  /** The engine can execute ahead: it is told what the next block of ours is built from before its slot begins. */
  readonly preparesBlocks?: boolean
  readonly views: ChainViewSink
  readonly metrics: MetricSink
}
