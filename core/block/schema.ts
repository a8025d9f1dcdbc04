/**
 * SSZ containers of everything that nodes exchange and store (protocol §2, §4, §7). The list limits are the
 * decoder's bounds. Heights, slots and times decode to numbers; money to bigint.
 */
import './hasher.ts'
import {
  BitListType,
  ByteListType,
  ByteVectorType,
  type ByteViews,
  ContainerType,
  ListCompositeType,
  UintBigintType,
  UintNumberType,
  type ValueOf,
} from '@chainsafe/ssz'
import { ByteListsType } from './byte-lists.ts'

export const MAX_VALIDATORS = 1024
export const MAX_MEMBERS = 128
export const MAX_BITCOIN_HEADERS = 2016
export const MAX_STRIPPED_TRANSACTION_BYTES = 100_000
export const MAX_PEG_INS = 64
export const MAX_PROOFS = 64
export const MAX_CONFLICTS = 16
/** A line of transactions that blocks held, so no bound of any mempool; the bytes that proofs may take end most lines before. */
export const MAX_ANCESTRY = 256
export const MAX_RECORDS = 16
export const MAX_EVIDENCE = 16
export const MAX_VALIDATOR_CHANGES = 1
export const MAX_PEG_ORDERS = 1
export const MAX_KEYGEN_ITEMS = 16
/** The largest content: commitments of 128 coefficients. */
export const MAX_KEYGEN_BYTES = 4_352
export const MAX_WITHDRAWALS = 16
export const MAX_TRANSACTIONS = 65_536
export const MAX_TRANSACTION_BYTES = 131_072
export const MAX_REQUEST_BYTES = 65_536

/** 64 bits on the wire, a number here: what a number does not hold exactly is malformed, not rounded (C-5, C-7). */
class SafeUint64Type extends UintNumberType {
  constructor() {
    super(8)
  }

  override value_deserializeFromBytes(data: ByteViews, start: number, end: number): number {
    const value = super.value_deserializeFromBytes(data, start, end)
    if (!Number.isSafeInteger(value)) throw new Error('an integer above 2^53 − 1')
    return value
  }
}

const Uint8 = new UintNumberType(1)
const Uint16 = new UintNumberType(2)
const Uint32 = new UintNumberType(4)
const Uint64 = new SafeUint64Type()
const Amount64 = new UintBigintType(8)
const Uint256 = new UintBigintType(32)
const Bytes20 = new ByteVectorType(20)
const Bytes32 = new ByteVectorType(32)
const Bytes33 = new ByteVectorType(33)
const Bytes48 = new ByteVectorType(48)
const Bytes64 = new ByteVectorType(64)
const Bytes96 = new ByteVectorType(96)
const Script = new ByteListType(128)
const StrippedTransaction = new ByteListType(MAX_STRIPPED_TRANSACTION_BYTES)
const MerkleBranch = new ListCompositeType(Bytes32, 32)

/** q Prepares or Commits of one view for one block (2.6). Bit i of the bitmap is validators(h)[i]. */
export const QuorumCertificateType = new ContainerType({
  height: Uint64,
  view: Uint64,
  blockHash: Bytes32,
  bitmap: new BitListType(MAX_VALIDATORS),
  signature: Bytes96,
})
export type QuorumCertificate = ValueOf<typeof QuorumCertificateType>

/** The inclusion of one Bitcoin transaction in a header of the in-block chain (4.2). Txids in internal order. */
export const TransactionProofType = new ContainerType({
  /** Header of the block, by hash in internal order. */
  blockHash: Bytes32,
  transactionIndex: Uint32,
  /** Without witness. */
  transaction: StrippedTransaction,
  branch: MerkleBranch,
  /**
   * The end of the SHA-256 of the coinbase without witness (`Sha256Tail`): its length shows that the first leaf is no inner node, so that
   * the coinbase's branch fixes the tree's depth. Its bytes are not needed, of which a miner may make a megabyte.
   */
  coinbaseState: Bytes32,
  coinbaseBlock: Bytes64,
  coinbaseBranch: MerkleBranch,
})
export type TransactionProof = ValueOf<typeof TransactionProofType>

/** A quorum of members over one purpose: t of them, by count. Bit i is members[i]. */
export const MemberApprovalType = new ContainerType({
  membersEpoch: Uint64,
  bitmap: new BitListType(MAX_MEMBERS),
  signature: Bytes96,
})
export type MemberApproval = ValueOf<typeof MemberApprovalType>

export const PEG_IN_KINDS = ['credit', 'refundable', 'fund'] as const
export type PegInKind = (typeof PEG_IN_KINDS)[number]

