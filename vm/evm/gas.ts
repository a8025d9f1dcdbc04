/** Gas and fee arithmetic that is the same for the pool, the proposer and the validator (C-4). Integers only. */
import { type Fork, OSAKA } from './fork.ts'
import { MIN_GAS_LIMIT } from './limits.ts'
import type { EvmTransaction } from './transaction.ts'

const TRANSACTION_GAS = 21_000n
const CREATION_GAS = 32_000n
const INITCODE_WORD_GAS = 2n
const ACCESS_LIST_ADDRESS_GAS = 2_400n
const ACCESS_LIST_SLOT_GAS = 1_900n
const TOKEN_GAS = 4n
const FLOOR_TOKEN_GAS = 10n
/** EIP-7702: per tuple, and what is given back when the authority exists already. */
const EMPTY_ACCOUNT_GAS = 25_000n
export const EXISTING_AUTHORITY_REFUND = EMPTY_ACCOUNT_GAS - 12_500n
export const MAX_INITCODE_BYTES = 49_152

export type IntrinsicGas = {
  readonly intrinsic: bigint
  /** EIP-7623: a transaction pays at least this for its data. */
  readonly floor: bigint
}

export function larger(left: bigint, right: bigint): bigint {
  if (left > right) return left
  return right
}

export function smaller(left: bigint, right: bigint): bigint {
  if (left < right) return left
  return right
}

export function intrinsicGas(
  transaction: Pick<EvmTransaction, 'data' | 'to' | 'accessList' | 'authorizations'>,
  fork: Fork = OSAKA,
): IntrinsicGas {
  const { data, to, accessList, authorizations } = transaction
  const tokens = dataTokens(data)
  let intrinsic = TRANSACTION_GAS + TOKEN_GAS * tokens
  if (to === undefined) {
    intrinsic += CREATION_GAS + INITCODE_WORD_GAS * BigInt(Math.ceil(data.length / 32))
  }
  for (const item of accessList) {
    intrinsic += ACCESS_LIST_ADDRESS_GAS + ACCESS_LIST_SLOT_GAS * BigInt(item.storageKeys.length)
  }
  intrinsic += EMPTY_ACCOUNT_GAS * BigInt(authorizations.length)
  const floor = fork.hasDataFloor ? TRANSACTION_GAS + FLOOR_TOKEN_GAS * tokens : 0n
  return { intrinsic, floor }
}

function dataTokens(data: Uint8Array): bigint {
  let zeros = 0
  for (const byte of data) if (byte === 0) zeros += 1
  return BigInt(zeros + (data.length - zeros) * 4)
}

/** Gas that a transaction's limit must reach. */
export function leastGasLimit(transaction: EvmTransaction, fork: Fork = OSAKA): bigint {
  const { intrinsic, floor } = intrinsicGas(transaction, fork)
  return larger(intrinsic, floor)
}

/** What the sender pays per gas at a base fee, and the part of it that goes to the author. */
export function effectiveFees(
  transaction: Pick<EvmTransaction, 'maxFeePerGas' | 'maxPriorityFeePerGas'>,
  baseFeeWei: bigint,
): { readonly priceWei: bigint; readonly tipWei: bigint } {
  const tipWei = smaller(transaction.maxFeePerGas - baseFeeWei, transaction.maxPriorityFeePerGas)
  return { priceWei: baseFeeWei + tipWei, tipWei }
}

export type FeeParent = {
  readonly gasLimit: number
  readonly gasUsed: number
  readonly baseFeePerGas: bigint
}

/** EIP-1559: elasticity 2, change at most an eighth. */
export function nextBaseFee(parent: FeeParent): bigint {
  const target = BigInt(Math.floor(parent.gasLimit / 2))
  const used = BigInt(parent.gasUsed)
  const fee = parent.baseFeePerGas
  if (used === target) return fee
  if (used > target) {
    return fee + larger((fee * (used - target)) / target / 8n, 1n)
  }
  return fee - (fee * (target - used)) / target / 8n
}

/** The client's own bound, for any author's choice (yellow paper §4.4.4); ours is narrower: `nextGasLimit` of core/params. */
export function isGasLimitStep(parentGasLimit: number, gasLimit: number): boolean {
  const step = Math.floor(parentGasLimit / 1024) - 1
  return Math.abs(gasLimit - parentGasLimit) <= step && gasLimit >= MIN_GAS_LIMIT
}
