/** Bounds of this room. */

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = 8_192

/** Outcomes of executed blocks that wait for their commit. */
export const MAX_OUTCOMES = 64

/** Transactions of one template. */
export const MAX_TEMPLATE_TRANSACTIONS = 16_384
