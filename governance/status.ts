/** /live, /ready and /metrics of a member or a signer, for probes on the same machine. */
import { createServer, type Server } from 'node:http'
import type { Registry } from 'prom-client'
import { bindServer } from '../node/adapters/system/index.ts'
import type { Vault } from './port.ts'

export interface StatusServer {
  readonly port: number
  close(): Promise<void>
}

const TEXT = 'text/plain; charset=utf-8'

/** Why a process whose vault believes nothing any more is not ready. */
export async function staleness(vault: Pick<Vault, 'head'>): Promise<string | undefined> {
  const { isStale } = await vault.head()
  return isStale ? 'older than the trust window: name a block by --trusted-block' : undefined
}

/** `hindrance`: why the process is not ready, in a few words; undefined: it is. */
export async function startStatusServer(
  endpoint: { readonly host: string; readonly port: number },
  registry: Registry,
  hindrance: () => string | undefined | Promise<string | undefined>,
): Promise<StatusServer> {
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
        void Promise.resolve(hindrance()).then(
          (found) => answer(found === undefined ? 200 : 503, `${found ?? 'ready'}\n`),
          () => answer(503, 'not ready\n'),
        )
        return
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
