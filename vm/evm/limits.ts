/** EIP-7825: gas limit of one transaction. */
export const MAX_TRANSACTION_GAS = 16_777_216n
/** EIP-7934: size of a block's RLP, the margin taken off. */
export const MAX_BLOCK_RLP_BYTES = 8_388_608
/** As in `core/block`: transactions in a payload, bytes of one. */
export const MAX_TRANSACTIONS = 65_536
export const MAX_TRANSACTION_BYTES = 131_072
/** Header, withdrawals and list prefixes, generously: what a block's RLP holds besides its transactions. */
export const BLOCK_RLP_OVERHEAD_BYTES = 4_096
/** Smallest gas limit of a block. */
export const MIN_GAS_LIMIT = 5_000
export const MAX_EXTRA_DATA_BYTES = 32
