import { blsAggregate, blsVerify, blsVerifyAggregate, hexBytes } from '../../../crypto/index.ts'
import { describeVectors } from '../vectors.ts'

interface Group {
  readonly ciphersuite: string
  readonly publicKey: { readonly pk: string }
  readonly tests: readonly {
    readonly tcId: number
    readonly comment: string
    readonly msg: string
    readonly sig: string
    readonly result: 'valid' | 'invalid'
  }[]
}

const groupsOf = (text: string | undefined) =>
  (JSON.parse(text ?? '{}') as { readonly testGroups: readonly Group[] }).testGroups

const FILES = ['pop', 'basic'].map((name) => `wycheproof/bls_sig_g2_${name}_verify_test.json`)

/** The vectors of other schemes (aggregates of different messages, hash to curve alone) have no function here that takes them. */
describeVectors('Wycheproof BLS', FILES, ([pop, basic]) => {
  it('proof-of-possession scheme: every verdict', () => {
    let count = 0
    for (const { publicKey, tests } of groupsOf(pop)) {
      for (const { tcId, comment, msg, sig, result } of tests) {
        const verdict = blsVerify(hexBytes(publicKey.pk), hexBytes(msg), hexBytes(sig))
        expect([tcId, comment, verdict]).toEqual([tcId, comment, result === 'valid'])
        count += 1
      }
    }
    expect(count).toBe(26)
  })

  it('alone in an aggregate a signature is as good as by itself', () => {
    for (const { publicKey, tests } of groupsOf(pop)) {
      for (const { tcId, msg, sig, result } of tests) {
        const key = hexBytes(publicKey.pk)
        const verdict = blsVerifyAggregate([key], hexBytes(msg), hexBytes(sig))
        expect([tcId, verdict]).toEqual([tcId, result === 'valid'])
        const aggregate = blsAggregate([hexBytes(sig)])
        const joined = aggregate && blsVerifyAggregate([key], hexBytes(msg), aggregate)
        expect([tcId, joined === true]).toEqual([tcId, result === 'valid'])
      }
    }
  })

  it('a signature of the basic scheme, valid there, is none here', () => {
    let count = 0
    for (const { publicKey, tests } of groupsOf(basic)) {
      for (const { tcId, msg, sig } of tests) {
        const verdict = blsVerify(hexBytes(publicKey.pk), hexBytes(msg), hexBytes(sig))
        expect([tcId, verdict]).toEqual([tcId, false])
        count += 1
      }
    }
    expect(count).toBe(88)
  })
})
