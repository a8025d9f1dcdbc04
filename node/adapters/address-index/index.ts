/**
 * What happened to an address (indexes of issue 6): transactions from and to it, contracts, transfers of tokens, what the chain credited. Built
 * in the background from the engine's blocks, a part at a time with rests between, so that blocks come first; it may lag and says how far it has
 * come. Its directory may be removed while the node is stopped: it is made again.
 */
import { Piscina } from 'piscina'
import type { AdvanceReply, IndexPaths } from './build.ts'
import type { HistoryPage } from './store.ts'

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
  /** The latest entries below the cursor. */
  page(address: Uint8Array, limit: number, cursor?: Uint8Array): Promise<HistoryPage>
  /** Resolves when the engine's files are left alone, until there is a block again: LMDB must not open them for reading first. */
  rest(): Promise<void>
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
  #isResting = true

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
    this.#isResting = false
    this.#workIn(PAUSE_MS)
  }

  #workIn(delayMs: number): void {
    if (this.#isResting || this.#timer !== undefined || this.#working !== undefined) return
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
    if (this.#isResting) return below
    try {
      return await this.#thread.run({ directory, engineDirectory, below }, { name: 'prune' })
    } catch (error) {
      // Rows of blocks that are gone are not shown.
      log('the address index was not pruned', { reason: (error as Error).message })
      return below
    }
  }

  page(address: Uint8Array, limit: number, cursor?: Uint8Array): Promise<HistoryPage> {
    const { directory } = this.#options
    return this.#thread.run({ directory, address, limit, cursor }, { name: 'page' })
  }

  async rest(): Promise<void> {
    this.#isResting = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#working
  }

  async close(): Promise<void> {
    await this.rest()
    await this.#thread.destroy()
  }
}
