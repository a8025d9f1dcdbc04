/** Bounds of the pool (MP-1…MP-5, TX-4). */
export const MAX_POOL_TRANSACTIONS = 10_000
export const MAX_POOL_BYTES = 300_000_000
export const MAX_TRANSACTION_BYTES = 131_072
/** EIP-7825. */
export const MAX_GAS_PER_TRANSACTION = 16_777_216n
/** EIP-3860. */
export const MAX_INITCODE_BYTES = 49_152

/** One sender's transactions, and how many of them may wait behind a gap in its nonces. */
export const MAX_TRANSACTIONS_PER_SENDER = 1_024
export const MAX_GAPPED_PER_SENDER = 64
/** A sender's transactions that can run and are no more than this keep their places before all others. */
export const SURE_SLOTS = 16

/** What a replacement must offer more, in both fees; a newcomer to a full pool, in its rate. */
export const REPLACEMENT_PERCENT = 10
/** Transactions that one newcomer may put out. */
export const MAX_EVICTED = 100

/** How long a transaction may wait: 72 hours. */
export const MAX_WAIT_MS = 72 * 3_600_000

/** A pool this full asks for more. In percent of either bound. */
export const WARNING_PERCENT = 80
export const HIGH_PERCENT = 90
/** The least tip while it is: 0.001 and 0.01 gwei. */
export const WARNING_TIP_WEI = 1_000_000n
export const HIGH_TIP_WEI = 10_000_000n
/** The raised floor halves each time this has passed since. */
export const FLOOR_HALF_LIFE_MS = 600_000

/** Refusals for ever that are remembered, and for how long. */
export const MAX_REJECTIONS = 1_000
export const REJECTION_TTL_MS = 600_000

/** Ends of transactions that are remembered: told ones with their reasons, and those whose nonce passed. */
export const MAX_ENDS = 20_000
export const MAX_PASSED = 60_000
