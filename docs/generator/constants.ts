import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ContainerType, ListBasicType, ListCompositeType, type Type } from '@chainsafe/ssz'
import { wireNames } from '../../actors/network/wire.ts'
import { PAYABLE_TYPES } from '../../core/bitcoin/index.ts'
import {
  BlockBodyType,
  BlockHeaderType,
  BlockType,
  CommittedBlockType,
  EvidenceType,
  ExecutionPayloadType,
  MemberApprovalType,
  MemberSetType,
  PEG_IN_KINDS,
  PegInClaimType,
  PegInItemType,
  PrePrepareType,
  QuorumCertificateType,
  RECORD_KINDS,
  REFUND_REASONS,
  RecordType,
  TransactionProofType,
  ValidatorSetType,
  ViewChangeType,
  VOTE_PHASES,
  VoteType,
  WithdrawalType,
} from '../../core/block/index.ts'
import {
  BATCH_STATE,
  DEFICIT_CAUSE,
  FUND_CAUSE,
  LedgerSummaryType,
  OUTPUT_KIND,
  OUTPUT_STATE,
  REQUEST_REASON,
  REQUEST_STATE,
  SET_NAMES,
  SPEND_KIND,
  SPEND_STATE,
  StateRowType,
} from '../../core/ledger/index.ts'
import { APPROVAL_PURPOSES, WITHDRAWAL_KIND } from '../../core/peg/index.ts'
import { toHex } from '../../crypto/index.ts'
import {
  BEACON_ROOTS_ADDRESS,
  BRIDGE_ADDRESS,
  CANCEL_PEG_OUT_TOPIC,
  CONSOLIDATION_REQUESTS_ADDRESS,
  FEE_SPLITTER_ADDRESS,
  FUND_TOPIC,
  HISTORY_ADDRESS,
  REQUEST_PEG_OUT_TOPIC,
  SYSTEM_ADDRESS,
  WITHDRAWAL_REQUESTS_ADDRESS,
} from '../../vm/evm/index.ts'
import { code, page, table } from './markdown.ts'
import { constantText, documented, ROOT, readSource } from './source.ts'

/** Containers by the name under which the code has them. */
const CONTAINERS: Readonly<Record<string, unknown>> = {
  BlockHeader: BlockHeaderType,
  BlockBody: BlockBodyType,
  Block: BlockType,
  CommittedBlock: CommittedBlockType,
  QuorumCertificate: QuorumCertificateType,
  PrePrepare: PrePrepareType,
  Vote: VoteType,
  ViewChange: ViewChangeType,
  Evidence: EvidenceType,
  TransactionProof: TransactionProofType,
  MemberApproval: MemberApprovalType,
  PegInClaim: PegInClaimType,
  PegInItem: PegInItemType,
  Record: RecordType,
  Withdrawal: WithdrawalType,
  ExecutionPayload: ExecutionPayloadType,
  LedgerState: StateRowType,
  LedgerSummary: LedgerSummaryType,
}

const ELEMENTS: ReadonlyMap<unknown, string> = new Map(
  Object.entries(CONTAINERS).map(([name, type]) => [type, name]),
)

/** A type's name as SSZ writes it, our containers by name. */
function typeText(type: Type<unknown>): string {
  const name = ELEMENTS.get(type)
  if (name !== undefined) return name
  if (type instanceof ListCompositeType || type instanceof ListBasicType) {
    return `List[${typeText(type.elementType)}, ${type.limit}]`
  }
  if (type instanceof ContainerType) {
    return `{${fieldsOf(type)
      .map(([field, text]) => `${field}: ${text}`)
      .join(', ')}}`
  }
  // Ours decode to bigint; on the wire they are plain integers.
  return type.typeName.replace('uintBigint', 'uint')
}

function fieldsOf(type: unknown): [string, string][] {
  if (!(type instanceof ContainerType)) throw new Error('no container')
  return Object.entries(type.fields as Record<string, Type<unknown>>).map(([field, inner]) => [
    field,
    typeText(inner),
  ])
}

const TAG = /(?:taggedHash|tweakScalar)\(\s*'(?<tag>[^']+)',?\s*(?<parts>[^;]*?)\)/g

