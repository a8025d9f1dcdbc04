/** Bounds of this room. */

/** Waiting messages per priority class (GV-11). */
export const MAILBOX_CAPACITY = 1_000

/** Deposits, and batch versions, that may be open at a time; the oldest gives way. */
export const MAX_OPEN_REQUESTS = 1_000

/** A member that has not answered is asked again after this time, with the same request id (PI-10). */
export const ANSWER_MS = 30_000

/** A refusal stands for this long; then the same request may be asked again. */
export const REFUSAL_MS = 60_000

/** The shortest and the longest time that an Unknown may put off the next question. */
export const RETRY_MS = { least: 500, most: 30_000 } as const

/** A request that Bridge has not repeated for so long is forgotten. */
export const FORGET_MS = 900_000

/** How often open requests are looked through. */
export const RESEND_TICK_MS = 500

/** Queries of one member that are being answered at a time. */
export const MAX_QUERIES_PER_MEMBER = 16

/** Bytes of headers or proofs in one answer; below the stream's bound for a message. */
export const MAX_ANSWER_BYTES = 3 * 1024 * 1024

/** Signatures in one answer: inputs of a batch (protocol §4.5). */
export const MAX_SIGNATURES = 50
