/**
 * What crosses the wire beside the containers of core/block: names per fork digest, statuses, ranges, approvals.
 * Decoders are total and bounded (C-7); undefined means malformed.
 */
import { ContainerType } from '@chainsafe/ssz'
import {
  type CommittedBlock,
  type ConsensusMessage,
  decodeCommittedBlock,
  decodeConsensusMessage,
  EVIDENCE_BYTES,
  encodeCommittedBlock,
  MAX_VALIDATOR_CHANGE_BYTES,
  type MemberApproval,
  MemberApprovalType,
  type PegInClaim,
  PegInClaimType,
} from '../../core/block/index.ts'
import { concatBytes, taggedHash, toHex } from '../../crypto/index.ts'
import {
  MAX_APPROVAL_BYTES,
  MAX_CONSENSUS_BYTES,
  MAX_RANGE_BLOCKS,
  MAX_RANGE_BYTES,
  MAX_TRANSACTION_BYTES,
} from './limits.ts'
import type { Protocol, Topic } from './port.ts'

export interface WireNames {
  readonly transactions: string
  readonly consensus: string
  readonly approvals: string
  readonly evidence: string
  readonly validators: string
  readonly direct: string
  readonly status: string
  readonly blocks: string
  readonly block: string
}

/** Names of one chain: nodes of another do not even speak the same protocols, save the status that tells why. */
export function wireNames(genesisHash: Uint8Array): WireNames {
  const digest = toHex(taggedHash('millrace/fork-digest', genesisHash).subarray(0, 4))
  const own = (name: string) => `/millrace/${digest}/${name}`
  return {
    transactions: own('tx'),
    consensus: own('consensus'),
    approvals: own('approval'),
    evidence: own('evidence'),
    validators: own('validators'),
    direct: own('consensus/1'),
    status: '/millrace/status/1',
    blocks: own('blocks/1'),
    block: own('block/1'),
  }
}

export function topicsOf(names: WireNames): Topic[] {
  return [
    { name: names.transactions, maxBytes: MAX_TRANSACTION_BYTES },
    { name: names.consensus, maxBytes: MAX_CONSENSUS_BYTES },
    { name: names.approvals, maxBytes: MAX_APPROVAL_BYTES },
    { name: names.evidence, maxBytes: EVIDENCE_BYTES },
    { name: names.validators, maxBytes: MAX_VALIDATOR_CHANGE_BYTES },
  ]
}

export function protocolsOf(names: WireNames): Protocol[] {
  return [
    { name: names.status, maxRequestBytes: STATUS_BYTES },
    { name: names.blocks, maxRequestBytes: RANGE_REQUEST_BYTES },
    { name: names.block, maxRequestBytes: POINT_BYTES },
  ]
}

/** A committed height and its block's hash. */
export interface Point {
  readonly height: number
  readonly hash: Uint8Array
}

export interface Status extends Point {
  readonly genesisHash: Uint8Array
}

const POINT_BYTES = 40
export const STATUS_BYTES = 72
const RANGE_REQUEST_BYTES = 12
const LENGTH_BYTES = 4
/** First byte of a frame that tells a head, or evidence; consensus messages begin with their kind, which is below both. */
const HEAD_FRAME = 0x80
const EVIDENCE_FRAME = 0x81
export const MAX_RANGE_ANSWER_BYTES = MAX_RANGE_BYTES + LENGTH_BYTES * (1 + MAX_RANGE_BLOCKS)

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Undefined above 2^53 − 1: no height is. */
function readHeight(bytes: Uint8Array, offset: number): number | undefined {
  const height = Number(viewOf(bytes).getBigUint64(offset, true))
  return Number.isSafeInteger(height) ? height : undefined
}

export function encodePoint({ height, hash }: Point): Uint8Array {
  const bytes = new Uint8Array(POINT_BYTES)
  viewOf(bytes).setBigUint64(0, BigInt(height), true)
  bytes.set(hash, 8)
  return bytes
}

export function decodePoint(bytes: Uint8Array): Point | undefined {
  if (bytes.length !== POINT_BYTES) return undefined
  const height = readHeight(bytes, 0)
  return height === undefined ? undefined : { height, hash: bytes.slice(8) }
}

export function encodeStatus(status: Status): Uint8Array {
  const bytes = new Uint8Array(STATUS_BYTES)
  bytes.set(status.genesisHash)
  bytes.set(encodePoint(status), 32)
  return bytes
}

export function decodeStatus(bytes: Uint8Array): Status | undefined {
  if (bytes.length !== STATUS_BYTES) return undefined
  const point = decodePoint(bytes.subarray(32))
  return point === undefined ? undefined : { genesisHash: bytes.slice(0, 32), ...point }
}

export function encodeHeadFrame(point: Point): Uint8Array {
  const bytes = new Uint8Array(1 + POINT_BYTES)
  bytes[0] = HEAD_FRAME
  bytes.set(encodePoint(point), 1)
  return bytes
}

export function isHeadFrame(bytes: Uint8Array): boolean {
  return bytes[0] === HEAD_FRAME
}

