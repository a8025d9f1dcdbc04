/** eth_ methods that read state or run calls on it. */
import { z } from 'zod'
import { bigintFromBytes, hexBytes } from '../../../crypto/index.ts'
import type {
  AccountReads,
  Answers,
  CallFault,
  CallRequest,
  Questions,
} from '../../../vm/evm/index.ts'
import { stateHeightOf, stateUnavailable } from '../blocks.ts'
import { ApiFailure, isFailure } from '../errors.ts'
import { data, quantity } from '../hex.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import {
  addressParam,
  type BlockRef,
  blockOverrideParam,
  blockParam,
  callParam,
  LATEST,
  slotParam,
  stateOverrideParam,
} from '../params.ts'
import type { CallRefusal, Later } from '../port.ts'
import { accessListToJson } from '../shapes/evm.ts'

type BlockArgument = BlockRef | null | undefined

/** Reads accounts after the block that is meant, if they are kept. */
function readState<T>(
  { ports: { evm } }: CallContext,
  block: BlockArgument,
  read: (accounts: AccountReads) => Later<T>,
): Later<T | ApiFailure> {
  const height = stateHeightOf(evm, block ?? LATEST)
  if (isFailure(height)) return height
  const accounts = evm.stateAt(height)
  return accounts === undefined ? stateUnavailable(height) : read(accounts)
}

async function transactionCount(
  context: CallContext,
  address: Uint8Array,
  block: BlockArgument,
): Promise<unknown> {
  const nonce = await readState(context, block, (accounts) => accounts.nonce(address))
  if (isFailure(nonce)) return nonce
  const pending = block?.kind === 'tag' && block.tag === 'pending'
  return quantity(pending ? await context.ports.pool.nextNonce(address, nonce) : nonce)
}

/** Words of many slots of many accounts, at once. */
function storageValues(
  context: CallContext,
  wanted: Readonly<Record<string, readonly Uint8Array[]>>,
  block: BlockArgument,
): unknown {
  return readState(context, block, async (accounts) => {
    const rows = Object.entries(wanted).map(async ([address, slots]) => {
      const words = slots.map((slot) => accounts.storage(hexBytes(address), slot))
      return [address, (await Promise.all(words)).map(data)] as const
    })
    return Object.fromEntries(await Promise.all(rows))
  })
}

type CallKind = 'call' | 'estimateGas' | 'createAccessList'

/** Asks about the state after the block that is meant; what goes wrong is a failure in the words that tools know. */
export async function askAt<Kind extends CallKind | 'traceCall' | 'proof'>(
  { ports: { evm } }: CallContext,
  kind: Kind,
  block: BlockArgument,
  question: Omit<Questions[Kind], 'height'>,
): Promise<Extract<Answers[Kind], { readonly ok: true }> | ApiFailure> {
  const height = stateHeightOf(evm, block ?? LATEST)
  if (isFailure(height)) return height
  // The head may move on before the question is looked at: the latest state is asked for without a number.
  const { kind: named } = block ?? LATEST
  const isLatest = named === 'tag' && height === evm.headHeight()
  const asked = isLatest ? question : { ...question, height }
  const answer = await evm.ask(kind, asked as Questions[Kind])
  if (answer.ok) return answer as Extract<Answers[Kind], { readonly ok: true }>
  return answer.code === 'StateUnavailable' ? stateUnavailable(height) : callFailure(answer)
}

async function call(
  context: CallContext,
  request: CallRequest,
  block: BlockArgument,
): Promise<unknown> {
  const result = await askAt(context, 'call', block, { request })
  return isFailure(result) ? result : data(result.returnValue)
}

async function estimateGas(
  context: CallContext,
  request: CallRequest,
  block: BlockArgument,
): Promise<unknown> {
  const result = await askAt(context, 'estimateGas', block, { request })
  return isFailure(result) ? result : quantity(result.gas)
}

async function createAccessList(
  context: CallContext,
  request: CallRequest,
  block: BlockArgument,
): Promise<unknown> {
  const result = await askAt(context, 'createAccessList', block, { request })
  if (isFailure(result)) return result
  return {
    accessList: accessListToJson(result.accessList),
    gasUsed: quantity(result.gasUsed),
  }
}

async function getProof(
  context: CallContext,
  address: Uint8Array,
  slots: readonly Uint8Array[],
  block: BlockArgument,
): Promise<unknown> {
  const result = await askAt(context, 'proof', block, { address, slots })
  if (isFailure(result)) {
    return result.code === 'StateUnavailable'
      ? new ApiFailure('StateUnavailable', 'proofs are made of the latest state alone')
      : result
  }
  const { proof } = result
  return {
    address: data(address),
    balance: quantity(proof.balanceWei),
    nonce: quantity(proof.nonce),
    codeHash: data(proof.codeHash),
    storageHash: data(proof.storageRoot),
    accountProof: proof.proof.map(data),
    storageProof: proof.slots.map((row) => ({
      key: data(row.slot),
      value: quantity(bigintFromBytes(row.value)),
      proof: row.proof.map(data),
    })),
  }
}

