/** The two closed sets: everything that consensus may be told, and everything that it may ask of the world. */
import type { SignatureSuite } from '../../crypto/index.ts'
import type { Block, ConsensusMessage, Evidence, QuorumCertificate } from '../block/index.ts'
import type { GuardRecord, GuardView } from '../guard/index.ts'
import type { Validator, Verdict } from '../params/index.ts'

/** What a height was decided by. `validators`: of that height. */
export interface Decision {
  readonly height: number
  readonly validators: readonly Validator[]
  readonly certificate: QuorumCertificate
}

/** What a height is decided on: the durable parent and validators(h). */
export interface HeightContext {
  readonly height: number
  readonly parentHash: Uint8Array
  readonly parentSlot: number
  readonly validators: readonly Validator[]
  /** A second certificate for the parent's height is a fork, over a restart as well (2.7). None: it is the genesis block. */
  readonly parent?: Decision | undefined
}

export interface DriverConfig {
  readonly genesisHash: Uint8Array
  readonly slotMs: number
  /** Own BLS public key. None, or none of the height's validators: an observer, which signs nothing. */
  readonly self?: Uint8Array
  readonly suite: SignatureSuite
}

export type Input =
  /** The parent is durably committed, or the node started: the guard gives lock, blocks and the highest signed view. */
  | {
      readonly kind: 'startHeight'
      readonly context: HeightContext
      readonly guard: GuardView
      readonly nowMs: number
    }
  | { readonly kind: 'clock'; readonly nowMs: number }
  /** `from`: the transport's peer id. `verified`: `verifyConsensusMessage` found it valid already. */
  | {
      readonly kind: 'message'
      readonly message: ConsensusMessage
      readonly from: string
      readonly nowMs: number
      readonly verified?: boolean
    }
  | { readonly kind: 'peerConnected'; readonly peer: string }
  /**
   * Answers to `build`, which may come when another height has begun. The block's own signature may be left zero: it is
   * made when the proposal is signed.
   */
  | {
      readonly kind: 'built'
      readonly height: number
      readonly view: number
      readonly block: Block
    }
  | {
      readonly kind: 'buildFailed'
      readonly height: number
      readonly view: number
      readonly code: string
    }
  /** Answer to `validate`, after full execution. `objects`: the local objection of 4.6, when `fresh` was asked. */
  | {
      readonly kind: 'validated'
      readonly hash: Uint8Array
      readonly verdict: Verdict
      readonly objects?: boolean
    }
  /** Answer to `fetchBlock`. */
  | { readonly kind: 'blockFetched'; readonly block: Block; readonly from: string }
  /** Answers to `sign`: the record is durable and this is its message; or the guard or the key refused. */
  | { readonly kind: 'signed'; readonly message: ConsensusMessage }
  | { readonly kind: 'signRefused'; readonly record: GuardRecord; readonly code: string }

export type ViewFailureReason =
  /** The proposer sent nothing that came here, or nothing that it may propose. */
  | 'NoProposal'
  /** We were the proposer and had no block; `code`: why. */
  | 'NotBuilt'
  /** A quorum prepared a block that is not here. */
  | 'BodyMissing'
  /** Execution did not end, or could not decide; `code`: why. */
  | 'NotExecuted'
  /** `code`: the broken rule. */
  | 'Invalid'
  /** This node abstained: the local view (4.6), the lock (2.3), the clock (BP-3), or the sign guard (`code`). */
  | 'Objection'
  | 'Locked'
  | 'FutureSlot'
  | 'NotSigned'
  /** Nothing was wrong here; the votes of others did not come. */
  | 'TooFewPrepares'
  | 'TooFewCommits'

