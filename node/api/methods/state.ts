/** eth_ methods that read state or run calls on it. */
import { z } from 'zod'
import { bigintFromBytes } from '../../../crypto/index.ts'
import type { CallFault, CallRequest } from '../../../vm/evm/index.ts'
import { checkStateAt } from '../blocks.ts'
import { ApiFailure, isFailure } from '../errors.ts'
import { data, quantity } from '../hex.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import { addressParam, type BlockRef, blockParam, callParam, LATEST, slotParam } from '../params.ts'
import type { CallRefusal, EvmView } from '../port.ts'
import { accessListToJson } from '../shapes/evm.ts'

type BlockArgument = BlockRef | null | undefined

/** Reads an account of the head, once it is sure that the head is meant. */
function readState<T>(
  { ports: { evm } }: CallContext,
  block: BlockArgument,
  read: (evm: EvmView) => T,
): T | ApiFailure {
  return checkStateAt(evm, block ?? LATEST) ?? read(evm)
}

async function transactionCount(
  context: CallContext,
  address: Uint8Array,
  block: BlockArgument,
): Promise<unknown> {
  const nonce = readState(context, block, (evm) => evm.nonce(address))
  if (isFailure(nonce)) return nonce
  const pending = block?.kind === 'tag' && block.tag === 'pending'
  return quantity(pending ? await context.ports.pool.nextNonce(address, nonce) : nonce)
}

async function call(
  context: CallContext,
  request: CallRequest,
  block: BlockArgument,
): Promise<unknown> {
  const result = await readState(context, block, (evm) => evm.call(request))
  if (isFailure(result)) return result
  return result.ok ? data(result.returnValue) : callFailure(result)
}

async function estimateGas(
  context: CallContext,
  request: CallRequest,
  block: BlockArgument,
): Promise<unknown> {
  const result = await readState(context, block, (evm) => evm.estimateGas(request))
  if (isFailure(result)) return result
  return result.ok ? quantity(result.gas) : callFailure(result)
}

async function createAccessList(
  context: CallContext,
  request: CallRequest,
  block: BlockArgument,
): Promise<unknown> {
  const result = await readState(context, block, (evm) => evm.createAccessList(request))
  if (isFailure(result)) return result
  if (!result.ok) return callFailure(result)
  return {
    accessList: accessListToJson(result.accessList),
    gasUsed: quantity(result.gasUsed),
  }
}

function callFailure(fault: CallFault | CallRefusal): ApiFailure {
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
    case 'CallsBusy':
      return new ApiFailure('Unavailable', 'too many calls at once')
    case 'InsufficientFunds':
    case 'CallTimeout':
      return new ApiFailure(fault.code)
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
/** State overrides are not offered: a third parameter other than null or {} is refused by name. */
const noOverrides = z.strictObject({}, 'state overrides are not supported').nullish()
const callParams = z.tuple([callParam, blockParam.nullish(), noOverrides])

export const STATE_METHODS: MethodTable = {
  eth_getBalance: method('state', accountParams, (context, [address, block]) => {
    const value = readState(context, block, (evm) => evm.balanceWei(address))
    return isFailure(value) ? value : quantity(value)
  }),
  eth_getTransactionCount: method('state', accountParams, (context, [address, block]) =>
    transactionCount(context, address, block),
  ),
  eth_getCode: method('state', accountParams, (context, [address, block]) => {
    const code = readState(context, block, (evm) => evm.code(address))
    return isFailure(code) ? code : data(code)
  }),
  eth_getStorageAt: method(
    'state',
    z.tuple([addressParam, slotParam, blockParam.nullish()]),
    (context, [address, slot, block]) => {
      const value = readState(context, block, (evm) => evm.storage(address, slot))
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
}
