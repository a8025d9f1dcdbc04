import { createServer, type PeerCertificate, type Server, type TLSSocket } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { fingerprintOf, type TlsIdentity } from './schema.ts'

/** Why somebody does not get through the door. */
export type DoorRefusal = 'TooManyConnections' | 'HandshakeFailed' | 'ForeignCertificate'

export interface DoorOptions {
  readonly tls: TlsIdentity
  readonly handshakeMs: number
  /** Sockets at a time, those still in their handshake included. */
  readonly maxConnections: number
  /** SHA-256 of the only certificate that is let in, where it is pinned. */
  readonly fingerprint?: string
  refused(peer: string, code: DoorRefusal, detail: string): void
  /** A connection that was let in has ended. */
  closed?(peer: string): void
}

/** Mutual TLS (1.3) before a gRPC server: sockets are handed over once it is known whose they are, and whoever is refused is named. */
export class TlsDoor {
  readonly #server: Server
  readonly #sockets = new Set<TLSSocket>()

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
    secure.maxConnections = maxConnections
    secure.on('drop', (drop) => {
      refused(peerName(drop), 'TooManyConnections', `limit ${maxConnections}`)
    })
    secure.on('tlsClientError', (error: Error & { code?: string }, socket) => {
      refused(peerName(socket), 'HandshakeFailed', error.code ?? error.message)
    })
    secure.on('secureConnection', (socket) => {
      socket.on('error', () => socket.destroy())
      const peer = peerName(socket)
      const isPinned =
        fingerprint === undefined || fingerprintOf(socket.getPeerCertificate()) === fingerprint
      if (!socket.authorized || !isPinned) {
        refused(peer, 'ForeignCertificate', certificateFault(socket))
        socket.destroy()
        return
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
    for (const socket of this.#sockets) socket.destroy()
    const server = this.#server
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
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
