import { createServer, type Server } from 'node:net'

export interface Endpoint {
  readonly host: string
  /** 0 lets the operating system choose. */
  readonly port: number
}

export interface ListenError {
  readonly code: 'PortInUse' | 'PortForbidden' | 'AddressNotAvailable' | 'NoFreePort'
  readonly host: string
  readonly port: number
}

export type ListenResult<T> =
  | { readonly ok: true; readonly value: T; readonly port: number }
  | { readonly ok: false; readonly error: ListenError }

export interface ListenOptions {
  /** True for a default port: the next free one does as well. False for one asked for by name. */
  readonly fallback: boolean
  /** Ports tried in a row. */
  readonly tries?: number
}

const DEFAULT_TRIES = 100
const REFUSALS: Readonly<Record<string, ListenError['code']>> = {
  EADDRINUSE: 'PortInUse',
  EACCES: 'PortForbidden',
  EADDRNOTAVAIL: 'AddressNotAvailable',
  ENOTFOUND: 'AddressNotAvailable',
}

/**
 * Binds to the wanted port, or to the next free one where `fallback` allows it. `bind` rejects with the error of
 * the operating system when the port is taken; whatever else it rejects with is passed on.
 */
export async function listenOn<T>(
  wanted: Endpoint,
  options: ListenOptions,
  bind: (endpoint: Endpoint) => Promise<T>,
): Promise<ListenResult<T>> {
  const { host } = wanted
  const tries = options.fallback && wanted.port !== 0 ? (options.tries ?? DEFAULT_TRIES) : 1
  for (let attempt = 0; attempt < tries; attempt++) {
    const port = wanted.port + attempt
    if (port > 65_535) break
    try {
      return { ok: true, value: await bind({ host, port }), port }
    } catch (error) {
      const code = REFUSALS[codeOf(error)]
      if (code === undefined) throw error
      if (code === 'AddressNotAvailable' || tries === 1) {
        return { ok: false, error: { code, host, port } }
      }
    }
  }
  return { ok: false, error: { code: 'NoFreePort', host, port: wanted.port } }
}

/** Starts a server of node:net or node:http at an endpoint and tells the port that it got; `bind` of listenOn. */
export function bindServer(server: Server, endpoint: Endpoint): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: endpoint.host, port: endpoint.port, exclusive: true }, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : endpoint.port)
    })
  })
}

/** A port that was free a moment ago, for servers that cannot say why they did not start. */
export function findPort(wanted: Endpoint, options: ListenOptions): Promise<ListenResult<number>> {
  return listenOn(wanted, options, async (endpoint) => {
    const probe = createServer()
    const port = await bindServer(probe, endpoint)
    await new Promise((resolve) => probe.close(resolve))
    return port
  })
}

/** One line for people. */
export function describeListenError(error: ListenError): string {
  const at = `${error.host}:${error.port}`
  switch (error.code) {
    case 'PortInUse':
      return `${at} is in use by another process`
    case 'PortForbidden':
      return `${at} may not be opened by this user`
    case 'AddressNotAvailable':
      return `${at} is not an address of this machine`
    case 'NoFreePort':
      return `no free port from ${at} on`
  }
}

function codeOf(error: unknown): string {
  const code = Error.isError(error) ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : ''
}
