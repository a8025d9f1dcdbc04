/** What the member's actors need from outside. The real ones are made in `run.ts`. */
import type { DepositSight } from '../bridge/index.ts'
import type { Genesis } from '../core/params/index.ts'
import type { MemberMessage, NodeMessage } from '../proto/index.ts'
import type { Journal } from './journal.ts'
import type { MemberKeys } from './keys.ts'
import type { StoredHead } from './light-client.ts'
import type { MemberPolicy } from './policy.ts'
import type { ShareStore } from './shares.ts'

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

export interface FollowerPorts {
  readonly genesis: Genesis
  readonly store: HeadStore
}

/** This member's own Bitcoin; never rejects. Hashes in internal byte order. */
export interface OwnBitcoin {
  sight(blockHash: Uint8Array, txid: Uint8Array): Promise<DepositSight>
}

export interface KeygenPorts {
  readonly genesis: Genesis
  readonly memberIndex: number
  /** The member's own BIP340 key, under which its parts are known. */
  readonly schnorrSecret: Uint8Array
  /** How many nodes the configuration names. */
  readonly nodes: number
  readonly store: ShareStore
}

export interface SignerPorts {
  readonly genesis: Genesis
  readonly memberIndex: number
  readonly keys: MemberKeys
  readonly policy: MemberPolicy
  readonly bitcoin: OwnBitcoin
  readonly journal: Journal
  /** Its shares of the federation's keys. */
  readonly shares: Pick<ShareStore, 'share'>
}
