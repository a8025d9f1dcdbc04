import * as native from 'tiny-secp256k1'
import {
  addToGroup,
  addToShare,
  aggregateShares,
  commitNonces,
  type GroupKey,
  groupPublicKey,
  isShareOf,
  isSignatureShare,
  type KeyShare,
  type NonceCommitment,
  type SigningNonces,
  schnorrVerify,
  sha256,
  signShare,
  splitForRepair,
  sumForRepair,
  taggedHash,
  toHex,
} from '../../../../crypto/index.ts'
import { ceremony, keyOf, seeded } from './fixtures.ts'

const MESSAGE = sha256(Buffer.from('a transaction'))
const CURVE_ORDER = Buffer.from(
  'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
  'hex',
)

/** A point whose x is no field element. */
const AT_P = new Uint8Array(33).fill(255)
AT_P[0] = 2

interface Session {
  readonly group: GroupKey
  readonly shares: readonly KeyShare[]
  readonly nonces: ReadonlyMap<number, SigningNonces>
  readonly commitments: readonly NonceCommitment[]
}

/** Round one among these signers. */
function open(group: GroupKey, shares: readonly KeyShare[], signers: readonly number[]): Session {
  const chosen = shares.filter(({ signer }) => signers.includes(signer))
  const nonces = new Map<number, SigningNonces>()
  const commitments = chosen.map((share) => {
    const made = commitNonces(share, seeded(`nonces ${share.signer}`))
    nonces.set(share.signer, made.nonces)
    return made.commitment
  })
  return { group, shares: chosen, nonces, commitments }
}

function sign({ group, shares, nonces, commitments }: Session): Map<number, Uint8Array> {
  return new Map(
    shares.map((share) => {
      const own = nonces.get(share.signer) as SigningNonces
      const made = signShare(group, share, own, commitments, MESSAGE)
      if (!made.ok) throw new Error(made.fault.code)
      return [share.signer, made.share]
    }),
  )
}

const signedBy = (session: Session) =>
  aggregateShares(session.group, session.commitments, MESSAGE, sign(session))

const three = keyOf(ceremony('three of four', 3, [1, 2, 3, 4]))

