/** What a method is: its rate class, the schema of its parameters, and what it does. */
import type { z } from 'zod'
import type { Clock } from '../../supervisor/index.ts'
import type { Filters } from './filters.ts'
import type { ApiLimits, RateClass } from './limits.ts'
import type { ApiPorts, Later } from './port.ts'
import type { Subscriber, Subscriptions } from './subscriptions.ts'
import type { Turns } from './turns.ts'

export interface CallContext {
  readonly ports: ApiPorts
  readonly limits: ApiLimits
  readonly clock: Clock
  readonly filters: Filters
  readonly subscriptions: Subscriptions
  /** Of a call over WebSocket: where its subscriptions tell. */
  readonly subscriber?: Subscriber
  /** Log queries take turns. */
  readonly logTurns: Turns
}

export interface Method {
  readonly rate: RateClass
  readonly params: z.ZodType
  /** Alys's clients send the parameter itself where a list belongs. */
  readonly bare?: boolean
  /** The result as JSON, or an ApiFailure. */
  readonly run: (context: CallContext, params: unknown) => Later<unknown>
}

export type MethodTable = Readonly<Record<string, Method>>

/** Ties a schema to the function that takes what it lets through. */
export function method<Schema extends z.ZodType>(
  rate: RateClass,
  params: Schema,
  run: (context: CallContext, params: z.output<Schema>) => Later<unknown>,
  options: { readonly bare?: boolean } = {},
): Method {
  return {
    rate,
    params,
    run: (context, given) => run(context, given as z.output<Schema>),
    ...options,
  }
}
