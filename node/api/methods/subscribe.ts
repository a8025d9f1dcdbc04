/** eth_subscribe and eth_unsubscribe: over WebSocket alone. */
import { z } from 'zod'
import { LogMatcher } from '../../../vm/evm/index.ts'
import { ApiFailure } from '../errors.ts'
import type { ApiLimits } from '../limits.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import { logFilterParam } from '../params.ts'
import type { Topic } from '../subscriptions.ts'

const NO_SOCKET = 'notifications are not supported over HTTP: subscribe over WebSocket'

function subscribe({ subscriber, subscriptions, limits }: CallContext, topic: Topic): unknown {
  if (subscriber === undefined) return new ApiFailure('MethodNotFound', NO_SOCKET)
  const id = subscriptions.add(subscriber, topic)
  const most = `${limits.subscriptionsPerSocket} subscriptions of one client`
  return id ?? new ApiFailure('LimitExceeded', `more than ${most}`)
}

export function subscribeMethods(limits: ApiLimits): MethodTable {
  const topic = z.union(
    [
      z.tuple([z.literal('newHeads')]).transform((): Topic => ({ kind: 'newHeads' })),
      z.tuple([z.literal('syncing')]).transform((): Topic => ({ kind: 'syncing' })),
      z
        .tuple([z.literal('logs'), logFilterParam(limits.logAlternatives).nullish()])
        .transform(([, filter]): Topic => ({ kind: 'logs', filter: filter ?? EVERY_LOG })),
      z.tuple([z.literal('newPendingTransactions'), z.boolean().nullish()]).transform(
        ([, isFull]): Topic => ({
          kind: 'newPendingTransactions',
          isFull: isFull === true,
        }),
      ),
    ],
    { error: 'expected newHeads, logs, newPendingTransactions or syncing' },
  )
  return {
    eth_subscribe: method('heavy', topic, subscribe),
    eth_unsubscribe: method(
      'light',
      z.tuple([z.string().max(66)]),
      ({ subscriber, subscriptions }, [id]) => {
        if (subscriber === undefined) return new ApiFailure('MethodNotFound', NO_SOCKET)
        return (
          subscriptions.remove(subscriber, id) ||
          new ApiFailure('ResourceNotFound', 'subscription not found')
        )
      },
    ),
  }
}

const LATEST = { kind: 'tag', tag: 'latest' } as const
const EVERY_LOG = {
  blockHash: undefined,
  from: LATEST,
  to: LATEST,
  matcher: new LogMatcher([], []),
}
