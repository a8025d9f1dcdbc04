/** What the pool is told of a transaction and its sender, and what it answers. */

/** A decoded transaction, its sender not known yet. */
export type UnsignedView = {
  readonly hash: Uint8Array
  readonly nonce: bigint
  /** Absent in a legacy transaction that names no chain. */
  readonly chainId: bigint | undefined
  readonly gasLimit: bigint
  /** Intrinsic gas and the floor of its data: what the limit must reach. */
  readonly leastGasLimit: bigint
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
  readonly valueWei: bigint
  /** Bytes of code that creates a contract; 0 in a call. */
  readonly initcodeBytes: number
  readonly raw: Uint8Array
}

export type PoolTransaction = UnsignedView & { readonly sender: Uint8Array }

/** The sender's account at the latest committed block. */
export type SenderAccount = { readonly nonce: bigint; readonly balanceWei: bigint }

export type PoolRefusal =
  | { readonly code: 'TransactionTooLarge'; readonly limit: number }
  | { readonly code: 'WrongChain' }
  | { readonly code: 'AlreadyKnown' }
  | { readonly code: 'InitcodeTooLarge'; readonly limit: number }
  | { readonly code: 'GasLimitTooHigh'; readonly limit: bigint }
  | { readonly code: 'IntrinsicGasTooLow'; readonly least: bigint }
  | { readonly code: 'FeeCapTooLow'; readonly least: bigint }
  | { readonly code: 'TipTooLow'; readonly least: bigint }
  | { readonly code: 'NonceTooLow'; readonly next: bigint; readonly nonce: bigint }
  | { readonly code: 'NonceTooHigh'; readonly highest: bigint }
  | {
      readonly code: 'InsufficientFunds'
      readonly neededWei: bigint
      readonly balanceWei: bigint
    }
  | {
      readonly code: 'ReplacementUnderpriced'
      readonly leastFee: bigint
      readonly leastTip: bigint
    }
  | { readonly code: 'SenderLimit'; readonly limit: number }
  | { readonly code: 'PoolFull' }

export type PoolVerdict =
  | {
      readonly kind: 'added'
      readonly replaced: Uint8Array | undefined
      readonly evicted: readonly Uint8Array[]
    }
  | ({ readonly kind: 'refused' } & PoolRefusal)

/** The most that a transaction may take from its sender. */
export function costOf(transaction: UnsignedView): bigint {
  return transaction.gasLimit * transaction.maxFeePerGas + transaction.valueWei
}

/** What the author of a block at this base fee gets per unit of gas; negative below the base fee. */
export function rateAt(transaction: UnsignedView, baseFeeWei: bigint): bigint {
  const roomWei = transaction.maxFeePerGas - baseFeeWei
  if (roomWei < transaction.maxPriorityFeePerGas) return roomWei
  return transaction.maxPriorityFeePerGas
}
