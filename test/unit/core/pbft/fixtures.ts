/** Keys, blocks and an unforgeable fake of the signature suite: a signature is a hash that only `fakeSign` makes. */
import { BitArray } from '@chainsafe/ssz'
import {
  authorMessage,
  type Block,
  BlockBodyType,
  type BlockHeader,
  BlockHeaderType,
  blockHash,
  bodyRoot,
  type ConsensusMessage,
  type QuorumCertificate,
  VOTE_PHASES,
  type VotePhase,
  viewChangeMessage,
  voteMessage,
} from '../../../../core/block/index.ts'
import type { Validator } from '../../../../core/params/index.ts'
import {
  concatBytes,
  equalBytes,
  type SignatureSuite,
  type Signer,
  sha256,
  uint32be,
} from '../../../../crypto/index.ts'

export const GENESIS_HASH = sha256(Uint8Array.of(7))
export const SLOT_MS = 1000

export function keyOf(index: number): Uint8Array {
  const digest = sha256(Uint8Array.of(1), uint32be(index))
  return concatBytes(digest, digest.subarray(0, 16))
}

export function validatorsOf(n: number, powers: readonly number[] = []): Validator[] {
  return Array.from({ length: n }, (_, index) => ({
    blsKey: keyOf(index),
    power: powers[index] ?? 1,
    address: new Uint8Array(20).fill(index),
  }))
}

export function fakeSign(key: Uint8Array, message: Uint8Array): Uint8Array {
  const digest = sha256(Uint8Array.of(2), key, message)
  return concatBytes(digest, digest, digest)
}

function xor(signatures: readonly Uint8Array[]): Uint8Array {
  const sum = new Uint8Array(96)
  for (const signature of signatures) {
    for (let index = 0; index < 96; index++) sum[index]! ^= signature[index] as number
  }
  return sum
}

export const fakeSuite: SignatureSuite = {
  verify: (key, message, signature) => equalBytes(signature, fakeSign(key, message)),
  verifyAggregate: (keys, message, signature) =>
    equalBytes(signature, xor(keys.map((key) => fakeSign(key, message)))),
  verifyEach: (checks) =>
    checks.every(({ publicKeys, message, signature }) =>
      fakeSuite.verifyAggregate(publicKeys, message, signature),
    ),
  aggregate: (signatures) => (signatures.length === 0 ? undefined : xor(signatures)),
}

/** Counts what is verified, to show that forgeries are found and honest votes are not checked one by one. */
export function countingSuite(): SignatureSuite & { singles: number; aggregates: number } {
  const counting = {
    singles: 0,
    aggregates: 0,
    verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array) {
      counting.singles += 1
      return fakeSuite.verify(key, message, signature)
    },
    verifyAggregate(keys: readonly Uint8Array[], message: Uint8Array, signature: Uint8Array) {
      counting.aggregates += 1
      return fakeSuite.verifyAggregate(keys, message, signature)
    },
    verifyEach: fakeSuite.verifyEach,
    aggregate: fakeSuite.aggregate,
  }
  return counting
}

export function signerOf(index: number): Signer {
  const publicKey = keyOf(index)
  return { publicKey, sign: (message) => fakeSign(publicKey, message) }
}

type Body = Block['body']

const bodies = new Map<number, { readonly body: Body; readonly root: Uint8Array }>()

/** A body that is told from others by `salt`, and its root. */
function bodyOf(salt: number): { readonly body: Body; readonly root: Uint8Array } {
  const known = bodies.get(salt)
  if (known !== undefined) return known
  const body = BlockBodyType.defaultValue()
  body.payload.gasUsed = salt
  const made = { body, root: bodyRoot(body) }
  bodies.set(salt, made)
  return made
}

/** A block of validator `author`; `salt` tells blocks of one slot apart. */
export function blockOf(fields: {
  height: number
  slot: number
  parentHash: Uint8Array
  author: number
  salt?: number
}): Block {
  const { body, root } = bodyOf(fields.salt ?? 0)
  const header: BlockHeader = {
    ...BlockHeaderType.defaultValue(),
    height: fields.height,
    slot: fields.slot,
    parentHash: fields.parentHash,
    author: keyOf(fields.author),
    bodyRoot: root,
  }
  const message = authorMessage(GENESIS_HASH, header, blockHash(header))
  return { header, body, signature: fakeSign(header.author, message) }
}

const hashes = new WeakMap<BlockHeader, Uint8Array>()

/** The block's hash, remembered: a simulation asks for it at every turn. */
export function hashOf({ header }: Block): Uint8Array {
  const hash = hashes.get(header) ?? blockHash(header)
  hashes.set(header, hash)
  return hash
}

export function voteBy(
  voter: number,
  phase: 'prepare' | 'commit',
  height: number,
  view: number,
  hash: Uint8Array,
): Extract<ConsensusMessage, { kind: 'vote' }> {
  const validator = keyOf(voter)
  const signature = fakeSign(validator, voteMessage(GENESIS_HASH, phase, height, view, hash))
  const value = {
    phase: VOTE_PHASES.indexOf(phase),
    height,
    view,
    blockHash: hash,
    validator,
    signature,
  }
  return { kind: 'vote', value }
}

export function proposalBy(
  proposer: number,
  view: number,
  block: Block,
  certificate?: QuorumCertificate,
): Extract<ConsensusMessage, { kind: 'prePrepare' }> {
  const { height } = block.header
  const message = voteMessage(GENESIS_HASH, 'proposal', height, view, hashOf(block))
  const signature = fakeSign(keyOf(proposer), message)
  const certificates = certificate === undefined ? [] : [certificate]
  return {
    kind: 'prePrepare',
    value: { height, view, block, certificate: certificates, signature },
  }
}

export function viewChangeBy(
  voter: number,
  height: number,
  view: number,
  certificate?: QuorumCertificate,
): Extract<ConsensusMessage, { kind: 'viewChange' }> {
  const certificates = certificate === undefined ? [] : [certificate]
  const message = viewChangeMessage(GENESIS_HASH, height, view, certificates)
  const validator = keyOf(voter)
  const signature = fakeSign(validator, message)
  return {
    kind: 'viewChange',
    value: { height, view, certificate: certificates, validator, signature },
  }
}

export function certificateBy(
  voters: readonly number[],
  n: number,
  phase: VotePhase,
  height: number,
  view: number,
  hash: Uint8Array,
): QuorumCertificate {
  const message = voteMessage(GENESIS_HASH, phase, height, view, hash)
  const bitmap = BitArray.fromBitLen(n)
  for (const voter of voters) bitmap.set(voter, true)
  const signature = xor([...new Set(voters)].map((voter) => fakeSign(keyOf(voter), message)))
  return { height, view, blockHash: hash, bitmap, signature }
}
