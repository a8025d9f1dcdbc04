/** Signatures of the members' key are put together in a thread of their own, which is started when it is needed. */
import { Piscina } from 'piscina'
import type { Joined, SignedParts, SigningList, SigningTask } from '../../../core/signing/index.ts'
import type { JoinJob } from './join.worker.ts'

/** Batches that this node coordinates at a time are few. */
const MAX_WAITING = 64
const IDLE_MS = 60_000

export class SignatureJoiner {
  readonly #pool = new Piscina({
    filename: new URL('./join.worker.ts', import.meta.url).href,
    minThreads: 0,
    maxThreads: 1,
    maxQueue: MAX_WAITING,
    idleTimeout: IDLE_MS,
  })

  /** By input. Rejects when too many wait, and after `close`. */
  join(
    task: SigningTask,
    list: SigningList,
    all: readonly SignedParts[],
  ): Promise<readonly Joined[]> {
    const job: JoinJob = { task, list, all }
    return this.#pool.run(job, { name: 'join' })
  }

  close(): Promise<void> {
    return this.#pool.destroy()
  }
}
