/**
 * All that the API needs from the node. Reads are views on committed state and never enter a mailbox; the
 * commands are `submitTransaction`, `submitValidatorChange`, `submitPegOrder` and `submitKeyCall`. Every read may answer at
 * once or later.
 */
import type { CertifiedBlock } from '../../actors/stream/index.ts'
import type { ReserveJson } from '../../bridge/index.ts'
import type {
  CommittedBlock,
  Evidence,
  KeygenItem,
  PegOrderItem,
  QuorumCertificate,
  ValidatorChangeItem,
} from '../../core/block/index.ts'
import type { LedgerSet } from '../../core/ledger/index.ts'
import type { TransactionEnd } from '../../core/mempool/index.ts'
import type { ViewFailure } from '../../core/pbft/index.ts'
import type { ActorStatus } from '../../supervisor/index.ts'
import type {
  AccountReads,
  AnswerOf,
  BlockRange,
  BlockRead,
  EvmTransaction,
  FeeRow,
  LogMatcher,
  LogQueryFault,
  LogRead,
  QuestionKind,
  Questions,
  ReceiptRead,
  TransactionRead,
} from '../../vm/evm/index.ts'

export type Later<T> = T | Promise<T>

/** The chain as this node committed it. */
export interface ChainView {
  /** Undefined before block 1. */
  head(): Later<CommittedBlock | undefined>
  blockByHeight(height: number): Later<CommittedBlock | undefined>
  blockByHash(hash: Uint8Array): Later<CommittedBlock | undefined>
  certificate(height: number): Later<QuorumCertificate | undefined>
  /** The sets that the head's state commits to. */
  validators(): readonly ValidatorRow[]
  consensus(): ConsensusSnapshot
  /** Who signed twice: a page of what waits for a block, oldest first, and of what blocks carried, newest first. */
  evidence(from: number, count: number): EvidencePage
  /** validators(h), from block 0 to the head + 2; undefined above. */
  validatorsAt(height: number): ValidatorSetSnapshot | undefined
  /** What a light client needs of a committed block; undefined where there is none. */
  certified(height: number): Later<CertifiedBlock | undefined>
  /** A row of the head's ledger, or its absence, with the proof. */
  ledgerProof(set: LedgerSet, key: Uint8Array): LedgerProofSnapshot | undefined
}

export interface ValidatorSetSnapshot {
  readonly height: number
  /** From which height on it acts; the key of its ledger row. */
  readonly since: number
  /** Changes that led to it; the next change has the latest set's + 1. */
  readonly sequence: number
  /** What headers commit to. */
  readonly hash: Uint8Array
  readonly validators: readonly ValidatorRow[]
}

export interface LedgerProofSnapshot {
  readonly height: number
  /** Undefined: the key has no row. */
  readonly row?: Uint8Array
  /** SSZ. */
  readonly proof: Uint8Array
}

export interface EvidencePage {
  readonly waitingTotal: number
  readonly waiting: readonly Evidence[]
  readonly carriedTotal: number
  readonly carried: readonly Conviction[]
}

/** A row of the ledger's set `evidence` with its key. */
export interface Conviction {
  readonly key: Uint8Array
  /** Index into EVIDENCE_PHASES. */
  readonly phase: number
  readonly validator: Uint8Array
  readonly offenceHeight: number
  /** The view of votes, the slot of blocks. */
  readonly round: number
  /** Of the block that carried it. */
  readonly height: number
}

export interface ValidatorRow {
  /** BLS key. */
  readonly key: Uint8Array
  readonly power: number
  /** Receives the tips of its blocks. */
  readonly address: Uint8Array
  /** This node's own key. */
  readonly self: boolean
}

/** Where consensus stands. Lists hold positions in the current validator set. */
export interface ConsensusSnapshot {
  /** The height that is being decided. */
  readonly height: number
  readonly view: number
  readonly slot: number
  readonly slotMs: number
  /** Slot in which the view began, and how many it lasts. */
  readonly viewStartSlot: number
  readonly viewSlots: number
  /** What is waited for, as the chain actor's machine names it. */
  readonly step: string
  readonly proposer: number
  readonly lockedView?: number
  /** Why this node has not prepared the present proposal. */
  readonly abstention?: string
  readonly prepares: readonly number[]
  readonly commits: readonly number[]
  readonly viewChanges: readonly number[]
  /** Views above 0 entered since the start. */
  readonly viewChangesTotal: number
  /** Blocks of this node's own that were committed since the start. */
  readonly producedTotal: number
  /** Views that were left without a decision, the last ones, oldest first. */
  readonly failures: readonly ViewFailure[]
  /** Agreement is broken: nothing is signed or committed until an operator acts (`--resume-halt ID`). */
  readonly halt?: Halt
}

