/**
 * What happened to an address (indexes of issue 6): transactions from and to it, contracts, transfers of tokens, what the chain credited. Built
 * in the background from the engine's blocks, a part at a time with rests between, so that blocks come first; it may lag and says how far it has
 * come. Its directory may be removed while the node is stopped: it is made again.
 */
import { Piscina } from 'piscina'
import type { AdvanceReply, IndexPaths } from './build.ts'
import { type HistoryPage, HistoryStore } from './store.ts'

export type { HistoryEntry, HistoryKind } from './rows.ts'
export type { HistoryPage } from './store.ts'

export interface AddressIndexOptions extends IndexPaths {
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void
}

export interface AddressIndex {
  /** There are new blocks: it follows soon. */
  committed(): void
  /** Blocks below `below` are about to lose their transactions: those below what it gives may do so now. */
  prune(below: number): Promise<number>
  /** The latest entries below the cursor; undefined: nothing can be read yet. */
  page(address: Uint8Array, limit: number, cursor?: Uint8Array): HistoryPage | undefined
  close(): Promise<void>
}

/** How long it works at once, how often at most, and how many times as long it rests while it catches up. */
const WORK_MS = 200
const PAUSE_MS = 1_000
const RESTS = 3
const RETRY_MS = 30_000
const IDLE_MS = 10_000

export function createAddressIndex(options: AddressIndexOptions): AddressIndex {
  return new BackgroundIndex(options)
}

class BackgroundIndex implements AddressIndex {
  readonly #options: AddressIndexOptions
  readonly #thread: Piscina
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> | undefined
  #isClosed = false
  #store: HistoryStore | undefined

  constructor(options: AddressIndexOptions) {
    this.#options = options
    this.#thread = new Piscina({
      filename: new URL('./address-index.worker.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: IDLE_MS,
    })
  }

  committed(): void {
    this.#workIn(PAUSE_MS)
  }

  #workIn(delayMs: number): void {
    if (this.#isClosed || this.#timer !== undefined || this.#working !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#working = this.#work().then((nextMs) => {
        this.#working = undefined
        if (nextMs !== undefined) this.#workIn(nextMs)
      })
    }, delayMs)
    this.#timer.unref()
  }

  /** How long to rest before there is more to do; undefined: nothing is missing. */
  async #work(): Promise<number | undefined> {
    const { directory, engineDirectory, log } = this.#options
    const task = { directory, engineDirectory, maxMs: WORK_MS }
    try {
      const { behind }: AdvanceReply = await this.#thread.run(task, { name: 'advance' })
      return behind > 0 ? WORK_MS * RESTS : undefined
    } catch (error) {
      log('the address index waits', { reason: (error as Error).message })
      return RETRY_MS
    }
  }

  async prune(below: number): Promise<number> {
    const { directory, engineDirectory, log } = this.#options
    try {
      return await this.#thread.run({ directory, engineDirectory, below }, { name: 'prune' })
    } catch (error) {
      // Rows of blocks that are gone are not shown.
      log('the address index was not pruned', { reason: (error as Error).message })
      return below
    }
  }

  page(address: Uint8Array, limit: number, cursor?: Uint8Array): HistoryPage | undefined {
    this.#store ??= HistoryStore.openForReading(this.#options.directory)
    this.#store?.refresh()
    return this.#store?.page(address, limit, cursor)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#working
    await this.#thread.destroy()
    await this.#store?.close()
  }
}
