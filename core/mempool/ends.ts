/** What became of transactions that left the pool or never came in (TX-1), the latest ones. A block knows better than this does. */
import { toHex } from '../../crypto/index.ts'
import { MAX_ENDS, MAX_PASSED } from './limits.ts'

export type TransactionEnd =
  | { readonly state: 'Rejected'; readonly code: string; readonly reason: string }
  /** By which one; undefined: another transaction with its nonce is in a block, or it itself is. */
  | { readonly state: 'Replaced'; readonly by: Uint8Array | undefined }
  | { readonly state: 'Expired'; readonly afterMs: number }

const PASSED: TransactionEnd = { state: 'Replaced', by: undefined }

export class TransactionEnds {
  readonly #told = new Map<string, TransactionEnd>()
  readonly #passed = new Set<string>()

  get(hash: Uint8Array): TransactionEnd | undefined {
    const key = toHex(hash)
    return this.#told.get(key) ?? (this.#passed.has(key) ? PASSED : undefined)
  }

  set(hash: Uint8Array, end: TransactionEnd): void {
    const key = toHex(hash)
    this.#told.delete(key)
    this.#told.set(key, end)
    const [oldest] = this.#told.keys()
    if (this.#told.size > MAX_ENDS && oldest !== undefined) this.#told.delete(oldest)
  }

  /** Its nonce is behind the account's: it is in a block, or another one with its nonce is. */
  pass(hash: Uint8Array): void {
    this.#passed.add(toHex(hash))
    const [oldest] = this.#passed
    if (this.#passed.size > MAX_PASSED && oldest !== undefined) this.#passed.delete(oldest)
  }

  /** It is back. */
  forget(hash: Uint8Array): void {
    const key = toHex(hash)
    this.#told.delete(key)
    this.#passed.delete(key)
  }
}
