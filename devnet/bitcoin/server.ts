/** The HTTP door: POST with Basic authentication, bounded bodies, JSON-RPC inside; GET /metrics for this machine. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { handleBody } from './rpc.ts'
import type { RpcContext } from './rpc-method.ts'

/** Core's limit for a request body. */
export const MAX_BODY_BYTES = 0x02000000
const REQUEST_TIMEOUT_MS = 30_000
const HEADERS_TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 30_000
const MAX_CONNECTIONS = 256

const INTERNAL_ERROR =
  '{"result":null,"error":{"code":-32603,"message":"Internal error"},"id":null}\n'

export interface Credentials {
  readonly user: string
  readonly password: string
}

export function createRpcServer(
  context: RpcContext,
  credentials: Credentials,
  log: (line: string) => void,
): Server {
  const server = createServer((request, response) => {
    response.on('finish', () => {
      // Once the server is closing, a kept connection would only delay its end.
      if (!server.listening) request.socket.end()
    })
    serve(request, response, context, credentials).catch((error: unknown) => {
      log(`bug: ${error instanceof Error ? error.stack : String(error)}`)
      if (!response.headersSent) reply(response, 500, INTERNAL_ERROR)
      else response.destroy()
    })
  })
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.headersTimeout = HEADERS_TIMEOUT_MS
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.maxConnections = MAX_CONNECTIONS
  return server
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  context: RpcContext,
  credentials: Credentials,
): Promise<void> {
  if (request.url === '/metrics' && request.method === 'GET') {
    return metrics(request, response, context)
  }
  if (request.url !== '/') return refuse(request, response, 404, '')
  if (request.method !== 'POST') {
    return refuse(request, response, 405, 'JSONRPC server handles only POST requests')
  }
  if (!isAuthorised(request.headers.authorization, credentials)) {
    response.setHeader('WWW-Authenticate', 'Basic realm="jsonrpc"')
    return refuse(request, response, 401, '')
  }
  const body = await readBody(request)
  if (body === undefined) return refuse(request, response, 413, '')
  const answer = handleBody(context, body)
  if (answer.body !== undefined) response.setHeader('Content-Type', 'application/json')
  reply(response, answer.status, answer.body ?? '')
}

const LOOPBACK: ReadonlySet<string | undefined> = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1'])

/** Figures for Prometheus, without credentials but for this machine only. */
async function metrics(
  request: IncomingMessage,
  response: ServerResponse,
  context: RpcContext,
): Promise<void> {
  if (!LOOPBACK.has(request.socket.remoteAddress)) return refuse(request, response, 403, '')
  const { registryOf } = await import('./metrics.ts')
  const registry = registryOf(context)
  response.setHeader('Content-Type', registry.contentType)
  reply(response, 200, await registry.metrics())
}

function reply(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

/** Answers without reading the rest of the body: the connection is not used again. */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string,
): void {
  response.setHeader('Connection', 'close')
  request.resume()
  reply(response, status, body)
}

function isAuthorised(header: string | undefined, { user, password }: Credentials): boolean {
  if (header === undefined || !header.startsWith('Basic ')) return false
  const given = Buffer.from(header.slice('Basic '.length).trim(), 'base64')
  const digest = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest()
  return timingSafeEqual(digest(given), digest(`${user}:${password}`))
}

/** The body as text, or undefined once it is larger than the limit. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
