import type { Socket } from 'node:net'
import { createServer, type PeerCertificate, type Server, type TLSSocket } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import type { TlsIdentity } from './schema.ts'

/** Why somebody does not get through the door. */
export type DoorRefusal =
  | 'TooManyHandshakes'
  | 'TooManyConnections'
  | 'HandshakeFailed'
  | 'ForeignCertificate'

/** Sockets of strangers at a time. */
const MAX_HANDSHAKES = 64
/** Connections of one holder at a time: the one that is used, and a few whose end was not heard of. */
export const MAX_CONNECTIONS_OF_ONE = 4

export interface DoorOptions {
  readonly tls: TlsIdentity
  readonly handshakeMs: number
  /** Whose a certificate of the authority is, by a name; undefined: nobody's who is let in. */
  holderOf(certificate: PeerCertificate): string | undefined
  /** Whether a connection keeps its place though newer ones of its holder come. */
  isKept?(peer: string): boolean
  refused(peer: string, code: DoorRefusal, detail: string): void
  /** A connection that was let in has ended. */
  closed?(peer: string): void
}

/**
 * Mutual TLS (1.3) before a gRPC server: sockets are handed over once it is known whose they are, and whoever is refused is named. Strangers
 * take no place from those who were let in: of too many handshakes the oldest of the busiest address gives way to the new one. Nor does one
 * holder from another: of its connections the oldest gives way, so that who comes back after its line went dead gets in at once.
 */
export class TlsDoor {
  readonly #server: Server
  /** Those that were let in, by peer, oldest first. */
  readonly #admitted = new Map<string, { readonly holder: string; readonly socket: TLSSocket }>()
  /** Those that have not shown a certificate, by peer, oldest first. */
  readonly #handshakes = new Map<string, Socket>()

  constructor(server: grpc.Server, options: DoorOptions) {
    const { closed, handshakeMs, holderOf, refused, tls } = options
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
      refused(peerName(crowding), 'TooManyHandshakes', `limit ${MAX_HANDSHAKES}`)
      crowding.destroy()
    })
    secure.on('tlsClientError', (error: Error & { code?: string }, socket) => {
      refused(peerName(socket), 'HandshakeFailed', error.code ?? error.message)
    })
    secure.on('secureConnection', (socket) => {
      socket.on('error', () => socket.destroy())
      const peer = peerName(socket)
      this.#handshakes.delete(peer)
      const holder = socket.authorized ? holderOf(socket.getPeerCertificate()) : undefined
      if (holder === undefined) {
        refused(peer, 'ForeignCertificate', certificateFault(socket))
        socket.destroy()
        return
      }
      this.#makeRoom(holder, options)
      this.#admitted.set(peer, { holder, socket })
      socket.once('close', () => {
        this.#admitted.delete(peer)
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
    for (const { socket } of this.#admitted.values()) socket.destroy()
    for (const socket of this.#handshakes.values()) socket.destroy()
    const server = this.#server
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  /** For one more connection of this holder. */
  #makeRoom(holder: string, { isKept, refused }: DoorOptions): void {
    const own = [...this.#admitted].filter(([, each]) => each.holder === holder)
    if (own.length < MAX_CONNECTIONS_OF_ONE) return
    const [oldest] = own.filter(([peer]) => isKept?.(peer) !== true)
    if (oldest === undefined) return
    const [peer, { socket }] = oldest
    // Its end is heard of later: until then it would count twice.
    this.#admitted.delete(peer)
    refused(peer, 'TooManyConnections', `limit ${MAX_CONNECTIONS_OF_ONE} of ${holder}`)
    socket.destroy()
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
