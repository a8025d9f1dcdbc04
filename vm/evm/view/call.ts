/** eth_call, eth_estimateGas, eth_createAccessList and debug_traceCall on a committed state; nothing of it is kept. */
import { Address } from '@ethereumjs/util'
import type { ExecutionPayload } from '../../../core/block/index.ts'
import { hexBytes, toHex } from '../../../crypto/index.ts'
import { emptyAccount } from '../account.ts'
import { type ChainEvm, createChainEvm } from '../chain.ts'
import { intrinsicGas, larger, smaller } from '../gas.ts'
import { MAX_TRANSACTION_GAS } from '../limits.ts'
import { applyAuthorizations, evmBlock } from '../run-transaction.ts'
import type { StateView } from '../state.ts'
import type { AccessListItem, Authorization } from '../transaction.ts'
import {
  type AccountOverride,
  type BlockOverrides,
  environmentOf,
  overriddenView,
} from './overrides.ts'
import { RecordingView } from './prestate.ts'
import { type TracedBlock, traceBlock } from './replay.ts'
import { type Listener, listen, type TraceConfig } from './tracers.ts'

export type { AccountOverride, BlockOverrides } from './overrides.ts'
export type { TracedBlock } from './replay.ts'
export type { TraceConfig } from './tracers.ts'

export type CallRequest = {
  readonly from?: Uint8Array | undefined
  readonly to?: Uint8Array | undefined
  readonly data?: Uint8Array | undefined
  readonly valueWei?: bigint | undefined
  readonly gasLimit?: bigint | undefined
  readonly gasPriceWei?: bigint | undefined
  readonly accessList?: readonly AccessListItem[] | undefined
  readonly authorizations?: readonly Authorization[] | undefined
  readonly accounts?: readonly AccountOverride[] | undefined
  readonly block?: BlockOverrides | undefined
}

/** A state and the block after which it is. */
export type CallSite = { readonly view: StateView; readonly block: ExecutionPayload }

export type CallResult =
  | { readonly ok: true; readonly returnValue: Uint8Array; readonly gasUsed?: bigint }
  | CallFault

export type CallFault =
  | { readonly ok: false; readonly code: 'Reverted'; readonly returnValue: Uint8Array }
  /** An exceptional halt, out of gas among them; `reason` is the EVM's name for it. */
  | { readonly ok: false; readonly code: 'Halted'; readonly reason: string }
  | {
      readonly ok: false
      readonly code: 'InsufficientFunds'
      readonly neededWei: bigint
      readonly balanceWei: bigint
    }
  /** The sender cannot pay for more gas than this. */
  | { readonly ok: false; readonly code: 'AllowanceTooLow'; readonly allowance: bigint }
  | { readonly ok: false; readonly code: 'GasLimitTooLow'; readonly least: bigint }

export type EstimateResult = { readonly ok: true; readonly gas: bigint } | CallFault

/** Gas that a call may use which names no limit. */
export const CALL_GAS_LIMIT = 50_000_000n

/** Calls on committed states. One at a time. */
export interface Calls {
  call(site: CallSite, request: CallRequest): Promise<CallResult>
  estimateGas(site: CallSite, request: CallRequest): Promise<EstimateResult>
  createAccessList(site: CallSite, request: CallRequest): Promise<AccessListResult>
  traceCall(site: CallSite, request: CallRequest, config: TraceConfig): Promise<TraceResult>
  traceBlock(
    block: TracedBlock,
    config: TraceConfig,
    from?: number,
    to?: number,
  ): Promise<unknown[]>
}

export async function createCalls(chainId: number): Promise<Calls> {
  const chain = await createChainEvm(chainId)
  const supposing = (site: CallSite, { accounts }: CallRequest): CallSite => ({
    ...site,
    view: overriddenView(site.view, accounts),
  })
  return {
    call: (site, request) => callReadOnly(chain, supposing(site, request), request),
    estimateGas: (site, request) => estimateGas(chain, supposing(site, request), request),
    createAccessList: (site, request) => createAccessList(chain, supposing(site, request), request),
    traceCall: (site, request, config) =>
      traceCall(chain, supposing(site, request), request, config),
    traceBlock: (block, config, from, to) => traceBlock(chain, block, config, from, to),
  }
}

