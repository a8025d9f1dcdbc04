/**
 * What the actors publish for those who read past the mailboxes (design §3): the committed head, consensus, peg operations,
 * Bitcoin, the pool. Written by the actors' effects, read by the API; every value is immutable but the pool, which
 * its actor alone changes.
 */
import type { PegOperationView } from '../../actors/bridge/index.ts'
import type { ConsensusStatus, HaltRecord, PublishedHead } from '../../actors/chain/index.ts'
import type { PublishedPool } from '../../actors/engine/index.ts'
import type { Evidence } from '../../core/block/index.ts'
import type { ConsensusSnapshot } from '../../core/pbft/index.ts'

export interface BitcoinStatus {
  readonly reachable: boolean
  readonly height?: number
  readonly tipTimeMs?: number
  readonly feeRateSatPerKvb?: number
  readonly code?: string
}

/** The driver's state, and the record of a halt if there is one. */
export type PublishedConsensus = ConsensusSnapshot & { readonly halt?: HaltRecord }

export class LiveViews {
  #head: PublishedHead | undefined
  #consensus: ConsensusStatus | undefined
  #snapshot: PublishedConsensus | undefined
  #evidence: readonly Evidence[] = []
  #operations: readonly PegOperationView[] = []
  #bitcoin: BitcoinStatus = { reachable: false }
  #pool: PublishedPool | undefined
  /** Views above 0 that were entered since the start. */
  viewChanges = 0
  /** Blocks of this node's own that were committed since the start. */
  produced = 0
  readonly #self: string | undefined
  readonly #onChange = new Set<() => void>()
  readonly #onHead = new Set<() => void>()
  readonly #onAdded = new Set<(hashes: readonly Uint8Array[]) => void>()

  /** `self`: hex of this node's validator key. */
  constructor(self: string | undefined) {
    this.#self = self
  }

  get head(): PublishedHead | undefined {
    return this.#head
  }

  get consensus(): ConsensusStatus | undefined {
    return this.#consensus
  }

  get snapshot(): PublishedConsensus | undefined {
    return this.#snapshot
  }

  /** Waits for a block. */
  get evidence(): readonly Evidence[] {
    return this.#evidence
  }

  get operations(): readonly PegOperationView[] {
    return this.#operations
  }

  get bitcoin(): BitcoinStatus {
    return this.#bitcoin
  }

  get pool(): PublishedPool | undefined {
    return this.#pool
  }

  publishHead(head: PublishedHead): void {
    const isNew = this.#head !== undefined && head.certificate !== undefined
    const author = Buffer.from(head.head.header.author).toString('hex')
    if (isNew && author === this.#self) this.produced += 1
    this.#head = head
    for (const listener of this.#onHead) listener()
    this.changed()
  }

  publishConsensus(status: ConsensusStatus): void {
    if (status.view > 0) this.viewChanges += 1
    this.#consensus = status
    this.changed()
  }

  publishSnapshot(snapshot: unknown): void {
    this.#snapshot = snapshot as PublishedConsensus | undefined
    this.changed()
  }

  publishEvidence(waiting: readonly Evidence[]): void {
    this.#evidence = waiting
    this.changed()
  }

  publishOperations(operations: readonly PegOperationView[]): void {
    this.#operations = operations
    this.changed()
  }

  publishBitcoin(status: BitcoinStatus): void {
    this.#bitcoin = status
    this.changed()
  }

  publishPool(pool: PublishedPool, added: readonly Uint8Array[]): void {
    this.#pool = pool
    if (added.length > 0) for (const listener of this.#onAdded) listener(added)
    this.changed()
  }

  changed(): void {
    for (const listener of this.#onChange) listener()
  }

  onChange(listener: () => void): () => void {
    this.#onChange.add(listener)
    return () => this.#onChange.delete(listener)
  }

  /** Transactions that come into the pool, by hash. */
  onAdded(listener: (hashes: readonly Uint8Array[]) => void): () => void {
    this.#onAdded.add(listener)
    return () => this.#onAdded.delete(listener)
  }

  onHead(listener: () => void): () => void {
    this.#onHead.add(listener)
    return () => this.#onHead.delete(listener)
  }
}