/** A view that was left without a decision, as this node saw it. Plain data; keys in hex. */
export interface ViewFailure {
  readonly height: number
  readonly view: number
  readonly proposer: string
  readonly reason: ViewFailureReason
  readonly code?: string
  /** Voting power: what a decision takes, and what voted. */
  readonly quorum: number
  readonly prepares: number
  readonly commits: number
  /** Whose part did not come: the proposer's, or the votes of the phase that fell short. */
  readonly missing: readonly string[]
  /** From the view's start: until its proposal and its prepare quorum were here, and until it was left. */
  readonly proposalMs?: number
  readonly preparedMs?: number
  readonly lastedMs: number
}

export type ViewReason = 'clock' | 'votes' | 'guard'

export type Effect =
  /** Make a block of our own on the parent. */
  | {
      readonly kind: 'build'
      readonly height: number
      readonly view: number
      readonly slot: number
      readonly parentHash: Uint8Array
    }
  /** Check header and body against the parent and execute fully. `fresh`: ask the local view as well (4.6). */
  | { readonly kind: 'validate'; readonly block: Block; readonly fresh: boolean }
  /** Make the record durable, then sign (`signRecord`). Sign effects are to be done in the order in which they come. */
  | { readonly kind: 'sign'; readonly record: GuardRecord }
  | { readonly kind: 'broadcast'; readonly message: ConsensusMessage }
  | { readonly kind: 'sendTo'; readonly peer: string; readonly message: ConsensusMessage }
  /** The peer is at a height that is committed here: send it that block and certificate, if they are durable. */
  | { readonly kind: 'answerCommitted'; readonly height: number; readonly peer: string }
  /** Once per height, and only for a block that was found valid. */
  | { readonly kind: 'commit'; readonly block: Block; readonly certificate: QuorumCertificate }
  /** Get a block that there is a certificate for; `peers`: who voted for it or told of it. Asked again every slot. */
  | {
      readonly kind: 'fetchBlock'
      readonly height: number
      readonly hash: Uint8Array
      readonly peers: readonly string[]
    }
  /** The next moment at which `clock` is wanted; replaces the earlier one. */
  | { readonly kind: 'wake'; readonly atMs: number }
  /** Shown by signatures: `height`, which is not below ours, is committed elsewhere and ours cannot follow by votes alone. */
  | { readonly kind: 'behind'; readonly height: number }
  | { readonly kind: 'evidence'; readonly evidence: Evidence }
  /** The peer sent what no honest validator signs; see MESSAGE_FAULTS for whose fault it is. */
  | {
      readonly kind: 'punish'
      readonly peer: string
      readonly code: PeerFault
      readonly blame: 'peer' | 'signer'
    }
  /** Agreement is broken (2.7): nothing is signed or committed any more. */
  | {
      readonly kind: 'halt'
      readonly reason: HaltReason
      readonly certificates: readonly QuorumCertificate[]
    }
  | {
      readonly kind: 'viewEntered'
      readonly height: number
      readonly view: number
      readonly proposer: Uint8Array
      readonly reason: ViewReason
    }
  /** The view before was left without a decision. */
  | { readonly kind: 'viewFailed'; readonly failure: ViewFailure }
  | {
      readonly kind: 'locked'
      readonly height: number
      readonly view: number
      readonly hash: Uint8Array
    }

export type HaltReason =
  /** Two blocks of one height have a commit certificate each. */
  | 'ConflictingCertificates'
  /** A block with a commit certificate is invalid here. */
  | 'CertifiedBlockInvalid'

/**
 * What is wrong with a message, and who is to blame. `peer`: `verifyConsensusMessage` sees it as well, so no honest node
 * passes it on. `signer`: only who knows the height sees it; the peer may have relayed it in good faith.
 */
export const MESSAGE_FAULTS = {
  Malformed: 'peer',
  BadSignature: 'peer',
  NotAValidator: 'signer',
  NotTheProposer: 'signer',
  BadCertificate: 'signer',
  WrongParent: 'signer',
  WrongSlot: 'signer',
  WrongSlotAuthor: 'signer',
} as const

export type PeerFault = keyof typeof MESSAGE_FAULTS
