/** Bounds of the pool (MP-1, MP-5). */
export const MAX_POOL_TRANSACTIONS = 10_000
export const MAX_POOL_BYTES = 300_000_000
export const MAX_TRANSACTIONS_PER_SENDER = 64
export const MAX_TRANSACTION_BYTES = 131_072
/** EIP-7825. */
export const MAX_GAS_PER_TRANSACTION = 16_777_216n
/** What a replacement must offer more, in both fees. */
export const REPLACEMENT_PERCENT = 10