/** Fixed reasons of a refundable deposit, and the members' denial (4.2). 0 for the other kinds. */
export const REFUND_REASONS = [
  'none',
  'badPayload',
  'forbiddenAddress',
  'aboveMaximum',
  'denied',
] as const
export type RefundReason = (typeof REFUND_REASONS)[number]

const depositFields = {
  /** Index into PEG_IN_KINDS. */
  kind: Uint8,
  /** Index into REFUND_REASONS. */
  reason: Uint8,
  txid: Bytes32,
  vout: Uint32,
  amountSat: Amount64,
  evmAddress: Bytes20,
  /** scriptPubKey to refund to; empty when the depositor named none. */
  refundScript: Script,
  depositEpoch: Uint64,
}

/**
 * What the members approve: the root of this container. The proof stands in it by value; in a block it stands once for
 * all items of its transaction, and the root is the same (SSZ: a container's root is its fields' roots).
 */
export const PegInClaimType = new ContainerType({ ...depositFields, proof: TransactionProofType })
export type PegInClaim = ValueOf<typeof PegInClaimType>

/** The same root, from that of the proof. */
export const PegInSummaryType = new ContainerType({ ...depositFields, proof: Bytes32 })
export type PegInSummary = ValueOf<typeof PegInSummaryType>

/** A deposit as a block carries it; `proofIndex` points into the body's proofs. */
export const PegInItemType = new ContainerType({
  ...depositFields,
  proofIndex: Uint16,
  approval: MemberApprovalType,
})
export type PegInItem = ValueOf<typeof PegInItemType>

/**
 * That a deposit which a reorg took away can never come back (4.5): `proofs[proofIndex]` spends what the last transaction of `ancestry` would.
 * The first one is the deposit's, each further one made what the one before it spends; all without witness.
 */
export const PegConflictType = new ContainerType({
  proofIndex: Uint16,
  ancestry: new ListCompositeType(StrippedTransaction, MAX_ANCESTRY),
})
export type PegConflict = ValueOf<typeof PegConflictType>

export const RECORD_KINDS = ['payout', 'bump', 'refund', 'sweep'] as const
export type RecordKind = (typeof RECORD_KINDS)[number]

/** One version of a batch of the reserve (4.5): recomputed by all from the parent's ledger and the rate. */
export const RecordType = new ContainerType({
  /** Index into RECORD_KINDS. */
  kind: Uint8,
  batchId: Bytes32,
  version: Uint32,
  feeRateSatPerKvb: Uint64,
  /** The unsigned transaction that the rules give. */
  transaction: StrippedTransaction,
})
export type PegRecord = ValueOf<typeof RecordType>

/** A block's hash that a validator signed at a height. */
export const SignedHashType = new ContainerType({
  height: Uint64,
  hash: Bytes32,
  signature: Bytes96,
})
export type SignedHash = ValueOf<typeof SignedHashType>

/**
 * Two different hashes that one validator signed where it may sign one (2.9): votes of one phase, height and view, or blocks
 * of one slot, whatever their heights. What is signed names the place (`voteMessage`, `authorMessage`), so this is all that a
 * third party needs. The lower hash stands first.
 */
export const EvidenceType = new ContainerType({
  /** Index into EVIDENCE_PHASES. */
  phase: Uint8,
  validator: Bytes48,
  /** The view of votes, the slot of blocks. */
  round: Uint64,
  first: SignedHashType,
  second: SignedHashType,
})
export type Evidence = ValueOf<typeof EvidenceType>

const validatorChangeFields = {
  /** One more than that of the change before it: each approval is good for one place in the chain. */
  sequence: Uint64,
  blsKey: Bytes48,
  /** 0 removes the key. */
  power: Uint64,
  /** EVM address that receives the tips of its blocks; zero for a removal. */
  address: Bytes20,
  /** Of an added key; zero otherwise. */
  proofOfPossession: Bytes96,
}

/** What the members approve: one key of the validators added, removed, or given another power or address (1.4). */
export const ValidatorChangeType = new ContainerType(validatorChangeFields)
export type ValidatorChange = ValueOf<typeof ValidatorChangeType>

/** A change as a block carries it. */
export const ValidatorChangeItemType = new ContainerType({
  ...validatorChangeFields,
  approval: MemberApprovalType,
})
export type ValidatorChangeItem = ValueOf<typeof ValidatorChangeItemType>

/** What t members decide about the peg's books. The index is the byte that is signed. */
export const PEG_ORDER_KINDS = ['refundTo', 'reorgLoss', 'strayLoss', 'cancel'] as const
export type PegOrderKind = (typeof PEG_ORDER_KINDS)[number]

