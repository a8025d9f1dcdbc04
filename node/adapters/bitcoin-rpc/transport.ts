/** One JSON-RPC call over HTTP: keep-alive, a deadline for the whole call, a bound on the answer. */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { z } from 'zod'

/**
 * - `BitcoinUnreachable`: no connection, a broken one, or a server too busy to take the call. Retry later.
 * - `BitcoinTimeout`: no whole answer before the deadline; the call may have had its effect.
 * - `BitcoinRpcError`: Bitcoin said no. `rpcCode` is its code (absent when it refused the credentials).
 * - `BitcoinBadAnswer`: something answered that does not speak as Bitcoin Core does.
 */
export interface BitcoinRpcFault {
  readonly code: 'BitcoinUnreachable' | 'BitcoinTimeout' | 'BitcoinRpcError' | 'BitcoinBadAnswer'
  readonly rpcCode?: number
  readonly message: string
}

export type BitcoinResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: BitcoinRpcFault }

export interface TransportOptions {
  /** `http://user:password@host:port`; the parts of the credentials percent-encoded where needed. */
  readonly url: string
  /** For one call, from its start to the last byte of its answer. */
  readonly timeoutMs: number
  /** Answers above this are cut off and refused [64 MiB]. */
  readonly maxAnswerBytes?: number
}

export interface CallOptions {
  /** False for calls that must not happen twice: they get a connection of their own and no second try. */
  readonly repeatable?: boolean
  readonly timeoutMs?: number
}

export interface Transport {
  call(
    method: string,
    params: readonly unknown[],
    options?: CallOptions,
  ): Promise<BitcoinResult<unknown>>
  /** Closes idle connections. */
  close(): void
}

const DEFAULT_MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_SOCKETS = 8
const MAX_MESSAGE_CHARS = 1_000

const envelope = z.object({
  result: z.unknown().optional(),
  error: z.object({ code: z.number().int(), message: z.string() }).nullish(),
  id: z.unknown().optional(),
})

export const failure = (
  code: BitcoinRpcFault['code'],
  message: string,
  rpcCode?: number,
): { readonly ok: false; readonly error: BitcoinRpcFault } => {
  const text = message.slice(0, MAX_MESSAGE_CHARS)
  const fault = { code, message: text }
  return { ok: false, error: rpcCode === undefined ? fault : { ...fault, rpcCode } }
}

/** Throws for an URL that does not parse: configuration has checked it before. */
export function createTransport(options: TransportOptions): Transport {
  const { hostname, port, pathname, username, password } = new URL(options.url)
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS })
  const target = {
    method: 'POST',
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 80 : Number(port),
    path: pathname,
    headers: {
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      'content-type': 'application/json',
    },
  }
  const maxBytes = options.maxAnswerBytes ?? DEFAULT_MAX_ANSWER_BYTES
  let nextId = 1

  const once = (body: string, timeoutMs: number, repeatable: boolean): Promise<Attempt> => {
    const { promise, resolve } = Promise.withResolvers<Attempt>()
    const headers = { ...target.headers, 'content-length': Buffer.byteLength(body) }
    const request = httpRequest({ ...target, headers, agent: repeatable ? agent : false })
    const timer = setTimeout(() => {
      resolve({ result: failure('BitcoinTimeout', `no answer within ${timeoutMs} ms`) })
      request.destroy()
    }, timeoutMs)
    request.once('response', (response) => {
      readAnswer(response, maxBytes).then(resolve, (error: unknown) =>
        resolve(brokenConnection(error, request)),
      )
    })
    request.on('error', (error) => resolve(brokenConnection(error, request)))
    request.end(body)
    return promise.finally(() => clearTimeout(timer))
  }

  return {
    call: async (method, params, { repeatable = true, timeoutMs = options.timeoutMs } = {}) => {
      const id = nextId++
      const body = JSON.stringify({ jsonrpc: '1.0', id, method, params })
      const first = await once(body, timeoutMs, repeatable)
      // A kept connection may be closed by the server at the moment it is used again.
      const last = first.stale === true ? await once(body, timeoutMs, false) : first
      return 'answer' in last ? readEnvelope(last.answer, id) : last.result
    },
    close: () => agent.destroy(),
  }
}

interface HttpAnswer {
  readonly status: number
  readonly body: string
}

type Attempt =
  | { readonly answer: HttpAnswer; readonly stale?: false }
  | { readonly result: BitcoinResult<never>; readonly stale?: boolean }

function brokenConnection(error: unknown, request: ClientRequest): Attempt {
  const { code, message } = error as NodeJS.ErrnoException
  const stale = request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')
  return { stale, result: failure('BitcoinUnreachable', message || code || 'connection failed') }
}

async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<Attempt> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > maxBytes) {
      response.destroy()
      return { result: failure('BitcoinBadAnswer', `the answer exceeds ${maxBytes} bytes`) }
    }
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks).toString('utf8')
  return { answer: { status: response.statusCode ?? 0, body } }
}

function readEnvelope({ status, body }: HttpAnswer, id: number): BitcoinResult<unknown> {
  if (status === 401 || status === 403) {
    return failure('BitcoinRpcError', `user or password refused (HTTP ${status})`)
  }
  if (status === 503) return failure('BitcoinUnreachable', `too busy (HTTP ${status}): ${body}`)
  const parsed = envelope.safeParse(parseJson(body))
  if (!parsed.success) return failure('BitcoinBadAnswer', `no JSON-RPC answer (HTTP ${status})`)
  const { result, error } = parsed.data
  if (error !== null && error !== undefined) {
    return failure('BitcoinRpcError', error.message, error.code)
  }
  if (parsed.data.id !== id) return failure('BitcoinBadAnswer', 'the answer has another id')
  return { ok: true, value: result }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
