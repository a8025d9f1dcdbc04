/**
 * The rows of the ledger: one SSZ container per set (protocol §4.10, §7). A row's key never changes and a row is never
 * deleted; what is over is marked so. Txids and block hashes are in internal byte order.
 */
import {
  BooleanType,
  ByteListType,
  ByteVectorType,
  ContainerType,
  ListBasicType,
  ListCompositeType,
  type Type,
  UintBigintType,
  UintNumberType,
  type ValueOf,
} from '@chainsafe/ssz'
import { concatBytes, uint32be, uint64be } from '../../crypto/index.ts'
import {
  MAX_KEYGEN_BYTES,
  MAX_MEMBERS,
  MAX_STRIPPED_TRANSACTION_BYTES,
  MemberApprovalType,
  ValidatorSetType,
} from '../block/index.ts'

const Uint8 = new UintNumberType(1)
const Uint16 = new UintNumberType(2)
const Uint32 = new UintNumberType(4)
const Uint64 = new UintNumberType(8)
const Amount64 = new UintBigintType(8)
const Uint256 = new UintBigintType(32)
const Bytes20 = new ByteVectorType(20)
const Bytes32 = new ByteVectorType(32)
const Bytes33 = new ByteVectorType(33)
const Bytes48 = new ByteVectorType(48)
const Bytes64 = new ByteVectorType(64)
const OutpointKey = new ByteVectorType(36)
const Script = new ByteListType(128)

/** Outputs, transactions and requests of one batch, and credits of one Bitcoin block, stay below these. */
export const MAX_BATCH_REQUESTS = 100
export const MAX_BATCH_INPUTS = 50
/** 32 that pay, and four that cancel. */
export const MAX_BATCH_VERSIONS = 36
const MAX_BLOCK_EFFECTS = 65_536

/** A header of the in-block chain, best or not; all are kept. Key: its hash. */
const HeaderRowType = new ContainerType({
  header: new ByteVectorType(80),
  height: Uint64,
  /** Cumulative, this header included. */
  chainWork: Uint256,
  /** Time and bits of the first header of its retarget period. */
  periodTime: Uint32,
  periodBits: Uint32,
})
export type HeaderRow = ValueOf<typeof HeaderRowType>

/** The best chain. Key: height, 8 bytes. The hash is zero where a switch left no block. */
const ChainRowType = new ContainerType({ hash: Bytes32 })
export type ChainRow = ValueOf<typeof ChainRowType>

/** Why an output came into the federation's hands. The first three are PEG_IN_KINDS. */
export const OUTPUT_KIND = { credit: 0, refundable: 1, fund: 2, change: 3 } as const
/** `live` counts as reserve; `absent` was removed by a reorg; `spent` left with a booked transaction, `refunded` with its own refund. */
export const OUTPUT_STATE = { live: 0, absent: 1, spent: 2, refunded: 3 } as const

/** An output under a federation script. One row per outpoint for ever (4.2). Key: outpointKey. */
const OutputRowType = new ContainerType({
  /** Of OUTPUT_KIND. */
  kind: Uint8,
  /** Of REFUND_REASONS, for a refundable one. */
  reason: Uint8,
  /** Of OUTPUT_STATE. */
  state: Uint8,
  amountSat: Amount64,
  scriptPubKey: Script,
  /** The tweak that spends it: epoch, and, if `tweaked`, the two fields below (5.3). */
  epoch: Uint64,
  tweaked: new BooleanType(),
  evmAddress: Bytes20,
  refundScript: Script,
  /** Whom the members decided to pay a refundable one back to (5.9); empty: they did not. */
  refundTo: Script,
  /**
   * Of a refundable one, what t members approved, so that who signs its refund need not believe the row: its item, with the root of
   * the item's proof, and, where they decided whom it goes back to, that order, with a zero root.
   */
  approvals: new ListCompositeType(
    new ContainerType({ proofRoot: Bytes32, approval: MemberApprovalType }),
    2,
  ),
  bitcoinHash: Bytes32,
  bitcoinHeight: Uint64,
  transactionIndex: Uint32,
  /** Millrace block that entered it. */
  height: Uint64,
  timestamp: Uint64,
  /** For a credit: whether it was minted, by which withdrawal, and what the fund kept. */
  minted: new BooleanType(),
  mintHeight: Uint64,
  withdrawalIndex: Uint64,
  feeSat: Amount64,
  /** The open batch that holds it; zero: free. */
  batchId: Bytes32,
  /** The booked transaction that spent it; zero: none. */
  spentBy: Bytes32,
})
export type OutputRow = ValueOf<typeof OutputRowType>

