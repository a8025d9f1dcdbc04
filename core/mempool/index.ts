/**
 * The pool of transactions that wait for a block (MP-1…MP-6): lanes by sender and nonce, replacement, eviction by fee, a
 * deterministic template. Pure and synchronous; decoding, recovery of senders, relaying and time are its caller's.
 * Counters always equal a recount, and no sequence of calls exceeds a bound of `limits.ts`.
 */
export * from './limits.ts'
export * from './pool.ts'
