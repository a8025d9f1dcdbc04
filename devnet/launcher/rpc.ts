/** JSON-RPC of a node, as any client would call it. */

export class RpcError extends Error {
  readonly code: number

  constructor(method: string, code: number, message: string) {
    super(`${method}: ${message}`)
    this.code = code
  }
}

export interface NodeRpc {
  readonly url: string
  /** Throws an RpcError for an error of the node, and fetch's error when it does not answer. */
  call<T>(method: string, params?: readonly unknown[]): Promise<T>
}

const CALL_MS = 10_000

export function createNodeRpc(url: string): NodeRpc {
  let id = 0
  return {
    url,
    async call<T>(method: string, params: readonly unknown[] = []): Promise<T> {
      id += 1
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
        signal: AbortSignal.timeout(CALL_MS),
      })
      const answer = (await response.json()) as {
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
