import type { PeerCertificate } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import {
  type MemberMessage,
  type NodeMessage,
  nodeMessageFromWire,
  STREAM_LIMITS,
  toWire,
} from '../../../proto/index.ts'
import type { Clock, TimerHandle } from '../../../supervisor/index.ts'
import { Gate } from './gate.ts'
import { Pump } from './outbox.ts'
import {
  CHANNEL_OPTIONS,
  fingerprintOf,
  loadGovernanceService,
  type TlsIdentity,
} from './schema.ts'

export interface GovernanceLinkOptions {
  /** `host:port`. */
  readonly endpoint: string
  readonly tls: TlsIdentity
  /** The common name that the node's certificate must have. */
  readonly nodeName?: string
  /** SHA-256 of the node's certificate, where it is pinned. */
  readonly nodeFingerprint?: string
  readonly registration: {
    readonly genesisHash: Uint8Array
    readonly memberKey: Uint8Array
    readonly software: string
  }
  readonly clock: Clock
  /** Tests shorten them; the node's acknowledgement names its own heartbeat, the shorter one counts. */
  readonly registrationMs?: number
  readonly heartbeatMs?: number
}

export interface GovernanceLinkListener {
  /** The node accepted the registration. */
  registered(memberIndex: number): void
  /** The stream is not read further until the promise resolves. */
  message(message: NodeMessage): Promise<void>
  /** Once, after which the link is dead. */
  closed(reason: string): void
}

/** One stream to one federation node; it lives until it closes, and is then replaced by whoever opened it. */
export interface GovernanceLink {
  send(message: MemberMessage): 'sent' | 'queued' | 'dropped' | 'closed'
  /** While paused the stream is not read further (SU-9), and not ended for the node's silence. */
  pauseReading(paused: boolean): void
  close(reason: string): void
}

export function openGovernanceLink(
  options: GovernanceLinkOptions,
  listener: GovernanceLinkListener,
): GovernanceLink {
  return new Link(options, listener)
}

const Client = grpc.makeGenericClientConstructor(loadGovernanceService(), 'GovernanceStream')

type Call = grpc.ClientDuplexStream<unknown, unknown>

class Link implements GovernanceLink {
  private readonly options: GovernanceLinkOptions
  private readonly listener: GovernanceLinkListener
  private readonly client: grpc.Client
  private readonly call: Call
  private readonly pump: Pump<MemberMessage>
  private watchdog: TimerHandle = { cancel: () => {} }
  private heartbeat: TimerHandle = { cancel: () => {} }
  private heartbeatMs: number
  private readonly gate = new Gate()
  private sequence = 0
  private registered = false
  private closed = false

  constructor(options: GovernanceLinkOptions, listener: GovernanceLinkListener) {
    this.options = options
    this.listener = listener
    this.heartbeatMs = options.heartbeatMs ?? STREAM_LIMITS.heartbeatMs
    const client = new Client(options.endpoint, credentialsOf(options), {
      ...CHANNEL_OPTIONS,
      // A name for SNI, which must not be an address; identity is checked in `identityFault`.
      'grpc.ssl_target_name_override': options.nodeName ?? 'millrace-node',
    })
    this.client = client
    this.call = (client['Connect'] as () => Call).call(client)
    this.call.on('error', (error: grpc.ServiceError) => this.close(describe(error)))
    this.pump = new Pump<MemberMessage>(this.call, STREAM_LIMITS.maxQueued, toWire)
    this.expectWithin(options.registrationMs ?? STREAM_LIMITS.registrationMs, 'no registration')
    this.pump.send({
      requestId: 'registration',
      correlationId: '',
      body: { kind: 'nodeRegistration', ...options.registration },
    })
    void this.read()
  }

  send(message: MemberMessage): 'sent' | 'queued' | 'dropped' | 'closed' {
    if (this.closed || !this.registered) return 'closed'
    const outcome = this.pump.send(message)
    if (outcome !== 'overflow') return outcome
    this.close('the node reads too slowly')
    return 'closed'
  }

