/**
 * Refusals that hold wherever and whenever a transaction is looked at (MP-3): the same bytes again are answered without another look.
 * Never what follows from the pool, an account or a fee.
 */
import { toHex } from '../../crypto/index.ts'
import { MAX_REJECTIONS, REJECTION_TTL_MS } from './limits.ts'

export interface Rejection {
  readonly code: string
  readonly reason: string
}

const FOR_EVER: ReadonlySet<string> = new Set([
  'TransactionMalformed',
  'TransactionTypeRefused',
  'BadSignature',
  'WrongChain',
  'InitcodeTooLarge',
  'GasLimitTooHigh',
  'IntrinsicGasTooLow',
])

/** Is nobody to send this transaction to anybody again? */
export function isForEver(code: string): boolean {
  return code === 'TransactionTooLarge' || FOR_EVER.has(code)
}

export class Rejections {
  readonly #most: number
  readonly #byHash = new Map<string, Rejection & { readonly untilMs: number }>()

  constructor(most: number = MAX_REJECTIONS) {
    this.#most = most
  }

  get size(): number {
    return this.#byHash.size
  }

  get(hash: Uint8Array, nowMs: number): Rejection | undefined {
    const found = this.#byHash.get(toHex(hash))
    return found === undefined || found.untilMs <= nowMs ? undefined : found
  }

  /** Keeps a refusal for ever; any other one is not kept. */
  add(hash: Uint8Array, { code, reason }: Rejection, nowMs: number): void {
    if (!FOR_EVER.has(code)) return
    const key = toHex(hash)
    this.#byHash.delete(key)
    this.#byHash.set(key, { code, reason, untilMs: nowMs + REJECTION_TTL_MS })
    const [oldest] = this.#byHash.keys()
    if (this.#byHash.size > this.#most && oldest !== undefined) this.#byHash.delete(oldest)
  }

  /** With a new head. */
  clear(): void {
    this.#byHash.clear()
  }
}
