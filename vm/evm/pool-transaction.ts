import type { PoolTransaction, UnsignedView } from '../../core/mempool/index.ts'
import { leastGasLimit } from './gas.ts'
import type { EvmTransaction } from './transaction.ts'

/** A decoded transaction as the mempool looks at it before its signature. */
export function unsignedView(transaction: EvmTransaction): UnsignedView {
  const { hash, nonce, chainId, gasLimit, maxFeePerGas, maxPriorityFeePerGas, value, raw } =
    transaction
  return {
    hash,
    nonce,
    chainId,
    gasLimit,
    leastGasLimit: leastGasLimit(transaction),
    maxFeePerGas,
    maxPriorityFeePerGas,
    valueWei: value,
    initcodeBytes: transaction.to === undefined ? transaction.data.length : 0,
    raw,
  }
}

/** The same with its sender, as the mempool takes it. */
export function poolTransaction(transaction: EvmTransaction, sender: Uint8Array): PoolTransaction {
  return { ...unsignedView(transaction), sender }
}

/** Reasons after which a transaction can still stand in a later block; for any other one the pool lets go of it. */
const PASSING: ReadonlySet<string> = new Set(['BlockFull', 'FeeCapBelowBaseFee', 'NonceTooHigh'])

/** Should the pool forget a transaction that a build left out for this reason? */
export function isLostCause(reason: string): boolean {
  return !PASSING.has(reason)
}
