/** JSON-RPC over WebSocket, on the port of HTTP: the same methods under the same guard and limits, and eth_subscribe. */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Clock, TimerHandle } from '../../supervisor/index.ts'
import type { Dispatch } from './dispatch.ts'
import { type GuardOptions, isAdmin, isHostAllowed, isOriginAllowed } from './guard.ts'
import type { ApiLimits } from './limits.ts'
import type { Subscriber, Subscriptions } from './subscriptions.ts'
import type { Budget } from './turns.ts'

export interface SocketParts {
  readonly limits: ApiLimits
  readonly guard: GuardOptions
  readonly dispatch: Dispatch
  /** For the messages of all clients that are under way. */
  readonly bodies: Budget
  readonly subscriptions: Subscriptions
  readonly clock: Clock
  readonly onBug: (place: string, error: unknown) => void
}

const GOING_AWAY = 1001
const TRY_AGAIN = 1013

export class SocketHub {
  private readonly parts: SocketParts
  private readonly server: WebSocketServer
  private readonly clients = new Set<Client>()
  private beat: TimerHandle | undefined

  constructor(parts: SocketParts) {
    this.parts = parts
    const maxPayload = parts.limits.bodyBytes
    this.server = new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false })
  }

  get size(): number {
    return this.clients.size
  }

  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head))
  }

  close(): void {
    this.beat?.cancel()
    for (const client of this.clients) client.socket.close(GOING_AWAY, 'the node stops')
    this.server.close()
  }

  /** Ends what did not end by itself. */
  terminate(): void {
    for (const client of this.clients) client.socket.terminate()
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { guard, limits } = this.parts
    const { origin, host } = request.headers
    const isAllowed = isHostAllowed(host, guard) && isOriginAllowed(origin, host, guard)
    if (!isAllowed || this.clients.size >= limits.sockets) {
      refuse(socket, isAllowed ? '503 Service Unavailable' : '403 Forbidden')
      return
    }
    this.server.handleUpgrade(request, socket, head, (opened) => {
      const client = new Client(opened, this.parts, {
        client: request.socket.remoteAddress ?? '',
        admin: isAdmin(request.headers.authorization, guard),
      })
      this.clients.add(client)
      opened.on('close', () => {
        this.clients.delete(client)
        client.ended()
      })
      if (this.beat === undefined) this.schedule()
    })
  }

  /** Clients that did not answer since the last beat are gone. */
  private schedule(): void {
    const { clock, limits } = this.parts
    this.beat = clock.setTimer(limits.socketHeartbeatMs, () => {
      for (const client of this.clients) client.ask()
      if (this.clients.size > 0) this.schedule()
      else this.beat = undefined
    })
  }
}

class Client implements Subscriber {
  readonly socket: WebSocket
  private readonly parts: SocketParts
  private readonly caller: { readonly client: string; readonly admin: boolean }
  private asking = 0
  /** Notices that are not handed to the system yet. */
  private waiting = 0
  private isLagging = false
  private isAlive = true

  constructor(
    socket: WebSocket,
    parts: SocketParts,
    caller: { readonly client: string; readonly admin: boolean },
  ) {
    this.socket = socket
    this.parts = parts
    this.caller = caller
    socket.on('message', (bytes) => void this.hear(bytes))
    socket.on('pong', () => {
      this.isAlive = true
    })
    // What breaks the protocol closes the connection by itself.
    socket.on('error', () => {})
  }

  notify(id: string, result: unknown): void {
    const { limits } = this.parts
    if (this.isLagging) return
    const isBehind =
      this.waiting >= limits.socketNotices || this.socket.bufferedAmount > limits.eventBufferBytes
    if (isBehind) {
      this.letGo(id)
      return
    }
    const notice = {
      jsonrpc: '2.0',
      method: 'eth_subscription',
      params: { subscription: id, result },
    }
    this.waiting += 1
    this.socket.send(JSON.stringify(notice), () => {
      this.waiting -= 1
    })
  }

  ask(): void {
    if (this.isAlive) this.socket.ping()
    else this.socket.terminate()
    this.isAlive = false
  }

  ended(): void {
    this.parts.subscriptions.removeAll(this)
  }

  /** It reads too slowly: it is told, and has to come back. */
  private letGo(id: string): void {
    this.isLagging = true
    this.parts.subscriptions.removeAll(this)
    const params = { subscription: id, error: { code: -32005, message: 'lagged' } }
    this.socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'eth_subscription', params }))
    this.socket.close(TRY_AGAIN, 'lagged')
  }

  private async hear(bytes: Buffer): Promise<void> {
    const { limits, bodies, dispatch, onBug } = this.parts
    // Whoever sends without reading, or more at once than is answered, is let go.
    const isBehind = this.socket.bufferedAmount > limits.responseBytes
    if (isBehind || this.asking >= limits.socketRequests || !bodies.take(bytes.length)) {
      return this.socket.close(TRY_AGAIN, 'too many requests at once')
    }
    this.asking += 1
    try {
      const answer = await dispatch(bytes.toString('utf8'), { ...this.caller, subscriber: this })
      if (answer.body !== undefined) this.socket.send(answer.body)
    } catch (error) {
      onBug('socket', error)
    } finally {
      this.asking -= 1
      bodies.give(bytes.length)
    }
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}
