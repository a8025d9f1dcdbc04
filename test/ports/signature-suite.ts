/** What every signature suite must do, the real one and the fake one of worlds alike. */
import {
  type AggregateCheck,
  concatBytes,
  equalBytes,
  provePossession,
  type SignatureSuite,
  type Signer,
  sha256,
  verifyPossession,
} from '../../crypto/index.ts'

export interface SuiteUnderTest {
  readonly suite: SignatureSuite
  /** The same name gives the same key. */
  issue(name: string): Signer
}

const message = sha256(Uint8Array.of(1))
const other = sha256(Uint8Array.of(2))
/** Lengths and forms that no key and no signature has; the last two are points at infinity. */
const MALFORMED = [
  new Uint8Array(0),
  new Uint8Array(47),
  new Uint8Array(48),
  new Uint8Array(95),
  new Uint8Array(96),
  new Uint8Array(97).fill(0xff),
  new Uint8Array(4096).fill(0xa0),
  concatBytes(Uint8Array.of(0xc0), new Uint8Array(47)),
  concatBytes(Uint8Array.of(0xc0), new Uint8Array(95)),
]

/** One bit of every byte in turn. */
function altered(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, index) =>
    Uint8Array.from(bytes, (byte, at) => (at === index ? byte ^ (1 << (index % 8)) : byte)),
  )
}