export function callFailure(fault: CallFault | CallRefusal): ApiFailure {
  switch (fault.code) {
    case 'Reverted': {
      const reason = revertReason(fault.returnValue)
      const message = reason === undefined ? undefined : `execution reverted: ${reason}`
      return new ApiFailure('Reverted', message, data(fault.returnValue))
    }
    case 'Halted':
      return new ApiFailure('ExecutionFailed', fault.reason)
    case 'GasLimitTooLow':
      return new ApiFailure('ExecutionFailed', `intrinsic gas too low: at least ${fault.least}`)
    case 'AllowanceTooLow':
      return new ApiFailure(
        'InsufficientFunds',
        `gas required exceeds allowance (${fault.allowance})`,
      )
    case 'InsufficientFunds': {
      const amounts = `have ${fault.balanceWei} want ${fault.neededWei}`
      return new ApiFailure(
        'InsufficientFunds',
        `insufficient funds for gas * price + value: ${amounts}`,
      )
    }
    case 'CallsBusy':
      return new ApiFailure('Unavailable', 'too many calls at once')
    case 'CallTimeout':
      return new ApiFailure('CallTimeout')
  }
}

const ERROR_SELECTOR = '0x08c379a0'
const PANIC_SELECTOR = '0x4e487b71'
const MAX_REASON_BYTES = 1_024

/** The text in `Error(string)` or the code in `Panic(uint256)`; undefined for anything else. */
export function revertReason(returned: Uint8Array): string | undefined {
  const selector = data(returned.subarray(0, 4))
  const body = returned.subarray(4)
  if (selector === PANIC_SELECTOR && body.length === 32) {
    return `panic code 0x${bigintFromBytes(body).toString(16)}`
  }
  if (selector !== ERROR_SELECTOR || body.length < 64) return undefined
  if (bigintFromBytes(body.subarray(0, 32)) !== 32n) return undefined
  const length = bigintFromBytes(body.subarray(32, 64))
  if (length > BigInt(body.length - 64)) return undefined
  const text = body.subarray(64, 64 + Math.min(Number(length), MAX_REASON_BYTES))
  return new TextDecoder().decode(text)
}

const accountParams = z.tuple([addressParam, blockParam.nullish()])
const callParams = z
  .tuple([
    callParam,
    blockParam.nullish(),
    stateOverrideParam.nullish(),
    blockOverrideParam.nullish(),
  ])
  .transform(([request, at, accounts, block]) => {
    const supposing = { ...request, accounts: accounts ?? undefined, block: block ?? undefined }
    return [supposing, at] as const
  })

const MAX_PROVEN_SLOTS = 1_024
const MAX_VALUE_SLOTS = 1_024
const storageValuesParam = z
  .record(z.string().regex(/^0x[0-9a-f]{40}$/i, 'expected an address'), z.array(slotParam))
  .refine(
    (wanted) => Object.values(wanted).flat().length <= MAX_VALUE_SLOTS,
    `more than ${MAX_VALUE_SLOTS} slots`,
  )

export const STATE_METHODS: MethodTable = {
  eth_getBalance: method('state', accountParams, async (context, [address, block]) => {
    const value = await readState(context, block, (accounts) => accounts.balanceWei(address))
    return isFailure(value) ? value : quantity(value)
  }),
  eth_getTransactionCount: method('state', accountParams, (context, [address, block]) =>
    transactionCount(context, address, block),
  ),
  eth_getCode: method('state', accountParams, async (context, [address, block]) => {
    const code = await readState(context, block, (accounts) => accounts.code(address))
    return isFailure(code) ? code : data(code)
  }),
  eth_getStorageAt: method(
    'state',
    z.tuple([addressParam, slotParam, blockParam.nullish()]),
    async (context, [address, slot, block]) => {
      const value = await readState(context, block, (accounts) => accounts.storage(address, slot))
      return isFailure(value) ? value : data(value)
    },
  ),
  eth_call: method('heavy', callParams, (context, [request, block]) =>
    call(context, request, block),
  ),
  eth_estimateGas: method('heavy', callParams, (context, [request, block]) =>
    estimateGas(context, request, block),
  ),
  eth_createAccessList: method('heavy', callParams, (context, [request, block]) =>
    createAccessList(context, request, block),
  ),
  eth_getProof: method(
    'heavy',
    z.tuple([addressParam, z.array(slotParam).max(MAX_PROVEN_SLOTS), blockParam.nullish()]),
    (context, [address, slots, block]) => getProof(context, address, slots, block),
  ),
  eth_getStorageValues: method(
    'heavy',
    z.tuple([storageValuesParam, blockParam.nullish()]),
    (context, [wanted, block]) => storageValues(context, wanted, block),
  ),
}
