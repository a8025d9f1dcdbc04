/**
 * Bytes of the containers, both ways. Decoders are total and bounded (C-7): any byte string gives a value or a
 * `Malformed` error, and a size limit is checked before anything is read.
 */
import type { ByteViews, Type } from '@chainsafe/ssz'
import { concatBytes, uint32be } from '../../crypto/index.ts'
import { err, ok, type Result, type Validator } from '../params/index.ts'
import {
  type Block,
  type BlockHeader,
  BlockHeaderType,
  BlockType,
  type CommittedBlock,
  CommittedBlockType,
  type Evidence,
  EvidenceType,
  type KeygenItem,
  KeygenItemType,
  MAX_KEYGEN_BYTES,
  MAX_VALIDATORS,
  type PegOrderItem,
  PegOrderItemType,
  type PrePrepare,
  PrePrepareType,
  type QuorumCertificate,
  QuorumCertificateType,
  type ValidatorChangeItem,
  ValidatorChangeItemType,
  ValidatorSetType,
  type ViewChange,
  ViewChangeType,
  type Vote,
  VoteType,
} from './schema.ts'

/** No encoded block, and nothing that contains one, is larger. */
export const MAX_BLOCK_BYTES = 8 * 1024 * 1024

export type DecodeError = {
  readonly code: 'Malformed'
  readonly what: string
  readonly reason: string
}

function decoder<T>(type: Type<T>, what: string, maxBytes: number) {
  return (bytes: Uint8Array): Result<T, DecodeError> => {
    if (bytes.length > maxBytes) {
      return err({ code: 'Malformed', what, reason: `${bytes.length} bytes exceed ${maxBytes}` })
    }
    try {
      // A copy, so that the value does not keep a whole network buffer alive or change with it.
      return ok(type.deserialize(Uint8Array.from(bytes)))
    } catch (error) {
      return err({
        code: 'Malformed',
        what,
        reason: String((error as Error).message).slice(0, 200),
      })
    }
  }
}

export const decodeBlock = decoder<Block>(BlockType, 'block', MAX_BLOCK_BYTES)
export const decodeHeader = decoder<BlockHeader>(BlockHeaderType, 'header', 1024)
export const decodeCommittedBlock = decoder<CommittedBlock>(
  CommittedBlockType,
  'committed block',
  MAX_BLOCK_BYTES,
)
export const decodeCertificate = decoder<QuorumCertificate>(
  QuorumCertificateType,
  'certificate',
  1024,
)

/** A piece of evidence has one size. */
export const EVIDENCE_BYTES = EvidenceType.fixedSize as number
export const decodeEvidence = decoder<Evidence>(EvidenceType, 'evidence', EVIDENCE_BYTES)

export function encodeEvidence(evidence: Evidence): Uint8Array {
  return EvidenceType.serialize(evidence)
}

const MAX_VALIDATORS_BYTES = MAX_VALIDATORS * 76

export const decodeValidators = decoder<Validator[]>(
  ValidatorSetType as unknown as Type<Validator[]>,
  'validators',
  MAX_VALIDATORS_BYTES,
)

/** An approved change takes some 350 bytes. */
export const MAX_VALIDATOR_CHANGE_BYTES = 512

export const decodeValidatorChange = decoder<ValidatorChangeItem>(
  ValidatorChangeItemType,
  'validator change',
  MAX_VALIDATOR_CHANGE_BYTES,
)

export function encodeValidatorChange(item: ValidatorChangeItem): Uint8Array {
  return ValidatorChangeItemType.serialize(item)
}

/** An approved order takes some 450 bytes at most. */
export const MAX_PEG_ORDER_BYTES = 512

export const decodePegOrder = decoder<PegOrderItem>(
  PegOrderItemType,
  'peg order',
  MAX_PEG_ORDER_BYTES,
)

export function encodePegOrder(item: PegOrderItem): Uint8Array {
  return PegOrderItemType.serialize(item)
}

/** The fields beside its content take some 120 bytes. */
export const MAX_KEYGEN_ITEM_BYTES = MAX_KEYGEN_BYTES + 128

export const decodeKeygenItem = decoder<KeygenItem>(
  KeygenItemType,
  'keygen item',
  MAX_KEYGEN_ITEM_BYTES,
)