  pauseReading(paused: boolean): void {
    if (!paused) {
      this.gate.open()
      this.expectHeartbeat()
      return
    }
    this.gate.close()
    if (this.registered) this.watchdog.cancel()
  }

  close(reason: string): void {
    if (this.closed) return
    this.closed = true
    this.gate.open()
    this.watchdog.cancel()
    this.heartbeat.cancel()
    this.pump.end()
    this.call.cancel()
    this.client.close()
    this.listener.closed(reason)
  }

  private async read(): Promise<void> {
    try {
      for await (const wire of this.call) {
        await this.gate.passed()
        if (this.closed) return
        await this.receive(nodeMessageFromWire(wire))
      }
      this.close('ended by the node')
    } catch (error) {
      this.close(describe(error as grpc.ServiceError))
    }
  }

  private async receive(message: NodeMessage): Promise<void> {
    const { body } = message
    if (!this.registered) {
      if (body.kind !== 'registrationAck') return this.close(`${body.kind} before registration`)
      this.registered = true
      if (body.heartbeatMs > 0) this.heartbeatMs = Math.min(this.heartbeatMs, body.heartbeatMs)
      this.beat()
      this.listener.registered(body.memberIndex)
    } else if (body.kind !== 'heartbeatAck') {
      await this.listener.message(message)
    }
    this.expectHeartbeat()
  }

  private expectHeartbeat(): void {
    if (!this.registered || this.gate.isClosed) return
    const silentMs = this.heartbeatMs * (STREAM_LIMITS.missedHeartbeats + 0.5)
    this.expectWithin(Math.min(silentMs, STREAM_LIMITS.idleMs), 'half-open: no heartbeat')
  }

  private beat(): void {
    const { clock } = this.options
    this.heartbeat = clock.setTimer(this.heartbeatMs, () => {
      if (this.closed) return
      this.sequence += 1
      const { sequence } = this
      const body = { kind: 'heartbeat', sequence, sentAtMs: clock.nowMs() } as const
      this.send({ requestId: `heartbeat-${sequence}`, correlationId: '', body })
      this.beat()
    })
  }

  private expectWithin(limitMs: number, reason: string): void {
    if (this.closed) return
    this.watchdog.cancel()
    this.watchdog = this.options.clock.setTimer(limitMs, () => this.close(reason))
  }
}

export function credentialsOf(
  options: Pick<GovernanceLinkOptions, 'tls' | 'nodeName' | 'nodeFingerprint'>,
): grpc.ChannelCredentials {
  const { tls } = options
  return grpc.credentials.createSsl(
    Buffer.from(tls.authorityPem),
    Buffer.from(tls.privateKeyPem),
    Buffer.from(tls.certificatePem),
    { checkServerIdentity: (_host, certificate) => identityFault(options, certificate) },
  )
}

/** TLS has checked the issuer; the name in the certificate must be the node's, wherever it listens. */
function identityFault(
  options: Pick<GovernanceLinkOptions, 'nodeName' | 'nodeFingerprint'>,
  certificate: PeerCertificate,
): Error | undefined {
  const { nodeName, nodeFingerprint } = options
  const fingerprint = fingerprintOf(certificate)
  if (nodeFingerprint !== undefined && fingerprint !== nodeFingerprint) {
    return new Error(`expected certificate ${nodeFingerprint}, got ${fingerprint}`)
  }
  if (nodeName !== undefined && certificate.subject.CN !== nodeName) {
    return new Error(`expected ${nodeName}, got ${certificate.subject.CN}`)
  }
  return undefined
}

export function describe(error: {
  code?: number | string
  details?: string
  message?: string
}): string {
  const text = error.details ?? error.message ?? 'broken'
  return `${error.code ?? 'error'}: ${text}`.slice(0, 300)
}
