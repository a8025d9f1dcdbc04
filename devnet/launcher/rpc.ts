/** JSON-RPC of a node, as any client would call it. */

export class RpcError extends Error {
  readonly code: number

  constructor(method: string, code: number, message: string) {
    super(`${method}: ${message}`)
    this.code = code
  }
}

/** Somebody else's program, which must run already, does not answer. */
export class Unreachable extends Error {}

export interface NodeRpc {
  readonly url: string
  /** Throws an RpcError for an error of the node, and fetch's error when it does not answer. */
  call<T>(method: string, params?: readonly unknown[]): Promise<T>
}

const CALL_MS = 30_000

/** Posts JSON and gives the JSON of the answer: by the node that answered last, or the next one that does. */
export function createPost(urls: readonly string[]): (body: unknown) => Promise<unknown> {
  let current = 0
  return async (body) => {
    const first = current
    for (let tried = 1; ; tried++) {
      const at = (first + tried - 1) % urls.length
      try {
        const response = await fetch(urls[at] as string, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(CALL_MS),
        })
        const answer: unknown = await response.json()
        current = at
        return answer
      } catch (error) {
        if (tried >= urls.length)
          throw new Unreachable(`no answer of ${urls[at]}: ${causeOf(error)}`)
      }
    }
  }
}

function causeOf(error: unknown): string {
  const { cause, message } = error as Error & { readonly cause?: { readonly code?: unknown } }
  return typeof cause?.code === 'string' ? cause.code : message
}

/** One node, or several of which any will do. */
export function createNodeRpc(...urls: readonly [string, ...string[]]): NodeRpc {
  const post = createPost(urls)
  let id = 0
  return {
    url: urls[0],
    async call<T>(method: string, params: readonly unknown[] = []): Promise<T> {
      id += 1
      const answer = (await post({ jsonrpc: '2.0', id, method, params })) as {
        readonly result?: T
        readonly error?: { readonly code: number; readonly message: string }
      }
      if (answer.error !== undefined) {
        throw new RpcError(method, answer.error.code, answer.error.message)
      }
      return answer.result as T
    },
  }
}

/** Asks again until there is an answer. Throws when the deadline passes, with what was last seen. */
export async function until<T>(
  what: string,
  deadlineMs: number,
  ask: () => Promise<T | undefined>,
  pauseMs = 250,
): Promise<T> {
  const end = Date.now() + deadlineMs
  let last = ''
  for (;;) {
    try {
      const found = await ask()
      if (found !== undefined) return found
    } catch (error) {
      last = `: ${(error as Error).message}`
    }
    if (Date.now() >= end)
      throw new Error(`${what} did not happen within ${deadlineMs / 1000} s${last}`)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}
