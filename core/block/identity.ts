/** Hashes that identify blocks and sets, and the messages that are signed about them (protocol §2.1, §2.6, §6.2). */

import { BitArray, ListCompositeType } from '@chainsafe/ssz'
import { hexBytes, sha256, taggedHash, toHex, uint64be } from '../../crypto/index.ts'
import type { Genesis, Member, Validator } from '../params/index.ts'
import {
  type BlockBody,
  BlockBodyType,
  type BlockHeader,
  BlockHeaderType,
  EvidenceType,
  MAX_EVIDENCE,
  MemberSetType,
  type QuorumCertificate,
  QuorumCertificateType,
  ValidatorSetType,
  VOTE_PHASES,
  type VotePhase,
} from './schema.ts'

/** The identity of a block: the SSZ root of its header. */
export function blockHash(header: BlockHeader): Uint8Array {
  return BlockHeaderType.hashTreeRoot(header)
}

export function bodyRoot(body: BlockBody): Uint8Array {
  return BlockBodyType.hashTreeRoot(body)
}

/** The same for those who meet a body more than once: its author seals it and checks it like everybody. */
export function knownBodyRoot({ derived }: Genesis, body: BlockBody): Uint8Array {
  return derived.of(body, 'root', () => bodyRoot(body))
}

const EvidenceList = new ListCompositeType(EvidenceType, MAX_EVIDENCE)

export function evidenceRoot(evidence: BlockBody['evidence']): Uint8Array {
  return EvidenceList.hashTreeRoot(evidence)
}

export function hashValidators(validators: readonly Validator[]): Uint8Array {
  return ValidatorSetType.hashTreeRoot([...validators])
}

/** The hash of the genesis file's validators. */
export function genesisValidatorsHash({ derived, validators }: Genesis): Uint8Array {
  return derived.of(validators, 'hash', () => hashValidators(validators))
}

/** The hash of the genesis file's members, as of epoch 0. */
export function genesisMembersHash(genesis: Genesis): Uint8Array {
  const { derived, members, memberThreshold } = genesis
  return derived.of(genesis, 'membersHash', () => hashMembers(0, memberThreshold, members))
}

export function hashMembers(
  epoch: number,
  threshold: number,
  members: readonly Member[],
): Uint8Array {
  return MemberSetType.hashTreeRoot({ epoch, threshold, members: [...members] })
}

const text = new TextEncoder()

/** What a validator signs for a proposal, a Prepare or a Commit. */
export function voteMessage(
  genesisHash: Uint8Array,
  phase: VotePhase,
  height: number,
  view: number,
  hash: Uint8Array,
): Uint8Array {
  const phaseByte = Uint8Array.of(VOTE_PHASES.indexOf(phase))
  return taggedHash('millrace/vote', genesisHash, phaseByte, uint64be(height), uint64be(view), hash)
}

/** What a validator signs for a ViewChange: the certificate it names is part of it. */
export function viewChangeMessage(
  genesisHash: Uint8Array,
  height: number,
  view: number,
  certificate: readonly QuorumCertificate[],
): Uint8Array {
  const [highest] = certificate
  const root = highest ? QuorumCertificateType.hashTreeRoot(highest) : new Uint8Array(32)
  return taggedHash('millrace/view-change', genesisHash, uint64be(height), uint64be(view), root)
}

/** What the author signs about its block. The slot stands in it, so that two signatures show two blocks of one slot (2.9). */
export function authorMessage(
  genesisHash: Uint8Array,
  { height, slot }: Pick<BlockHeader, 'height' | 'slot'>,
  hash: Uint8Array,
): Uint8Array {
  return taggedHash('millrace/block', genesisHash, uint64be(height), uint64be(slot), hash)
}

/** What the author signs to reveal a slot's randomness (6.2). */
export function randaoMessage(genesisHash: Uint8Array, slot: number): Uint8Array {
  return taggedHash('millrace/randao', genesisHash, text.encode('randao'), uint64be(slot))
}

/** prevRandao of a block: sha256(parent's ‖ reveal) (6.2). */
export function mixRandao(parentRandao: Uint8Array, reveal: Uint8Array): Uint8Array {
  return sha256(parentRandao, reveal)
}

export function emptyCertificate(): QuorumCertificate {
  return {
    height: 0,
    view: 0,
    blockHash: new Uint8Array(32),
    bitmap: BitArray.fromBitLen(0),
    signature: new Uint8Array(96),
  }
}

/** The header of block 0, which every node computes from the genesis file. `ledgerRoot` is the genesis ledger's. */
export function genesisHeader(genesis: Genesis, ledgerRoot: Uint8Array): BlockHeader {
  const validatorsHash = genesisValidatorsHash(genesis)
  return {
    height: 0,
    slot: genesis.slot,
    author: new Uint8Array(48),
    parentHash: genesis.hash,
    bodyRoot: new Uint8Array(32),
    evmBlockHash: genesis.execution.blockHash,
    ledgerRoot,
    paramsHash: genesis.paramsHash,
    validatorsHash,
    nextValidatorsHash: validatorsHash,
    membersHash: genesisMembersHash(genesis),
    evidenceRoot: evidenceRoot([]),
    feeRateSatPerKvb: genesis.params.minFeeRateSatPerKvb,
    randaoReveal: new Uint8Array(96),
  }
}

/** The key of a block in maps and logs. */
export function hashKey(hash: Uint8Array): string {
  return toHex(hash)
}

export function keyHash(key: string): Uint8Array {
  return hexBytes(key)
}
