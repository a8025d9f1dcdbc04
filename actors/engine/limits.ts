/** Bounds of this room. */

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = 8_192

/** Executed blocks that wait for their commit. */
export const MAX_CANDIDATES = 64

/** Transactions of one template. */
export const MAX_TEMPLATE_TRANSACTIONS = 16_384

/** Transactions whose senders are not known yet, and how many of them are recovered together. */
export const MAX_WAITING_TRANSACTIONS = 16_384
export const MAX_RECOVERIES = 1_024
export { MAX_TRANSACTION_BYTES } from '../../core/mempool/index.ts'
