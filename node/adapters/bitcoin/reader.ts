/** Reads blocks in a thread of its own, which is started when one is asked for and ends when it was idle for a while. */
import { Piscina } from 'piscina'
import type { BitcoinRpcOptions } from '../bitcoin-rpc/index.ts'
import type { BlockRead } from './read.ts'

export interface ReadJob {
  readonly rpc: BitcoinRpcOptions
  readonly hash: Uint8Array
}

/** A scan asks for three at a time, a claim for one; of what is asked for beyond that a few wait. */
const READS_AT_A_TIME = 4
const MAX_OPEN = 16
const IDLE_MS = 60_000
/** Above the deadline of the call, for those that wait, and for the work on what came. */
const DEFAULT_SPARE_MS = 20_000

export class BlockReader {
  readonly #spareMs: number
  /** The pool counts only those that no thread has taken, and begins again after its end. */
  #open = 0
  #isClosed = false
  readonly #pool = new Piscina({
    filename: new URL('./read.worker.ts', import.meta.url).href,
    minThreads: 0,
    maxThreads: 1,
    concurrentTasksPerWorker: READS_AT_A_TIME,
    idleTimeout: IDLE_MS,
    // It waits for answers: its loop must run.
    atomics: 'disabled',
  })

  constructor(spareMs = DEFAULT_SPARE_MS) {
    this.#spareMs = spareMs
  }

  /** Never rejects: a thread that died, or hangs and is ended, is `BlockReaderFailed`, and the next read has a new one. */
  async read(rpc: BitcoinRpcOptions, hash: Uint8Array): Promise<BlockRead> {
    if (this.#isClosed) return failed('closed')
    if (this.#open >= MAX_OPEN) return failed(`${this.#open} blocks are being read`)
    const job: ReadJob = { rpc, hash }
    const signal = AbortSignal.timeout(rpc.timeoutMs + this.#spareMs)
    this.#open += 1
    try {
      return await this.#pool.run(job, { name: 'read', signal })
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error))
    } finally {
      this.#open -= 1
    }
  }

  close(): Promise<void> {
    this.#isClosed = true
    return this.#pool.destroy()
  }
}

function failed(message: string): BlockRead {
  return { ok: false, error: { code: 'BlockReaderFailed', message } }
}
