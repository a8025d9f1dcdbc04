/**
 * Checkpoints of the node's state (SY-9): every so many blocks what changed since the last one goes to a file of its own, beside an older
 * state that is whole; so a checkpoint costs what the blocks changed, not what there is. A damaged EVM state is made again from the newest
 * good one and the blocks above it; a damaged ledger from its rows and those that the blocks above it wrote. A copy of its own: what a disk
 * does to the stores it does not do to it.
 */
import { Piscina } from 'piscina'
import type { Genesis } from '../../../core/params/index.ts'
import type { MetricSink } from '../../../supervisor/index.ts'
import type { MakeReply, MakeRequest } from './make.ts'
import { repairLedger } from './repair.ts'
import type { RestoreReply, RestoreRequest } from './restore.ts'

export { inspectCheckpoints, type ShelfReport } from './inspect.ts'
export { CHECKPOINT_METRICS } from './metrics.ts'
export { repairLedger } from './repair.ts'
export { restoreState } from './restore.ts'

import { CHECKPOINT_METRICS } from './metrics.ts'

export interface CheckpointOptions {
  readonly directory: string
  readonly chainDirectory: string
  readonly engineDirectory: string
  /** Blocks from one to the next. */
  readonly every: number
  readonly keep: number
  readonly metrics: MetricSink
  readonly nowMs: () => number
  readonly log: (
    level: 'info' | 'warn',
    event: string,
    fields: Readonly<Record<string, unknown>>,
  ) => void
}

export interface Checkpoints {
  /** What blocks from here on replaced the next checkpoint needs. */
  readonly pastNeededFrom: number
  /** A block is durable in both stores: makes a checkpoint in the background when one is due. */
  committed(height: number): void
  /** Makes the EVM state again, which nobody has open: from a checkpoint, or empty. */
  restoreState(because: 'damaged' | 'missing'): Promise<void>
  /** Makes the ledger again in a chain store that nobody has open. Rejects where that is not possible. */
  repairLedger(genesis: Genesis): Promise<void>
  /** Resolves when nothing is made: LMDB must not open files for reading that somebody is about to open for writing. */
  rest(): Promise<void>
  close(): Promise<void>
}

/** Blocks until what failed is tried again. */
const RETRY_BLOCKS = 10
const IDLE_MS = 1_000

export function createCheckpoints(options: CheckpointOptions): Checkpoints {
  return new FileCheckpoints(options)
}

class FileCheckpoints implements Checkpoints {
  readonly #options: CheckpointOptions
  readonly #thread: Piscina
  #newest: number | undefined
  #notBefore = 0
  /** Each restoration goes further back than the one before: where one did not help, the same would not either. */
  #below = Number.MAX_SAFE_INTEGER
  #making: Promise<void> | undefined

  constructor(options: CheckpointOptions) {
    this.#options = options
    this.#thread = new Piscina({
      filename: new URL('./checkpoints.worker.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: IDLE_MS,
    })
  }

  get pastNeededFrom(): number {
    return this.#newest === undefined ? 0 : this.#newest + 1
  }

  committed(height: number): void {
    const isDue = this.#newest === undefined || height >= this.#newest + this.#options.every
    if (!isDue || height < this.#notBefore || this.#making !== undefined) return
    this.#making = this.#make(height).finally(() => {
      this.#making = undefined
    })
  }

  async #make(height: number): Promise<void> {
    const { directory, chainDirectory, engineDirectory, every, keep, log, metrics } = this.#options
    const startedMs = this.#options.nowMs()
    const request: MakeRequest = { directory, chainDirectory, engineDirectory, every, keep }
    try {
      const reply: MakeReply = await this.#thread.run(request, { name: 'makeCheckpoint' })
      this.#newest = reply.height
      if (reply.made === 'none') return
      const tookMs = this.#options.nowMs() - startedMs
      metrics.count(CHECKPOINT_METRICS.made, { kind: reply.made })
      metrics.observe(CHECKPOINT_METRICS.seconds, {}, tookMs / 1_000)
      const fields = { height: reply.height, kind: reply.made, sizeBytes: reply.sizeBytes, tookMs }
      log('info', 'checkpoint made', fields)
    } catch (error) {
      this.#notBefore = height + RETRY_BLOCKS
      metrics.count(CHECKPOINT_METRICS.failed, {})
      log('warn', 'no checkpoint was made', { height, reason: (error as Error).message })
    }
  }

  async restoreState(because: 'damaged' | 'missing'): Promise<void> {
    const isMissing = because === 'missing'
    await this.#making
    const { directory, chainDirectory, engineDirectory, log } = this.#options
    const request: RestoreRequest = {
      directory,
      chainDirectory,
      engineDirectory,
      below: this.#below,
      isMissing,
    }
    const reply: RestoreReply = await this.#thread.run(request, { name: 'restoreState' })
    this.#newest = undefined
    if (isMissing && reply.height === 0) return
    this.#below = reply.height
    const { height, refused } = reply
    this.#options.metrics.count(CHECKPOINT_METRICS.restored, {
      from: height === 0 ? 'genesis' : 'checkpoint',
    })
    log('warn', 'the EVM state is made again', { fromBlock: height, refused })
  }

  async repairLedger(genesis: Genesis): Promise<void> {
    await this.#making
    const { directory, chainDirectory, log, metrics } = this.#options
    const repaired = await repairLedger({ directory, chainDirectory, genesis })
    metrics.count(CHECKPOINT_METRICS.ledgersRepaired, {})
    log('warn', 'the ledger is made again', { ...repaired })
  }

  async rest(): Promise<void> {
    await this.#making
  }

  async close(): Promise<void> {
    await this.#making
    await this.#thread.destroy()
  }
}
