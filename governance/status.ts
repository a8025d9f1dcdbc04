/** /live, /ready and /metrics of a member, for probes on the same machine. */
import { createServer, type Server } from 'node:http'
import type { Registry } from 'prom-client'
import { bindServer, registerActorMetrics } from '../node/adapters/system/index.ts'
import type { System } from '../supervisor/index.ts'

export interface StatusServer {
  readonly port: number
  close(): Promise<void>
}

const TEXT = 'text/plain; charset=utf-8'

export async function startStatusServer(
  endpoint: { readonly host: string; readonly port: number },
  system: System,
  registry: Registry,
  /** Whether what holds the secrets can be asked. */
  hasVault: () => boolean,
): Promise<StatusServer> {
  const isReady = () => hasVault() && system.snapshot().every(({ state }) => state === 'Running')
  registerActorMetrics(registry, () => system.snapshot())
  const server: Server = createServer((request, response) => {
    const answer = (status: number, body: string) => {
      const type = status === 200 && request.url === '/metrics' ? registry.contentType : TEXT
      response.writeHead(status, { 'content-type': type }).end(body)
    }
    if (request.method !== 'GET') return answer(405, 'GET only\n')
    switch (request.url) {
      case '/live':
        return answer(200, 'live\n')
      case '/ready':
        return isReady()
          ? answer(200, 'ready\n')
          : answer(503, hasVault() ? 'not ready\n' : 'no signer\n')
      case '/metrics':
        void registry.metrics().then(
          (text) => answer(200, text),
          () => answer(500, 'metrics failed\n'),
        )
        return
      default:
        return answer(404, 'not found\n')
    }
  })
  server.headersTimeout = 5_000
  server.requestTimeout = 5_000
  server.maxConnections = 32
  const port = await bindServer(server, endpoint)
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
