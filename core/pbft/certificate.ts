/** Quorum certificates (protocol §2.6): one bit per validator of the height, one aggregate signature. */

import { BitArray } from '@chainsafe/ssz'
import type { SignatureSuite } from '../../crypto/index.ts'
import { type QuorumCertificate, voteMessage } from '../block/index.ts'
import { invalid, VALID, type Validator, type Verdict } from '../params/index.ts'
import { createValidatorSet, positionOf, powerOf, type ValidatorSet } from './power.ts'

export type QuorumPhase = 'prepare' | 'commit'

export type CertificateFault = 'BitmapLength' | 'BitmapPadding' | 'NoQuorum' | 'BadSignature'

/**
 * Whether q of `validators` signed this phase, height, view and hash. The bitmap has exactly one bit per
 * validator, so that nobody counts twice and no position is cut to fewer bits (T2).
 */
export function verifyCertificate(
  suite: SignatureSuite,
  genesisHash: Uint8Array,
  phase: QuorumPhase,
  validators: readonly Validator[] | ValidatorSet,
  certificate: QuorumCertificate,
): Verdict<CertificateFault> {
  const set = 'positions' in validators ? validators : createValidatorSet(validators)
  const n = set.validators.length
  const { bitmap, height, view, blockHash, signature } = certificate
  if (bitmap.bitLen !== n) {
    return invalid('BitmapLength', `${bitmap.bitLen} bits for ${n} validators`)
  }
  const lastByte = bitmap.uint8Array[bitmap.uint8Array.length - 1] ?? 0
  if (n % 8 !== 0 && lastByte >> (n % 8) !== 0) return invalid('BitmapPadding')
  const signers = signersOf(certificate)
  if (powerOf(set, signers) < set.quorum) return invalid('NoQuorum', `${signers.length} signers`)
  const message = voteMessage(genesisHash, phase, height, view, blockHash)
  const keys = signers.map((position) => (set.validators[position] as Validator).blsKey)
  return suite.verifyAggregate(keys, message, signature) ? VALID : invalid('BadSignature')
}

/** Positions in validators(h) whose bit is set, ascending. */
export function signersOf(certificate: QuorumCertificate): number[] {
  return certificate.bitmap.getTrueBitIndexes()
}

export interface CertificateVote {
  readonly validator: Uint8Array
  readonly signature: Uint8Array
}

/** A certificate out of verified votes; undefined below the quorum, for a stranger's vote or a malformed signature. */
export function buildCertificate(
  suite: SignatureSuite,
  validators: readonly Validator[] | ValidatorSet,
  subject: { readonly height: number; readonly view: number; readonly blockHash: Uint8Array },
  votes: readonly CertificateVote[],
): QuorumCertificate | undefined {
  const set = 'positions' in validators ? validators : createValidatorSet(validators)
  const signatures = new Map<number, Uint8Array>()
  for (const { validator, signature } of votes) {
    const position = positionOf(set, validator)
    if (position === undefined) return undefined
    signatures.set(position, signature)
  }
  if (powerOf(set, signatures.keys()) < set.quorum) return undefined
  const signature = suite.aggregate([...signatures.values()])
  if (signature === undefined) return undefined
  const bitmap = BitArray.fromBitLen(set.validators.length)
  for (const position of signatures.keys()) bitmap.set(position, true)
  return { ...subject, bitmap, signature }
}
