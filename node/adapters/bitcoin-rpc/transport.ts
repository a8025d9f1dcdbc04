/** One JSON-RPC call over HTTP: keep-alive, a deadline for the whole call, a bound on the answer. */
import { z } from 'zod'
import { createJsonPost, type HttpAnswer, type PostFault } from '../json-post/index.ts'

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

const CODES: Readonly<Record<PostFault['code'], BitcoinRpcFault['code']>> = {
  Unreachable: 'BitcoinUnreachable',
  Timeout: 'BitcoinTimeout',
  TooLarge: 'BitcoinBadAnswer',
}

/** Throws for an URL that does not parse: configuration has checked it before. */
export function createTransport(options: TransportOptions): Transport {
  const url = new URL(options.url)
  url.search = ''
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  const basic = `Basic ${Buffer.from(credentials).toString('base64')}`
  const maxAnswerBytes = options.maxAnswerBytes ?? DEFAULT_MAX_ANSWER_BYTES
  const http = createJsonPost({ url, maxSockets: MAX_SOCKETS, maxAnswerBytes })
  let nextId = 1
  return {
    call: async (method, params, { repeatable = true, timeoutMs = options.timeoutMs } = {}) => {
      const id = nextId++
      const body = JSON.stringify({ jsonrpc: '1.0', id, method, params })
      const posted = await http.post(body, { timeoutMs, repeatable, authorization: () => basic })
      if (posted.ok) return readEnvelope(posted.answer, id)
      return failure(CODES[posted.fault.code], posted.fault.reason)
    },
    close: http.close,
  }
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