export interface Halt {
  readonly id: string
  readonly reason: string
  readonly atMs: number
  /** The evidence: SSZ in hex. */
  readonly certificates: readonly string[]
}

/** An EVM block with what its header commits to beside the payload's own fields. */
export interface EvmBlock extends BlockRead {
  readonly transactionsRoot: Uint8Array
  readonly withdrawalsRoot: Uint8Array
  readonly requestsHash: Uint8Array
  /** Of the RLP form. */
  readonly sizeBytes: number
}

/** Why a call was not run. */
export interface CallRefusal {
  readonly ok: false
  readonly code: 'CallTimeout' | 'CallsBusy'
}

/** What the fees of the next block follow from, and how many transactions there are. */
export interface EvmHeader {
  readonly gasLimit: number
  readonly gasUsed: number
  readonly baseFeePerGas: bigint
  readonly transactions: number
}

/**
 * The EVM chain up to its durable head; block 0 is genesis, so there always is one. Accounts are those of the head and of the
 * blocks shortly before it. `createEvmView` makes one of the engine's reads.
 */
export interface EvmView {
  readonly chainId: number
  headHeight(): number
  heightOf(hash: Uint8Array): number | undefined
  /** Its transactions, receipts and logs are no longer kept. */
  isPruned(height: number): boolean
  blockAt(height: number): EvmBlock | undefined
  /** Of a block, without what has to be computed for it. */
  headerAt(height: number): EvmHeader | undefined
  transactionsAt(height: number): readonly TransactionRead[]
  transactionAt(height: number, index: number): TransactionRead | undefined
  transaction(hash: Uint8Array): TransactionRead | undefined
  receiptsAt(height: number): readonly ReceiptRead[]
  receipt(hash: Uint8Array): ReceiptRead | undefined
  /** Fees of a block, the lowest tip first. */
  feesAt(height: number): readonly FeeRow[]
  logs(range: BlockRange, matcher: LogMatcher): readonly LogRead[] | LogQueryFault
  /** Accounts after a block, to be read at once; undefined where they are not kept, or there is no such block. */
  stateAt(height: number): AccountReads | undefined
  ask<Kind extends QuestionKind>(
    kind: Kind,
    question: Questions[Kind],
  ): Promise<AnswerOf<Kind> | CallRefusal>
}

export interface PooledTransaction {
  readonly transaction: EvmTransaction
  readonly sender: Uint8Array
}

export interface PoolSnapshot {
  /** Ready for the next block. */
  readonly pending: number
  /** Behind a gap. */
  readonly queued: number
  readonly bytes: number
}

/** Where a transaction stands that is in no block (TX-1). */
export type PoolStanding =
  | {
      readonly state: 'Mempool'
      /** Why it cannot run now. */
      readonly waitsFor?: 'NonceGap' | 'BaseFee'
    }
  /** In a block that was executed here and is not committed. */
  | { readonly state: 'Pending'; readonly blockHash: Uint8Array }
  | TransactionEnd

export interface PoolView {
  status(): PoolSnapshot
  /** Undefined: never heard of, or forgotten. */
  standing(hash: Uint8Array): PoolStanding | undefined
  /** The least tip that a newcomer has to offer. */
  tipFloorWei(): bigint
  /** Everything that waits, ready or behind a gap. */
  content(): Later<{
    readonly pending: readonly PooledTransaction[]
    readonly queued: readonly PooledTransaction[]
  }>
  /** Of one sender. */
  contentFrom(sender: Uint8Array): Later<{
    readonly pending: readonly PooledTransaction[]
    readonly queued: readonly PooledTransaction[]
  }>
  transaction(hash: Uint8Array): Later<PooledTransaction | undefined>
  /** First nonce that neither the head's state nor the pool has, given the state's. */
  nextNonce(address: Uint8Array, stateNonce: bigint): Later<bigint>
}