export const REQUEST_STATE = { open: 0, batched: 1, paid: 2, refundDue: 3, refunded: 4 } as const
/** Why a request came back instead of being paid. */
export const REQUEST_REASON = { none: 0, unpayable: 1, dust: 2, cancelled: 3 } as const

/** A burn (4.4). Key: its id. */
const RequestRowType = new ContainerType({
  /** Of REQUEST_STATE. */
  state: Uint8,
  /** Of REQUEST_REASON. */
  reason: Uint8,
  burner: Bytes20,
  amountSat: Amount64,
  /** What the burner gave: a script or text. */
  destination: Script,
  /** The script that is paid; empty when there is none. */
  scriptPubKey: Script,
  height: Uint64,
  logIndex: Uint32,
  timestamp: Uint64,
  batchId: Bytes32,
  /** Of the booked payment. */
  paidSat: Amount64,
  paidBy: Bytes32,
  /** Of the refund mint. */
  feeSat: Amount64,
  withdrawalIndex: Uint64,
})
export type RequestRow = ValueOf<typeof RequestRowType>

/** `payout` pays requests; `refund` pays a deposit back, its one input; `sweep` pays the federation itself. */
export const BATCH_KIND = { payout: 0, refund: 1, sweep: 2 } as const
/** Why a sweep moves coins to the newest key: core/peg's sweeps.ts says when each is due. */
export const SWEEP_REASON = {
  none: 0,
  renewal: 1,
  handover: 2,
  late: 3,
  consolidation: 4,
  split: 5,
} as const
/** `released`: none of its versions can ever confirm, and its requests wait for another batch (4.5). */
export const BATCH_STATE = { open: 0, booked: 1, released: 2 } as const

/** What one transaction of the reserve pays (4.5, 5.9). Key: batch id. inputs[0] is its conflict input. */
const BatchRowType = new ContainerType({
  /** Of BATCH_KIND. */
  kind: Uint8,
  /** Of SWEEP_REASON, for a sweep. */
  reason: Uint8,
  /** Of BATCH_STATE. */
  state: Uint8,
  height: Uint64,
  timestamp: Uint64,
  /** Bitcoin's height when its last version was recorded. */
  bitcoinHeight: Uint64,
  /** Of all versions. */
  inputs: new ListCompositeType(OutpointKey, MAX_BATCH_INPUTS),
  requests: new ListCompositeType(Bytes32, MAX_BATCH_REQUESTS),
  /** Txids of its versions, oldest first. */
  versions: new ListCompositeType(Bytes32, MAX_BATCH_VERSIONS),
  /** That t members cancelled it, with their order's approval: from this version on it pays nobody (4.5, 5.8). */
  cancel: new ListCompositeType(
    new ContainerType({ version: Uint32, approval: MemberApprovalType }),
    1,
  ),
  /** Zero until a version that pays is booked. */
  bookedTxid: Bytes32,
})
export type BatchRow = ValueOf<typeof BatchRowType>

/** `version` was recorded by a block; `stray` is a proven spend that no record matches (4.5). */
export const SPEND_KIND = { version: 0, stray: 1 } as const
export const SPEND_STATE = { recorded: 0, booked: 1 } as const