type Attempt = {
  readonly returnValue: Uint8Array
  readonly gasUsed: bigint
  /** Given back already: what was used before is the sum. */
  readonly gasRefunded: bigint
  readonly error: string | undefined
  readonly accessList: readonly AccessListItem[]
}

async function callReadOnly(
  chain: ChainEvm,
  site: CallSite,
  request: CallRequest,
): Promise<CallResult> {
  const gasLimit = callGasLimit(site.view, request)
  if (typeof gasLimit !== 'bigint') return gasLimit
  const attempt = await run(chain, site, request, gasLimit)
  if (attempt.error !== undefined) return faultOf(attempt)
  return { ok: true, returnValue: attempt.returnValue, gasUsed: attempt.gasUsed }
}

/** How far above the smallest limit an estimate may lie: 1.5 %. */
const ESTIMATE_ERROR_PARTS = 67n
const CALL_STIPEND = 2_300n

/** The smallest gas limit with which the call succeeds, to within 1.5 %. */
async function estimateGas(
  chain: ChainEvm,
  site: CallSite,
  request: CallRequest,
): Promise<EstimateResult> {
  const fault = fundsFault(site.view, request)
  if (fault !== undefined) return fault
  const wanted = smaller(request.gasLimit ?? MAX_TRANSACTION_GAS, MAX_TRANSACTION_GAS)
  const highest = smaller(wanted, affordableGas(site.view, request))
  const { least } = leastGas(request)
  if (highest < least) {
    return highest < wanted
      ? { ok: false, code: 'AllowanceTooLow', allowance: highest }
      : { ok: false, code: 'GasLimitTooLow', least }
  }
  const first = await run(chain, site, request, highest)
  if (first.error !== undefined) return faultOf(first)
  let low = larger(first.gasUsed, least) - 1n
  let high = highest
  // Most calls need what they used before the refund, or a 64th more for what an inner call holds back (EIP-150).
  const spent = larger(first.gasUsed + first.gasRefunded, least)
  for (const guess of [spent, ((spent + CALL_STIPEND) * 64n) / 63n]) {
    if (guess >= high || guess <= low) continue
    const attempt = await run(chain, site, request, guess)
    if (attempt.error === undefined) {
      high = guess
      break
    }
    low = guess
  }
  while (high - low > 1n && high - low > high / ESTIMATE_ERROR_PARTS) {
    const middle = (low + high) / 2n
    const attempt = await run(chain, site, request, middle)
    if (attempt.error === undefined) high = middle
    else low = middle
  }
  return { ok: true, gas: high }
}

/** What the sender can pay for at the price that the call names. */
function affordableGas(view: StateView, request: CallRequest): bigint {
  const priceWei = request.gasPriceWei ?? 0n
  if (priceWei === 0n) return MAX_TRANSACTION_GAS
  return (balanceOf(view, request) - (request.valueWei ?? 0n)) / priceWei
}

/** Undefined as a trace: it does not fit into an answer. */
export type TraceResult = { readonly ok: true; readonly trace: unknown } | CallFault

async function traceCall(
  chain: ChainEvm,
  site: CallSite,
  request: CallRequest,
  config: TraceConfig,
): Promise<TraceResult> {
  const gasLimit = callGasLimit(site.view, request)
  if (typeof gasLimit !== 'bigint') return gasLimit
  if (config.tracer === 'prestateTracer') {
    const recording = new RecordingView(site.view)
    await run(chain, { ...site, view: recording }, request, gasLimit)
    const trace =
      config.diffMode === true ? recording.difference(chain.state.changes()) : recording.prestate()
    return { ok: true, trace }
  }
  const traced = {
    from: request.from ?? new Uint8Array(20),
    to: request.to,
    valueWei: request.valueWei ?? 0n,
    data: request.data ?? new Uint8Array(0),
    gasLimit,
  }
  const listener: Listener = listen(chain.evm, chain.state, config, traced)
  try {
    const attempt = await run(chain, site, request, gasLimit)
    return { ok: true, trace: listener.result(attempt) }
  } finally {
    listener.stop()
  }
}

