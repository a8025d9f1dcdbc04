/** What the member's actors need from outside. The real ones are made in `run.ts`. */
import type {
  ApprovalRequest,
  CoinsSight,
  DepositSight,
  SignatureRequest,
  SignerVerdict,
} from '../bridge/index.ts'
import type { CertifiedHeader, KnownBlock } from '../core/light/index.ts'
import type { Genesis } from '../core/params/index.ts'
import type { NonceOffer, SignedParts } from '../core/signing/index.ts'
import type { MemberMessage, NodeMessage } from '../proto/index.ts'
import type { MetricSink } from '../supervisor/index.ts'
import type { ConfirmedKey, Evidence } from './evidence.ts'
import type { StoredHead } from './light-client.ts'

export interface LinkListener {
  registered(memberIndex: number): void
  message(message: NodeMessage): Promise<void>
  closed(reason: string): void
}

/** One stream per federation node. */
export interface LinksPorts {
  /** How many nodes the configuration names. */
  readonly nodes: number
  /** Opens the stream, or replaces it. */
  open(node: number, listener: LinkListener): void
  send(node: number, message: MemberMessage): 'sent' | 'queued' | 'dropped' | 'closed'
  /** While paused no node's stream is read further (SU-9), and none is ended for its silence. */
  pauseReading(paused: boolean): void
  closeAll(): void
}

/** The highest verified header with the set that follows it, durable. */
export interface HeadStore {
  load(): Promise<StoredHead | undefined>
  /** Resolves when it is on disk. */
  save(head: StoredHead): Promise<void>
}

/** What a vault believes of the chain, and whether that still counts (protocol §5.6). */
export interface Belief extends StoredHead {
  /** It is older than the trust window: nothing is signed until the block that the operator named is shown. */
  readonly isStale: boolean
  /** That block, if one was named. */
  readonly trustedBlock?: KnownBlock
}

/** Where the follower goes on after a start: `head-store.ts`, behind the vault. */
export interface FollowedStore {
  /** Where to go on, by the vault's belief. Rejects when the vault cannot say. */
  load(): Promise<Belief>
  /** The vault's belief; undefined when it does not answer. */
  belief(): Promise<Belief | undefined>
  /** Shows the vault the block that its operator named, with the validators after it. */
  confirm(item: CertifiedHeader): Promise<void>
  /** `announced`: of the headers since the last save those that announced other validators. */
  save(head: StoredHead, announced: readonly CertifiedHeader[]): Promise<void>
}

export interface FollowerPorts {
  readonly genesis: Genesis
  readonly store: FollowedStore
}

/** This member's own Bitcoin; never rejects. Hashes in internal byte order. */
export interface OwnBitcoin {
  sight(blockHash: Uint8Array, txid: Uint8Array): Promise<DepositSight>
  /** Of outpoints, while the named block is on its best chain. */
  coins(tipHash: Uint8Array, outpoints: readonly OutpointOf[]): Promise<CoinsSight>
}

export interface OutpointOf {
  readonly txid: Uint8Array
  readonly vout: number
}

export interface AuditPorts {
  readonly metrics: MetricSink
  readonly genesis: Genesis
  /** How many nodes the configuration names. */
  readonly nodes: number
  readonly bitcoin: Pick<OwnBitcoin, 'coins'>
  readonly everyMs: number
}

/** Refused for good, or not known now; `code` is told to who asks. */
export type VaultVerdict<T> = SignerVerdict<T, string>

export interface ApprovalQuestion {
  readonly request: ApprovalRequest
  /** What the member's Bitcoin shows of the deposit. */
  readonly sight: DepositSight
  readonly keys: readonly ConfirmedKey[]
}

export interface Approval {
  /** 96 bytes, of the claim's approval message. */
  readonly signature: Uint8Array
  /** It was not on disk before. */
  readonly isNew: boolean
}

/** An attempt of a federation node, by its index in the configuration. */
export interface OfferQuestion {
  readonly node: number
  readonly request: SignatureRequest & { readonly attempt: number }
  /** The batch's rows. */
  readonly evidence: Evidence
  readonly keys: readonly ConfirmedKey[]
}

export interface OfferGiven {
  readonly offer: NonceOffer
  /** What was agreed to, if not before: `txid` in internal byte order. */
  readonly begun?: {
    readonly txid: Uint8Array
    readonly paidSat: bigint
    readonly minerFeeSat: bigint
  }
}

export interface PartsQuestion {
  readonly node: number
  readonly batchId: Uint8Array
  readonly version: number
  readonly attempt: number
  /** The list. */
  readonly offers: readonly NonceOffer[]
}

export interface PartsGiven extends Pick<SignedParts, 'listHash' | 'parts' | 'signature'> {
  /** For another list of the same attempt. */
  readonly next?: NonceOffer
}

export interface KeygenQuestion {
  readonly epoch: number
  /** `keygenRows`, and those of `keygenRowsToSpeak`. */
  readonly evidence: Evidence
}

export const KEYGEN_WORDS = [
  'silent',
  /** A package, shares: whatever is said in turn. */
  'said',
  'complained',
  'confirmed',
  /** The ledger shows what its members did not say. */
  'doubted',
  /** The secret of this session is gone. */
  'lost',
] as const
export type KeygenWord = (typeof KEYGEN_WORDS)[number]

export interface KeygenSaid {
  readonly word: KeygenWord
  /** SSZ KeygenItem, signed. */
  readonly item?: Uint8Array
  /** A session of a key begins. */
  readonly isFirst: boolean
  /** The signer who is complained about. */
  readonly accused?: number
}

/**
 * What holds the member's secrets: its keys, its shares, its nonces while they are open. No secret crosses it, and no digest: each question
 * carries what the decision follows from, and the decision falls here (docs/adr/0015). What binds is on its disk before it answers.
 * It never rejects but for a disk that fails; a vault that cannot be reached does not know (`SignerUnreachable`).
 */
export interface Vault {
  /** A header whose next validators are those in whom it believes; rejects when it cannot say. */
  head(): Promise<Belief>
  /**
   * Takes in headers that announced other validators, ascending, now and then one that keeps the belief from getting old, and the block that the
   * operator named; false when it does not believe one, or does not answer.
   */
  follow(announced: readonly CertifiedHeader[]): Promise<boolean>
  approve(question: ApprovalQuestion): Promise<VaultVerdict<Approval>>
  /** The first round: agrees to a batch, and gives nonces. */
  offer(question: OfferQuestion): Promise<VaultVerdict<OfferGiven>>
  /** The second round: the offer is taken, whatever comes of it. */
  parts(question: PartsQuestion): Promise<VaultVerdict<PartsGiven>>
  /** The member's part in the making of a key. */
  keygen(question: KeygenQuestion): Promise<VaultVerdict<KeygenSaid>>
  /** A key is made: what was only needed to make it goes; false while the share is not there. */
  settle(key: ConfirmedKey): Promise<VaultVerdict<boolean>>
}

export interface KeygenPorts {
  readonly metrics: MetricSink
  readonly genesis: Genesis
  readonly memberIndex: number
  /** How many nodes the configuration names. */
  readonly nodes: number
  readonly vault: Pick<Vault, 'keygen' | 'settle'>
}

export interface SignerPorts {
  readonly genesis: Genesis
  readonly bitcoin: OwnBitcoin
  readonly vault: Pick<Vault, 'approve' | 'offer' | 'parts'>
}
