/** eth_getLogs and the filters that are polled. */
import { z } from 'zod'
import type { LogRead } from '../../../vm/evm/index.ts'
import { blockNotFound, heightOf } from '../blocks.ts'
import { ApiFailure, isFailure } from '../errors.ts'
import { data } from '../hex.ts'
import type { ApiLimits } from '../limits.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import { type LogFilterParam, logFilterParam } from '../params.ts'
import type { EvmView } from '../port.ts'
import { logToJson } from '../shapes/evm.ts'
import { nextTurn } from '../turns.ts'

const none = z.tuple([])
const filterId = z
  .string()
  .max(66)
  .regex(/^0x[0-9a-f]+$/i, 'expected a filter id')
  .transform((id) => id.toLowerCase())

/** A query may look at thousands of blocks: every few milliseconds others have the thread. */
async function logsBetween(
  context: CallContext,
  fromHeight: number,
  toHeight: number,
  filter: LogFilterParam,
): Promise<readonly LogRead[] | ApiFailure> {
  const { limits, logTurns } = context
  if (toHeight - fromHeight + 1 > limits.logBlocks) {
    return new ApiFailure('LimitExceeded', `query exceeds ${limits.logBlocks} blocks`)
  }
  if (context.ports.evm.isPruned(fromHeight)) return new ApiFailure('HistoryPruned')
  const found = await logTurns.take(() => readSlices(context, fromHeight, toHeight, filter))
  return found ?? new ApiFailure('Unavailable', 'too many log queries at once')
}

async function readSlices(
  { ports: { evm }, limits, clock }: CallContext,
  fromHeight: number,
  toHeight: number,
  { matcher }: LogFilterParam,
): Promise<readonly LogRead[] | ApiFailure> {
  const found: LogRead[] = []
  let sinceMs = clock.nowMs()
  for (let height = fromHeight; height <= toHeight; height++) {
    if (clock.nowMs() - sinceMs >= limits.logSliceMs) {
      await nextTurn()
      sinceMs = clock.nowMs()
    }
    const logs = evm.logs({ fromHeight: height, toHeight: height }, matcher)
    if ('code' in logs && logs.code === 'LogRangeTooWide') {
      return new ApiFailure('LimitExceeded', `query exceeds ${logs.limit} blocks`)
    }
    if ('code' in logs || found.length + logs.length > limits.logResults) {
      return new ApiFailure(
        'LimitExceeded',
        `query returned more than ${limits.logResults} results`,
      )
    }
    found.push(...logs)
  }
  return found
}

async function queryLogs(context: CallContext, filter: LogFilterParam): Promise<unknown> {
  const { evm } = context.ports
  if (filter.blockHash !== undefined) {
    const height = evm.heightOf(filter.blockHash)
    if (height === undefined) return blockNotFound()
    return asJson(await logsBetween(context, height, height, filter))
  }
  const head = evm.headHeight()
  const from = heightOf(evm, filter.from) ?? head
  const to = heightOf(evm, filter.to) ?? head
  if (from > to) {
    return new ApiFailure('InvalidParams', 'invalid block range: fromBlock is above toBlock')
  }
  return from > head ? [] : asJson(await logsBetween(context, from, Math.min(to, head), filter))
}

function asJson(logs: readonly LogRead[] | ApiFailure): unknown {
  return isFailure(logs) ? logs : logs.map(logToJson)
}

function newFilter(
  { ports: { evm }, filters, limits }: CallContext,
  kind: 'blocks' | 'logs',
  query?: LogFilterParam,
): unknown {
  const next = evm.headHeight() + 1
  const start = query?.from.kind === 'number' ? Math.max(query.from.number, next) : next
  const id = filters.add(kind, start, query)
  return id ?? new ApiFailure('LimitExceeded', `${limits.filters} filters are in use`)
}

const NO_FILTER = 'filter not found'

/** What is new since the last poll; a filter far behind is told one stretch per poll. */
async function filterChanges(context: CallContext, id: string): Promise<unknown> {
  const filter = context.filters.get(id)
  if (filter === undefined) return new ApiFailure('ResourceNotFound', NO_FILTER)
  const { evm } = context.ports
  const from = filter.nextBlock
  const last = lastBlockOf(filter.query, evm.headHeight(), from, context.limits)
  if (from > last) return []
  const changes =
    filter.query === undefined
      ? hashesBetween(evm, from, last)
      : asJson(await logsBetween(context, from, last, filter.query))
  if (!isFailure(changes)) filter.nextBlock = last + 1
  return changes
}

function hashesBetween(evm: EvmView, from: number, last: number): string[] {
  const hashes: string[] = []
  for (let height = from; height <= last; height++) {
    const block = evm.blockAt(height)
    if (block !== undefined) hashes.push(data(block.payload.blockHash))
  }
  return hashes
}

function lastBlockOf(
  query: LogFilterParam | undefined,
  head: number,
  from: number,
  limits: ApiLimits,
): number {
  const end = query?.to.kind === 'number' ? query.to.number : head
  return Math.min(end, head, from + limits.logBlocks - 1)
}

function filterLogs(context: CallContext, id: string): Promise<unknown> | ApiFailure {
  const filter = context.filters.get(id)
  if (filter?.query === undefined) return new ApiFailure('ResourceNotFound', NO_FILTER)
  return queryLogs(context, filter.query)
}

/** The methods depend on how many alternatives a query may name. */
export function logMethods(limits: ApiLimits): MethodTable {
  const query = z.tuple([logFilterParam(limits.logAlternatives)])
  return {
    eth_getLogs: method('heavy', query, (context, [filter]) => queryLogs(context, filter)),
    eth_newFilter: method('heavy', query, (context, [filter]) => {
      if (filter.blockHash !== undefined) {
        return new ApiFailure('InvalidParams', 'param 1: a filter follows the chain, not one block')
      }
      return newFilter(context, 'logs', filter)
    }),
    eth_newBlockFilter: method('heavy', none, (context) => newFilter(context, 'blocks')),
    eth_getFilterChanges: method('state', z.tuple([filterId]), (context, [id]) =>
      filterChanges(context, id),
    ),
    eth_getFilterLogs: method('heavy', z.tuple([filterId]), (context, [id]) =>
      filterLogs(context, id),
    ),
    eth_uninstallFilter: method('light', z.tuple([filterId]), ({ filters }, [id]) =>
      filters.remove(id),
    ),
  }
}
