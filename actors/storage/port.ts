/** What the StorageActor needs from outside: one store of chain data, of which it is the only writer. */
import type { MetricSink } from '../../supervisor/index.ts'

/** One committed block as it is kept. */
export interface StoredBlock {
  readonly height: number
  readonly hash: Uint8Array
  /** SSZ of the CommittedBlock. */
  readonly bytes: Uint8Array
}

export interface LedgerRow {
  readonly set: number
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface JournalRow {
  readonly key: string
  readonly value: string
}

/** Reads see the last committed transaction; they never wait for a writer. */
export interface ChainStore {
  /**
   * All blocks, their ledger rows and the head in one transaction; resolves after the fsync. This and every other write rejects with
   * `DiskUnusable` where the disk is full, broken or read-only.
   */
  writeBlocks(blocks: readonly StoredBlock[], ledgerRows: readonly LedgerRow[]): Promise<void>
  readHead(): StoredBlock | undefined
  readBlock(height: number): StoredBlock | undefined
  /** What `pruneBlocks` left of a block: its hash, and the bytes that were given. */
  readHeader(height: number): StoredBlock | undefined
  /** The lowest height that is there with its body [1]. */
  lowestBlock(): number
  /**
   * Puts `headers` in the place of the lowest blocks, which they are of in order, in one transaction; resolves after the fsync. The
   * head's block stays.
   */
  pruneBlocks(headers: readonly StoredBlock[]): Promise<void>
  heightOf(hash: Uint8Array): number | undefined
  readLedgerRows(): Iterable<LedgerRow>
  /** The record of a halt, in one fsynced transaction; null removes it. */
  writeHalt(record: string | null): Promise<void>
  readHalt(): string | undefined
  /** Rows in one fsynced transaction; a null value removes its key. */
  writeJournal(
    rows: readonly { readonly key: string; readonly value: string | null }[],
  ): Promise<void>
  readJournal(): Iterable<JournalRow>
  close(): Promise<void>
}

export interface StoragePorts {
  readonly metrics: MetricSink
  /** Blocks that are kept with their bodies; absent: all of them (PR-5). */
  readonly keepBlocks?: number
  /** What others keep of blocks below a height goes as well, a bounded part of it at once. */
  pruneOthers?(below: number): Promise<void>
  /**
   * Makes the ledger again from a checkpoint and what the blocks above it wrote, while nobody has the store open. Absent, or rejects:
   * it cannot be done.
   */
  repair?(): Promise<void>
  /** Opens the store; a store that is in use or damaged rejects with an error that carries a fault class. */
  open(): Promise<ChainStore>
}
