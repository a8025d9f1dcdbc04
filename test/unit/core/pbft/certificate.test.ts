import { BitArray } from '@chainsafe/ssz'
import { type QuorumCertificate, voteMessage } from '../../../../core/block/index.ts'
import { buildCertificate, verifyCertificate } from '../../../../core/pbft/index.ts'
import { blsKeyPair, blsSign, blsSuite, sha256 } from '../../../../crypto/index.ts'
import { certificateBy, fakeSuite, GENESIS_HASH, keyOf, validatorsOf, voteBy } from './fixtures.ts'

const HASH = sha256(Uint8Array.of(3))
const set = validatorsOf(4)

function verify(
  certificate: QuorumCertificate,
  validators = set,
  phase: 'prepare' | 'commit' = 'commit',
) {
  const verdict = verifyCertificate(fakeSuite, GENESIS_HASH, phase, validators, certificate)
  return verdict.kind === 'invalid' ? verdict.code : verdict.kind
}

const good = certificateBy([0, 2, 3], 4, 'commit', 5, 1, HASH)

describe('a certificate', () => {
  it('of a quorum is valid for its phase, height, view and hash only (2.6)', () => {
    expect(verify(good)).toBe('valid')
    expect(verify(good, set, 'prepare')).toBe('BadSignature')
    expect(verify({ ...good, height: 6 })).toBe('BadSignature')
    expect(verify({ ...good, view: 2 })).toBe('BadSignature')
    expect(verify({ ...good, blockHash: sha256(HASH) })).toBe('BadSignature')
  })

  it('below the quorum counts for nothing (BF-1)', () => {
    expect(verify(certificateBy([0, 1], 4, 'commit', 5, 1, HASH))).toBe('NoQuorum')
    const heavy = validatorsOf(4, [1, 1, 1, 4])
    expect(verify(certificateBy([0, 1, 2], 4, 'commit', 5, 1, HASH), heavy)).toBe('NoQuorum')
    expect(verify(certificateBy([0, 3], 4, 'commit', 5, 1, HASH), heavy)).toBe('valid')
  })

  it('has exactly one bit per validator and no other (T2, BF-6)', () => {
    const longer = BitArray.fromBoolArray([true, false, true, true, false])
    expect(verify({ ...good, bitmap: longer })).toBe('BitmapLength')
    expect(verify({ ...good, bitmap: BitArray.fromBoolArray([true, true, true]) })).toBe(
      'BitmapLength',
    )
    const padded = new BitArray(Uint8Array.of(0b1001_1101), 4)
    expect(verify({ ...good, bitmap: padded })).toBe('BitmapPadding')
  })

  it('tells position 256 from position 0 (T2, T11)', () => {
    const many = validatorsOf(300)
    const voters = Array.from({ length: 201 }, (_, index) => index + 99)
    const certificate = certificateBy(voters, 300, 'commit', 5, 1, HASH)
    expect(verify(certificate, many)).toBe('valid')
    const moved = certificate.bitmap.clone()
    moved.set(256, false)
    moved.set(0, true)
    expect(verify({ ...certificate, bitmap: moved }, many)).toBe('BadSignature')
  })

  it('is built from a quorum of known validators, each counted once', () => {
    const votes = [0, 2, 3].map((voter) => voteBy(voter, 'commit', 5, 1, HASH).value)
    const subject = { height: 5, view: 1, blockHash: HASH }
    expect(buildCertificate(fakeSuite, set, subject, votes)).toEqual(good)
    expect(buildCertificate(fakeSuite, set, subject, votes.slice(1))).toBeUndefined()
    const twice = [votes[0]!, votes[0]!, votes[1]!]
    expect(buildCertificate(fakeSuite, set, subject, twice)).toBeUndefined()
    const stranger = { validator: keyOf(9), signature: votes[0]!.signature }
    expect(buildCertificate(fakeSuite, set, subject, [...votes, stranger])).toBeUndefined()
  })

  it('names keys by their position in the set of its height (T11, BF-13)', () => {
    const [first, ...rest] = set
    const rotated = [...rest, first!]
    expect(verify(good, rotated)).toBe('BadSignature')
  })

  it('works with real signatures', () => {
    const pairs = [1, 2, 3, 4].map((seed) => blsKeyPair(new Uint8Array(32).fill(seed)))
    const validators = pairs.map(({ publicKey }) => {
      return { blsKey: publicKey, power: 1, address: new Uint8Array(20) }
    })
    const message = voteMessage(GENESIS_HASH, 'commit', 5, 1, HASH)
    const votes = pairs.slice(0, 3).map(({ publicKey, secretKey }) => {
      return { validator: publicKey, signature: blsSign(secretKey, message) }
    })
    const subject = { height: 5, view: 1, blockHash: HASH }
    const built = buildCertificate(blsSuite, validators, subject, votes) as QuorumCertificate
    const check = (certificate: QuorumCertificate) =>
      verifyCertificate(blsSuite, GENESIS_HASH, 'commit', validators, certificate).kind
    expect(check(built)).toBe('valid')
    expect(check({ ...built, bitmap: BitArray.fromBoolArray([true, true, false, true]) })).toBe(
      'invalid',
    )
    expect(check({ ...built, signature: new Uint8Array(96) })).toBe('invalid')
  })
})