/** A transaction that spends reserve. Key: txid. */
const SpendRowType = new ContainerType({
  /** Of SPEND_KIND. */
  kind: Uint8,
  /** Of SPEND_STATE. */
  state: Uint8,
  batchId: Bytes32,
  version: Uint32,
  /** Of a version: whose key takes its change. */
  epoch: Uint64,
  feeRateSatPerKvb: Uint64,
  /** Without witness. */
  transaction: new ByteListType(MAX_STRIPPED_TRANSACTION_BYTES),
  /** Of the block that recorded it, or booked a stray one. */
  height: Uint64,
  timestamp: Uint64,
  /** Where it is booked. */
  bitcoinHash: Bytes32,
  bitcoinHeight: Uint64,
  transactionIndex: Uint32,
  /** Rows of the reserve that its booking spent, and outputs of it that the booking entered. */
  spent: new ListCompositeType(OutpointKey, MAX_BLOCK_EFFECTS),
  entered: new ListBasicType(Uint32, MAX_BLOCK_EFFECTS),
  /** Batches that it released, once it was deep enough. */
  released: new ListCompositeType(Bytes32, MAX_BLOCK_EFFECTS),
  /** Of a stray one: the members have booked it as a loss, and it stops nothing any more. */
  accepted: new BooleanType(),
})
export type SpendRow = ValueOf<typeof SpendRowType>

/** What a Bitcoin block did to the ledger, in order, so that a switch can undo it (4.1). Key: block hash. */
const EffectsRowType = new ContainerType({
  outputs: new ListCompositeType(OutpointKey, MAX_BLOCK_EFFECTS),
  transactions: new ListCompositeType(Bytes32, MAX_BLOCK_EFFECTS),
  /** Deposits that a transaction of the block keeps from coming back. */
  conflicts: new ListCompositeType(OutpointKey, MAX_BLOCK_EFFECTS),
  /** Sum of the credits among the outputs. */
  creditedSat: Amount64,
})
export type EffectsRow = ValueOf<typeof EffectsRowType>

/** That a deposit which a reorg took away can never come back (4.5). Key: outpointKey of the deposit. */
const ConflictRowType = new ContainerType({
  /** Of the transaction that spent otherwise what the deposit descends from, and its place; zero where a reorg took that away. */
  txid: Bytes32,
  bitcoinHash: Bytes32,
  bitcoinHeight: Uint64,
  /** Batches that it released. */
  released: new ListCompositeType(Bytes32, MAX_BLOCK_EFFECTS),
})
export type ConflictRow = ValueOf<typeof ConflictRowType>

export const FUND_CAUSE = {
  donation: 0,
  pegInFee: 1,
  refundFee: 2,
  payout: 3,
  contract: 4,
  surplus: 5,
  advance: 6,
  loss: 7,
} as const

/** Income and expense of the operating fund, one row per cause (4.7). Key: causeKey. */
const FundRowType = new ContainerType({
  /** Of FUND_CAUSE. */
  cause: Uint8,
  incomeSat: Amount64,
  spentSat: Amount64,
})
export type FundRow = ValueOf<typeof FundRowType>

/** `reorg`: a credit that its Bitcoin block lost; `stray`: a spend without a record; `advance`: the fund fell short. */
export const DEFICIT_CAUSE = { reorg: 0, stray: 1, advance: 2 } as const

/** What the reserve lacks, one row per cause; closed at amount zero (4.5, 4.7, 4.9). Key: causeKey. */
const DeficitRowType = new ContainerType({
  /** Of DEFICIT_CAUSE. */
  cause: Uint8,
  amountSat: Amount64,
  height: Uint64,
  /** The members have booked it as a loss, and it stops nothing any more. */
  accepted: new BooleanType(),
})
export type DeficitRow = ValueOf<typeof DeficitRowType>

