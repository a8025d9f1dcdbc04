/**
 * The node's surface for people and programs: JSON-RPC (eth_, net_, web3_, txpool_, Alys's bare names, millrace_),
 * REST (/status.json, /live, /ready, /metrics), server-sent events and the status page, on one port. It sees the
 * node through `ApiPorts` only: reads are views and enter no mailbox, so a slow call never delays an actor or
 * another call. Follows execution-apis, protocol 3.4 (latest = safe = finalized = committed), OP-1, OP-2.
 * Invariant: no answer holds more than its limit, and an unknown failure shows an incident id and nothing else.
 */
import type { Server } from 'node:http'
import type { Registry } from 'prom-client'
import type { Clock, Ids, LogSink, Random } from '../../supervisor/index.ts'
import { bindServer, type Endpoint, type ListenResult, listenOn } from '../adapters/system/index.ts'
import { createDispatch } from './dispatch.ts'
import { EventHub } from './events.ts'
import { Filters } from './filters.ts'
import { type ApiLimits, DEFAULT_API_LIMITS } from './limits.ts'
import { createMethods } from './methods/index.ts'
import { createCallMetrics, registerNodeMetrics } from './metrics.ts'
import { loadPage } from './page.ts'
import type { ApiPorts } from './port.ts'
import { Rates } from './rates.ts'
import { createHttpServer } from './server.ts'
import { SocketHub } from './sockets.ts'
import { StatusView } from './status.ts'
import { Subscriptions } from './subscriptions.ts'
import { Budget, Turns } from './turns.ts'

export { API_ERRORS, type ApiErrorCode, type ErrorRow } from './errors.ts'
export {
  type CallBounds,
  createEvmView,
  DEFAULT_CALL_BOUNDS,
  type EngineReads,
} from './evm-view.ts'
export { type ApiLimits, DEFAULT_API_LIMITS, UNLIMITED_RATES } from './limits.ts'
export * from './port.ts'

export interface ApiOptions {
  readonly clock: Clock
  readonly random: Random
  readonly ids: Ids
  readonly log: LogSink
  /** Where /metrics reads; the metric sink of the kernel writes into the same one. */
  readonly registry: Registry
  readonly limits?: Partial<ApiLimits>
  /** Without one, admin methods refuse everybody. */
  readonly adminToken?: string
  /** Web origins beside localhost and wallets; `*` is any. */
  readonly corsOrigins?: readonly string[]
  /** Host names beside localhost and IP addresses. */
  readonly allowedHosts?: readonly string[]
}

export interface Api {
  readonly server: Server
  /** Opens the port; `value` is the one it got. */
  listen(wanted: Endpoint, options: { readonly fallback: boolean }): Promise<ListenResult<number>>
  /** Ends event streams and idle connections, lets running requests end for a while, then closes (SU-12). */
  close(): Promise<void>
}

export function createApi(ports: ApiPorts, options: ApiOptions): Api {
  const { clock, registry } = options
  const limits = { ...DEFAULT_API_LIMITS, ...options.limits }
  const onBug = (place: string, error: unknown) => reportBug(options, place, error)
  const status = new StatusView(ports, limits, clock)
  const events = new EventHub({ ports, status, limits, clock, onBug })
  const filters = new Filters(clock, options.random, limits)
  const subscriptions = new Subscriptions(ports, limits, options.random, onBug)
  const logTurns = new Turns(limits.logQueries, limits.logQueriesWaiting)
  registerNodeMetrics(registry, ports)
  const dispatch = createDispatch({
    context: { ports, limits, clock, filters, subscriptions, logTurns },
    methods: createMethods(limits),
    rates: new Rates(clock, limits),
    onCall: createCallMetrics(registry),
    onBug,
  })
  const guard = {
    corsOrigins: options.corsOrigins ?? [],
    allowedHosts: options.allowedHosts ?? [],
    adminToken: options.adminToken,
  }
  const page = loadPage()
  const bodies = new Budget(limits.allBodyBytes)
  const parts = { ports, limits, guard, dispatch, bodies, status, events, registry, page, onBug }
  const server = createHttpServer(parts)
  const sockets = new SocketHub({ limits, guard, dispatch, bodies, subscriptions, clock, onBug })
  sockets.attach(server)
  return {
    server,
    listen: (wanted, { fallback }) =>
      listenOn(wanted, { fallback }, (endpoint) => bindServer(server, endpoint)),
    close: () =>
      new Promise((resolve) => {
        events.close()
        sockets.close()
        const forced = clock.setTimer(limits.closeMs, () => {
          sockets.terminate()
          server.closeAllConnections()
        })
        server.close(() => {
          forced.cancel()
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}

/** Writes what was thrown to the log; the id is all that a client sees. */
function reportBug({ ids, log, clock }: ApiOptions, place: string, error: unknown): string {
  const incident = ids.next()
  const fields = { place, incident, error }
  log.write({
    level: 'error',
    atMs: clock.nowMs(),
    actor: 'api',
    event: 'unexpected error',
    fields,
  })
  return incident
}
