/** One transaction on the state of the block it stands in (yellow paper §6, as amended up to Osaka). */
import type { EVMResult } from '@ethereumjs/evm'
import { Address } from '@ethereumjs/util'
import { concatBytes, hexBytes, toHex } from '../../crypto/index.ts'
import { emptyAccount } from './account.ts'
import type { ChainEvm } from './chain.ts'
import {
  EXISTING_AUTHORITY_REFUND,
  effectiveFees,
  intrinsicGas,
  larger,
  leastGasLimit,
  MAX_INITCODE_BYTES,
  smaller,
} from './gas.ts'
import type { Log } from './receipt.ts'
import type { Rejection } from './rejection.ts'
import { recoverAuthority } from './sender.ts'
import type { Authorization, EvmTransaction } from './transaction.ts'

/** The block as the EVM asks for it. */
export type BlockEnvironment = {
  readonly height: number
  readonly timestamp: number
  readonly gasLimit: number
  readonly baseFeeWei: bigint
  readonly feeRecipient: Uint8Array
  readonly prevRandao: Uint8Array
}

export type TransactionResult = {
  readonly status: 0 | 1
  readonly gasUsed: bigint
  readonly logs: readonly Log[]
  readonly createdAddress: Uint8Array | undefined
  readonly returnValue: Uint8Array
  /** The EVM's name of what went wrong; absent on success. */
  readonly error: string | undefined
}

export type Outcome = { readonly rejected: Rejection } | { readonly result: TransactionResult }

const DELEGATION_PREFIX = hexBytes('ef0100')
const DELEGATION_BYTES = 23
const MAX_REFUND_QUOTIENT = 5n
const NONCE_LIMIT = 2n ** 64n - 1n

export function evmBlock(environment: BlockEnvironment) {
  return {
    header: {
      number: BigInt(environment.height),
      coinbase: new Address(environment.feeRecipient),
      timestamp: BigInt(environment.timestamp),
      difficulty: 0n,
      prevRandao: environment.prevRandao,
      gasLimit: BigInt(environment.gasLimit),
      baseFeePerGas: environment.baseFeeWei,
      getBlobGasPrice: () => 1n,
    },
  }
}

export type EvmBlock = ReturnType<typeof evmBlock>

export function isDelegation(code: Uint8Array): boolean {
  return code.length === DELEGATION_BYTES && toHex(code.subarray(0, 3)) === 'ef0100'
}

/** Checks that need the state; the same for the pool's template, the proposer and the validator. */
export function checkTransaction(
  chain: ChainEvm,
  environment: BlockEnvironment,
  transaction: EvmTransaction,
  sender: Uint8Array,
  gasAvailable: bigint,
): Rejection | undefined {
  const { state, fork } = chain
  const { gasLimit, value, maxFeePerGas } = transaction
  const { intrinsic, floor } = intrinsicGas(transaction, fork)
  if (transaction.chainId !== undefined && transaction.chainId !== BigInt(chain.chainId)) {
    return 'WrongChain'
  }
  if (gasLimit > gasAvailable || gasLimit > fork.maxTransactionGas) return 'GasLimitTooHigh'
  if (gasLimit < intrinsic || gasLimit < floor) return 'IntrinsicGasTooLow'
  if (transaction.to === undefined && transaction.data.length > MAX_INITCODE_BYTES) {
    return 'InitcodeTooLarge'
  }
  if (maxFeePerGas < environment.baseFeeWei) return 'FeeCapBelowBaseFee'
  const account = state.account(toHex(sender)) ?? emptyAccount()
  const code = state.code(account)
  if (code.length > 0 && !(fork.hasDelegation && isDelegation(code))) return 'SenderNotEoa'
  if (transaction.nonce < account.nonce) return 'NonceTooLow'
  if (transaction.nonce > account.nonce) return 'NonceTooHigh'
  if (account.balance < gasLimit * maxFeePerGas + value) return 'InsufficientFunds'
  return undefined
}

