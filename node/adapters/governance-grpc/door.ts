import type { Socket } from 'node:net'
import { createServer, type PeerCertificate, type Server, type TLSSocket } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { fingerprintOf, type TlsIdentity } from './schema.ts'

/** Why somebody does not get through the door. */
export type DoorRefusal = 'TooManyConnections' | 'HandshakeFailed' | 'ForeignCertificate'

/** Sockets of strangers at a time. */
const MAX_HANDSHAKES = 64

export interface DoorOptions {
  readonly tls: TlsIdentity
  readonly handshakeMs: number
  /** Of those that were let in, at a time. */
  readonly maxConnections: number
  /** SHA-256 of the only certificate that is let in, where it is pinned. */
  readonly fingerprint?: string
  refused(peer: string, code: DoorRefusal, detail: string): void
  /** A connection that was let in has ended. */
  closed?(peer: string): void
}

/**
 * Mutual TLS (1.3) before a gRPC server: sockets are handed over once it is known whose they are, and whoever is refused is named. Strangers
 * take no place from those who were let in: of too many handshakes the oldest of the busiest address gives way to the new one.
 */
export class TlsDoor {
  readonly #server: Server
  /** Those that were let in. */
  readonly #sockets = new Set<TLSSocket>()
  /** Those that have not shown a certificate, by peer, oldest first. */
  readonly #handshakes = new Map<string, Socket>()

  constructor(server: grpc.Server, options: DoorOptions) {
    const { closed, fingerprint, handshakeMs, maxConnections, refused, tls } = options
    const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
    const secure = createServer({
      ca: tls.authorityPem,
      cert: tls.certificatePem,
      key: tls.privateKeyPem,
      requestCert: true,
      // Looked at below, where it can be said who was refused; nothing is read from such a socket.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      handshakeTimeout: handshakeMs,
    })
    secure.on('connection', (socket: Socket) => {
      const peer = peerName(socket)
      this.#handshakes.set(peer, socket)
      socket.once('close', () => this.#handshakes.delete(peer))
      if (this.#handshakes.size <= MAX_HANDSHAKES) return
      const crowding = this.#mostCrowding()
      refused(peerName(crowding), 'TooManyConnections', `limit ${MAX_HANDSHAKES} handshakes`)
      crowding.destroy()
    })
    secure.on('tlsClientError', (error: Error & { code?: string }, socket) => {
      refused(peerName(socket), 'HandshakeFailed', error.code ?? error.message)
    })
    secure.on('secureConnection', (socket) => {
      socket.on('error', () => socket.destroy())
      const peer = peerName(socket)
      this.#handshakes.delete(peer)
      const refuse = (code: DoorRefusal, detail: string) => {
        refused(peer, code, detail)
        socket.destroy()
      }
      const isPinned =
        fingerprint === undefined || fingerprintOf(socket.getPeerCertificate()) === fingerprint
      if (!socket.authorized || !isPinned) {
        return refuse('ForeignCertificate', certificateFault(socket))
      }
      if (this.#sockets.size >= maxConnections) {
        return refuse('TooManyConnections', `limit ${maxConnections}`)
      }
      this.#sockets.add(socket)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        closed?.(peer)
      })
      injector.injectConnection(socket)
    })
    this.#server = secure
  }

  /** The port; rejects with the system's error. */
  listen(host: string, port: number): Promise<number> {
    const server = this.#server
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  }

  async close(): Promise<void> {
    for (const socket of [...this.#sockets, ...this.#handshakes.values()]) socket.destroy()
    const server = this.#server
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  #mostCrowding(): Socket {
    const sockets = [...this.#handshakes.values()]
    const byAddress = Map.groupBy(sockets, ({ remoteAddress }) => remoteAddress)
    const [busiest] = [...byAddress.values()].sort((left, right) => right.length - left.length)
    return (busiest as Socket[])[0] as Socket
  }
}

function certificateFault(socket: TLSSocket): string {
  const certificate = socket.getPeerCertificate() as Partial<PeerCertificate>
  const { subject, fingerprint256 } = certificate
  const holder =
    subject === undefined ? 'no certificate' : `CN=${subject.CN} sha256=${fingerprint256}`
  return `${socket.authorizationError ?? 'NotPinned'}: ${holder}`
}

function peerName(
  socket: { remoteAddress?: string | undefined; remotePort?: number | undefined } | undefined,
): string {
  return `${socket?.remoteAddress ?? 'unknown'}:${socket?.remotePort ?? 0}`
}
