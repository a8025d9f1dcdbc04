import {
  type AggregateCheck,
  rememberVerified,
  type SignatureSuite,
  sha256,
} from '../../../crypto/index.ts'
import { createKeyRegistry } from '../../sim/signatures.ts'

/** Counts what reaches the suite behind the memory. */
function counted(capacity: number) {
  const { suite, issue } = createKeyRegistry('remembered')
  const calls: string[] = []
  const counting: SignatureSuite = {
    verify: (...given) => {
      calls.push('one')
      return suite.verify(...given)
    },
    verifyAggregate: (...given) => {
      calls.push('all')
      return suite.verifyAggregate(...given)
    },
    verifyEach: (checks) => {
      calls.push(`each of ${checks.length}`)
      return suite.verifyEach(checks)
    },
    aggregate: suite.aggregate,
  }
  return { suite: rememberVerified(counting, capacity), issue, calls }
}

const message = sha256(Uint8Array.of(1))

describe('a suite that remembers', () => {
  it('checks the same signature once, alone and as an aggregate', () => {
    const { suite, issue, calls } = counted(10)
    const [a, b] = [issue('a'), issue('b')]
    const signature = a.sign(message)
    const joined = suite.aggregate([signature, b.sign(message)]) as Uint8Array
    for (let round = 0; round < 3; round++) {
      expect(suite.verify(a.publicKey, message, signature)).toBe(true)
      expect(suite.verifyAggregate([a.publicKey, b.publicKey], message, joined)).toBe(true)
      expect(suite.verifyAggregate([a.publicKey], message, signature)).toBe(true)
    }
    expect(calls).toEqual(['one', 'all', 'all'])
  })

  it('of several it checks together what it has not seen, and remembers them only if all pass', () => {
    const { suite, issue, calls } = counted(10)
    const checkOf = (name: string): AggregateCheck => {
      const { publicKey, sign } = issue(name)
      return { publicKeys: [publicKey], message, signature: sign(message) }
    }
    const [first, second, third] = [checkOf('a'), checkOf('b'), checkOf('c')]
    const wrong = { ...second, signature: third.signature }
    expect(suite.verifyAggregate(first.publicKeys, message, first.signature)).toBe(true)
    expect(suite.verifyEach([first, wrong, third])).toBe(false)
    expect(suite.verifyEach([first, second, third])).toBe(true)
    expect(suite.verifyEach([third, second, first])).toBe(true)
    expect(suite.verifyAggregate(third.publicKeys, message, third.signature)).toBe(true)
    expect(calls).toEqual(['all', 'each of 2', 'each of 2', 'each of 0'])
  })

  it('what failed is checked again, and pushes nothing out', () => {
    const { suite, issue, calls } = counted(1)
    const [a, b] = [issue('a'), issue('b')]
    const signature = a.sign(message)
    expect(suite.verify(a.publicKey, message, signature)).toBe(true)
    for (let round = 0; round < 3; round++) {
      expect(suite.verify(b.publicKey, message, signature)).toBe(false)
    }
    expect(suite.verify(a.publicKey, message, signature)).toBe(true)
    expect(calls).toHaveLength(4)
  })

  it('the oldest is forgotten when there is no room', () => {
    const { suite, issue, calls } = counted(2)
    const a = issue('a')
    const texts = [1, 2, 3].map((index) => Uint8Array.of(index))
    for (const text of texts) expect(suite.verify(a.publicKey, text, a.sign(text))).toBe(true)
    const check = (index: number) => {
      const text = texts[index] as Uint8Array
      expect(suite.verify(a.publicKey, text, a.sign(text))).toBe(true)
      return calls.length
    }
    expect(check(2)).toBe(3)
    expect(check(1)).toBe(3)
    expect(check(0)).toBe(4)
  })

  it('bytes moved from one part to the next are another check', () => {
    const { suite, issue } = counted(10)
    const a = issue('a')
    const text = Uint8Array.of(...a.publicKey.subarray(40), 5)
    const signature = a.sign(text)
    expect(suite.verify(a.publicKey, text, signature)).toBe(true)
    const shorter = a.publicKey.subarray(0, 40)
    const longer = Uint8Array.of(...a.publicKey.subarray(40), ...text)
    expect(suite.verify(shorter, longer, signature)).toBe(false)
    expect(suite.verifyAggregate([a.publicKey, text], signature, new Uint8Array(0))).toBe(false)
  })
})