/** Runs a transaction, or says why it cannot stand here and leaves the state as it was. */
export async function runTransaction(
  chain: ChainEvm,
  environment: BlockEnvironment,
  block: EvmBlock,
  transaction: EvmTransaction,
  sender: Uint8Array,
  gasAvailable: bigint,
): Promise<Outcome> {
  const rejected = checkTransaction(chain, environment, transaction, sender, gasAvailable)
  if (rejected !== undefined) return { rejected }
  const { state, evm } = chain
  const before = state.checkpoint()
  try {
    const result = isPlainTransfer(chain, transaction)
      ? transfer(chain, environment, transaction, sender)
      : await execute(chain, environment, block, transaction, sender)
    state.commit()
    return { result }
  } catch (cause) {
    // Frames that were not left have their checkpoints still, and transient storage is cleared by the outermost one's end only.
    state.revertTo(before)
    evm.transientStorage.clear()
    throw cause
  } finally {
    evm.journal.cleanJournal()
    state.endTransaction()
  }
}

/** Value to an account without code: nothing can run, so the interpreter is not asked. */
function isPlainTransfer({ state, evm }: ChainEvm, transaction: EvmTransaction): boolean {
  const { to, type, accessList } = transaction
  if (to === undefined || type === 4 || accessList.length > 0) return false
  const addressHex = toHex(to)
  return !evm.precompiles.has(addressHex) && state.code(state.account(addressHex)).length === 0
}

function transfer(
  chain: ChainEvm,
  environment: BlockEnvironment,
  transaction: EvmTransaction,
  sender: Uint8Array,
): TransactionResult {
  const { state } = chain
  const gasUsed = leastGasLimit(transaction, chain.fork)
  const { priceWei, tipWei } = effectiveFees(transaction, environment.baseFeeWei)
  const senderHex = toHex(sender)
  const account = state.account(senderHex) ?? emptyAccount()
  const balance = account.balance - gasUsed * priceWei - transaction.value
  state.setAccount(senderHex, { ...account, nonce: account.nonce + 1n, balance })
  credit(chain, toHex(transaction.to as Uint8Array), transaction.value)
  credit(chain, toHex(environment.feeRecipient), gasUsed * tipWei)
  return {
    status: 1,
    gasUsed,
    logs: [],
    createdAddress: undefined,
    returnValue: new Uint8Array(0),
    error: undefined,
  }
}

/** Adds to a balance. Nothing is added to nothing: an empty account never comes into being (EIP-161). */
export function credit({ state }: ChainEvm, addressHex: string, amountWei: bigint): void {
  if (amountWei === 0n) return
  const account = state.account(addressHex) ?? emptyAccount()
  state.setAccount(addressHex, { ...account, balance: account.balance + amountWei })
}

async function execute(
  chain: ChainEvm,
  environment: BlockEnvironment,
  block: EvmBlock,
  transaction: EvmTransaction,
  sender: Uint8Array,
): Promise<TransactionResult> {
  const { state, evm, fork } = chain
  const { gasLimit, to, value, data } = transaction
  const { intrinsic, floor } = intrinsicGas(transaction, fork)
  const { priceWei, tipWei } = effectiveFees(transaction, environment.baseFeeWei)
  const senderHex = toHex(sender)
  warmUp(chain, environment, transaction, sender)
  const account = state.account(senderHex) ?? emptyAccount()
  const balance = account.balance - gasLimit * priceWei
  state.setAccount(senderHex, { ...account, nonce: account.nonce + 1n, balance })
  const authorityRefund = applyAuthorizations(chain, transaction.authorizations)
  const outcome = await evm.runCall({
    block,
    gasPrice: priceWei,
    caller: new Address(sender),
    gasLimit: gasLimit - intrinsic,
    ...(to === undefined ? {} : { to: new Address(to) }),
    value,
    data,
    skipNonceIncrement: true,
  })
  const { execResult } = outcome
  const spent = intrinsic + execResult.executionGasUsed
  const refund = authorityRefund + (execResult.gasRefund ?? 0n)
  const gasUsed = larger(spent - smaller(refund, spent / MAX_REFUND_QUOTIENT), floor)
  credit(chain, senderHex, (gasLimit - gasUsed) * priceWei)
  credit(chain, toHex(environment.feeRecipient), gasUsed * tipWei)
  await removeDestroyed(chain, outcome)
  await evm.journal.cleanup()
  return {
    status: execResult.exceptionError === undefined ? 1 : 0,
    gasUsed,
    logs: (execResult.logs ?? []).map(([address, topics, bytes]) => ({
      address,
      topics,
      data: bytes,
    })),
    createdAddress: to === undefined ? outcome.createdAddress?.bytes : undefined,
    returnValue: execResult.returnValue,
    error: execResult.exceptionError?.error,
  }
}