const pegOrderFields = {
  /** Index into PEG_ORDER_KINDS. */
  kind: Uint8,
  /** The outpoint of a deposit, 36 bytes; of a stray loss the txid of what spent the reserve; the batch that is cancelled. */
  subject: new ByteListType(36),
  /** Whom a deposit that named nobody is paid back to (5.9); empty for a loss. */
  scriptPubKey: Script,
  /** How much of a loss the operating fund bears (4.9); zero for a refund. */
  fundSat: Amount64,
  /** Height of the block whose loss it is, so that no later one of the same subject is booked by it; zero for a refund. */
  since: Uint64,
}

/** What the members approve. */
export const PegOrderType = new ContainerType(pegOrderFields)
export type PegOrder = ValueOf<typeof PegOrderType>

/** An order as a block carries it. */
export const PegOrderItemType = new ContainerType({
  ...pegOrderFields,
  approval: MemberApprovalType,
})
export type PegOrderItem = ValueOf<typeof PegOrderItemType>

/** What members say while they make a key (5.1). The index is the byte that is signed. */
export const KEYGEN_KINDS = ['package', 'shares', 'complaint', 'confirmation', 'call'] as const
export type KeygenKind = (typeof KEYGEN_KINDS)[number]

const keygenFields = {
  /** Of the key that is being made. */
  epoch: Uint64,
  sessionId: Bytes32,
  /** Index into KEYGEN_KINDS. */
  kind: Uint8,
  /** The member's place in the genesis file plus one: its number in the key. */
  signer: Uint16,
  /** SSZ of the container of its kind. */
  content: new ByteListType(MAX_KEYGEN_BYTES),
}

/** What the member signs: the root of this container. */
export const KeygenStatementType = new ContainerType(keygenFields)
export type KeygenStatement = ValueOf<typeof KeygenStatementType>

/** A member's part of the making of a key, as a block carries it. */
export const KeygenItemType = new ContainerType({
  ...keygenFields,
  /** By the member's own BIP340 key. */
  signature: Bytes64,
})
export type KeygenItem = ValueOf<typeof KeygenItemType>

/** Round one. */
export const KeygenPackageType = new ContainerType({
  commitments: new ListCompositeType(Bytes33, MAX_MEMBERS),
  proof: Bytes64,
  encryptionKey: Bytes33,
})
/** Round two: a share for each other signer of the session in ascending order, encrypted. */
export const KeygenSharesType = new ContainerType({
  ciphertexts: new ListCompositeType(Bytes32, MAX_MEMBERS),
})
export const KeygenComplaintType = new ContainerType({
  accused: Uint16,
  sharedPoint: Bytes33,
  proof: Bytes64,
})
/** A BIP340 signature by the member's share of the new key. */
export const KeygenConfirmationType = new ContainerType({ signature: Bytes64 })
/** A member wants another key to be made; it means so up to this height. */
export const KeygenCallType = new ContainerType({ untilHeight: Uint64 })

/** EIP-4895. */
export const WithdrawalType = new ContainerType({
  index: Uint64,
  validatorIndex: Uint64,
  address: Bytes20,
  amountGwei: Amount64,
})
export type Withdrawal = ValueOf<typeof WithdrawalType>

/** The EVM block: the Engine API's payload (Prague: V4) with the beacon root and the requests beside it. */
export const ExecutionPayloadType = new ContainerType({
  parentHash: Bytes32,
  feeRecipient: Bytes20,
  stateRoot: Bytes32,
  receiptsRoot: Bytes32,
  logsBloom: new ByteVectorType(256),
  prevRandao: Bytes32,
  blockNumber: Uint64,
  gasLimit: Uint64,
  gasUsed: Uint64,
  timestamp: Uint64,
  extraData: new ByteListType(32),
  baseFeePerGas: Uint256,
  blockHash: Bytes32,
  transactions: new ByteListsType(new ByteListType(MAX_TRANSACTION_BYTES), MAX_TRANSACTIONS),
  withdrawals: new ListCompositeType(WithdrawalType, MAX_WITHDRAWALS),
  blobGasUsed: Uint64,
  excessBlobGas: Uint64,
  parentBeaconBlockRoot: Bytes32,
  /** EIP-7685, each request its type byte and its data; carried verbatim (6.2). */
  executionRequests: new ListCompositeType(new ByteListType(MAX_REQUEST_BYTES), 16),
})
export type ExecutionPayload = ValueOf<typeof ExecutionPayloadType>

