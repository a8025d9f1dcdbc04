/**
 * JSON-RPC 2.0 over HTTP to an execution client: keep-alive, a deadline for every call, a bound on every answer. Calls of one moment may
 * go together as a batch. What goes wrong is a value.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { z } from 'zod'

/**
 * - `Unreachable`: no connection, or a broken one. The call may have had its effect.
 * - `Timeout`: no whole answer before the deadline; the same.
 * - `Unauthorized`: the secret is another one, or the clocks are more than a minute apart.
 * - `RpcError`: the client said no; `rpcCode` and `data` are its own.
 * - `BadAnswer`: something answered that does not speak as execution clients do, or too much.
 */
export interface ClientFault {
  readonly code: 'Unreachable' | 'Timeout' | 'Unauthorized' | 'RpcError' | 'BadAnswer'
  readonly reason: string
  readonly rpcCode?: number
  readonly data?: unknown
}

export type ClientResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: ClientFault }

export interface TransportOptions {
  /** `http://host:port`. */
  readonly url: string
  /** Of one call. */
  readonly token?: () => string
  /** Answers above this are cut off and refused [128 MiB]. */
  readonly maxAnswerBytes?: number
}

export interface Transport {
  call(
    method: string,
    params: readonly unknown[],
    timeoutMs: number,
  ): Promise<ClientResult<unknown>>
  /** Results by position; calls of one event turn share a request. */
  read(
    method: string,
    params: readonly unknown[],
    timeoutMs: number,
  ): Promise<ClientResult<unknown>>
  close(): void
}

const MAX_ANSWER_BYTES = 128 * 1024 * 1024
const MAX_SOCKETS = 16
/** Clients refuse longer ones. */
const MAX_BATCH = 100
const MAX_REASON_CHARS = 500

const envelope = z.object({
  id: z.unknown().optional(),
  result: z.unknown().optional(),
  error: z
    .object({ code: z.number(), message: z.string(), data: z.unknown().optional() })
    .nullish(),
})

interface Asked {
  readonly method: string
  readonly params: readonly unknown[]
  readonly timeoutMs: number
  readonly resolve: (result: ClientResult<unknown>) => void
}

export function createTransport(options: TransportOptions): Transport {
  const { hostname, port, pathname, search } = new URL(options.url)
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS })
  const maxBytes = options.maxAnswerBytes ?? MAX_ANSWER_BYTES
  const target = {
    method: 'POST',
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 80 : Number(port),
    path: `${pathname}${search}`,
  }
  let waiting: Asked[] = []

  const once = (body: string, timeoutMs: number, kept: boolean): Promise<Attempt> => {
    const { promise, resolve } = Promise.withResolvers<Attempt>()
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(options.token && { authorization: `Bearer ${options.token()}` }),
    }
    const request = httpRequest({ ...target, headers, agent: kept ? agent : false })
    const timer = setTimeout(() => {
      resolve({ failure: faulty('Timeout', `no answer within ${timeoutMs} ms`) })
      request.destroy()
    }, timeoutMs)
    request.once('response', (response) => {
      readAnswer(response, maxBytes).then(resolve, (error: unknown) =>
        resolve(broken(error, request)),
      )
    })
    request.on('error', (error) => resolve(broken(error, request)))
    request.end(body)
    return promise.finally(() => clearTimeout(timer))
  }

  const post = async (body: string, timeoutMs: number): Promise<ClientResult<unknown>> => {
    const first = await once(body, timeoutMs, true)
    // A kept connection may be closed by the other side at the moment it is used again. Every call may be made twice.
    const last = first.stale === true ? await once(body, timeoutMs, false) : first
    return 'failure' in last ? last.failure : readBody(last.status, last.body)
  }

  const flush = (): void => {
    const calls = waiting
    waiting = []
    for (let at = 0; at < calls.length; at += MAX_BATCH) void send(calls.slice(at, at + MAX_BATCH))
  }

  const send = async (calls: readonly Asked[]): Promise<void> => {
    const timeoutMs = Math.max(...calls.map((asked) => asked.timeoutMs))
    const body = calls.map(({ method, params }, id) => ({ jsonrpc: '2.0', id, method, params }))
    const [only] = body
    const isSingle = body.length === 1
    const answer = await post(JSON.stringify(isSingle ? only : body), timeoutMs)
    if (!answer.ok) {
      for (const { resolve } of calls) resolve(answer)
      return
    }
    const answers = new Map<unknown, unknown>()
    for (const item of isSingle ? [answer.value] : asList(answer.value)) {
      answers.set((item as { readonly id?: unknown } | null)?.id, item)
    }
    for (const [id, { resolve }] of calls.entries()) resolve(readEnvelope(answers.get(id), id))
  }

  return {
    async call(method, params, timeoutMs) {
      const { promise, resolve } = Promise.withResolvers<ClientResult<unknown>>()
      await send([{ method, params, timeoutMs, resolve }])
      return promise
    },
    read(method, params, timeoutMs) {
      const { promise, resolve } = Promise.withResolvers<ClientResult<unknown>>()
      if (waiting.length === 0) queueMicrotask(flush)
      waiting.push({ method, params, timeoutMs, resolve })
      return promise
    },
    close: () => agent.destroy(),
  }
}

export function faulty(
  code: ClientFault['code'],
  reason: string,
  more: Pick<ClientFault, 'rpcCode' | 'data'> = {},
): { readonly ok: false; readonly fault: ClientFault } {
  return { ok: false, fault: { code, reason: reason.slice(0, MAX_REASON_CHARS), ...more } }
}

type Attempt =
  | { readonly status: number; readonly body: string; readonly stale?: false }
  | { readonly failure: ReturnType<typeof faulty>; readonly stale?: boolean }

function broken(error: unknown, request: ClientRequest): Attempt {
  const { code, message } = error as NodeJS.ErrnoException
  const stale = request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')
  return { stale, failure: faulty('Unreachable', message || code || 'connection failed') }
}

async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<Attempt> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > maxBytes) {
      response.destroy()
      return { failure: faulty('BadAnswer', `the answer exceeds ${maxBytes} bytes`) }
    }
    chunks.push(chunk)
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }
}

function readBody(status: number, body: string): ClientResult<unknown> {
  if (status === 401 || status === 403) {
    return faulty('Unauthorized', `HTTP ${status}: ${body || 'the token is refused'}`)
  }
  try {
    return { ok: true, value: JSON.parse(body) }
  } catch {
    return faulty('BadAnswer', `no JSON (HTTP ${status})`)
  }
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function readEnvelope(answer: unknown, id: number): ClientResult<unknown> {
  const parsed = envelope.safeParse(answer)
  if (!parsed.success || parsed.data.id !== id) return faulty('BadAnswer', 'no JSON-RPC answer')
  const { error, result } = parsed.data
  if (error === null || error === undefined) return { ok: true, value: result }
  const { code, message, data } = error
  return faulty('RpcError', message, { rpcCode: code, ...(data !== undefined && { data }) })
}
