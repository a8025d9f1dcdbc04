/** JSON by POST over HTTP: keep-alive, a deadline for the whole call, a bound on the answer. What goes wrong is a value. */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'

export interface JsonPostOptions {
  /** Its credentials are not sent. */
  readonly url: URL
  readonly maxSockets: number
  /** Answers above this are cut off and refused. */
  readonly maxAnswerBytes: number
}

export interface PostOptions {
  /** From the start to the last byte of the answer. */
  readonly timeoutMs: number
  /** Of this one request. */
  readonly authorization?: () => string
  /** False: a connection of its own, and no second try [true]. */
  readonly repeatable?: boolean
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

/** After `Unreachable` and `Timeout` the call may have had its effect. */
export interface PostFault {
  readonly code: 'Unreachable' | 'Timeout' | 'TooLarge'
  readonly reason: string
}

export type PostResult =
  | { readonly ok: true; readonly answer: HttpAnswer }
  | { readonly ok: false; readonly fault: PostFault }

export interface JsonPost {
  post(body: string, options: PostOptions): Promise<PostResult>
  /** Closes idle connections. */
  close(): void
}

export function createJsonPost({ maxAnswerBytes, maxSockets, url }: JsonPostOptions): JsonPost {
  const agent = new Agent({ keepAlive: true, maxSockets })
  const target = {
    method: 'POST',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    path: `${url.pathname}${url.search}`,
  }

  const once = (body: string, options: PostOptions, isKept: boolean): Promise<Attempt> => {
    const { authorization, timeoutMs } = options
    const { promise, resolve } = Promise.withResolvers<Attempt>()
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(authorization && { authorization: authorization() }),
    }
    const request = httpRequest({ ...target, headers, agent: isKept ? agent : false })
    const timer = setTimeout(() => {
      resolve({ result: failed('Timeout', `no answer within ${timeoutMs} ms`) })
      request.destroy()
    }, timeoutMs)
    request.once('response', (response) => {
      readAnswer(response, maxAnswerBytes).then(
        (result) => resolve({ result }),
        (error: unknown) => resolve(broken(error, request)),
      )
    })
    request.on('error', (error) => resolve(broken(error, request)))
    request.end(body)
    return promise.finally(() => clearTimeout(timer))
  }

  return {
    async post(body, options) {
      const first = await once(body, options, options.repeatable ?? true)
      // A kept connection may be closed by the other side at the moment it is used again.
      const last = first.isStale === true ? await once(body, options, false) : first
      return last.result
    },
    close: () => agent.destroy(),
  }
}

interface Attempt {
  readonly result: PostResult
  readonly isStale?: boolean
}

const failed = (code: PostFault['code'], reason: string): PostResult => ({
  ok: false,
  fault: { code, reason },
})

function broken(error: unknown, request: ClientRequest): Attempt {
  const { code, message } = error as NodeJS.ErrnoException
  const isStale = request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')
  return { isStale, result: failed('Unreachable', message || code || 'connection failed') }
}

async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<PostResult> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > maxBytes) {
      response.destroy()
      return failed('TooLarge', `the answer exceeds ${maxBytes} bytes`)
    }
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks).toString('utf8')
  return { ok: true, answer: { status: response.statusCode ?? 0, body } }
}