/** A validator that signed twice, shown by the evidence of a block (2.9). Key: core/chain's `evidenceKey`. */
const EvidenceRowType = new ContainerType({
  /** Index into EVIDENCE_PHASES. */
  phase: Uint8,
  validator: Bytes48,
  /** Of the two votes, or of the lower of the two blocks. */
  offenceHeight: Uint64,
  /** View of the votes; slot of the blocks. */
  round: Uint64,
  /** Of the block that carried it. */
  height: Uint64,
})
export type EvidenceRow = ValueOf<typeof EvidenceRowType>

/** A set of validators that acts or acted (1.4). Key: the height from which on it acts, 8 bytes; 0 for the genesis file's. */
const ValidatorsRowType = new ContainerType({
  /** How many changes led to it. */
  sequence: Uint64,
  /** Keys of the rows before and after it; `next` 0: none is decided yet. */
  previous: Uint64,
  next: Uint64,
  validators: ValidatorSetType,
})
export type ValidatorsRow = ValueOf<typeof ValidatorsRowType>

const Signers = new ListBasicType(Uint16, MAX_MEMBERS)

/** A federation key that its members made together (5.1). Key: its epoch, 8 bytes. */
const KeyRowType = new ContainerType({
  /** x(X). */
  publicKey: Bytes32,
  /** Of the polynomial in whose shares it is held, the key first: what every verifying share follows from. */
  commitments: new ListCompositeType(Bytes33, MAX_MEMBERS),
  /** Who holds a share: members' places in the genesis file plus one, ascending. */
  signers: Signers,
  sessionId: Bytes32,
  /** Of the block from whose end on it is the federation's. */
  height: Uint64,
  /** Bitcoin's tip in that block: from here on the key before it is watched for a while (5.8). */
  bitcoinHeight: Uint64,
})
export type KeyRow = ValueOf<typeof KeyRowType>

/** `calls`: of a key after the first one, until t members have called for it. */
export const KEYGEN_STAGE = {
  packages: 0,
  shares: 1,
  confirmations: 2,
  completed: 3,
  failed: 4,
  calls: 5,
} as const
/** Why a member is left out of the next session. */
export const KEYGEN_FAULT = { missed: 0, wrongShare: 1, falseComplaint: 2 } as const

/** How the making of a key stands (5.1). Key: the epoch of that key, 8 bytes. */
const KeygenRowType = new ContainerType({
  /** Of KEYGEN_STAGE. */
  stage: Uint8,
  /** Sessions before this one. */
  attempt: Uint32,
  sessionId: Bytes32,
  /** Who takes part in this session, ascending. */
  signers: Signers,
  /** Who has done what this stage asks for, in the order of the blocks. */
  received: Signers,
  /** The last height at which the others may; in a failed one the height of the next attempt. 0: no deadline runs. */
  deadline: Uint64,
  /** Sums of the commitments in this session's packages. */
  sums: new ListCompositeType(Bytes33, MAX_MEMBERS),
  /** Who was left out, by whose fault, the newest last. */
  culprits: new ListCompositeType(
    new ContainerType({
      signer: Uint16,
      fault: Uint8,
      stage: Uint8,
      attempt: Uint32,
      height: Uint64,
    }),
    MAX_MEMBERS,
  ),
  /** Of the block that changed it last. */
  height: Uint64,
})
export type KeygenRow = ValueOf<typeof KeygenRowType>

/** What a member said in a session. Key: session id, stage, signer (core/keygen's `keygenItemKey`). */
const KeygenItemRowType = new ContainerType({
  content: new ByteListType(MAX_KEYGEN_BYTES),
  /** Of the member's own key: whoever reads the row need not believe those who wrote it. */
  signature: Bytes64,
  height: Uint64,
})
export type KeygenItemRow = ValueOf<typeof KeygenItemRowType>