export function decodeHeadFrame(bytes: Uint8Array): Point | undefined {
  return decodePoint(bytes.subarray(1))
}

/** `evidence` is its SSZ. */
export function encodeEvidenceFrame(evidence: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(EVIDENCE_FRAME), evidence)
}

export function isEvidenceFrame(bytes: Uint8Array): boolean {
  return bytes[0] === EVIDENCE_FRAME
}

export interface RangeRequest {
  readonly from: number
  readonly count: number
}

export function encodeRangeRequest({ from, count }: RangeRequest): Uint8Array {
  const bytes = new Uint8Array(RANGE_REQUEST_BYTES)
  viewOf(bytes).setBigUint64(0, BigInt(from), true)
  viewOf(bytes).setUint32(8, count, true)
  return bytes
}

export function decodeRangeRequest(bytes: Uint8Array): RangeRequest | undefined {
  if (bytes.length !== RANGE_REQUEST_BYTES) return undefined
  const from = readHeight(bytes, 0)
  const count = viewOf(bytes).getUint32(8, true)
  if (from === undefined || count === 0 || count > MAX_RANGE_BLOCKS) return undefined
  return { from, count }
}

/** In the place of a count: blocks are pruned, and the lowest height that is there follows (PR-3). */
const PRUNED = 0xffffffff
const PRUNED_BYTES = LENGTH_BYTES + 8

export function encodePruned(lowest: number): Uint8Array {
  const bytes = new Uint8Array(PRUNED_BYTES)
  viewOf(bytes).setUint32(0, PRUNED, true)
  viewOf(bytes).setBigUint64(LENGTH_BYTES, BigInt(lowest), true)
  return bytes
}

/** The lowest height that a peer has, where it has pruned what was asked for. */
export function decodePruned(bytes: Uint8Array): number | undefined {
  const isOne = bytes.length === PRUNED_BYTES && viewOf(bytes).getUint32(0, true) === PRUNED
  return isOne ? readHeight(bytes, LENGTH_BYTES) : undefined
}

/** A count, then each block behind its length; as many of them as fit into the bounds. */
export function encodeRange(blocks: readonly CommittedBlock[]): Uint8Array {
  const encoded: Uint8Array[] = []
  let size = LENGTH_BYTES
  for (const block of blocks.slice(0, MAX_RANGE_BLOCKS)) {
    const bytes = encodeCommittedBlock(block)
    if (size + LENGTH_BYTES + bytes.length > MAX_RANGE_ANSWER_BYTES) break
    encoded.push(bytes)
    size += LENGTH_BYTES + bytes.length
  }
  const answer = new Uint8Array(size)
  const view = viewOf(answer)
  view.setUint32(0, encoded.length, true)
  let offset = LENGTH_BYTES
  for (const bytes of encoded) {
    view.setUint32(offset, bytes.length, true)
    answer.set(bytes, offset + LENGTH_BYTES)
    offset += LENGTH_BYTES + bytes.length
  }
  return answer
}

/** Whole or not at all; more blocks than `maxCount` are malformed. */
export function decodeRange(bytes: Uint8Array, maxCount: number): CommittedBlock[] | undefined {
  if (bytes.length < LENGTH_BYTES || bytes.length > MAX_RANGE_ANSWER_BYTES) return undefined
  const view = viewOf(bytes)
  const count = view.getUint32(0, true)
  if (count > maxCount) return undefined
  const blocks: CommittedBlock[] = []
  let offset = LENGTH_BYTES
  for (let index = 0; index < count; index += 1) {
    if (bytes.length - offset < LENGTH_BYTES) return undefined
    const end = offset + LENGTH_BYTES + view.getUint32(offset, true)
    if (end > bytes.length) return undefined
    const decoded = decodeCommittedBlock(bytes.subarray(offset + LENGTH_BYTES, end))
    if (!decoded.ok) return undefined
    blocks.push(decoded.value)
    offset = end
  }
  return offset === bytes.length ? blocks : undefined
}

export interface ApprovedClaim {
  readonly claim: PegInClaim
  readonly approval: MemberApproval
}

const ApprovedClaimType = new ContainerType({ claim: PegInClaimType, approval: MemberApprovalType })

export function encodeApprovedClaim({ claim, approval }: ApprovedClaim): Uint8Array {
  return ApprovedClaimType.serialize({ claim, approval })
}

export function decodeApprovedClaim(bytes: Uint8Array): ApprovedClaim | undefined {
  if (bytes.length > MAX_APPROVAL_BYTES) return undefined
  try {
    return ApprovedClaimType.deserialize(Uint8Array.from(bytes))
  } catch {
    return undefined
  }
}

export function decodeConsensus(bytes: Uint8Array): ConsensusMessage | undefined {
  if (bytes.length > MAX_CONSENSUS_BYTES) return undefined
  const decoded = decodeConsensusMessage(bytes)
  return decoded.ok ? decoded.value : undefined
}

export function heightOfMessage(message: ConsensusMessage): number {
  return message.kind === 'committedBlock'
    ? message.value.block.header.height
    : message.value.height
}