export type AccessListResult =
  | { readonly ok: true; readonly accessList: readonly AccessListItem[]; readonly gasUsed: bigint }
  | CallFault

/** What the call touches, and the gas it uses when that list is paid for in advance. */
async function createAccessList(
  chain: ChainEvm,
  site: CallSite,
  request: CallRequest,
): Promise<AccessListResult> {
  const gasLimit = callGasLimit(site.view, request)
  if (typeof gasLimit !== 'bigint') return gasLimit
  let accessList: readonly AccessListItem[] = request.accessList ?? []
  for (let round = 0; round < 4; round++) {
    const listed = { ...request, accessList }
    const { least } = leastGas(listed)
    if (gasLimit < least) return { ok: false, code: 'GasLimitTooLow', least }
    const attempt = await run(chain, site, listed, gasLimit)
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

/** Gas that a call runs with, or why it cannot run. */
function callGasLimit(view: StateView, request: CallRequest): bigint | CallFault {
  const fault = fundsFault(view, request)
  if (fault !== undefined) return fault
  const gasLimit = smaller(request.gasLimit ?? CALL_GAS_LIMIT, CALL_GAS_LIMIT)
  const { least } = leastGas(request)
  return gasLimit < least ? { ok: false, code: 'GasLimitTooLow', least } : gasLimit
}

function fundsFault(view: StateView, request: CallRequest): CallFault | undefined {
  const neededWei = request.valueWei ?? 0n
  const balanceWei = balanceOf(view, request)
  return balanceWei < neededWei
    ? { ok: false, code: 'InsufficientFunds', neededWei, balanceWei }
    : undefined
}

function balanceOf(view: StateView, { from }: CallRequest): bigint {
  return view.account(toHex(from ?? new Uint8Array(20)))?.balance ?? 0n
}

function leastGas(request: CallRequest): { readonly intrinsic: bigint; readonly least: bigint } {
  const { intrinsic, floor } = intrinsicGas({
    to: request.to,
    data: request.data ?? new Uint8Array(0),
    accessList: request.accessList ?? [],
    authorizations: request.authorizations ?? [],
  })
  return { intrinsic, least: larger(intrinsic, floor) }
}

function faultOf({ error, returnValue }: Attempt): CallFault {
  if (error === 'revert') return { ok: false, code: 'Reverted', returnValue }
  return { ok: false, code: 'Halted', reason: error ?? 'unknown' }
}

async function run(
  chain: ChainEvm,
  site: CallSite,
  request: CallRequest,
  gasLimit: bigint,
): Promise<Attempt> {
  const { evm, state } = chain
  chain.begin(site.view)
  const environment = environmentOf(site.block, request.block, (request.gasPriceWei ?? 0n) > 0n)
  const { intrinsic, least } = leastGas(request)
  const from = request.from ?? new Uint8Array(20)
  const { journal } = evm
  journal.startReportingAccessList()
  for (const address of evm.precompiles.keys()) journal.addAlwaysWarmAddress(address)
  for (const address of [from, environment.feeRecipient, ...(request.to ? [request.to] : [])]) {
    journal.addAlwaysWarmAddress(toHex(address))
  }
  for (const { address, storageKeys } of request.accessList ?? []) {
    journal.addAlwaysWarmAddress(toHex(address), true)
    for (const key of storageKeys) journal.addAlwaysWarmSlot(toHex(address), toHex(key), true)
  }
  const account = state.account(toHex(from)) ?? emptyAccount()
  state.setAccount(toHex(from), { ...account, nonce: account.nonce + 1n })
  const authorityRefund = applyAuthorizations(chain, request.authorizations ?? [])
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
  const gasRefunded = smaller(authorityRefund + (execResult.gasRefund ?? 0n), spent / 5n)
  return {
    returnValue: execResult.returnValue,
    gasUsed: larger(spent - gasRefunded, least),
    gasRefunded,
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
