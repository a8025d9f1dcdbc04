/**
 * JSON-RPC 2.0 over HTTP to an execution client: keep-alive, a deadline for every call, a bound on every answer. Calls of one moment may
 * go together as a batch. What goes wrong is a value.
 */
import { z } from 'zod'
import { createJsonPost, type HttpAnswer, type PostFault } from '../json-post/index.ts'

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

const CODES: Readonly<Record<PostFault['code'], ClientFault['code']>> = {
  Unreachable: 'Unreachable',
  Timeout: 'Timeout',
  TooLarge: 'BadAnswer',
}

export function createTransport({ maxAnswerBytes, token, url }: TransportOptions): Transport {
  const http = createJsonPost({
    url: new URL(url),
    maxSockets: MAX_SOCKETS,
    maxAnswerBytes: maxAnswerBytes ?? MAX_ANSWER_BYTES,
  })
  const authorization = token && (() => `Bearer ${token()}`)
  let waiting: Asked[] = []

  /** Every call may be made twice. */
  const post = async (body: string, timeoutMs: number): Promise<ClientResult<unknown>> => {
    const posted = await http.post(body, { timeoutMs, ...(authorization && { authorization }) })
    if (posted.ok) return readBody(posted.answer)
    return faulty(CODES[posted.fault.code], posted.fault.reason)
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
    close: http.close,
  }
}

export function faulty(
  code: ClientFault['code'],
  reason: string,
  more: Pick<ClientFault, 'rpcCode' | 'data'> = {},
): { readonly ok: false; readonly fault: ClientFault } {
  return { ok: false, fault: { code, reason: reason.slice(0, MAX_REASON_CHARS), ...more } }
}

function readBody({ status, body }: HttpAnswer): ClientResult<unknown> {
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
