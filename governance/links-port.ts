/** The real LinksPorts: gRPC links to the configured nodes. */
import {
  type GovernanceLink,
  openGovernanceLink,
  type TlsIdentity,
} from '../node/adapters/governance-grpc/index.ts'
import type { Clock } from '../supervisor/index.ts'
import type { LinksPorts } from './port.ts'

export interface LinksPortOptions {
  readonly nodes: readonly {
    readonly name: string
    readonly endpoint: string
    readonly fingerprint?: string | undefined
  }[]
  readonly tls: TlsIdentity
  readonly registration: {
    readonly genesisHash: Uint8Array
    readonly memberKey: Uint8Array
    readonly software: string
  }
  readonly clock: Clock
}

export function createLinksPort(options: LinksPortOptions): LinksPorts {
  const links = new Map<number, GovernanceLink>()
  const { clock, nodes, registration, tls } = options
  let isPaused = false
  return {
    nodes: nodes.length,
    open: (index, listener) => {
      const node = nodes[index]
      if (node === undefined) throw new Error(`no node ${index}`)
      links.get(index)?.close('replaced')
      const { endpoint, fingerprint, name } = node
      const link = openGovernanceLink(
        {
          endpoint,
          tls,
          nodeName: name,
          ...(fingerprint !== undefined && { nodeFingerprint: fingerprint }),
          registration,
          clock,
        },
        {
          registered: (memberIndex) => listener.registered(memberIndex),
          message: (message) => listener.message(message),
          closed: (reason) => {
            if (links.get(index) === link) links.delete(index)
            listener.closed(reason)
          },
        },
      )
      if (isPaused) link.pauseReading(true)
      links.set(index, link)
    },
    send: (index, message) => links.get(index)?.send(message) ?? 'closed',
    pauseReading: (paused) => {
      isPaused = paused
      for (const link of links.values()) link.pauseReading(paused)
    },
    closeAll: () => {
      for (const link of [...links.values()]) link.close('stopped')
      links.clear()
    },
  }
}
