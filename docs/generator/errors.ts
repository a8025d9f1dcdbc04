import { BRIDGE_FAULTS } from '../../actors/bridge/errors.ts'
import { CHAIN_FAULTS } from '../../actors/chain/errors.ts'
import { ENGINE_FAULTS } from '../../actors/engine/errors.ts'
import { NETWORK_FAULTS, PENALTIES } from '../../actors/network/errors.ts'
import { STORAGE_FAULTS } from '../../actors/storage/errors.ts'
import { STREAM_FAULTS } from '../../actors/stream/errors.ts'
import {
  EVIDENCE_CODES,
  INVALID_BLOCK_CODES,
  type InvalidBlockCode,
} from '../../core/chain/index.ts'
import { LIGHT_CODES } from '../../core/light/index.ts'
import { MESSAGE_FAULTS } from '../../core/pbft/index.ts'
import { isTransient, PEG_CODES, type PegCode } from '../../core/peg/index.ts'
import { VALIDATOR_CHANGE_CODES } from '../../core/validators/index.ts'
import { API_ERRORS } from '../../node/api/index.ts'
import type { FaultClass } from '../../supervisor/index.ts'
import { code, page, table } from './markdown.ts'
import { objectComments, readSource, unionMembers } from './source.ts'

/** The rule behind each code of core/chain, for people; the type makes it complete. */
const BLOCK_RULES: Readonly<Record<InvalidBlockCode, string>> = {
  WrongHeight: "the parent's height and one",
  WrongParent: '2.1: the header names the parent by its hash',
  SlotNotAfterParent: "1.2: a slot above the parent's",
  WrongSlotAuthor: '2.1: the author is the proposer of the view that starts in the slot',
  BadAuthorSignature: "2.1: the author's signature over the header's root",
  BadRandaoReveal: "6.2: the author's signature over genesis and slot",
  BadParentCertificate: '2.6: a commit certificate of the parent; none for block 1',
  WrongBodyRoot: '2.1: the header commits to the body',
  WrongEvidenceRoot: '4.10: the header commits to the evidence',
  WrongParamsHash: '4.10: the parameters of the genesis file',
  WrongValidatorsHash: '1.4: the sets of this height and of the next',
  WrongMembersHash: '4.10: the members of this height',
  FeeRateOutOfBounds: "4.5: the author's fee rate is within the parameters",
  WrongPayloadField:
    '6.2: a field of the payload, named in the detail, is not what parent and slot give',
  WithdrawalMismatch: '4.3: the withdrawals are exactly those that the items and the parent give',
  WrongLedgerRoot: "4.10: the ledger after the block has the header's root",
}

const FAULTS: Readonly<Record<string, { readonly [name: string]: FaultClass }>> = {
  storage: STORAGE_FAULTS,
  engine: ENGINE_FAULTS,
  chain: CHAIN_FAULTS,
  bridge: BRIDGE_FAULTS,
  network: NETWORK_FAULTS,
  stream: STREAM_FAULTS,
}

function apiRows(): string[][] {
  const comments = objectComments('node/api/errors.ts', 'API_ERRORS')
  return Object.entries(API_ERRORS).map(([name, { rpc, http, message }]) => [
    code(name),
    String(rpc),
    String(http),
    message,
    comments.get(name) ?? '',
  ])
}

/** The pool's words for wallets, as the API's table has them. */
function rejectionRows(): string[][] {
  const source = readSource('node/api/errors.ts')
  const start = source.indexOf('const REJECTION_MESSAGES')
  const body = source.slice(start, start + source.slice(start).indexOf('\n}'))
  return [...body.matchAll(/^ {2}(\w+): '([^']+)'/gm)].map(([, name = '', message = '']) => [
    code(name),
    message,
  ])
}

function faultRows(): string[][] {
  return Object.entries(FAULTS).flatMap(([room, faults]) => {
    const comments = objectComments(`actors/${room}/errors.ts`, `${room.toUpperCase()}_FAULTS`)
    return Object.entries(faults).map(([name, faultClass]) => [
      room,
      code(name),
      faultClass,
      comments.get(name) ?? '',
    ])
  })
}