export function encodeKeygenItem(item: KeygenItem): Uint8Array {
  return KeygenItemType.serialize(item)
}

export function encodeValidators(validators: readonly Validator[]): Uint8Array {
  return ValidatorSetType.serialize([...validators])
}

export function encodeBlock(block: Block): Uint8Array {
  return BlockType.serialize(block)
}

export function encodeHeader(header: BlockHeader): Uint8Array {
  return BlockHeaderType.serialize(header)
}

export function encodeCommittedBlock(committed: CommittedBlock): Uint8Array {
  return CommittedBlockType.serialize(committed)
}

/** Header and certificate, which stay when a body is pruned (PR-1): the header behind its length, then the certificate. */
export function encodeCertified(header: BlockHeader, certificate: QuorumCertificate): Uint8Array {
  const bytes = encodeHeader(header)
  return concatBytes(uint32be(bytes.length), bytes, encodeCertificate(certificate))
}

/** Reads what `encodeCertified` wrote. */
export function decodeCertified(
  bytes: Uint8Array,
): Result<{ readonly header: BlockHeader; readonly certificate: QuorumCertificate }, DecodeError> {
  const [start, end] = [4, bytes.length < 4 ? 4 : 4 + readUint32be(bytes)]
  const header = decodeHeader(bytes.subarray(start, end))
  if (!header.ok) return header
  const certificate = decodeCertificate(bytes.subarray(end))
  return certificate.ok ? ok({ header: header.value, certificate: certificate.value }) : certificate
}

function readUint32be(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
}

export function encodeCertificate(certificate: QuorumCertificate): Uint8Array {
  return QuorumCertificateType.serialize(certificate)
}

/** What validators send one another about one height. */
export type ConsensusMessage =
  | { readonly kind: 'prePrepare'; readonly value: PrePrepare }
  | { readonly kind: 'vote'; readonly value: Vote }
  | { readonly kind: 'viewChange'; readonly value: ViewChange }
  | { readonly kind: 'prepareCertificate'; readonly value: QuorumCertificate }
  | { readonly kind: 'committedBlock'; readonly value: CommittedBlock }

interface ConsensusKind {
  readonly kind: ConsensusMessage['kind']
  readonly type: Type<unknown>
  readonly maxBytes: number
}

/** The first byte of an encoded message is its row here. */
const CONSENSUS_KINDS: readonly ConsensusKind[] = [
  { kind: 'prePrepare', type: PrePrepareType as Type<unknown>, maxBytes: MAX_BLOCK_BYTES },
  { kind: 'vote', type: VoteType as Type<unknown>, maxBytes: 1024 },
  { kind: 'viewChange', type: ViewChangeType as Type<unknown>, maxBytes: 2048 },
  { kind: 'prepareCertificate', type: QuorumCertificateType as Type<unknown>, maxBytes: 1024 },
  { kind: 'committedBlock', type: CommittedBlockType as Type<unknown>, maxBytes: MAX_BLOCK_BYTES },
]

export function encodeConsensusMessage(message: ConsensusMessage): Uint8Array {
  const index = CONSENSUS_KINDS.findIndex(({ kind }) => kind === message.kind)
  const type = (CONSENSUS_KINDS[index] as ConsensusKind).type
  const bytes = new Uint8Array(1 + sizeOf(type, message.value))
  bytes[0] = index
  const views: ByteViews = { uint8Array: bytes, dataView: new DataView(bytes.buffer) }
  type.value_serializeToBytes(views, 1, message.value)
  return bytes
}

function sizeOf(type: Type<unknown>, value: unknown): number {
  return type.value_serializedSize(value)
}

export function decodeConsensusMessage(bytes: Uint8Array): Result<ConsensusMessage, DecodeError> {
  const row = CONSENSUS_KINDS[bytes[0] ?? -1]
  if (row === undefined) {
    return err({ code: 'Malformed', what: 'consensus message', reason: 'unknown kind' })
  }
  const decoded = decoder(row.type, row.kind, row.maxBytes)(bytes.subarray(1))
  return decoded.ok ? ok({ kind: row.kind, value: decoded.value } as ConsensusMessage) : decoded
}