export function signatureSuite(name: string, create: () => SuiteUnderTest): void {
  describe(`the ${name} signature suite`, () => {
    const { suite, issue } = create()
    const signers = ['a', 'b', 'c', 'd', 'e'].map(issue)
    const keys = signers.map(({ publicKey }) => publicKey)
    const signatures = signers.map((signer) => signer.sign(message))
    const [a, b, c] = signers as [Signer, Signer, Signer]
    const [signatureOfA, signatureOfB] = signatures as [Uint8Array, Uint8Array]
    const aggregate = suite.aggregate(signatures.slice(0, 3)) as Uint8Array
    const threeKeys = keys.slice(0, 3)

    it('keys have 48 bytes, signatures and aggregates 96, and no two are alike', () => {
      expect(keys.every(({ length }) => length === 48)).toBe(true)
      expect([...signatures, aggregate].every(({ length }) => length === 96)).toBe(true)
      const all = [...keys, ...signatures, aggregate].map((bytes) => bytes.join())
      expect(new Set(all).size).toBe(all.length)
    })

    it('the same key signs the same message in the same way, and is found again by its name', () => {
      expect(a.sign(message)).toEqual(signatureOfA)
      const again = create()
      expect(again.issue('a').publicKey).toEqual(a.publicKey)
      expect(again.issue('a').sign(message)).toEqual(signatureOfA)
      expect(again.suite.verify(a.publicKey, message, signatureOfA)).toBe(true)
    })

    it('a signature is for one key and one message of any length', () => {
      for (const text of [new Uint8Array(0), message, new Uint8Array(1000)]) {
        expect(suite.verify(a.publicKey, text, a.sign(text))).toBe(true)
      }
      expect(suite.verify(b.publicKey, message, signatureOfA)).toBe(false)
      expect(suite.verify(a.publicKey, other, signatureOfA)).toBe(false)
      expect(suite.verify(a.publicKey, message, a.sign(other))).toBe(false)
      expect(suite.verify(a.publicKey, concatBytes(message, Uint8Array.of(0)), signatureOfA)).toBe(
        false,
      )
    })

    it('bytes moved from the key to the message, or back, sign nothing', () => {
      const signature = a.sign(message)
      const longer = concatBytes(a.publicKey, message.subarray(0, 1))
      expect(suite.verify(longer, message.subarray(1), signature)).toBe(false)
      const shorter = a.publicKey.subarray(0, 47)
      const text = concatBytes(a.publicKey.subarray(47), message)
      expect(suite.verify(shorter, text, signature)).toBe(false)
    })

    it('a signature with any bit changed is none', () => {
      for (const forged of altered(signatureOfA)) {
        expect(suite.verify(a.publicKey, message, forged)).toBe(false)
      }
    })

    it('a key with any bit changed signed nothing', () => {
      for (const forged of altered(a.publicKey)) {
        expect(suite.verify(forged, message, signatureOfA)).toBe(false)
      }
    })

    it('C-7: what is malformed gives false or undefined, never a throw', () => {
      for (const bad of MALFORMED) {
        expect(suite.verify(a.publicKey, message, bad)).toBe(false)
        expect(suite.verify(bad, message, signatureOfA)).toBe(false)
        expect(suite.verify(bad, message, bad)).toBe(false)
        expect(suite.verifyAggregate(threeKeys, message, bad)).toBe(false)
        expect(suite.verifyAggregate([a.publicKey, bad], message, signatureOfA)).toBe(false)
        expect(verifyPossession(suite, a.publicKey, bad)).toBe(false)
      }
      for (const bad of MALFORMED.slice(0, 8)) {
        expect(suite.aggregate([signatureOfA, bad])).toBeUndefined()
      }
    })

    it('BF-6: an aggregate is of exactly its keys, in any order', () => {
      expect(suite.verifyAggregate(threeKeys, message, aggregate)).toBe(true)
      expect(suite.verifyAggregate([...threeKeys].reverse(), message, aggregate)).toBe(true)
      const shuffled = suite.aggregate(signatures.slice(0, 3).reverse())
      expect(shuffled).toEqual(aggregate)
      const wrong = [
        keys.slice(0, 2),
        keys.slice(0, 4),
        keys.slice(1, 4),
        [a.publicKey, a.publicKey, a.publicKey],
        [...threeKeys, a.publicKey],
        [],
      ]
      for (const others of wrong) {
        expect(suite.verifyAggregate(others, message, aggregate)).toBe(false)
      }
    })

    it('an aggregate with any bit changed, or over another message, is none', () => {
      for (const forged of altered(aggregate)) {
        expect(suite.verifyAggregate(threeKeys, message, forged)).toBe(false)
      }
      expect(suite.verifyAggregate(threeKeys, other, aggregate)).toBe(false)
    })

    it('one signature over another message, by another key or twice spoils an aggregate', () => {
      const spoilt = [
        [signatureOfA, signatureOfB, c.sign(other)],
        [signatureOfA, signatureOfB, signatures[3] as Uint8Array],
        [signatureOfA, signatureOfB, signatureOfB],
        [signatureOfA, signatureOfB],
      ]
      for (const parts of spoilt) {
        const joined = suite.aggregate(parts) as Uint8Array
        expect(suite.verifyAggregate(threeKeys, message, joined)).toBe(false)
      }
    })

    it('several are checked together as each would be, whatever is wrong with them', () => {
      const texts = [message, other, message, sha256(Uint8Array.of(3))]
      const right = texts.map((text, at): AggregateCheck => {
        const all = signers.slice(0, at + 1)
        return {
          publicKeys: all.map(({ publicKey }) => publicKey),
          message: text,
          signature: suite.aggregate(all.map((signer) => signer.sign(text))) as Uint8Array,
        }
      })
      const negated = Uint8Array.from(a.publicKey, (byte, at) => (at === 0 ? byte ^ 0x20 : byte))
      const infinity = concatBytes(Uint8Array.of(0xc0), new Uint8Array(95))
      const wrong: ((check: AggregateCheck) => AggregateCheck)[] = [
        (check) => check,
        (check) => ({ ...check, message: sha256(check.message) }),
        (check) => ({ ...check, signature: signatureOfB }),
        (check) => ({ ...check, publicKeys: [...check.publicKeys, c.publicKey] }),
        (check) => ({ ...check, publicKeys: [] }),
        (check) => ({ ...check, publicKeys: [a.publicKey, negated], signature: infinity }),
        ...MALFORMED.map((signature) => (check: AggregateCheck) => ({ ...check, signature })),
        ...MALFORMED.map((key) => (check: AggregateCheck) => ({ ...check, publicKeys: [key] })),
      ]
      const oneByOne = (checks: readonly AggregateCheck[]) =>
        checks.every((check) =>
          suite.verifyAggregate(check.publicKeys, check.message, check.signature),
        )
      expect(suite.verifyEach([])).toBe(true)
      expect(suite.verifyEach(right)).toBe(true)
      for (const [at, change] of wrong.entries()) {
        for (let place = 0; place < right.length; place++) {
          const next = wrong[(at * 7 + place) % wrong.length] as typeof change
          const mixed = right.map((check, index) => {
            if (index === place) return change(check)
            return index === place + 1 ? next(check) : check
          })
          expect(suite.verifyEach(mixed)).toBe(oneByOne(mixed))
          expect(suite.verifyEach([mixed[place] as AggregateCheck])).toBe(
            oneByOne([mixed[place] as AggregateCheck]),
          )
        }
      }
    })

    it('two wrong signatures that add up to a right sum do not pass together', () => {
      const checks = [
        { publicKeys: [a.publicKey], message, signature: b.sign(other) },
        { publicKeys: [b.publicKey], message: other, signature: a.sign(message) },
      ]
      expect(suite.verifyEach(checks)).toBe(false)
    })

    it('a signature with any bit changed enters no aggregate that passes', () => {
      for (const forged of altered(signatureOfA)) {
        const joined = suite.aggregate([forged, signatureOfB])
        const passes = joined && suite.verifyAggregate(keys.slice(0, 2), message, joined)
        expect(passes ?? false).toBe(false)
      }
    })

    it('aggregates add up: of one is itself, of two aggregates is of all their keys', () => {
      expect(suite.aggregate([signatureOfA])).toEqual(signatureOfA)
      expect(suite.verifyAggregate([a.publicKey], message, signatureOfA)).toBe(true)
      const rest = suite.aggregate(signatures.slice(3)) as Uint8Array
      const whole = suite.aggregate([aggregate, rest]) as Uint8Array
      expect(suite.verifyAggregate(keys, message, whole)).toBe(true)
      const doubled = suite.aggregate([signatureOfA, signatureOfA]) as Uint8Array
      expect(suite.verifyAggregate([a.publicKey, a.publicKey], message, doubled)).toBe(true)
      expect(equalBytes(doubled, signatureOfA)).toBe(false)
    })

    it('of nobody there is no aggregate', () => {
      expect(suite.aggregate([])).toBeUndefined()
      expect(suite.verifyAggregate([], message, signatureOfA)).toBe(false)
    })

    it('possession: by this key, and no signature over anything else serves', () => {
      const proof = provePossession(a)
      expect(verifyPossession(suite, a.publicKey, proof)).toBe(true)
      expect(verifyPossession(suite, b.publicKey, proof)).toBe(false)
      expect(verifyPossession(suite, a.publicKey, provePossession(b))).toBe(false)
      expect(verifyPossession(suite, a.publicKey, a.sign(a.publicKey))).toBe(false)
    })

    it('bytes are read where they lie, and nothing that is given is changed', () => {
      const buffer = concatBytes(Uint8Array.of(9), signatureOfA, signatureOfB, Uint8Array.of(9))
      const before = buffer.slice()
      const [left, right] = [buffer.subarray(1, 97), buffer.subarray(97, 193)]
      expect(suite.verify(a.publicKey, message, left)).toBe(true)
      const joined = suite.aggregate([left, right]) as Uint8Array
      expect(suite.verifyAggregate(keys.slice(0, 2), message, joined)).toBe(true)
      expect(buffer).toEqual(before)
    })
  })
}