export const PEG_IN_STEPS = [
  'Detected',
  'Confirming',
  'AwaitingApproval',
  'Approved',
  'Included',
] as const
export const PEG_OUT_STEPS = [
  'Requested',
  'Committed',
  'Batched',
  'CollectingSignatures',
  'Broadcast',
  'Confirmed',
  'Booked',
] as const
export type PegInStep = (typeof PEG_IN_STEPS)[number]
export type PegOutStep = (typeof PEG_OUT_STEPS)[number]

interface PegOperationFields {
  /** `txid:vout` of a deposit in display form, or the id of a peg-out request in hex. */
  readonly id: string
  readonly amountSat: bigint
  /** Progress within the step: confirmations, approvals or signatures so far and needed. */
  readonly progress?: { readonly have: number; readonly need: number }
  /** Why it does not go on, or will not: a code of the ledger's or the members'. */
  readonly reason?: string
  /** What happens next, in words for the user (N2). */
  readonly next?: string
  readonly startedAtMs?: number
  readonly updatedAtMs?: number
  /** Millrace height of the step that was last committed. */
  readonly height?: number
}

export interface PegInStatus extends PegOperationFields {
  readonly direction: 'in'
  readonly step: PegInStep
  /** Recorded as refundable instead of credited. */
  readonly refundable?: boolean
  readonly refund?: RefundStatus
  /** 40 hex digits. */
  readonly evmAddress?: string
}

/** How a deposit that was not credited goes back (protocol 5.9). */
export interface RefundStatus {
  readonly state: 'owed' | 'batched' | 'refunded'
  readonly batchId?: string
  readonly versions?: readonly PayoutVersion[]
}

/** One Bitcoin transaction of those that pay a batch, of which one at most confirms (PO-15). */
export interface PayoutVersion {
  /** Display form. */
  readonly txid: string
  readonly feeRateSatPerKvb: number
  /** Millrace height of its record. */
  readonly height: number
  readonly state: 'recorded' | 'booked' | 'replaced'
}

export interface PegOutStatus extends PegOperationFields {
  readonly direction: 'out'
  readonly step: PegOutStep
  /** Where it pays to. */
  readonly bitcoinAddress?: string
  readonly batchId?: string
  /** The Bitcoin transaction that pays it, in display form. */
  readonly txid?: string
  /** All that may pay it, oldest first. */
  readonly versions?: readonly PayoutVersion[]
  readonly feeSat?: bigint
  /** The burn's transaction, hex. */
  readonly evmTransaction?: string
}

export type PegOperation = PegInStatus | PegOutStatus

export interface InFlightRow {
  readonly id: string
  /** A set of protocol 4.7, such as `creditedNotMinted`, `burnedNotPaid`, `refundOwed`, `fund`. */
  readonly kind: string
  readonly amountSat: bigint
}

/** Protocol 4.7, from the ledger: `reserveSat = supplySat + inFlightSat`. */
export interface ReserveSnapshot {
  readonly height: number
  readonly reserveSat: bigint
  readonly supplySat: bigint
  readonly inFlightSat: bigint
  /** Part of inFlightSat, counted against it. */
  readonly deficitSat: bigint
  /** A deposit that Bitcoin lost is not booked as a loss: nothing is credited (4.9). */
  readonly pegInsPaused: boolean
  /** Nor a spend of the reserve that no record explains: nothing is paid. */
  readonly pegOutsPaused: boolean
  /** The oldest that a sweep may take; absent: none. */
  readonly oldestOutput?: {
    /** `txid:vout` in display form. */
    readonly outpoint: string
    readonly amountSat: bigint
    /** Of its recovery delay (5.7): renewed at 45, an alarm at 60. */
    readonly percent: number
    /** `age`: its time; `block`: a proposer; `batch`: the members' signatures, or Bitcoin; `fund`: somebody has to pay into it. */
    readonly waitsFor: string
  }
  /** Transactions that move coins within the reserve and wait for the members or for Bitcoin; payouts wait for the coins. */
  readonly openSweeps: number
  readonly inFlight: readonly InFlightRow[]
  readonly outputs: readonly {
    /** `txid:vout` in display form. */
    readonly outpoint: string
    readonly amountSat: bigint
  }[]
  /**
   * Where an auditor looks for the reserve on Bitcoin, hex: the plain script of every epoch's key, the oldest first, and those of the
   * users' own addresses that hold a part of it.
   */
  readonly scripts: readonly string[]
  /** What passed through since genesis. */
  readonly totals: {
    readonly pegIns: number
    readonly pegInSat: bigint
    readonly pegOuts: number
    readonly pegOutSat: bigint
    readonly mintedSat: bigint
    readonly burnedSat: bigint
  }
}