/** Every tagged hash of the chain's rooms, with what is hashed under it as the code writes it. */
function tagRows(): string[][] {
  const rows: string[][] = []
  const files = ['core', 'crypto', 'actors/network'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`)
      .sort(),
  )
  for (const path of files) {
    for (const { groups } of readSource(path).matchAll(TAG)) {
      const tag = groups?.['tag'] ?? ''
      if (!rows.some(([known]) => known === code(tag))) rows.push([code(tag), code(path)])
    }
  }
  return rows.sort(([left = ''], [right = '']) => (left < right ? -1 : 1))
}

function indexed(names: readonly string[]): string {
  return names.map((name, index) => `${index} ${name}`).join(', ')
}

function numbered(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${value} ${name}`)
    .join(', ')
}

/** Constants that validity depends on, as they are written; those of a `limits.ts` stand in limits.md. */
const RULES: Readonly<Record<string, readonly string[]>> = {
  'core/params/genesis.ts': ['PROTOCOL_VERSION'],
  'core/block/schema.ts': [
    'MAX_VALIDATORS',
    'MAX_MEMBERS',
    'MAX_BITCOIN_HEADERS',
    'MAX_STRIPPED_TRANSACTION_BYTES',
    'MAX_PEG_INS',
    'MAX_PROOFS',
    'MAX_RECORDS',
    'MAX_EVIDENCE',
    'MAX_WITHDRAWALS',
    'MAX_TRANSACTIONS',
    'MAX_TRANSACTION_BYTES',
    'MAX_REQUEST_BYTES',
  ],
  'core/block/codec.ts': ['MAX_BLOCK_BYTES'],
  'core/ledger/rows.ts': ['MAX_BATCH_REQUESTS', 'MAX_BATCH_INPUTS', 'MAX_BATCH_VERSIONS'],
  'core/ledger/ledger.ts': ['DAY_SECONDS'],
  'core/peg/headers.ts': [
    'MAX_EXTENSION_HEADERS',
    'MAX_REMOVED_BLOCKS',
    'MAX_FUTURE_SECONDS',
    'MEDIAN_TIMES',
  ],
  'core/peg/proofs.ts': ['COINBASE_MATURITY', 'MAX_PROOF_BYTES', 'MERKLE_NODE_BYTES'],
  'core/peg/peg-ins.ts': ['REORG_CAP_BLOCKS'],
  'core/peg/withdrawals.ts': ['SLOTS'],
  'core/peg/payout.ts': ['MAX_PAYOUT_VBYTES', 'SEQUENCE', 'TRUC_VERSION', 'REGTEST_VERSION'],
  'core/peg/scripts.ts': ['UNSPENDABLE_X', 'LEAF_VERSION'],
  'core/bitcoin/script.ts': ['DUST_SAT', 'LONGEST_DIRECT_PUSH'],
  'core/pbft/pacemaker.ts': ['LONGEST_VIEW_DOUBLINGS', 'ACCEPTED_SLOTS_AHEAD', 'HELD_SLOTS_AHEAD'],
}

function ruleRows(): string[][] {
  return Object.entries(RULES).flatMap(([path, names]) => {
    const source = readSource(path)
    return names.map((name) => {
      const [found] = documented(source, new RegExp(`^(?:export )?const (?<name>${name})\\b`))
      return [code(name), code(constantText(path, name)), code(path), found?.comment ?? '']
    })
  })
}

function addressRows(): string[][] {
  const addresses = {
    Bridge: BRIDGE_ADDRESS,
    FeeSplitter: FEE_SPLITTER_ADDRESS,
    'beacon roots (EIP-4788)': BEACON_ROOTS_ADDRESS,
    'block hashes (EIP-2935)': HISTORY_ADDRESS,
    'withdrawal requests (EIP-7002)': WITHDRAWAL_REQUESTS_ADDRESS,
    'consolidation requests (EIP-7251)': CONSOLIDATION_REQUESTS_ADDRESS,
    'caller of the last four': SYSTEM_ADDRESS,
  }
  return Object.entries(addresses).map(([name, address]) => [name, code(`0x${toHex(address)}`)])
}

function wireRows(): string[][] {
  const names = wireNames(new Uint8Array(32))
  const digest = /\/millrace\/([0-9a-f]{8})\//.exec(names.transactions)?.[1] ?? ''
  return Object.entries(names).map(([name, text]) => [name, code(text.replace(digest, '<digest>'))])
}

