/** One sender's transactions by nonce. Those from the account's nonce on without a gap can run: the lane's run. */
import { SURE_SLOTS } from './limits.ts'
import { costOf, type PoolTransaction } from './transaction.ts'

export interface Entry {
  readonly transaction: PoolTransaction
  readonly costWei: bigint
  /** Rises with each arrival. */
  readonly arrival: number
  readonly sinceMs: number
}

export function createEntry(transaction: PoolTransaction, arrival: number, sinceMs: number): Entry {
  return { transaction, costWei: costOf(transaction), arrival, sinceMs }
}

export class Lane {
  readonly #byNonce = new Map<bigint, Entry>()
  #next: bigint
  #end: bigint
  #costWei = 0n

  constructor(next: bigint) {
    this.#next = next
    this.#end = next
  }

  /** The account's nonce. */
  get next(): bigint {
    return this.#next
  }

  /** The first nonce that the run lacks. */
  get end(): bigint {
    return this.#end
  }

  get size(): number {
    return this.#byNonce.size
  }

  get runLength(): number {
    return Number(this.#end - this.#next)
  }

  get gapped(): number {
    return this.size - this.runLength
  }

  /** What all of it may cost together. */
  get costWei(): bigint {
    return this.#costWei
  }

  get(nonce: bigint): Entry | undefined {
    return this.#byNonce.get(nonce)
  }

  set(entry: Entry): void {
    const { nonce } = entry.transaction
    this.delete(nonce)
    this.#byNonce.set(nonce, entry)
    this.#costWei += entry.costWei
    this.#extend()
  }

  delete(nonce: bigint): Entry | undefined {
    const entry = this.#byNonce.get(nonce)
    if (entry === undefined) return undefined
    this.#byNonce.delete(nonce)
    this.#costWei -= entry.costWei
    if (nonce < this.#end && nonce >= this.#next) this.#end = nonce
    return entry
  }

  /** The account's nonce moved on; gives what it passed. Never backwards. */
  advance(next: bigint): Entry[] {
    if (next <= this.#next) return []
    const passed: Entry[] = []
    for (const [nonce, entry] of this.#byNonce) if (nonce < next) passed.push(entry)
    for (const { transaction } of passed) this.delete(transaction.nonce)
    this.#next = next
    this.#end = next
    this.#extend()
    return passed
  }

  /** It can run, and is one of the sender's first. */
  isSure(nonce: bigint): boolean {
    return nonce < this.#end && nonce < this.#next + BigInt(SURE_SLOTS)
  }

  /** By nonce. */
  sorted(): Entry[] {
    return [...this.#byNonce.values()].sort((left, right) =>
      left.transaction.nonce < right.transaction.nonce ? -1 : 1,
    )
  }

  /** From a nonce on, by nonce. */
  from(nonce: bigint): Entry[] {
    return this.sorted().filter(({ transaction }) => transaction.nonce >= nonce)
  }

  *run(): Generator<PoolTransaction> {
    for (let nonce = this.#next; nonce < this.#end; nonce += 1n) {
      yield (this.#byNonce.get(nonce) as Entry).transaction
    }
  }

  #extend(): void {
    while (this.#byNonce.has(this.#end)) this.#end += 1n
  }
}