/** EIP-2929, 2930, 3651. */
function warmUp(
  { evm }: ChainEvm,
  environment: BlockEnvironment,
  transaction: EvmTransaction,
  sender: Uint8Array,
): void {
  const { journal } = evm
  for (const address of evm.precompiles.keys()) journal.addAlwaysWarmAddress(address)
  journal.addAlwaysWarmAddress(toHex(sender))
  journal.addAlwaysWarmAddress(toHex(environment.feeRecipient))
  if (transaction.to !== undefined) journal.addAlwaysWarmAddress(toHex(transaction.to))
  for (const { address, storageKeys } of transaction.accessList) {
    const addressHex = toHex(address)
    journal.addAlwaysWarmAddress(addressHex, true)
    for (const key of storageKeys) journal.addAlwaysWarmSlot(addressHex, toHex(key), true)
  }
}

/** EIP-7702. A tuple that does not fit is passed over. Returns the gas to give back. */
export function applyAuthorizations(
  { chainId, state, evm }: ChainEvm,
  authorizations: readonly Authorization[],
): bigint {
  let refund = 0n
  for (const authorization of authorizations) {
    if (authorization.chainId !== 0n && authorization.chainId !== BigInt(chainId)) continue
    if (authorization.nonce >= NONCE_LIMIT) continue
    const authority = recoverAuthority(authorization)
    if (authority === undefined) continue
    const authorityHex = toHex(authority)
    evm.journal.addAlwaysWarmAddress(authorityHex)
    const existing = state.account(authorityHex)
    const account = existing ?? emptyAccount()
    const code = state.code(account)
    if (code.length > 0 && !isDelegation(code)) continue
    if (account.nonce !== authorization.nonce) continue
    if (existing !== undefined) refund += EXISTING_AUTHORITY_REFUND
    state.setAccount(authorityHex, { ...account, nonce: account.nonce + 1n })
    const clears = authorization.address.every((byte) => byte === 0)
    const target = concatBytes(DELEGATION_PREFIX, authorization.address)
    state.setCode(authorityHex, clears ? new Uint8Array(0) : target)
  }
  return refund
}

/** EIP-6780: only what the same transaction created is gone. */
async function removeDestroyed({ evm }: ChainEvm, outcome: EVMResult): Promise<void> {
  const { selfdestruct, createdAddresses } = outcome.execResult
  if (selfdestruct === undefined) return
  for (const addressHex of selfdestruct.keys()) {
    if (createdAddresses?.has(addressHex)) {
      await evm.journal.deleteAccount(new Address(hexBytes(addressHex)))
    }
  }
}

/** A call by the system address: outside of any transaction, free, with its own gas (EIP-7002, 7251). */
export async function systemCall(
  chain: ChainEvm,
  block: EvmBlock,
  caller: Uint8Array,
  to: Uint8Array,
): Promise<Uint8Array> {
  const { evm, state } = chain
  const before = state.account(toHex(caller))
  const outcome = await evm.runCall({
    block,
    caller: new Address(caller),
    to: new Address(to),
    gasLimit: 30_000_000n,
    skipNonceIncrement: true,
  })
  state.setAccount(toHex(caller), before ?? null)
  evm.journal.cleanJournal()
  state.endTransaction()
  if (outcome.execResult.exceptionError !== undefined) {
    throw new Error(`system contract ${toHex(to)}: ${outcome.execResult.exceptionError.error}`)
  }
  return outcome.execResult.returnValue
}
