/** What the StreamActor needs from outside: the members' streams, and the committed chain to read from. */
import type { BlockHeader, QuorumCertificate } from '../../core/block/index.ts'
import type { Ledger } from '../../core/ledger/index.ts'
import type { Validator } from '../../core/params/index.ts'
import type { MemberMessage, NodeMessage } from '../../proto/index.ts'
import type { MetricSink } from '../../supervisor/index.ts'

/** Why a connection was not let in. */
export type RefusalCode =
  /** No TLS that we speak. */
  | 'HandshakeFailed'
  /** No certificate, or one that our authority did not issue. */
  | 'ForeignCertificate'
  /** A certificate of our authority that belongs to no member. */
  | 'UnknownIdentity'
  /** No valid registration within the time for it. */
  | 'RegistrationMissing'
  /** The registration names another key or another chain than the certificate's member has. */
  | 'RegistrationMismatch'
  /** Of those that have not shown a certificate yet. */
  | 'TooManyHandshakes'
  /** It was in, and gave way to a newer one of the same holder. */
  | 'TooManyConnections'

export interface StreamListener {
  registered(memberIndex: number, peer: string): void
  /** The stream is not read further until the promise resolves (backpressure). */
  message(memberIndex: number, message: MemberMessage): Promise<void>
  /** A heartbeat, already answered. */
  seen(memberIndex: number): void
  disconnected(memberIndex: number, reason: string): void
  refused(peer: string, code: RefusalCode, detail: string): void
}

/** `dropped`: the queue was full and the message one that a newer one replaces. */
export type SendOutcome = 'sent' | 'queued' | 'dropped' | 'notConnected'

/** The server that members dial. It owns TLS, registration, heartbeats and flow control (GV-2, GV-10…GV-12). */
export interface StreamPort {
  /** Rejects with a fault of class `configuration` when the address cannot be had. */
  start(listener: StreamListener): Promise<{ readonly port: number }>
  send(memberIndex: number, message: NodeMessage): SendOutcome
  /** While paused no member's stream is read further (SU-9), and none is ended for its silence. A start ends the pause. */
  pauseReading(paused: boolean): void
  stop(): Promise<void>
}

/** A committed block as members follow it. */
export interface CertifiedBlock {
  readonly header: BlockHeader
  readonly certificate: QuorumCertificate
  /** Of the height after it, where the header announces another set than its own. */
  readonly nextValidators?: readonly Validator[]
}

export interface CommittedHead extends CertifiedBlock {
  /** The ledger whose root the header commits to. */
  readonly ledger: Ledger
}

/** The committed chain, read past the mailboxes (design §3). */
export interface ChainReader {
  /** Undefined until the chain is loaded. At height 0 the certificate is empty. */
  head(): CommittedHead | undefined
  /** Up to `count` consecutive blocks from that height on, none beyond the head. */
  headers(fromHeight: number, count: number): Promise<readonly CertifiedBlock[]>
  /** Calls back after every commit; gives the function that ends it. */
  subscribe(listener: () => void): () => void
}

export interface StreamPorts {
  readonly stream: StreamPort
  readonly chain: ChainReader
  readonly metrics?: Pick<MetricSink, 'count'>
}