/** What is not a set. One row, key STATE_KEY. */
export const StateRowType = new ContainerType({
  /** Height of the last block whose effects are in. */
  height: Uint64,
  tipHash: Bytes32,
  tipHeight: Uint64,
  /** Epoch of the federation key and of the member set (5.1). */
  epoch: Uint64,
  membersEpoch: Uint64,
  nextWithdrawalIndex: Uint64,
  feePoolWei: Uint256,
  /** Sums over rows; `core/ledger/totals.ts` says of which (4.7). */
  reserveSat: Amount64,
  mintedSat: Amount64,
  burnedSat: Amount64,
  creditedSat: Amount64,
  unpaidSat: Amount64,
  refundsSat: Amount64,
  fundSat: Amount64,
  deficitSat: Amount64,
  /** Rows that stop the peg: deficits of a reorg stop peg-ins, booked strays stop peg-outs. */
  pegInStops: Uint64,
  pegOutStops: Uint64,
  /** Key of the latest row of `validators`. */
  validatorsHeight: Uint64,
})
export type StateRow = ValueOf<typeof StateRowType>

export interface SetRows {
  readonly state: StateRow
  readonly headers: HeaderRow
  readonly chain: ChainRow
  readonly outputs: OutputRow
  readonly requests: RequestRow
  readonly batches: BatchRow
  readonly spends: SpendRow
  readonly effects: EffectsRow
  readonly fund: FundRow
  readonly deficits: DeficitRow
  readonly evidence: EvidenceRow
  readonly validators: ValidatorsRow
  readonly keys: KeyRow
  readonly keygen: KeygenRow
  readonly keygenItems: KeygenItemRow
  readonly conflicts: ConflictRow
}

export type SetName = keyof SetRows
export type LedgerSet = Exclude<SetName, 'state'>

/** The sets; a set's place here is its number on disk and in proofs. */
export const SET_NAMES = [
  'state',
  'headers',
  'chain',
  'outputs',
  'requests',
  'batches',
  'spends',
  'effects',
  'fund',
  'deficits',
  'evidence',
  'validators',
  'keys',
  'keygen',
  'keygenItems',
  'conflicts',
] as const satisfies readonly SetName[]

export const LEDGER_SETS = SET_NAMES.slice(1) as readonly LedgerSet[]

const ROW_TYPES = {
  state: StateRowType,
  headers: HeaderRowType,
  chain: ChainRowType,
  outputs: OutputRowType,
  requests: RequestRowType,
  batches: BatchRowType,
  spends: SpendRowType,
  effects: EffectsRowType,
  fund: FundRowType,
  deficits: DeficitRowType,
  evidence: EvidenceRowType,
  validators: ValidatorsRowType,
  keys: KeyRowType,
  keygen: KeygenRowType,
  keygenItems: KeygenItemRowType,
  conflicts: ConflictRowType,
}

export function encodeRow<S extends SetName>(set: S, row: SetRows[S]): Uint8Array {
  return (ROW_TYPES[set] as unknown as Type<SetRows[S]>).serialize(row)
}

/** Undefined for bytes that are no row of the set. */
export function decodeRow<S extends SetName>(set: S, bytes: Uint8Array): SetRows[S] | undefined {
  try {
    return (ROW_TYPES[set] as unknown as Type<SetRows[S]>).deserialize(Uint8Array.from(bytes))
  } catch {
    return undefined
  }
}

export const STATE_KEY = Uint8Array.of(0)
export const ZERO_HASH = new Uint8Array(32)

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

/** txid ‖ vout: the key of an output. */
export function outpointKey(txid: Uint8Array, vout: number): Uint8Array {
  return concatBytes(txid, uint32be(vout))
}

export function splitOutpoint(key: Uint8Array): { txid: Uint8Array; vout: number } {
  const vout = new DataView(key.buffer, key.byteOffset + 32, 4).getUint32(0)
  return { txid: key.slice(0, 32), vout }
}

export function heightKey(height: number): Uint8Array {
  return uint64be(height)
}

/** The key of a fund or deficit row: its cause and what it refers to, an outpoint, an id or a txid. */
export function causeKey(cause: number, reference: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(cause), reference)
}

/** What a fund or deficit row refers to. */
export function causeReference(key: Uint8Array): Uint8Array {
  return key.slice(1)
}
