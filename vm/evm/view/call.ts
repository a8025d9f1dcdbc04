/** eth_call, eth_estimateGas and eth_createAccessList on the latest committed state; nothing of it is kept. */
import { Address } from '@ethereumjs/util'
import type { ExecutionPayload } from '../../../core/block/index.ts'
import { hexBytes, toHex } from '../../../crypto/index.ts'
import { emptyAccount } from '../account.ts'
import { type ChainEvm, createChainEvm } from '../chain.ts'
import { intrinsicGas, larger, smaller } from '../gas.ts'
import { MAX_TRANSACTION_GAS } from '../limits.ts'
import { evmBlock } from '../run-transaction.ts'
import type { StateView } from '../state.ts'
import type { AccessListItem } from '../transaction.ts'

export type CallRequest = {
  readonly from?: Uint8Array | undefined
  readonly to?: Uint8Array | undefined
  readonly data?: Uint8Array | undefined
  readonly valueWei?: bigint | undefined
  readonly gasLimit?: bigint | undefined
  readonly gasPriceWei?: bigint | undefined
  readonly accessList?: readonly AccessListItem[] | undefined
}

export type CallResult =
  | { readonly ok: true; readonly returnValue: Uint8Array; readonly gasUsed: bigint }
  | CallFault

export type CallFault =
  | { readonly ok: false; readonly code: 'Reverted'; readonly returnValue: Uint8Array }
  /** An exceptional halt, out of gas among them; `reason` is the EVM's name for it. */
  | { readonly ok: false; readonly code: 'Halted'; readonly reason: string }
  | { readonly ok: false; readonly code: 'InsufficientFunds' }
  | { readonly ok: false; readonly code: 'GasLimitTooLow'; readonly least: bigint }

export type EstimateResult = { readonly ok: true; readonly gas: bigint } | CallFault

/** Gas that a call may use which names no limit. */
export const CALL_GAS_LIMIT = 50_000_000n

/** Calls on a state and the block that it belongs to. One at a time. */
export interface Calls {
  call(view: StateView, latest: ExecutionPayload, request: CallRequest): Promise<CallResult>
  estimateGas(
    view: StateView,
    latest: ExecutionPayload,
    request: CallRequest,
  ): Promise<EstimateResult>
  createAccessList(
    view: StateView,
    latest: ExecutionPayload,
    request: CallRequest,
  ): Promise<AccessListResult>
}

export async function createCalls(chainId: number): Promise<Calls> {
  const chain = await createChainEvm(chainId)
  return {
    call: (view, latest, request) => callReadOnly(chain, view, latest, request),
    estimateGas: (view, latest, request) => estimateGas(chain, view, latest, request),
    createAccessList: (view, latest, request) => createAccessList(chain, view, latest, request),
  }
}

type Attempt = {
  readonly returnValue: Uint8Array
  readonly gasUsed: bigint
  readonly error: string | undefined
  readonly accessList: readonly AccessListItem[]
}

async function callReadOnly(
  chain: ChainEvm,
  view: StateView,
  latest: ExecutionPayload,
  request: CallRequest,
): Promise<CallResult> {
  const fault = fundsFault(view, request)
  if (fault !== undefined) return fault
  const gasLimit = smaller(request.gasLimit ?? CALL_GAS_LIMIT, CALL_GAS_LIMIT)
  const { least } = leastGas(request)
  if (gasLimit < least) return { ok: false, code: 'GasLimitTooLow', least }
  const attempt = await run(chain, view, latest, request, gasLimit)
  if (attempt.error !== undefined) return faultOf(attempt)
  return { ok: true, returnValue: attempt.returnValue, gasUsed: attempt.gasUsed }
}

/** The smallest gas limit with which the call succeeds on the latest state, to within one part in 64. */
async function estimateGas(
  chain: ChainEvm,
  view: StateView,
  latest: ExecutionPayload,
  request: CallRequest,
): Promise<EstimateResult> {
  const fault = fundsFault(view, request)
  if (fault !== undefined) return fault
  const highest = smaller(request.gasLimit ?? MAX_TRANSACTION_GAS, MAX_TRANSACTION_GAS)
  const { least } = leastGas(request)
  if (highest < least) return { ok: false, code: 'GasLimitTooLow', least }
  const first = await run(chain, view, latest, request, highest)
  if (first.error !== undefined) return faultOf(first)
  let low = larger(first.gasUsed, least) - 1n
  let high = highest
  // Most calls need what they used, or a 64th more for what an inner call holds back (EIP-150).
  for (const guess of [low + 1n, ((low + 1n) * 64n) / 63n + 1n]) {
    if (guess >= high) break
    const attempt = await run(chain, view, latest, request, guess)
    if (attempt.error === undefined) {
      high = guess
      break
    }
    low = guess
  }
  while (high - low > 1n && high - low > high / 64n) {
    const middle = (low + high) / 2n
    const attempt = await run(chain, view, latest, request, middle)
    if (attempt.error === undefined) high = middle
    else low = middle
  }
  return { ok: true, gas: high }
}

export type AccessListResult =
  | { readonly ok: true; readonly accessList: readonly AccessListItem[]; readonly gasUsed: bigint }
  | CallFault

