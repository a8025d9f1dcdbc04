/** debug_traceTransaction and debug_traceBlock*: a committed block is executed again on its parent's state, and looked at meanwhile. */
import type { ExecutionPayload } from '../../../core/block/index.ts'
import type { ChainEvm } from '../chain.ts'
import { beginBlock, type ParentHeader } from '../executor.ts'
import { runTransaction, type TransactionResult } from '../run-transaction.ts'
import { overlayView, type StateChanges, type StateView } from '../state.ts'
import { decodeTransaction, type EvmTransaction, isTransaction } from '../transaction.ts'
import { RecordingView } from './prestate.ts'
import { listen, type TraceConfig } from './tracers.ts'

export type TracedBlock = {
  /** State after the parent. */
  readonly view: StateView
  readonly parent: ParentHeader
  readonly payload: ExecutionPayload
  readonly senders: readonly Uint8Array[]
}

/** By position from `from` on, up to `to`; undefined where a trace does not fit into an answer. */
export async function traceBlock(
  chain: ChainEvm,
  { view, parent, payload, senders }: TracedBlock,
  config: TraceConfig,
  from = 0,
  to: number = payload.transactions.length - 1,
): Promise<unknown[]> {
  const { environment, block } = beginBlock(chain, view, parent, payload)
  const traces: unknown[] = []
  // For prestates: what came before in the block is part of the state that a transaction begins with.
  const before = { accounts: new Map(), storage: new Map(), code: new Map(), nodes: new Map() }
  const below = overlayView(view, before, parent.blockNumber, parent.blockHash)
  let gasLeft = BigInt(payload.gasLimit)
  const run = async (
    transaction: EvmTransaction,
    sender: Uint8Array,
  ): Promise<TransactionResult> => {
    const ran = await runTransaction(chain, environment, block, transaction, sender, gasLeft)
    if ('rejected' in ran) throw new Error(`a committed transaction: ${ran.rejected}`)
    gasLeft -= ran.result.gasUsed
    return ran.result
  }
  for (let index = 0; index <= to; index++) {
    const transaction = decodeTransaction(payload.transactions[index] as Uint8Array)
    if (!isTransaction(transaction)) throw new Error('a committed transaction does not decode')
    const sender = senders[index] as Uint8Array
    if (index < from) {
      await run(transaction, sender)
      continue
    }
    if (config.tracer === 'prestateTracer') {
      mergeInto(before, chain.state.changes())
      const recording = new RecordingView(below)
      chain.begin(recording)
      await run(transaction, sender)
      const isDifference = config.diffMode === true
      traces.push(isDifference ? recording.difference(chain.state.changes()) : recording.prestate())
      continue
    }
    const { to: target, value, data, gasLimit } = transaction
    const traced = { from: sender, to: target, valueWei: value, data, gasLimit }
    const listener = listen(chain.evm, chain.state, config, traced)
    try {
      traces.push(listener.result(await run(transaction, sender)))
    } finally {
      listener.stop()
    }
  }
  return traces
}

function mergeInto(
  into: {
    readonly accounts: Map<string, unknown>
    readonly storage: Map<string, Map<string, Uint8Array>>
    readonly code: Map<string, Uint8Array>
  },
  changes: StateChanges,
): void {
  for (const [key, account] of changes.accounts) into.accounts.set(key, account)
  for (const [key, code] of changes.code) into.code.set(key, code)
  for (const [key, slots] of changes.storage) {
    into.storage.set(key, new Map([...(into.storage.get(key) ?? []), ...slots]))
  }
}