describe('signing', () => {
  it('5.1: any t signers sign for the one key, fewer and more do not', () => {
    const { group, shares } = three
    for (const signers of [
      [1, 2, 3],
      [1, 2, 4],
      [1, 3, 4],
      [2, 3, 4],
    ]) {
      const whole = signedBy(open(group, shares, signers))
      if (!whole.ok) throw new Error('not signed')
      expect(whole.signature).toHaveLength(64)
      expect(schnorrVerify(groupPublicKey(group), MESSAGE, whole.signature)).toBe(true)
    }
    for (const signers of [
      [1, 2],
      [1, 2, 3, 4],
    ]) {
      expect(() => signedBy(open(group, shares, signers))).toThrow('WrongSigners')
    }
  })

  it('5.3: a key with scalars added signs for the output that BIP341 computes, whatever the parities', () => {
    const seen = new Set<string>()
    for (let round = 0; seen.size < 8 && round < 200; round++) {
      const { group, shares } = keyOf(ceremony(`parities ${round}`, 2, [1, 2, 3]))
      const deposit = taggedHash('millrace/deposit', Buffer.from(`deposit ${round}`))
      const atK = addToGroup(group, deposit)
      const leaves = taggedHash('TapTweak', groupPublicKey(atK), sha256(Buffer.from('leaves')))
      const atQ = addToGroup(atK, leaves)
      const isOdd = (key: GroupKey) => key.commitments[0]?.[0] === 3
      const parities = [group, atK, atQ].map((key) => (isOdd(key) ? 'odd' : 'even')).join(' ')
      if (seen.has(parities)) continue
      seen.add(parities)
      const k = native.xOnlyPointAddTweak(groupPublicKey(group), deposit)
      const q = native.xOnlyPointAddTweak(k?.xOnlyPubkey as Uint8Array, leaves)
      expect(toHex(groupPublicKey(atQ))).toBe(toHex(q?.xOnlyPubkey as Uint8Array))
      const added = shares.map((share) =>
        addToShare(atK, addToShare(group, share, deposit), leaves),
      )
      expect(added.every((share) => isShareOf(atQ, share))).toBe(true)
      const session = open(atQ, added, [1, 3])
      const signed = sign(session)
      const whole = aggregateShares(atQ, session.commitments, MESSAGE, signed)
      expect(whole.ok && schnorrVerify(groupPublicKey(atQ), MESSAGE, whole.signature)).toBe(true)
      // The trap: verifying shares that were left as they were blame everybody.
      signed.set(3, sha256(Buffer.from('wrong')))
      const bad = aggregateShares(atQ, session.commitments, MESSAGE, signed)
      expect(bad).toEqual({ ok: false, culprits: [3] })
    }
    expect(seen.size).toBe(8)
  })

  it('5.3: a scalar that is 0, or n or more, is an error and not reduced', () => {
    const { group, shares } = three
    const [share] = shares as [KeyShare]
    for (const scalar of [new Uint8Array(32), CURVE_ORDER, new Uint8Array(32).fill(255)]) {
      expect(() => addToGroup(group, scalar)).toThrow(RangeError)
      expect(() => addToShare(group, share, scalar)).toThrow(RangeError)
    }
  })

  it('5.5: whoever gives a wrong share, or none, is named, and nobody else', () => {
    const { group, shares } = three
    const session = open(group, shares, [1, 2, 4])
    const { commitments } = session
    const right = sign(session)
    const given = (change: (signed: Map<number, Uint8Array>) => void) => {
      const signed = new Map(right)
      change(signed)
      return aggregateShares(group, commitments, MESSAGE, signed)
    }
    const of = (signer: number) => right.get(signer) as Uint8Array
    expect(given((signed) => signed.set(2, sha256(of(2))))).toEqual({ ok: false, culprits: [2] })
    expect(given((signed) => signed.set(2, of(1)).set(1, of(4)))).toEqual({
      ok: false,
      culprits: [1, 2],
    })
    // Only the sum counts: two that are wrong by the same amount make a signature like any other.
    expect(given((signed) => signed.set(2, of(1)).set(1, of(2))).ok).toBe(true)
    expect(given((signed) => signed.delete(4))).toEqual({ ok: false, culprits: [4] })
    expect(given((signed) => signed.set(4, CURVE_ORDER))).toEqual({ ok: false, culprits: [4] })
    expect(given((signed) => signed.set(4, of(4).slice(1)))).toEqual({ ok: false, culprits: [4] })
    // A share of somebody who was not asked changes nothing.
    expect(given((signed) => signed.set(3, of(1))).ok).toBe(true)
    for (const signer of [1, 2, 4]) {
      expect(isSignatureShare(group, commitments, MESSAGE, signer, of(signer))).toBe(true)
      expect(isSignatureShare(group, commitments, sha256(MESSAGE), signer, of(signer))).toBe(false)
    }
    expect(isSignatureShare(group, commitments, MESSAGE, 3, of(1))).toBe(false)
  })

  it('5.4: nonces sign once', () => {
    const { group, shares } = three
    const session = open(group, shares, [1, 2, 3])
    const [share] = session.shares as [KeyShare]
    const nonces = session.nonces.get(1) as SigningNonces
    expect(signShare(group, share, nonces, session.commitments, MESSAGE).ok).toBe(true)
    expect([...nonces.hiding, ...nonces.binding].every((byte) => byte === 0)).toBe(true)
    const again = signShare(group, share, nonces, session.commitments, sha256(MESSAGE))
    expect(again).toEqual({ ok: false, fault: { code: 'NoncesUsed' } })
  })

  it('5.5: a list that cannot be signed under is refused before the nonces are touched, with a name where there is one', () => {
    const { group, shares } = three
    const session = open(group, shares, [1, 2, 3])
    const [share] = session.shares as [KeyShare]
    const nonces = session.nonces.get(1) as SigningNonces
    const [first, second, third] = session.commitments as [
      NonceCommitment,
      NonceCommitment,
      NonceCommitment,
    ]
    const fault = (commitments: readonly NonceCommitment[]) => {
      const made = signShare(group, share, nonces, commitments, MESSAGE)
      return made.ok ? undefined : made.fault
    }
    expect(fault([second, first, third])).toMatchObject({ code: 'WrongSigners' })
    expect(fault([first, second, second])).toMatchObject({ code: 'WrongSigners' })
    expect(fault([first, second, { ...third, signer: 5 }])).toMatchObject({ code: 'WrongSigners' })
    expect(fault([first, second])).toMatchObject({ code: 'WrongSigners' })
    for (const point of [new Uint8Array(33), third.hiding.slice(1), AT_P]) {
      expect(fault([first, second, { ...third, hiding: point }])).toEqual({
        code: 'NoCommitment',
        signer: 3,
      })
    }
    expect(fault([{ ...first, hiding: first.binding }, second, third])).toEqual({
      code: 'NotMyCommitment',
    })
    const other = open(group, shares, [2, 3, 4])
    expect(fault(other.commitments)).toEqual({ code: 'NotMyCommitment' })
    expect(fault(session.commitments)).toBeUndefined()
  })
})

describe('a lost share', () => {
  it('N6: t others make it again; with a wrong summand it is none of the key', () => {
    const { group, shares } = three
    const lost = shares[1] as KeyShare
    const helpers = [1, 3, 4]
    const split = helpers.map((helper) => {
      const share = shares[helper - 1] as KeyShare
      return splitForRepair(share, helpers, lost.signer, seeded(`repair ${helper}`))
    })
    const sums = helpers.map((helper) => {
      return sumForRepair(split.map((summands) => summands.get(helper) as Uint8Array))
    }) as Uint8Array[]
    expect(sumForRepair(sums)).toEqual(lost.secret)
    // No helper's sum is a share, or what it gives away.
    for (const sum of sums) expect(isShareOf(group, { signer: 2, secret: sum })).toBe(false)
    const wrong = sumForRepair([...sums.slice(1), MESSAGE]) as Uint8Array
    expect(isShareOf(group, { signer: 2, secret: wrong })).toBe(false)
    expect(sumForRepair([CURVE_ORDER])).toBeUndefined()
  })

  it('N6: who lost it cannot help, and nobody helps twice', () => {
    const [share] = three.shares as [KeyShare]
    const random = seeded('repair')
    expect(() => splitForRepair(share, [1, 2, 3], 2, random)).toThrow(RangeError)
    expect(() => splitForRepair(share, [1, 1, 3], 2, random)).toThrow(RangeError)
    expect(() => splitForRepair(share, [3, 4], 2, random)).toThrow(RangeError)
  })
})
