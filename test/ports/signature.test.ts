/** The real signatures and those of simulated worlds. */
import { blsKeyPair, blsSigner, blsSuite, rememberVerified, sha256 } from '../../crypto/index.ts'
import { createKeyRegistry } from '../sim/signatures.ts'
import { signatureSuite } from './signature-suite.ts'

const text = new TextEncoder()

signatureSuite('BLS12-381', () => ({
  suite: blsSuite,
  issue: (name) => blsSigner(blsKeyPair(sha256(text.encode(name))).secretKey),
}))
signatureSuite('remembering', () => ({
  suite: rememberVerified(blsSuite, 100),
  issue: (name) => blsSigner(blsKeyPair(sha256(text.encode(name))).secretKey),
}))
signatureSuite('simulated', () => createKeyRegistry('compliance'))

describe('the simulated suite', () => {
  it('keys of another registry are strangers here', () => {
    const [here, there] = [createKeyRegistry('here'), createKeyRegistry('there')]
    const stranger = there.issue('a')
    const message = Uint8Array.of(1)
    const signature = stranger.sign(message)
    expect(there.suite.verify(stranger.publicKey, message, signature)).toBe(true)
    expect(here.suite.verify(stranger.publicKey, message, signature)).toBe(false)
    expect(here.suite.verify(here.issue('a').publicKey, message, signature)).toBe(false)
    expect(here.suite.aggregate([signature])).toBeUndefined()
  })

  it('a handle tells neither the secret nor another handle', () => {
    const registry = createKeyRegistry('closed')
    expect(Object.keys(registry)).toEqual(['suite', 'issue'])
    expect(Object.keys(registry.issue('a'))).toEqual(['publicKey', 'sign'])
  })
})
