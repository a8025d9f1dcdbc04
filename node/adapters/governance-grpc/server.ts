import type { PeerCertificate } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import {
  type RefusalCode,
  type SendOutcome,
  STREAM_FAULTS,
  type StreamListener,
  type StreamPort,
} from '../../../actors/stream/index.ts'
import { equalBytes } from '../../../crypto/index.ts'
import {
  type MemberMessage,
  memberMessageFromWire,
  type NodeBody,
  type NodeMessage,
  STREAM_LIMITS,
  toWire,
} from '../../../proto/index.ts'
import { type Clock, faultError, type TimerHandle } from '../../../supervisor/index.ts'
import { TlsDoor } from './door.ts'
import { Gate } from './gate.ts'
import { Pump } from './outbox.ts'
import {
  CHANNEL_OPTIONS,
  fingerprintOf,
  loadGovernanceService,
  type TlsIdentity,
} from './schema.ts'

/** A member as this node knows it. */
export interface MemberIdentity {
  readonly index: number
  /** BLS key of the genesis file. */
  readonly blsKey: Uint8Array
  /** SHA-256 of its certificate; without it the certificate's common name must be `member-<index>`. */
  readonly fingerprint?: string
}

export interface GovernanceServerOptions {
  readonly host: string
  /** 0 lets the operating system choose. */
  readonly port: number
  readonly tls: TlsIdentity
  readonly genesisHash: Uint8Array
  readonly members: readonly MemberIdentity[]
  readonly clock: Clock
  /** Tests shorten them. */
  readonly registrationMs?: number
  readonly heartbeatMs?: number
}

type Call = grpc.ServerDuplexStream<unknown, unknown>

interface Connection {
  readonly memberIndex: number
  readonly pump: Pump<NodeMessage>
  readonly call: Call
  idle: TimerHandle
  ended: boolean
}

/**
 * The StreamPort over gRPC and mutual TLS. TLS is terminated here and the sockets are handed to gRPC, because
 * gRPC itself keeps failed handshakes to itself and they have to be reported.
 */
export function createGovernanceServer(options: GovernanceServerOptions): StreamPort {
  return new GovernanceServer(options)
}

class GovernanceServer implements StreamPort {
  private readonly options: GovernanceServerOptions
  private readonly connections = new Map<number, Connection>()
  private readonly gate = new Gate()
  private door: TlsDoor | undefined
  private grpc: grpc.Server | undefined

  constructor(options: GovernanceServerOptions) {
    this.options = options
  }

  async start(listener: StreamListener): Promise<{ readonly port: number }> {
    const server = new grpc.Server({
      ...CHANNEL_OPTIONS,
      'grpc.max_receive_message_length': STREAM_LIMITS.maxMemberMessageBytes,
      'grpc.max_concurrent_streams': STREAM_LIMITS.maxStreams,
    })
    server.addService(loadGovernanceService(), {
      Connect: (call: Call) => {
        void this.serve(call, listener)
      },
    })
    const { host, port, tls } = this.options
    this.door = new TlsDoor(server, {
      tls,
      handshakeMs: this.registrationMs,
      holderOf: (certificate) => this.holderOf(certificate),
      refused: (peer, code, detail) => listener.refused(peer, code, detail),
    })
    this.grpc = server
    try {
      return { port: await this.door.listen(host, port) }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const fault = STREAM_FAULTS.GovernancePortUnavailable
      throw faultError('GovernancePortUnavailable', fault, `${host}:${port}: ${code ?? message}`)
    }
  }

  send(memberIndex: number, message: NodeMessage): SendOutcome {
    const connection = this.connections.get(memberIndex)
    if (connection === undefined || connection.ended) return 'notConnected'
    const outcome = connection.pump.send(message)
    if (outcome !== 'overflow') return outcome
    fail(connection.call, grpc.status.RESOURCE_EXHAUSTED, 'the member reads too slowly')
    return 'notConnected'
  }

  pauseReading(paused: boolean): void {
    if (paused) this.gate.close()
    else this.gate.open()
    for (const connection of this.connections.values()) this.keepAlive(connection)
  }

  async stop(): Promise<void> {
    this.gate.open()
    for (const { call } of this.connections.values()) call.end()
    this.grpc?.forceShutdown()
    await this.door?.close()
    this.door = undefined
    this.grpc = undefined
  }

  private get registrationMs(): number {
    return this.options.registrationMs ?? STREAM_LIMITS.registrationMs
  }

  private get heartbeatMs(): number {
    return this.options.heartbeatMs ?? STREAM_LIMITS.heartbeatMs
  }

