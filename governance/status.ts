/** /live, /ready and /metrics of a member, for probes on the same machine. */
import { createServer, type Server } from 'node:http'
import { Gauge, type Registry } from 'prom-client'
import { bindServer } from '../node/adapters/system/index.ts'
import type { System } from '../supervisor/index.ts'

export interface StatusServer {
  readonly port: number
  close(): Promise<void>
}

export async function startStatusServer(
  endpoint: { readonly host: string; readonly port: number },
  system: System,
  registry: Registry,
): Promise<StatusServer> {
  const isReady = () => system.snapshot().every(({ state }) => state === 'Running')
  registerActorMetrics(registry, system)
  const server: Server = createServer((request, response) => {
    const answer = (status: number, body: string) => {
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(body)
    }
    if (request.method !== 'GET') return answer(405, 'GET only\n')
    switch (request.url) {
      case '/live':
        return answer(200, 'live\n')
      case '/ready':
        return isReady() ? answer(200, 'ready\n') : answer(503, 'not ready\n')
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

function registerActorMetrics(registry: Registry, system: System): void {
  new Gauge({
    name: 'millrace_member_mailbox_depth',
    help: 'messages that wait, by actor',
    labelNames: ['actor'],
    registers: [registry],
    collect() {
      for (const { path, depth } of system.snapshot()) {
        const waiting = Object.values(depth).reduce((sum, count) => sum + count, 0)
        this.set({ actor: path }, waiting)
      }
    },
  })
  new Gauge({
    name: 'millrace_member_restarts',
    help: 'restarts since the start, by actor',
    labelNames: ['actor'],
    registers: [registry],
    collect() {
      for (const { path, restarts } of system.snapshot()) this.set({ actor: path }, restarts)
    },
  })
}
