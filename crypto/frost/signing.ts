/**
 * FROST signing for BIP340 (RFC 9591, sections 5.1–5.3, with ZF FROST's taproot suite): two rounds among exactly `threshold` signers.
 * Bad shares are named. Nonces are used once: signing wipes them.
 */
import { schnorr_FROST as frost } from '@noble/curves/secp256k1.js'
import { bigintFromBytes, equalBytes } from '../bytes.ts'
import type { GroupKey, KeyShare } from './group.ts'
import { Point, type Random, readPoint, readScalar } from './scalars.ts'

/** What a signer tells before it signs: two points, 33 bytes each. */
export interface NonceCommitment {
  readonly signer: number
  readonly hiding: Uint8Array
  readonly binding: Uint8Array
}

/** What it keeps to itself, in memory only; all zero once used. */
export interface SigningNonces {
  readonly hiding: Uint8Array
  readonly binding: Uint8Array
}

/** Why a list of commitments cannot be signed under, and whose fault it is, where it is one signer's. */
export type CommitmentFault =
  | { readonly code: 'WrongSigners'; readonly detail: string }
  | { readonly code: 'NoCommitment'; readonly signer: number }

export type SignFault = CommitmentFault | { readonly code: 'NoncesUsed' | 'NotMyCommitment' }

export type Aggregated =
  | { readonly ok: true; readonly signature: Uint8Array }
  | { readonly ok: false; readonly fault: CommitmentFault }
  /** They gave no share, or a wrong one under this list. */
  | { readonly ok: false; readonly culprits: readonly number[] }

type NoblePublic = Parameters<typeof frost.signShare>[1]

const idOf = (signer: number): string => frost.Identifier.fromNumber(signer)

/** Round one. `random` gives bytes that are mixed with the share, so that a bad generator alone gives nothing away. */
export function commitNonces(
  { signer, secret }: KeyShare,
  random: Random,
): { readonly nonces: SigningNonces; readonly commitment: NonceCommitment } {
  const rng = (length = 32) => random(length)
  const made = frost.commit({ identifier: idOf(signer), signingShare: secret }, rng)
  const { hiding, binding } = made.commitments
  return { nonces: made.nonces, commitment: { signer, hiding, binding } }
}

/** Undefined: as many commitments as it takes, each by another signer of the group, in ascending order, all of them points. */
export function commitmentsFault(
  group: GroupKey,
  commitments: readonly NonceCommitment[],
): CommitmentFault | undefined {
  const signers = commitments.map(({ signer }) => signer)
  if (signers.length !== group.threshold) {
    const detail = `${signers.length} commitments where it takes ${group.threshold}`
    return { code: 'WrongSigners', detail }
  }
  if (signers.some((signer, at) => at > 0 && signer <= (signers[at - 1] as number))) {
    return { code: 'WrongSigners', detail: `not in ascending order: ${signers.join(', ')}` }
  }
  const stranger = signers.find((signer) => !group.verifyingShares.has(signer))
  if (stranger !== undefined) return { code: 'WrongSigners', detail: `${stranger} has no share` }
  const bad = commitments.find(({ hiding, binding }) => !readPoint(hiding) || !readPoint(binding))
  return bad && { code: 'NoCommitment', signer: bad.signer }
}

/** Round two: 32 bytes, and the nonces are wiped. `message` is 32 bytes. */
export function signShare(
  group: GroupKey,
  share: KeyShare,
  nonces: SigningNonces,
  commitments: readonly NonceCommitment[],
  message: Uint8Array,
):
  | { readonly ok: true; readonly share: Uint8Array }
  | { readonly ok: false; readonly fault: SignFault } {
  const fault = commitmentsFault(group, commitments) ?? nonceFault(share, nonces, commitments)
  if (fault !== undefined) return { ok: false, fault }
  const secret = { identifier: idOf(share.signer), signingShare: share.secret }
  const list = commitments.map(toNoble)
  const signed = frost.signShare(secret, publicOf(group), nonces, list, message)
  return { ok: true, share: signed }
}

function nonceFault(
  { signer }: KeyShare,
  { hiding, binding }: SigningNonces,
  commitments: readonly NonceCommitment[],
): SignFault | undefined {
  if ([hiding, binding].some((nonce) => bigintFromBytes(nonce) === 0n))
    return { code: 'NoncesUsed' }
  const own = commitments.find((one) => one.signer === signer)
  const isMine =
    own !== undefined &&
    equalBytes(own.hiding, commitmentTo(hiding)) &&
    equalBytes(own.binding, commitmentTo(binding))
  return isMine ? undefined : { code: 'NotMyCommitment' }
}

/** Whether a share is right under a list without fault. Never throws. */
export function isSignatureShare(
  group: GroupKey,
  commitments: readonly NonceCommitment[],
  message: Uint8Array,
  signer: number,
  share: Uint8Array,
): boolean {
  if (readScalar(share) === undefined) return false
  if (!commitments.some((one) => one.signer === signer)) return false
  return frost.verifyShare(publicOf(group), commitments.map(toNoble), message, idOf(signer), share)
}

/** The 64 bytes of a BIP340 signature by the group's key. Shares are checked one by one only where their sum is wrong. */
export function aggregateShares(
  group: GroupKey,
  commitments: readonly NonceCommitment[],
  message: Uint8Array,
  shares: ReadonlyMap<number, Uint8Array>,
): Aggregated {
  const fault = commitmentsFault(group, commitments)
  if (fault !== undefined) return { ok: false, fault }
  const signers = commitments.map(({ signer }) => signer)
  const missing = signers.filter((signer) => {
    const share = shares.get(signer)
    return share === undefined || readScalar(share) === undefined
  })
  if (missing.length > 0) return { ok: false, culprits: missing }
  const list = commitments.map(toNoble)
  const byId = Object.fromEntries(
    signers.map((signer) => [idOf(signer), shares.get(signer) as Uint8Array]),
  )
  try {
    return { ok: true, signature: frost.aggregate(publicOf(group), list, message, byId) }
  } catch (cause) {
    const { cheaters = [] } = cause as { readonly cheaters?: readonly string[] }
    return { ok: false, culprits: signers.filter((signer) => cheaters.includes(idOf(signer))) }
  }
}

const toNoble = ({ signer, hiding, binding }: NonceCommitment) => ({
  identifier: idOf(signer),
  hiding,
  binding,
})

function publicOf({ threshold, commitments, verifyingShares }: GroupKey): NoblePublic {
  return {
    signers: { min: threshold, max: verifyingShares.size },
    commitments: [...commitments],
    verifyingShares: Object.fromEntries(
      [...verifyingShares].map(([signer, bytes]) => [idOf(signer), bytes]),
    ),
  }
}

function commitmentTo(nonce: Uint8Array): Uint8Array {
  return Point.BASE.multiply(bigintFromBytes(nonce)).toBytes(true)
}