/** A deposit address of a user's own (5.3): what is paid to it is for one EVM address, whoever pays, however often. */
export interface DepositAddress {
  readonly address: string
  /** Of the address, hex. It follows from the genesis file, the epoch's key and the two fields of the user. */
  readonly scriptPubKey: string
  readonly epoch: number
  /** The last Bitcoin height of a deposit to it; null: none is set yet, for the epoch's key is the newest (5.8). */
  readonly validUntil: number | null
  /** x(X) of the epoch, hex (5.1). */
  readonly groupKey: string
  /** BIP21. */
  readonly uri: string
  /** The other form: an output to the federation's own address, and beside it one with this OP_RETURN script, hex. */
  readonly opReturn: { readonly address: string; readonly script: string }
}

/** Whose deposits an address takes. */
export interface DepositFields {
  readonly evmAddress: Uint8Array
  /** Empty: none. */
  readonly refundScript: Uint8Array
}

export interface DepositRefusal {
  readonly code: string
  readonly reason: string
}

/** The federation's keys and the making of the next one (5.1). Members by their place in the genesis file. */
export interface KeygenStatus {
  readonly height: number
  /** Of the key that is in use. */
  readonly epoch: number
  /** Keys that the members made; epoch 0 has none. */
  readonly keys: readonly {
    readonly epoch: number
    /** x-only, hex. */
    readonly publicKey: string
    /** Who holds a share. */
    readonly members: readonly number[]
    /** Of the block that completed it. */
    readonly height: number
    /** The last Bitcoin height of deposits to its addresses; null while it is the newest key. */
    readonly validUntil: number | null
  }[]
  /** The key that members may call for, and which attempt at it that would be; undefined while one is made. */
  readonly next?: { readonly epoch: number; readonly attempt: number }
  /** Undefined: no key is made or called for. */
  readonly making?: {
    readonly epoch: number
    /** calls, packages, shares, confirmations, failed. */
    readonly stage: string
    readonly attempt: number
    readonly members: readonly number[]
    /** Who has not yet done what this stage asks for. */
    readonly waitingFor: readonly number[]
    /** The last height for it; of a failed one the height of the next attempt. */
    readonly deadline?: number
    readonly culprits: readonly {
      readonly member: number
      /** missed, wrongShare, falseComplaint. */
      readonly fault: string
      readonly stage: string
      readonly attempt: number
      readonly height: number
    }[]
  }
}

export interface PegView {
  /** Undefined until the chain is loaded. */
  keygen(): Later<KeygenStatus | undefined>
  reserve(): Later<ReserveSnapshot>
  /** Every live output with what it takes to spend it, as `millrace recover` reads it; undefined until the chain is loaded. */
  reserveRows(): Later<ReserveJson | undefined>
  /** Open operations and the latest finished ones, newest first, at most `limit`. */
  operations(limit: number): Later<readonly PegOperation[]>
  /** By id, by outpoint, by the burn's transaction hash or by the payout's txid; hex without prefix. */
  operation(id: string): Later<PegOperation | undefined>
  /** The federation's own, to which deposits name their EVM address in an OP_RETURN. */
  federationAddress(): string
  /** Resolves when this node looks for it, over restarts too. */
  depositAddress(fields: DepositFields): Promise<DepositAddress | DepositRefusal>
  /** Looks for deposits of these fields in a block of Bitcoin that the chain knows; their outpoints. */
  claimDeposits(
    fields: DepositFields,
    blockHash: Uint8Array,
  ): Promise<{ readonly outpoints: readonly string[] } | DepositRefusal>
}

export interface MemberRow {
  readonly index: number
  /** x-only key, hex. */
  readonly key: string
  readonly connected: boolean
  readonly lastSeenMs?: number
}

export interface FederationSnapshot {
  readonly epoch: number
  /** Signatures that move the reserve. */
  readonly threshold: number
  readonly address: string
  readonly members: readonly MemberRow[]
}

export interface PeerRow {
  readonly id: string
  readonly address?: string
  readonly inbound: boolean
  /** Committed height that it claims. */
  readonly height?: number
  readonly score?: number
  /** Its position in the validator set, where it has one. */
  readonly validator?: number
  readonly latencyMs?: number
}

export interface SyncSnapshot {
  /** State of the sync actor's machine. */
  readonly state: string
  readonly startHeight: number
  readonly currentHeight: number
  readonly targetHeight: number
}