/** Everything between header and signature, in the order in which it acts (4.0). */
export const BlockBodyType = new ContainerType({
  /** Commit certificate of the parent; all zero in block 1, whose parent is the genesis block. */
  parentCertificate: QuorumCertificateType,
  bitcoinHeaders: new ListCompositeType(new ByteVectorType(80), MAX_BITCOIN_HEADERS),
  proofs: new ListCompositeType(TransactionProofType, MAX_PROOFS),
  /** Indexes into `proofs` of transactions that spend reserve and are booked by this block. */
  bookings: new ListCompositeType(new ContainerType({ proofIndex: Uint16 }), MAX_PROOFS),
  conflicts: new ListCompositeType(PegConflictType, MAX_CONFLICTS),
  pegIns: new ListCompositeType(PegInItemType, MAX_PEG_INS),
  records: new ListCompositeType(RecordType, MAX_RECORDS),
  evidence: new ListCompositeType(EvidenceType, MAX_EVIDENCE),
  validatorChanges: new ListCompositeType(ValidatorChangeItemType, MAX_VALIDATOR_CHANGES),
  keygen: new ListCompositeType(KeygenItemType, MAX_KEYGEN_ITEMS),
  pegOrders: new ListCompositeType(PegOrderItemType, MAX_PEG_ORDERS),
  payload: ExecutionPayloadType,
})
export type BlockBody = ValueOf<typeof BlockBodyType>

/** What the block's hash covers (2.1, 4.10). Not the view, not its own certificate. */
export const BlockHeaderType = new ContainerType({
  height: Uint64,
  slot: Uint64,
  /** BLS key of the author. */
  author: Bytes48,
  parentHash: Bytes32,
  /** Root of the body. */
  bodyRoot: Bytes32,
  evmBlockHash: Bytes32,
  ledgerRoot: Bytes32,
  paramsHash: Bytes32,
  validatorsHash: Bytes32,
  nextValidatorsHash: Bytes32,
  membersHash: Bytes32,
  evidenceRoot: Bytes32,
  /** The author's estimate of Bitcoin's fee rate (4.5). */
  feeRateSatPerKvb: Uint64,
  /** The author's signature over (genesis, "randao", slot) (6.2). */
  randaoReveal: Bytes96,
})
export type BlockHeader = ValueOf<typeof BlockHeaderType>

export const BlockType = new ContainerType({
  header: BlockHeaderType,
  body: BlockBodyType,
  /** The author's signature over the header's root. */
  signature: Bytes96,
})
export type Block = ValueOf<typeof BlockType>

/** Its root is what headers commit to (4.10). */
export const ValidatorSetType = new ListCompositeType(
  new ContainerType({ blsKey: Bytes48, power: Uint64, address: Bytes20 }),
  MAX_VALIDATORS,
)

export const MemberSetType = new ContainerType({
  epoch: Uint64,
  threshold: Uint16,
  members: new ListCompositeType(
    new ContainerType({ blsKey: Bytes48, schnorrKey: Bytes32 }),
    MAX_MEMBERS,
  ),
})

/** The phases that are voted in and proposed in. The index is the byte that is signed. */
export const VOTE_PHASES = ['proposal', 'prepare', 'commit'] as const
export type VotePhase = (typeof VOTE_PHASES)[number]

/** What can be signed twice: the phases of votes, and the block itself. */
export const EVIDENCE_PHASES = [...VOTE_PHASES, 'block'] as const
export type EvidencePhase = (typeof EVIDENCE_PHASES)[number]

/** A Prepare or Commit (2.3, 2.4). */
export const VoteType = new ContainerType({
  /** Index into VOTE_PHASES: 1 or 2. */
  phase: Uint8,
  height: Uint64,
  view: Uint64,
  blockHash: Bytes32,
  validator: Bytes48,
  signature: Bytes96,
})
export type Vote = ValueOf<typeof VoteType>

/** 2.2. `certificate` is empty for a fresh block, one prepare certificate for a re-proposal. */
export const PrePrepareType = new ContainerType({
  height: Uint64,
  view: Uint64,
  block: BlockType,
  certificate: new ListCompositeType(QuorumCertificateType, 1),
  /** By the proposer of the view, over (genesis, proposal, h, v, block hash). */
  signature: Bytes96,
})
export type PrePrepare = ValueOf<typeof PrePrepareType>

/** 2.5. `certificate`: the highest prepare certificate that the sender knows, if any. */
export const ViewChangeType = new ContainerType({
  height: Uint64,
  view: Uint64,
  certificate: new ListCompositeType(QuorumCertificateType, 1),
  validator: Bytes48,
  signature: Bytes96,
})
export type ViewChange = ValueOf<typeof ViewChangeType>

/** A committed block with the commit certificate that its holder has. */
export const CommittedBlockType = new ContainerType({
  block: BlockType,
  certificate: QuorumCertificateType,
})
export type CommittedBlock = ValueOf<typeof CommittedBlockType>

/** A prepare quorum that is passed on alone; the block is fetched by hash. */
export const PrepareCertificateType = QuorumCertificateType
