/** The HTTP side: JSON-RPC by POST, the rest by GET, all on one port. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import type { Dispatch } from './dispatch.ts'
import { ApiFailure, isFailure } from './errors.ts'
import type { EventHub } from './events.ts'
import { type GuardOptions, isAdmin, isHostAllowed, isOriginAllowed } from './guard.ts'
import { checkHealth, READY_STATUS } from './health.ts'
import type { ApiLimits } from './limits.ts'
import type { Page } from './page.ts'
import type { ApiPorts } from './port.ts'
import { type StatusView, statusText } from './status.ts'
import type { Budget } from './turns.ts'

export interface ServerParts {
  readonly ports: ApiPorts
  readonly limits: ApiLimits
  readonly guard: GuardOptions
  readonly dispatch: Dispatch
  /** For the bodies of all requests. */
  readonly bodies: Budget
  readonly status: StatusView
  readonly events: EventHub
  readonly registry: Registry
  readonly page: Page
  readonly onBug: (place: string, error: unknown) => string
}

type Headers = Record<string, string>

const JSON_TYPE = 'application/json; charset=utf-8'
const MAX_CONNECTIONS = 2_000

export function createHttpServer(parts: ServerParts): Server {
  const { limits } = parts
  let inFlight = 0
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: 65_000,
    },
    (request, response) => {
      inFlight += 1
      response.once('close', () => {
        inFlight -= 1
      })
      const busy = inFlight > limits.inFlight + limits.eventClients
      handle(parts, request, response, busy).catch((error: unknown) => {
        const incident = parts.onBug('http', error)
        sendFailure(response, new ApiFailure('Internal', undefined, { incident }), {})
      })
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  server.on('clientError', (_, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
    else socket.destroy()
  })
  return server
}

async function handle(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  busy: boolean,
): Promise<void> {
  const { origin, host } = request.headers
  if (!isHostAllowed(host, parts.guard)) {
    return sendFailure(response, new ApiFailure('Forbidden', 'this host name is not served'), {})
  }
  if (!isOriginAllowed(origin, host, parts.guard)) {
    return sendFailure(response, new ApiFailure('Forbidden', 'this origin is not allowed'), {})
  }
  const headers = originHeaders(origin)
  if (busy) {
    const retry = { ...headers, 'retry-after': '1' }
    return sendFailure(response, new ApiFailure('Unavailable', 'too many requests at once'), retry)
  }
  switch (request.method) {
    case 'OPTIONS':
      return sendPreflight(request, response, headers)
    case 'POST':
      return rpc(parts, request, response, headers)
    case 'GET':
    case 'HEAD':
      return route(parts, request, response, headers)
    default:
      return sendFailure(response, new ApiFailure('VerbNotAllowed'), {
        ...headers,
        allow: 'GET, HEAD, POST, OPTIONS',
      })
  }
}

function originHeaders(origin: string | undefined): Headers {
  const base = { 'x-content-type-options': 'nosniff' }
  return origin === undefined
    ? base
    : { ...base, 'access-control-allow-origin': origin, vary: 'origin' }
}

function sendPreflight(request: IncomingMessage, response: ServerResponse, headers: Headers): void {
  const privateNetwork = request.headers['access-control-request-private-network'] === 'true'
  response.writeHead(204, {
    ...headers,
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers': 'content-type, authorization',
    'access-control-max-age': '600',
    ...(privateNetwork ? { 'access-control-allow-private-network': 'true' } : {}),
  })
  response.end()
}

async function rpc(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  headers: Headers,
): Promise<void> {
  const held = { bytes: 0 }
  // Until the response is done: its answer holds what was asked.
  response.once('close', () => parts.bodies.give(held.bytes))
  const body = await readBody(request, parts, held)
  if (body === undefined) return
  if (isFailure(body)) {
    const retry = body.code === 'Unavailable' ? { 'retry-after': '1' } : {}
    return sendFailure(response, body, { ...headers, ...retry, connection: 'close' })
  }
  const answer = await parts.dispatch(body, {
    client: request.socket.remoteAddress ?? '',
    admin: isAdmin(request.headers.authorization, parts.guard),
  })
  if (answer.body === undefined) {
    response.writeHead(answer.status, headers)
    response.end()
    return
  }
  const retry =
    answer.retryAfterMs === undefined
      ? {}
      : { 'retry-after': Math.ceil(answer.retryAfterMs / 1_000).toString() }
  send(response, answer.status, answer.body, { ...headers, ...retry, 'content-type': JSON_TYPE })
}

/** The body as text, a failure when it or all bodies together are too long, undefined when the client went away. */
async function readBody(
  request: IncomingMessage,
  { bodies, limits: { bodyBytes: mostBytes } }: ServerParts,
  held: { bytes: number },
): Promise<string | ApiFailure | undefined> {
  const tooLarge = new ApiFailure('BodyTooLarge', `request body above ${mostBytes} bytes`)
  if (Number(request.headers['content-length'] ?? 0) > mostBytes) return tooLarge
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request) {
      const part = chunk as Buffer
      bytes += part.length
      if (bytes > mostBytes) return tooLarge
      if (!bodies.take(part.length)) {
        return new ApiFailure('Unavailable', 'too many bytes of requests at once')
      }
      held.bytes += part.length
      chunks.push(part)
    }
  } catch {
    return undefined
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function route(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  headers: Headers,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0]
  const fresh = { ...headers, 'cache-control': 'no-store' }
  switch (path) {
    case '/':
      return send(response, 200, parts.page.html, {
        ...headers,
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
        'content-security-policy': parts.page.policy,
        'referrer-policy': 'no-referrer',
      })
    case '/status.json': {
      const status = { nowMs: parts.status.nowMs(), ...(await parts.status.read()) }
      return send(response, 200, statusText(status), { ...fresh, 'content-type': JSON_TYPE })
    }
    case '/events':
      if (request.method === 'GET' && (await parts.events.add(response, headers))) return
      return sendFailure(response, new ApiFailure('Unavailable', 'too many readers'), fresh)
    case '/live':
      return send(response, 200, '{"live":true}', { ...fresh, 'content-type': JSON_TYPE })
    case '/ready': {
      const health = checkHealth(parts.ports)
      const type = { ...fresh, 'content-type': JSON_TYPE }
      return send(response, READY_STATUS[health.status], JSON.stringify(health), type)
    }
    case '/metrics':
      return send(response, 200, await parts.registry.metrics(), {
        ...fresh,
        'content-type': parts.registry.contentType,
      })
    default:
      return sendFailure(response, new ApiFailure('RouteNotFound'), fresh)
  }
}

function send(response: ServerResponse, status: number, body: string, headers: Headers): void {
  if (response.headersSent) return void response.end()
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body).toString() })
  response.end(body)
}

function sendFailure(response: ServerResponse, failure: ApiFailure, headers: Headers): void {
  const body = JSON.stringify({ jsonrpc: '2.0', id: null, error: failure.toJson() })
  send(response, failure.row.http, body, { ...headers, 'content-type': JSON_TYPE })
}