export interface BitcoinSnapshot {
  readonly network: string
  readonly reachable: boolean
  /** What is known of each, in the order of the configuration. */
  readonly endpoints: readonly ('agrees' | 'differs' | 'silent')[]
  /** Tip as the node's Bitcoin tells it. */
  readonly height?: number
  /** Since the time of the last of its blocks that the bridge has read. */
  readonly tipAgeMs?: number
  /** Why it is not reachable. */
  readonly code?: string
  /** Tip of the header chain in Millrace's blocks. */
  readonly inBlockHeight: number
  readonly feeRateSatPerKvb?: number
}

export type SubmitResult =
  | { readonly ok: true; readonly hash: Uint8Array }
  | { readonly ok: false; readonly error: { readonly code: string; readonly reason: string } }

export type SubmitOrderResult =
  | { readonly ok: true; readonly id: string }
  | { readonly ok: false; readonly error: { readonly code: string; readonly detail?: string } }

export type SubmitChangeResult =
  | { readonly ok: true; readonly id: string; readonly sequence: number }
  | { readonly ok: false; readonly error: { readonly code: string; readonly detail?: string } }

/** A member's call for the next key that waits for a block (5.8). */
export type SubmitCallResult =
  | { readonly ok: true; readonly epoch: number }
  | { readonly ok: false; readonly error: { readonly code: string; readonly detail?: string } }

/** What the API says about the node itself; constant while it runs. */
export interface NodeIdentity {
  readonly name: string
  readonly version: string
  readonly chain: string
  readonly genesisHash: Uint8Array
  readonly startedAtMs: number
  /** What a reader must know, such as an open anchor gate of the development preset. */
  readonly notices: readonly string[]
  /** Running parameters as JSON, `millrace_params`. */
  readonly params: Readonly<Record<string, unknown>>
}

export interface SystemView {
  /** One row per actor, the seven first. */
  actors(): readonly ActorStatus[]
}

export interface AdminPort {
  setLogLevel(level: 'trace' | 'debug' | 'info' | 'warn' | 'error', actor?: string): void
}

/** What happened to an address. */
export interface HistoryEntry {
  readonly kind: 'sent' | 'received' | 'created' | 'tokenSent' | 'tokenReceived' | 'credited'
  readonly height: number
  /** Of what a transaction did. */
  readonly transaction?: { readonly index: number; readonly hash: Uint8Array }
  /** Of a transfer of tokens, in the block. */
  readonly logIndex?: number
  /** Of what the chain credited. */
  readonly amountGwei?: bigint
}

export interface HistoryPage {
  /** The latest first. */
  readonly entries: readonly HistoryEntry[]
  /** Where the next page begins; absent at the end. */
  readonly cursor?: Uint8Array
  /** The blocks that are known; `to` is below `from` when there is none yet. */
  readonly from: number
  readonly to: number
}

/** Bytes of a cursor. */
export const HISTORY_CURSOR_BYTES = 13

export interface ApiPorts {
  readonly node: NodeIdentity
  readonly chain: ChainView
  readonly evm: EvmView
  readonly pool: PoolView
  readonly peg: PegView
  readonly system: SystemView
  readonly admin: AdminPort
  /** At most `limit` entries below the cursor. Absent: no index is kept. */
  addressHistory?(address: Uint8Array, limit: number, cursor?: Uint8Array): Later<HistoryPage>
  federation(): FederationSnapshot
  peers(): readonly PeerRow[]
  sync(): SyncSnapshot
  bitcoin(): BitcoinSnapshot
  /** Enters the chain's mailbox. */
  submitValidatorChange(change: ValidatorChangeItem): Promise<SubmitChangeResult>
  /** Enters the chain's mailbox. */
  submitPegOrder(order: PegOrderItem): Promise<SubmitOrderResult>
  /** Enters the bridge's mailbox. */
  submitKeyCall(call: KeygenItem): Promise<SubmitCallResult>
  /** Enters the engine's mailbox. */
  submitTransaction(raw: Uint8Array): Promise<SubmitResult>
  /** Calls back with hashes of transactions that come into the pool. Returns how to end that. */
  onPendingTransactions(listener: (hashes: readonly Uint8Array[]) => void): () => void
  /** Calls back when something that a view shows may have changed. Returns how to end that. */
  onChange(listener: () => void): () => void
}
