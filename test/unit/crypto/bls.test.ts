import {
  blsAggregate,
  blsKeyPair,
  blsPublicKey,
  blsSign,
  blsSigner,
  blsSuite,
  blsVerify,
  blsVerifyAggregate,
  concatBytes,
  hexBytes,
  provePossession,
  sha256,
  toHex,
  verifyPossession,
} from '../../../crypto/index.ts'

/** Wycheproof's BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_: cases 1, 6 and 7 of one key. */
const KNOWN_KEY = hexBytes(
  '8f62f546d9ace47b11df8d0cf2911ff7cff8d3c247a6a46a6b37cd42c5c19785f0ae24477a6b261b047b20b2993ebac4',
)
const KNOWN: readonly (readonly [string, string, boolean])[] = [
  [
    '810c3298362cdfa76d0f618d2c3443e6670a0dd4384cb3983782047f7b86e3b5',
    'a6bfda26f1f60ecfa65e9a57ae4bef304305be0bb3eca352c80032932a15928c0ac3abf7b676fefd0ca2a9af231f189c0f612e0fb494da9d6bbbb10984616c91e59b1f8850f3975e1e603d9bd10e0b2c47705bf4da99a7e17ad3d344aa3e27c5',
    true,
  ],
  [
    '',
    '90d7cf6fb5506e43d0982e0ccd1d51e6245785cd90c25dae748981fe18eb7f066e54bbb91ea1c85ed3e3732229568f361429a9842f2fdf4d2db8ca2602e869e882ac3aca4ff43db09be997de5c969a3e34a8011385eb3a7e6b7a1d09050e9ad3',
    true,
  ],
  [
    '47776e8527239ab0662e22398230ef32805ae1abe4f7276f1953a91ac1a322d6',
    '81b38e45131516c072fac9aedb9c128195979666688b2e8c85fc92868a53685cc256c702b49ff0888de5bc51b5836fc9075b39f0f42a8bd8c4273c15da193b4e96c6195aef69421c5d9caa2b5bad6fb0374a6123bbfa043bf65e40fae7dd6b2d',
    false,
  ],
]

const keys = Array.from({ length: 5 }, (_, index) => blsKeyPair(sha256(Uint8Array.of(index))))
const publicKeys = keys.map(({ publicKey }) => publicKey)
const message = sha256(Uint8Array.of(99))
const signatures = keys.map(({ secretKey }) => blsSign(secretKey, message))
const INFINITY_KEY = concatBytes(Uint8Array.of(0xc0), new Uint8Array(47))
const INFINITY_SIGNATURE = concatBytes(Uint8Array.of(0xc0), new Uint8Array(95))

describe('BLS signatures', () => {
  it('known answers: two valid ones, one of another ciphersuite', () => {
    for (const [text, signature, valid] of KNOWN) {
      expect(blsVerify(KNOWN_KEY, hexBytes(text), hexBytes(signature))).toBe(valid)
    }
  })

  it('known answers: KeyGen of the draft, as EIP-2333 has it for its master key', () => {
    // EIP-2333 test case 1: the seed and its master secret key.
    const seed = hexBytes(
      'c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04',
    )
    expect(toHex(blsKeyPair(seed).secretKey)).toBe(
      BigInt('6083874454709270928345386274498605044986640685124978867557563392430687146096')
        .toString(16)
        .padStart(64, '0'),
    )
  })

  it('a key pair’s parts belong together', () => {
    for (const { secretKey, publicKey } of keys) {
      expect(blsPublicKey(secretKey)).toEqual(publicKey)
      expect(publicKey).toHaveLength(48)
    }
  })

  it('is for one key and one message', () => {
    const [signature] = signatures as [Uint8Array]
    expect(blsVerify(publicKeys[0] as Uint8Array, message, signature)).toBe(true)
    expect(blsVerify(publicKeys[1] as Uint8Array, message, signature)).toBe(false)
    expect(blsVerify(publicKeys[0] as Uint8Array, sha256(message), signature)).toBe(false)
  })

  it('C-7: what is no point gives false, never a throw', () => {
    const [publicKey] = publicKeys as [Uint8Array]
    const [signature] = signatures as [Uint8Array]
    const flipped = Uint8Array.from(signature, (byte, at) => (at === 50 ? byte ^ 1 : byte))
    for (const bad of [new Uint8Array(0), new Uint8Array(96), flipped, signature.subarray(1)]) {
      expect(blsVerify(publicKey, message, bad)).toBe(false)
      expect(blsVerifyAggregate([publicKey], message, bad)).toBe(false)
      expect(blsAggregate([signature, bad])).toBeUndefined()
    }
    for (const bad of [new Uint8Array(0), new Uint8Array(48), publicKey.subarray(1)]) {
      expect(blsVerify(bad, message, signature)).toBe(false)
      expect(blsVerifyAggregate([bad], message, signature)).toBe(false)
    }
  })

  it('the point at infinity is no key and no signature, alone or in an aggregate', () => {
    const [publicKey] = publicKeys as [Uint8Array]
    expect(blsVerify(INFINITY_KEY, message, INFINITY_SIGNATURE)).toBe(false)
    expect(blsVerify(publicKey, message, INFINITY_SIGNATURE)).toBe(false)
    expect(blsVerifyAggregate([INFINITY_KEY], message, INFINITY_SIGNATURE)).toBe(false)
    expect(blsVerifyAggregate([publicKey], message, INFINITY_SIGNATURE)).toBe(false)
  })

  it('BF-6: an aggregate is of exactly its keys', () => {
    const aggregate = blsAggregate(signatures.slice(0, 3)) as Uint8Array
    expect(blsVerifyAggregate(publicKeys.slice(0, 3), message, aggregate)).toBe(true)
    expect(blsVerifyAggregate([...publicKeys.slice(0, 3)].reverse(), message, aggregate)).toBe(true)
    expect(blsVerifyAggregate(publicKeys.slice(0, 2), message, aggregate)).toBe(false)
    expect(blsVerifyAggregate(publicKeys.slice(0, 4), message, aggregate)).toBe(false)
    expect(blsVerifyAggregate(publicKeys.slice(1, 4), message, aggregate)).toBe(false)
    const [first] = publicKeys as [Uint8Array]
    expect(blsVerifyAggregate([first, first, first], message, aggregate)).toBe(false)
  })

  it('of nobody there is no aggregate', () => {
    expect(blsAggregate([])).toBeUndefined()
    expect(blsVerifyAggregate([], message, INFINITY_SIGNATURE)).toBe(false)
  })

  it('possession: by this key, and no signature over anything else serves', () => {
    const [{ publicKey, secretKey }, other] = keys as [(typeof keys)[0], (typeof keys)[0]]
    const proof = provePossession(blsSigner(secretKey))
    expect(verifyPossession(blsSuite, publicKey, proof)).toBe(true)
    expect(verifyPossession(blsSuite, other.publicKey, proof)).toBe(false)
    expect(verifyPossession(blsSuite, publicKey, blsSign(secretKey, publicKey))).toBe(false)
    expect(verifyPossession(blsSuite, publicKey, blsSign(secretKey, message))).toBe(false)
    expect(verifyPossession(blsSuite, INFINITY_KEY, INFINITY_SIGNATURE)).toBe(false)
  })
})