/** What the call touches, and the gas it uses when that list is paid for in advance. */
async function createAccessList(
  chain: ChainEvm,
  view: StateView,
  latest: ExecutionPayload,
  request: CallRequest,
): Promise<AccessListResult> {
  const fault = fundsFault(view, request)
  if (fault !== undefined) return fault
  const gasLimit = smaller(request.gasLimit ?? CALL_GAS_LIMIT, CALL_GAS_LIMIT)
  let accessList: readonly AccessListItem[] = request.accessList ?? []
  for (let round = 0; round < 4; round++) {
    const listed = { ...request, accessList }
    const { least } = leastGas(listed)
    if (gasLimit < least) return { ok: false, code: 'GasLimitTooLow', least }
    const attempt = await run(chain, view, latest, listed, gasLimit)
    if (attempt.error !== undefined) return faultOf(attempt)
    if (sizeOf(attempt.accessList) === sizeOf(accessList)) {
      return { ok: true, accessList, gasUsed: attempt.gasUsed }
    }
    accessList = attempt.accessList
  }
  return { ok: true, accessList, gasUsed: gasLimit }
}

function sizeOf(list: readonly AccessListItem[]): number {
  return list.reduce((sum, item) => sum + 1 + item.storageKeys.length, 0)
}

function fundsFault(view: StateView, request: CallRequest): CallFault | undefined {
  const value = request.valueWei ?? 0n
  if (value === 0n) return undefined
  const balance = view.account(toHex(request.from ?? new Uint8Array(20)))?.balance ?? 0n
  return balance < value ? { ok: false, code: 'InsufficientFunds' } : undefined
}

function leastGas(request: CallRequest): { readonly intrinsic: bigint; readonly least: bigint } {
  const { intrinsic, floor } = intrinsicGas({
    to: request.to,
    data: request.data ?? new Uint8Array(0),
    accessList: request.accessList ?? [],
    authorizations: [],
  })
  return { intrinsic, least: larger(intrinsic, floor) }
}

function faultOf({ error, returnValue }: Attempt): CallFault {
  if (error === 'revert') return { ok: false, code: 'Reverted', returnValue }
  return { ok: false, code: 'Halted', reason: error ?? 'unknown' }
}

async function run(
  chain: ChainEvm,
  view: StateView,
  latest: ExecutionPayload,
  request: CallRequest,
  gasLimit: bigint,
): Promise<Attempt> {
  const { evm, state } = chain
  chain.begin(view)
  const { intrinsic, least } = leastGas(request)
  const from = request.from ?? new Uint8Array(20)
  const { journal } = evm
  journal.startReportingAccessList()
  for (const address of evm.precompiles.keys()) journal.addAlwaysWarmAddress(address)
  for (const address of [from, latest.feeRecipient, ...(request.to ? [request.to] : [])]) {
    journal.addAlwaysWarmAddress(toHex(address))
  }
  for (const { address, storageKeys } of request.accessList ?? []) {
    journal.addAlwaysWarmAddress(toHex(address), true)
    for (const key of storageKeys) journal.addAlwaysWarmSlot(toHex(address), toHex(key), true)
  }
  const account = state.account(toHex(from)) ?? emptyAccount()
  state.setAccount(toHex(from), { ...account, nonce: account.nonce + 1n })
  const environment = {
    height: latest.blockNumber,
    timestamp: latest.timestamp,
    gasLimit: latest.gasLimit,
    baseFeeWei: request.gasPriceWei ? latest.baseFeePerGas : 0n,
    feeRecipient: latest.feeRecipient,
    prevRandao: latest.prevRandao,
  }
  const outcome = await evm.runCall({
    block: evmBlock(environment),
    gasPrice: request.gasPriceWei ?? 0n,
    caller: new Address(from),
    gasLimit: gasLimit - intrinsic,
    ...(request.to === undefined ? {} : { to: new Address(request.to) }),
    value: request.valueWei ?? 0n,
    data: request.data ?? new Uint8Array(0),
    skipNonceIncrement: true,
  })
  const { execResult } = outcome
  const accessList = accessListOf(journal.accessList, [from, request.to])
  delete journal.accessList
  const spent = intrinsic + execResult.executionGasUsed
  const refunded = spent - smaller(execResult.gasRefund ?? 0n, spent / 5n)
  return {
    returnValue: execResult.returnValue,
    gasUsed: larger(refunded, least),
    error: execResult.exceptionError?.error,
    accessList,
  }
}

/** Addresses that are warm anyhow are listed only for their slots. */
function accessListOf(
  touched: ReadonlyMap<string, ReadonlySet<string>> | undefined,
  warm: readonly (Uint8Array | undefined)[],
): AccessListItem[] {
  const always = new Set(warm.filter((address) => address !== undefined).map(toHex))
  const list: AccessListItem[] = []
  for (const [address, slots] of touched ?? []) {
    if (slots.size === 0 && (always.has(address) || /^0{37}/.test(address))) continue
    list.push({ address: hexBytes(address), storageKeys: [...slots].map(hexBytes) })
  }
  return list
}