  /** Reads one stream to its end, message by message, each taken only when the one before was admitted. */
  private async serve(call: Call, listener: StreamListener): Promise<void> {
    const peer = call.getPeer()
    call.on('error', () => {})
    const incoming = call[Symbol.asyncIterator]()
    let connection: Connection | undefined
    let reason = 'ended by the member'
    try {
      const member = this.memberOf(call.getAuthContext().sslPeerCertificate)
      if (member === undefined) {
        const name = call.getAuthContext().sslPeerCertificate?.subject.CN ?? 'no certificate'
        return refuse(call, listener, peer, 'UnknownIdentity', String(name))
      }
      const first = await this.within(incoming.next(), this.registrationMs)
      const message = first?.done === false ? memberMessageFromWire(first.value) : undefined
      if (message === undefined || message.body.kind !== 'nodeRegistration') {
        const got = message?.body.kind ?? 'nothing'
        return refuse(call, listener, peer, 'RegistrationMissing', `first message: ${got}`)
      }
      if (!equalBytes(message.body.memberKey, member.blsKey)) {
        return refuse(call, listener, peer, 'RegistrationMismatch', 'another member key')
      }
      if (!equalBytes(message.body.genesisHash, this.options.genesisHash)) {
        return refuse(call, listener, peer, 'RegistrationMismatch', 'another chain')
      }
      connection = this.admit(member.index, call)
      const { heartbeatMs } = this
      answer(connection, message, {
        kind: 'registrationAck',
        memberIndex: member.index,
        heartbeatMs,
      })
      listener.registered(member.index, peer)
      for (let next = await incoming.next(); !next.done; next = await incoming.next()) {
        await this.gate.passed()
        if (connection.ended) return
        this.keepAlive(connection)
        await receive(connection, memberMessageFromWire(next.value), listener)
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      reason = code === 'ERR_STREAM_PREMATURE_CLOSE' ? 'connection closed' : message.slice(0, 200)
    } finally {
      if (connection !== undefined) this.release(connection, listener, reason)
      call.end()
    }
  }

  /** The member that a certificate belongs to; TLS has already checked who issued it. */
  private memberOf(certificate: PeerCertificate | undefined): MemberIdentity | undefined {
    if (certificate === undefined) return undefined
    const fingerprint = fingerprintOf(certificate)
    return this.options.members.find((member) =>
      member.fingerprint === undefined
        ? certificate.subject.CN === `member-${member.index}`
        : member.fingerprint === fingerprint,
    )
  }

  /** Whose name no member has shares its places with all such, and is told why it is refused. */
  private holderOf(certificate: PeerCertificate): string {
    const member = this.memberOf(certificate)
    return member === undefined ? 'no member' : `member ${member.index}`
  }

  /** A member has one stream: a new one ends the old one, which may hang half-open. */
  private admit(memberIndex: number, call: Call): Connection {
    const old = this.connections.get(memberIndex)
    if (old !== undefined) fail(old.call, grpc.status.ABORTED, 'replaced by a newer stream')
    const connection: Connection = {
      memberIndex,
      call,
      pump: new Pump<NodeMessage>(call, STREAM_LIMITS.maxQueued, toWire),
      idle: { cancel: () => {} },
      ended: false,
    }
    this.connections.set(memberIndex, connection)
    this.keepAlive(connection)
    return connection
  }

  private keepAlive(connection: Connection): void {
    connection.idle.cancel()
    // Who is not read cannot be heard.
    if (this.gate.isClosed || connection.ended) return
    const limitMs = this.heartbeatMs * (STREAM_LIMITS.missedHeartbeats + 0.5)
    connection.idle = this.options.clock.setTimer(Math.min(limitMs, STREAM_LIMITS.idleMs), () => {
      fail(connection.call, grpc.status.DEADLINE_EXCEEDED, 'no heartbeat')
    })
  }

  private release(connection: Connection, listener: StreamListener, reason: string): void {
    connection.ended = true
    connection.idle.cancel()
    connection.pump.end()
    // A newer stream of the same member stays.
    if (this.connections.get(connection.memberIndex) !== connection) return
    this.connections.delete(connection.memberIndex)
    listener.disconnected(connection.memberIndex, reason)
  }

  private within<T>(promise: Promise<T>, limitMs: number): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const timer = this.options.clock.setTimer(limitMs, () => resolve(undefined))
      promise.then(resolve, reject).finally(() => timer.cancel())
    })
  }
}

async function receive(
  connection: Connection,
  message: MemberMessage,
  listener: StreamListener,
): Promise<void> {
  const { body } = message
  switch (body.kind) {
    case 'heartbeat':
      answer(connection, message, {
        kind: 'heartbeatAck',
        sequence: body.sequence,
        sentAtMs: body.sentAtMs,
      })
      return listener.seen(connection.memberIndex)
    case 'unrecognized':
    case 'nodeRegistration':
      // GV-1: the stream stays up.
      return answer(connection, message, {
        kind: 'errorResponse',
        code: 'INVALID_REQUEST',
        message: body.kind === 'unrecognized' ? 'unknown message' : 'already registered',
        retryAfterMs: 0,
      })
    default:
      return await listener.message(connection.memberIndex, message)
  }
}

function answer(connection: Connection, to: MemberMessage, body: NodeBody): void {
  const { requestId, correlationId } = to
  connection.pump.send({ requestId, correlationId, body })
}

function refuse(
  call: Call,
  listener: StreamListener,
  peer: string,
  code: RefusalCode,
  detail: string,
): void {
  listener.refused(peer, code, detail)
  fail(call, grpc.status.UNAUTHENTICATED, code)
}

function fail(call: Call, code: grpc.status, details: string): void {
  call.emit('error', { code, details, name: 'StatusError', message: details })
  call.destroy()
}
