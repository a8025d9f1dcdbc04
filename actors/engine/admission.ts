/**
 * Transactions on their way into the pool. What can be refused without its signature is refused at once; the same bytes wait once
 * however many sent them (TX-5); the rest is recovered in batches: one is under way, what comes meanwhile is the next.
 */
import {
  isForEver,
  type Mempool,
  Rejections,
  type SenderAccount,
} from '../../core/mempool/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { Envelope } from '../../supervisor/index.ts'
import {
  decodeTransaction,
  type EvmTransaction,
  isTransaction,
  keccak256,
  poolTransaction,
  unsignedView,
} from '../../vm/evm/index.ts'
import { MAX_RECOVERIES, MAX_TRANSACTION_BYTES, MAX_WAITING_TRANSACTIONS } from './limits.ts'
import type { EnginePort, RememberedTransaction } from './port.ts'

/** Whoever wants to know: a user who submitted it, or Network that was told it under an id. */
export interface Waiter {
  readonly replyTo: Envelope | undefined
  readonly gossipId: number | undefined
}

export interface Arrival {
  readonly transaction: EvmTransaction
  readonly waiters: readonly Waiter[]
}

export interface Refusal {
  readonly code: string
  readonly reason: string
}

export class Admission {
  readonly #pool: Mempool
  readonly #rejections = new Rejections()
  /** By hash: under way, or waiting for the next batch. */
  readonly #arrivals = new Map<string, Arrival>()
  #waiting: EvmTransaction[] = []
  #isRecovering = false

  constructor(pool: Mempool) {
    this.#pool = pool
  }

  get size(): number {
    return this.#arrivals.size
  }

  /** Undefined: it waits now. The cheapest check first (TX-2). */
  offer(raw: Uint8Array, waiter: Waiter, nowMs: number): Refusal | undefined {
    if (raw.length > MAX_TRANSACTION_BYTES) {
      return { code: 'TransactionTooLarge', reason: `limit ${MAX_TRANSACTION_BYTES}` }
    }
    const hash = keccak256(raw)
    const known = this.#rejections.get(hash, nowMs)
    if (known !== undefined) return known
    if (this.#pool.has(hash)) return { code: 'AlreadyKnown', reason: '' }
    const key = toHex(hash)
    const arrival = this.#arrivals.get(key)
    if (arrival !== undefined) {
      if (arrival.waiters.length >= MAX_WAITING_TRANSACTIONS) return BUSY
      this.#arrivals.set(key, { ...arrival, waiters: [...arrival.waiters, waiter] })
      return undefined
    }
    const transaction = decodeTransaction(raw)
    if (!isTransaction(transaction)) {
      const { code, reason } = transaction
      return this.refuse(hash, { code, reason }, nowMs)
    }
    const refused = this.#pool.refusalUnsigned(unsignedView(transaction), nowMs)
    if (refused !== undefined) return this.refuse(hash, describe(refused), nowMs)
    if (this.#arrivals.size >= MAX_WAITING_TRANSACTIONS) return BUSY
    this.#arrivals.set(key, { transaction, waiters: [waiter] })
    this.#waiting.push(transaction)
    return undefined
  }

  /** The next batch to recover; empty while one is under way, or nothing waits. */
  nextBatch(): readonly EvmTransaction[] {
    if (this.#isRecovering || this.#waiting.length === 0) return []
    const batch = this.#waiting.slice(0, MAX_RECOVERIES)
    this.#waiting = this.#waiting.slice(MAX_RECOVERIES)
    this.#isRecovering = true
    return batch
  }

  batchDone(): void {
    this.#isRecovering = false
  }

  /** Takes it out; undefined: nobody waits for it. */
  take(hash: Uint8Array): Arrival | undefined {
    const key = toHex(hash)
    const arrival = this.#arrivals.get(key)
    this.#arrivals.delete(key)
    return arrival
  }

  /** Remembers why, for whoever sends it again and for whoever asks what became of it. */
  refuse(hash: Uint8Array, refusal: Refusal, nowMs: number): Refusal {
    this.#rejections.add(hash, refusal, nowMs)
    this.#pool.noteRefused(hash, refusal.code, refusal.reason)
    return refusal
  }

  onHead(): void {
    this.#rejections.clear()
  }
}

/** Transactions that waited when the process ended come back, if they still can be run: what a block took meanwhile cannot (MP-7). */
export async function reload(
  pool: Mempool,
  port: EnginePort,
  remembered: readonly RememberedTransaction[],
): Promise<void> {
  for (let at = 0; at < remembered.length; at += MAX_RECOVERIES) {
    const batch = remembered.slice(at, at + MAX_RECOVERIES)
    const senders = await port.recoverSenders(batch.map(({ raw }) => raw))
    const accounts = await accountsOf(port, senders)
    for (const [index, { raw, sinceMs }] of batch.entries()) {
      const sender = senders[index]
      const transaction = decodeTransaction(raw)
      if (sender === undefined || !isTransaction(transaction)) continue
      const account = accounts[index] as SenderAccount
      pool.add(poolTransaction(transaction, sender), account, sinceMs)
    }
  }
}

/** By position; of nobody where there is no sender. */
export async function accountsOf(
  port: EnginePort,
  senders: readonly (Uint8Array | undefined)[],
): Promise<readonly SenderAccount[]> {
  const found = await port.accounts(senders.filter((sender) => sender !== undefined))
  let at = 0
  return senders.map((sender) => (sender === undefined ? NOBODY : (found[at++] as SenderAccount)))
}

const NOBODY: SenderAccount = { nonce: 0n, balanceWei: 0n }

const BUSY: Refusal = { code: 'Busy', reason: 'too many transactions at once' }

export function describe(refusal: { readonly code: string }): Refusal {
  const { code, ...details } = refusal
  const reason = Object.entries(details)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
  return { code, reason }
}

export type TransactionVerdict = 'accept' | 'reject' | 'ignore'

/**
 * What Network is told of a gossiped transaction. What is wrong with it wherever it is looked at, no honest node passes on. The other
 * refusals follow from this node's state or settings: nobody is to blame, and nothing is passed on.
 */
export function gossipVerdict(code: string): TransactionVerdict {
  if (isForEver(code)) return 'reject'
  return code === 'AlreadyKnown' ? 'accept' : 'ignore'
}
