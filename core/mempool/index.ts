/**
 * The pool of transactions that wait for a block (MP-1…MP-6, TX-1, TX-4): lanes by sender and nonce, replacement, eviction by rate, a
 * floor that rises under pressure, a deterministic template, and what became of those that left. Pure and synchronous; decoding,
 * recovery of senders, relaying, the journal and time are its caller's. Counters always equal a recount, and no sequence of calls
 * exceeds a bound of `limits.ts`.
 */
export type { TransactionEnd } from './ends.ts'
export * from './limits.ts'
export * from './pool.ts'
export type { PressureLevel } from './pressure.ts'
export { isForEver, type Rejection, Rejections } from './rejections.ts'
export type {
  PoolRefusal,
  PoolTransaction,
  PoolVerdict,
  SenderAccount,
  UnsignedView,
} from './transaction.ts'
