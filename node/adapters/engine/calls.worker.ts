/** Read-only EVM calls, apart from the engine's thread: a slow call delays other calls and no block. */
import { workerData } from 'piscina'
import type { ExecutionPayload } from '../../../core/block/index.ts'
import {
  type AccessListResult,
  type CallRequest,
  type CallResult,
  type EstimateResult,
  loadCalls,
} from '../../../vm/evm/index.ts'
import { openEngineDatabase } from './store.ts'
import type { CallsWorkerData } from './wire.ts'

const { directory, chainId } = workerData as CallsWorkerData
const database = openEngineDatabase(directory, 'read')
const calls = await loadCalls(chainId)

export function call(request: CallRequest): Promise<CallResult> {
  const { view, latest } = state()
  return calls.call(view, latest, request)
}

export function estimate(request: CallRequest): Promise<EstimateResult> {
  const { view, latest } = state()
  return calls.estimateGas(view, latest, request)
}

export function accessList(request: CallRequest): Promise<AccessListResult> {
  const { view, latest } = state()
  return calls.createAccessList(view, latest, request)
}

function state() {
  if ('code' in database) throw new Error(database.reason)
  // A pool's thread sleeps between tasks without an event turn, which would end the last snapshot.
  database.refresh()
  const head = database.head()
  const latest = head && database.payloadAt(head.number)
  if (latest === undefined) throw new Error('the state holds no block')
  return { view: database.view(), latest: latest as ExecutionPayload }
}
