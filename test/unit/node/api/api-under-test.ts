/** The API on loopback over the fake node. */
import { createHash } from 'node:crypto'
import { Registry } from 'prom-client'
import { type Api, type ApiLimits, createApi } from '../../../../node/api/index.ts'
import type { LogRecord } from '../../../../supervisor/index.ts'
import { createFakeNode, createManualClock, type FakeNode } from './fake-node.ts'

export interface Answer {
  readonly jsonrpc?: string
  readonly id?: unknown
  readonly result?: unknown
  readonly error?: {
    readonly code: number
    readonly message: string
    readonly data?: unknown
  } | null
}

export interface UnderTest {
  readonly node: FakeNode
  readonly api: Api
  readonly url: string
  readonly clock: ReturnType<typeof createManualClock>
  readonly log: LogRecord[]
  readonly registry: Registry
  post(body: unknown, headers?: Record<string, string>): Promise<Response>
  rpc(method: string, params?: unknown): Promise<Answer>
  result(method: string, ...params: unknown[]): Promise<unknown>
  close(): Promise<void>
}

export const ADMIN_TOKEN = 'an-admin-token'

export async function startApi(limits: Partial<ApiLimits> = {}): Promise<UnderTest> {
  const clock = createManualClock()
  const node = createFakeNode(clock)
  const log: LogRecord[] = []
  const registry = new Registry()
  let counter = 0
  const api = createApi(node.ports, {
    clock,
    random: {
      bytes: (length) => {
        counter += 1
        return new Uint8Array(createHash('sha512').update(String(counter)).digest()).subarray(
          0,
          length,
        )
      },
    },
    ids: {
      next: () => {
        counter += 1
        return `id-${counter}`
      },
    },
    log: { write: (record) => void log.push(record) },
    registry,
    limits,
    adminToken: ADMIN_TOKEN,
    corsOrigins: ['https://dapp.example'],
  })
  const listening = await api.listen({ host: '127.0.0.1', port: 0 }, { fallback: true })
  if (!listening.ok) throw new Error(listening.error.code)
  const url = `http://127.0.0.1:${listening.value}`
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const rpc = async (method: string, params: unknown = []) => {
    const response = await post({ jsonrpc: '2.0', id: 1, method, params })
    return (await response.json()) as Answer
  }
  const result = async (method: string, ...params: unknown[]) => {
    const answer = await rpc(method, params)
    if (answer.error != null) throw new Error(`${answer.error.code} ${answer.error.message}`)
    return answer.result
  }
  return { node, api, url, clock, log, registry, post, rpc, result, close: () => api.close() }
}