export function constantsPage(): string {
  return page(
    'Constants of the protocol',
    `What two implementations must have the same, as the code has it. Golden tests fix the bytes: \`test/unit/core/block/golden.test.ts\`,
\`test/unit/core/peg/golden.test.ts\`, \`test/unit/core/peg/scripts.test.ts\`. Parameters of one chain are in its genesis file.`,
    '## Encodings',
    `- Structures: SSZ. Integers are little endian in SSZ and big endian in what is hashed as a concatenation; bitmaps are least significant bit
  first, in the order of the set. A consensus message on the wire is one byte, its kind, and the SSZ of its container.
- The genesis file and its parameters: RFC 8785 canonical JSON of strings, booleans and integers within 2^53, under a tagged hash.
- Hashes: sha256 where nothing else is said. \`taggedHash(tag, …) = sha256(sha256(tag) ‖ sha256(tag) ‖ …)\` (BIP340).
- Bitcoin's txids and block hashes are in internal byte order in structures, reversed for people.
- Amounts: satoshi (u64) in the peg, gwei (u64) in withdrawals, wei on the EVM. 1 sat = 10 gwei = 10^10 wei; an amount with a remainder is an error.
- BLS12-381, public keys in G1 (48 bytes), signatures in G2 (96 bytes), the proof-of-possession scheme. What is signed is the tagged hash of one purpose.
- Bitcoin signatures: BIP340, SIGHASH_DEFAULT, 64 bytes. Payable scripts: ${PAYABLE_TYPES.join(', ')}.
- EVM block hashes and receipts: Ethereum's own (RLP, keccak256), fork Osaka.`,
    '## Tags',
    table(['tag', 'in'], tagRows()),
    '## Numbers that are encoded',
    table(
      ['what', 'values'],
      [
        ['phase of a vote', indexed(VOTE_PHASES)],
        ['kind of a peg-in item', indexed(PEG_IN_KINDS)],
        ['reason of a refundable deposit', indexed(REFUND_REASONS)],
        ['kind of a record', indexed(RECORD_KINDS)],
        ['purpose of an approval', indexed(APPROVAL_PURPOSES)],
        ['withdrawal, in validatorIndex', numbered(WITHDRAWAL_KIND)],
        ['set of the ledger', indexed(SET_NAMES)],
        ['output: kind', numbered(OUTPUT_KIND)],
        ['output: state', numbered(OUTPUT_STATE)],
        ['request: state', numbered(REQUEST_STATE)],
        ['request: reason', numbered(REQUEST_REASON)],
        ['batch: state', numbered(BATCH_STATE)],
        ['spend: kind', numbered(SPEND_KIND)],
        ['spend: state', numbered(SPEND_STATE)],
        ['fund: cause', numbered(FUND_CAUSE)],
        ['deficit: cause', numbered(DEFICIT_CAUSE)],
      ],
    ),
    '## Addresses on the EVM',
    table(['what', 'address'], addressRows()),
    '## Events of the Bridge',
    table(
      ['event', 'topic'],
      [
        ['`RequestPegOut(address,bytes,uint256)`', code(`0x${toHex(REQUEST_PEG_OUT_TOPIC)}`)],
        ['`CancelPegOut(address,bytes32)`', code(`0x${toHex(CANCEL_PEG_OUT_TOPIC)}`)],
        ['`Fund(uint256)`', code(`0x${toHex(FUND_TOPIC)}`)],
      ],
    ),
    '## Rules with numbers',
    table(['constant', 'value', 'in', 'meaning'], ruleRows()),
    '## Names on the wire',
    'The digest is the first four bytes of `taggedHash("millrace/fork-digest", genesis hash)`, in hex.',
    table(['what', 'name'], wireRows()),
    '## Containers',
    ...Object.entries(CONTAINERS).flatMap(([name, type]) => [
      `### ${name}`,
      table(
        ['field', 'type'],
        fieldsOf(type).map(([field, text]) => [code(field), code(text)]),
      ),
    ]),
    '### Sets',
    `\`validatorsHash\` is the root of \`${typeText(ValidatorSetType as Type<unknown>)}\`, \`membersHash\` that of
\`${typeText(MemberSetType as Type<unknown>)}\`. The rows of the ledger's sets are in \`core/ledger/rows.ts\`; a set's root is that of the sparse map
in \`crypto/sparse-map.ts\`, and \`ledgerRoot\` is the root of LedgerSummary.`,
  )
}
