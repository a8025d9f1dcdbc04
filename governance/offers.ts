/**
 * Offers that a member has open, with their nonces (protocol §5.4): in memory only, used once, gone with the process. One per federation
 * node and batch; a later one takes the place of the one before.
 */
import type { FederationKeys } from '../core/peg/index.ts'
import type { NonceOffer, OfferNonces, SigningTask } from '../core/signing/index.ts'
import { toHex } from '../crypto/index.ts'

export interface OpenOffer {
  readonly task: SigningTask
  readonly keys: FederationKeys
  readonly offer: NonceOffer
  readonly nonces: OfferNonces
  /** Of the transaction that is signed, internal byte order. */
  readonly txid: Uint8Array
}

/** Batches that are signed at a time, by all nodes together. */
const MAX_OPEN = 256

export class Offers {
  readonly #open = new Map<string, OpenOffer>()

  /** What a new offer is numbered by: above the one before, and, by the clock, above those that a process which died has made. */
  serial(node: number, batchId: Uint8Array, nowMs: number): number {
    const last = this.#open.get(nameOf(node, batchId))?.offer.serial ?? -1
    return Math.max(last + 1, Math.floor(nowMs / 1000))
  }

  /** The oldest give way to too many. */
  put(node: number, open: OpenOffer): void {
    const name = nameOf(node, open.task.batchId)
    this.#open.delete(name)
    this.#open.set(name, open)
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= MAX_OPEN) break
      this.#open.delete(oldest)
    }
  }

  /** Takes an offer out: nobody gets it twice. */
  take(node: number, batchId: Uint8Array): OpenOffer | undefined {
    const name = nameOf(node, batchId)
    const open = this.#open.get(name)
    this.#open.delete(name)
    return open
  }
}

function nameOf(node: number, batchId: Uint8Array): string {
  return `${node} ${toHex(batchId)}`
}
