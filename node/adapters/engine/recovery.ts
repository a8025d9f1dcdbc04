/** Senders of raw transactions: a few at once where they are, many in a pool of threads that is started when it is needed. */
import { Piscina } from 'piscina'
import { decodeTransaction, isTransaction, recoverSender } from '../../../vm/evm/index.ts'
import { buffersOf, type PackedBytes, packBytes, unpackBytes } from './packing.ts'

const MAX_WAITING_RECOVERIES = 1024
/** Fewer than this are recovered at once, where they are: 50 µs each. */
const POOLED_RECOVERIES = 16
const IDLE_MS = 10_000

export class SenderRecovery {
  readonly #pool: Piscina

  constructor(threads: number) {
    this.#pool = new Piscina({
      filename: new URL('./recover.worker.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: threads,
      maxQueue: MAX_WAITING_RECOVERIES,
      idleTimeout: IDLE_MS,
    })
  }

  /** By position; undefined where a transaction is malformed or no key fits. */
  async recover(raws: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    if (raws.length < POOLED_RECOVERIES) return raws.map(senderOf)
    const packed = packBytes(raws)
    const transferList = buffersOf(packed)
    const senders: PackedBytes = await this.#pool.run(packed, { name: 'recover', transferList })
    return unpackBytes(senders).map((sender) => (sender.length === 0 ? undefined : sender))
  }

  close(): Promise<void> {
    return this.#pool.destroy()
  }
}

function senderOf(raw: Uint8Array): Uint8Array | undefined {
  const transaction = decodeTransaction(raw)
  return isTransaction(transaction) ? recoverSender(transaction) : undefined
}
