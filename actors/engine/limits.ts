/** Bounds of this room. */

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = 8_192

/** Executed blocks that wait for their commit. */
export const MAX_CANDIDATES = 64

/** Transactions of one template, and of the first one: it doubles while blocks hold nearly all that was offered. */
export const MAX_TEMPLATE_TRANSACTIONS = 32_768
export const MIN_TEMPLATE_TRANSACTIONS = 512
export const FIRST_TEMPLATE_TRANSACTIONS = 2_048

/** Transactions whose senders are not known yet, and how many of them are recovered together. */
export const MAX_WAITING_TRANSACTIONS = 16_384
export const MAX_RECOVERIES = 1_024
export { MAX_TRANSACTION_BYTES } from '../../core/mempool/index.ts'