function penaltyRows(): string[][] {
  const comments = objectComments('actors/network/errors.ts', 'PENALTIES')
  return Object.entries(PENALTIES).map(([name, points]) => [
    code(name),
    String(points),
    comments.get(name) ?? '',
  ])
}

function codes(path: string, type: string): string {
  return unionMembers(path, type)
    .map(({ name, comment }) => (comment === '' ? code(name) : `${code(name)} (${comment})`))
    .join(', ')
}

function blamed(whom: 'peer' | 'signer'): string {
  return Object.entries(MESSAGE_FAULTS)
    .flatMap(([name, blame]) => (blame === whom ? [code(name)] : []))
    .join(', ')
}

export function errorsPage(): string {
  return page(
    'Errors',
    'Numbers like 4.2 are sections of the protocol. A code is a stable name; the text beside it may change.',
    '## JSON-RPC and HTTP',
    `The HTTP status is sent when the whole request fails, or on a REST route; an error of one method travels with status 200. What is in
no row is a bug: \`Internal\` with an incident id, whose details are in the node's log.`,
    table(['code', 'JSON-RPC', 'HTTP', 'message', 'when'], apiRows()),
    '### Transactions that the pool refuses',
    '`TransactionRejected`, in the words that wallets look for; other codes keep their own.',
    table(['pool', 'message'], rejectionRows()),
    '## Blocks',
    'Why a block is not a valid child of its parent: a function of the two alone (`core/chain/check.ts`).',
    table(
      ['code', 'the rule that is broken'],
      INVALID_BLOCK_CODES.map((name) => [code(name), BLOCK_RULES[name]]),
    ),
    'Why evidence cannot stand in it (`core/chain/evidence.ts`).',
    table(
      ['code', 'the rule that is broken'],
      Object.entries(EVIDENCE_CODES).map(([name, rule]) => [code(name), rule]),
    ),
    'Why a change of the validators cannot (`core/validators/codes.ts`), in a block or submitted.',
    table(
      ['code', 'the rule that is broken'],
      Object.entries(VALIDATOR_CHANGE_CODES).map(([name, rule]) => [code(name), rule]),
    ),
    '## The peg in blocks',
    `Why the peg's part of a block is invalid, or why a proposer leaves an entry of its queue out (\`core/peg/errors.ts\`). Time or another
block can mend those that are marked "later".`,
    table(
      ['code', 'the rule that is broken', ''],
      (Object.entries(PEG_CODES) as [PegCode, string][]).map(([name, rule]) => [
        code(name),
        rule,
        isTransient(name) ? 'later' : '',
      ]),
    ),
    '## Consensus messages',
    `- A stateless check found: ${codes('core/pbft/messages.ts', 'MessageFault')}.
- The driver finds, the relaying peer to blame: ${blamed('peer')}; the signer alone: ${blamed('signer')}.
- The node stops with the evidence: ${codes('core/pbft/io.ts', 'HaltReason')}.
- The sign guard refuses: ${codes('core/guard/rules.ts', 'GuardRefusal')}.`,
    '## Members',
    `- A deposit is not approved: ${codes('bridge/approval-policy.ts', 'ApprovalRefusal')}.
- A batch is not signed: ${codes('bridge/signature-policy.ts', 'SignatureRefusal')}.
- A member's nonces are not counted: ${codes('core/signing/session.ts', 'OfferFault')}.
- Its parts of a signature are not: ${codes('core/signing/session.ts', 'PartsFault')}.
- The headers of a node are refused: ${['HeightGap', ...LIGHT_CODES].map(code).join(', ')}.`,
    '## Faults of actors',
    'The class decides what the supervisor does (`supervisor/README.md`, "Faults").',
    table(['actor', 'code', 'class', 'when'], faultRows()),
    '## Penalties of peers',
    'They fade with time; a hundred points are a ban. Chain, Sync and the driver add their own through `PenalizePeer`.',
    table(['code', 'points', 'when'], penaltyRows()),
  )
}
