import { schnorr_FROST as noble } from '@noble/curves/secp256k1.js'
import {
  complain,
  type DkgPackage,
  type DkgSecret,
  dkgGroupKey,
  dkgPackageFault,
  isShareOf,
  judgeComplaint,
  openShare,
  sha256,
  toHex,
} from '../../../../crypto/index.ts'
import { type Ceremony, ceremony, keyOf, seeded } from './fixtures.ts'

const made = ceremony('five', 3, [1, 2, 3, 4, 5])
const AUXILIARY = sha256(Buffer.from('auxiliary'))

const packageOf = (signer: number) => made.packages.get(signer) as DkgPackage
const secretOf = (signer: number) => made.secrets.get(signer) as DkgSecret
const sentBy = ({ ciphertexts }: Ceremony, from: number, to: number) =>
  ciphertexts.get(from)?.get(to) as Uint8Array

describe('a key without a dealer', () => {
  it('5.1: everybody computes the same key from public messages, and has a share of it', () => {
    const { group, shares } = keyOf(made)
    expect(group.threshold).toBe(3)
    expect(new Set(shares.map(({ secret }) => toHex(secret))).size).toBe(5)
    for (const share of shares) expect(isShareOf(group, share)).toBe(true)
    expect(isShareOf(group, { signer: 1, secret: shares[1]?.secret as Uint8Array })).toBe(false)
  })

  it('5.2: noble’s own third round gives the same key and the same shares', () => {
    const id = (signer: number) => noble.Identifier.fromNumber(signer)
    const signers = [1, 2, 3, 4, 5]
    const { group, shares } = keyOf(made)
    const others = signers.slice(1)
    const round1 = others.map((signer) => ({
      identifier: id(signer),
      commitment: [...packageOf(signer).commitments],
      proofOfKnowledge: packageOf(signer).proof,
    }))
    const mine = {
      identifier: 1n,
      coefficients: [...secretOf(1).coefficients],
      commitment: [...packageOf(1).commitments],
      signers: { min: 3, max: 5 },
    }
    noble.DKG.round2(mine, round1)
    const round2 = others.map((signer) => {
      const ciphertext = sentBy(made, signer, 1)
      const share = openShare(made.session, secretOf(1), made.packages, signer, ciphertext)
      return { identifier: id(signer), signingShare: share as Uint8Array }
    })
    const theirs = noble.DKG.round3(mine, round1, round2)
    expect(theirs.public.commitments.map(toHex)).toEqual(group.commitments.map(toHex))
    expect(toHex(theirs.secret.signingShare)).toBe(toHex(shares[0]?.secret as Uint8Array))
    for (const signer of signers) {
      const verifying = theirs.public.verifyingShares[id(signer)] as Uint8Array
      expect(toHex(verifying)).toBe(toHex(group.verifyingShares.get(signer) as Uint8Array))
    }
  })

  it('5.1: without the culprit the others make a key with the same threshold, under their old numbers', () => {
    const { group, shares } = keyOf(ceremony('without two', 3, [1, 3, 4, 5]))
    expect([...group.verifyingShares.keys()]).toEqual([1, 3, 4, 5])
    expect(shares.every((share) => isShareOf(group, share))).toBe(true)
    expect(toHex(group.commitments[0] as Uint8Array)).not.toBe(
      toHex(dkgGroupKey(made.session, made.packages).commitments[0] as Uint8Array),
    )
  })

  it('5.1: a package with the wrong polynomial, proof or key has a fault of its sender', () => {
    const fault = (signer: number, change: Partial<DkgPackage>) =>
      dkgPackageFault(made.session, signer, { ...packageOf(signer), ...change })
    expect(fault(2, {})).toBeUndefined()
    const { commitments, proof } = packageOf(2)
    const [first, second] = commitments as [Uint8Array, Uint8Array]
    expect(fault(2, { commitments: commitments.slice(1) })).toBe('WrongCommitments')
    expect(fault(2, { commitments: [...commitments, first] })).toBe('WrongCommitments')
    expect(fault(2, { commitments: [first, second, new Uint8Array(33)] })).toBe('WrongCommitments')
    expect(fault(2, { commitments: [first, second, first.slice(1)] })).toBe('WrongCommitments')
    expect(fault(2, { commitments: [second, first, second] })).toBe('NoProof')
    expect(fault(2, { proof: packageOf(3).proof })).toBe('NoProof')
    expect(fault(2, { proof: proof.slice(1) })).toBe('NoProof')
    expect(fault(2, { proof: new Uint8Array(64).fill(255) })).toBe('NoProof')
    // Somebody else's constant term, to cancel it, with his proof: it names its signer.
    expect(fault(3, { ...packageOf(2) })).toBe('NoProof')
    expect(fault(2, { encryptionKey: new Uint8Array(33) })).toBe('NoEncryptionKey')
  })
})

describe('complaints', () => {
  const { session, packages } = made
  const honest = sentBy(made, 4, 2)
  const wrong = sha256(honest)

  it('5.1: a ciphertext that is no share is seen by its recipient, and by nobody else', () => {
    expect(openShare(session, secretOf(2), packages, 4, honest)).toBeDefined()
    expect(openShare(session, secretOf(2), packages, 4, wrong)).toBeUndefined()
    expect(openShare(session, secretOf(2), packages, 4, honest.slice(1))).toBeUndefined()
    expect(openShare(session, secretOf(3), packages, 4, honest)).toBeUndefined()
    expect(openShare(session, secretOf(2), packages, 5, honest)).toBeUndefined()
  })

  it('5.1: a true complaint convicts the accused, a false one the accuser', () => {
    const complaint = complain(session, secretOf(2), packages, 4, AUXILIARY)
    expect(complaint.accused).toBe(4)
    expect(judgeComplaint(session, packages, 2, complaint, wrong)).toBe(4)
    expect(judgeComplaint(session, packages, 2, complaint, honest)).toBe(2)
    expect(judgeComplaint(session, packages, 2, complaint, new Uint8Array(31))).toBe(4)
  })

  it('5.1: a complaint that opens another point is the accuser’s fault', () => {
    const complaint = complain(session, secretOf(2), packages, 4, AUXILIARY)
    const other = complain(session, secretOf(2), packages, 5, AUXILIARY)
    const forged = [
      { ...complaint, sharedPoint: other.sharedPoint },
      { ...complaint, proof: other.proof },
      { ...complaint, sharedPoint: new Uint8Array(33) },
      { ...complaint, proof: new Uint8Array(64) },
      { ...complaint, proof: complaint.proof.slice(1) },
    ]
    for (const one of forged) expect(judgeComplaint(session, packages, 2, one, wrong)).toBe(2)
    // Nor does it stand for another session, or from another accuser.
    const later = { ...session, id: sha256(session.id) }
    expect(judgeComplaint(later, packages, 2, complaint, wrong)).toBe(2)
    expect(judgeComplaint(session, packages, 3, complaint, wrong)).toBe(3)
  })

  it('5.1: ciphertexts of one session are those of no other', () => {
    const again = ceremony('five again', 3, [1, 2, 3, 4, 5])
    expect(toHex(sentBy(again, 4, 2))).not.toBe(toHex(honest))
    const { told } = { told: again.packages.get(4) as DkgPackage }
    expect(dkgPackageFault(made.session, 4, told)).toBeUndefined()
    expect(openShare(session, secretOf(2), packages, 4, sentBy(again, 4, 2))).toBeUndefined()
    expect(seeded('x')(5)).toEqual(seeded('x')(5))
  })
})
