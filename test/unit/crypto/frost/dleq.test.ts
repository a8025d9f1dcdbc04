import { hexBytes, proveDleq, sha256, toHex, verifyDleq } from '../../../../crypto/index.ts'

/** From BIP374's test vectors, success cases 1 to 3. */
const KNOWN = [
  {
    generator: '02cef38f55e78b321a1f785cb1c6e33dfcef9784c18bdc4e279801c449ccdfb88e',
    secret: '07ff93d43f1012a5d4a44aba55240212ed39c87b3344e46757d99f24177fc576',
    base: '02dad4b35c2379ba8334c9a5dda8f6e6d5cd575a7cc9d3ca4faaac51839daaa30f',
    auxiliary: 'cb979b0fc8ccc7f237751e719d992fcc324b6500af33999cd54a3e5c05fb1ea4',
    message: 'efb07d4b382d3da1079fbf24df623ba6c2e4c764993bbfa6dd7a4fe4aaf33859',
    publicKey: '02b540b22c2c5ef0dc886abdaad27498453d893265560bc08a187319af6f845f58',
    product: '03fefe00951dcd0ef10b12523393c2b8113119de4fdeeab320694e96bdccd2775b',
    proof:
      '7e7e934169e0bf4706e6b29e5a621c7fe199a524744a25af80071e111c0e2e94118e730d8add118dd2ee4f7d1cc183e1b87168362d1a6f85c16d8671a3fc7a8a',
  },
  {
    generator: '02464e351831efedb755223cabbf664f10564b4742c725c023034bc928ed339e0e',
    secret: 'f4e9172285393c6ada994c811b3e50fc47e96421ea7e54f4a4e459528d4cf562',
    base: '03fe589b0fa23f060f6d4d1e76b9b19d5bb3db0e56d39a4303913de0e706463008',
    auxiliary: '75f12482b9209dae12230ea1f8bf69723a1b447d361db8f510dd9ab33556fd4c',
    message: '76184ce9eea5b339ebf5304b57452c1ada1466610f0a58574d6c496798cee04b',
    publicKey: '032baaf1b10845a51b551196984a91efe2adf9d41b92bec3927218e6e4ca344002',
    product: '031f59aa1df22190e00380d8c5941adf899f596593765a1251005fd24f2bf7c884',
    proof:
      '6b4521a8363a7ebc5d95ac6ec6b64db81fcf21795187d7c4600c42b73fb4fb9870ab8d106c0fd2d292c1710e10437b20575ddb3cb32eb77a5618d94ddba600f2',
  },
  {
    generator: '0222db2054fef98344352a13bc0304a71da7b5e9a2f7fd1f3c9f3519a3d9377fb7',
    secret: '589476913e763b60d5c2a5bfb39230ec669caac1b44312e9bcd2d3f4473abfef',
    base: '03bc7a19970c812118f74ba659b491e00dade6096ff62d1afe032a92b8671498ed',
    auxiliary: '4da1c4c4b0f9db4eb6b2e5cb648d7e8a0aa35aa5c4ec4d07f096e0e03deca366',
    message: '66503623468a78cfcef47888c85e0010ecd897f441d263448bfc7a89b882ab20',
    publicKey: '026aa26fcd626f8f55295859e9f8dd1f103149dd64d77c2bbba1bcf33bb37ebaa2',
    product: '035628d1a69910daef614c7cae68d71ece55c5908af2360629e25c1b7de21eeb4b',
    proof:
      '12aa2aa469b3c037871a09d18ab18d3840219b1ed169f6ef9deae6d927949884a459705ae89a57522224ce3482dee00a41ba511188ae60efdeb736223eb66e7b',
  },
]

describe('BIP374', () => {
  it.each(KNOWN)('proof $proof', (known) => {
    const { generator, secret, base, auxiliary, message } = known
    const options = { generator: hexBytes(generator), message: hexBytes(message) }
    const made = proveDleq(hexBytes(secret), hexBytes(base), hexBytes(auxiliary), options)
    if (made === undefined) throw new Error('no proof')
    const { statement, proof } = made
    expect(toHex(statement.publicKey)).toBe(known.publicKey)
    expect(toHex(statement.product)).toBe(known.product)
    expect(toHex(proof)).toBe(known.proof)
    expect(verifyDleq(statement, proof, options)).toBe(true)
    const { publicKey, product } = statement
    expect(
      verifyDleq({ ...statement, publicKey: product, product: publicKey }, proof, options),
    ).toBe(false)
    expect(verifyDleq(statement, proof, { ...options, message: sha256(options.message) })).toBe(
      false,
    )
    expect(verifyDleq(statement, proof, { message: options.message })).toBe(false)
    for (let at = 0; at < 64; at += 7) {
      const flipped = proof.map((byte, index) => (index === at ? byte ^ 1 : byte))
      expect(verifyDleq(statement, flipped, options)).toBe(false)
    }
  })

  it('bad input gives no proof, and is none', () => {
    const [known] = KNOWN as [(typeof KNOWN)[number]]
    const [secret, base] = [hexBytes(known.secret), hexBytes(known.base)]
    const auxiliary = new Uint8Array(32)
    expect(proveDleq(new Uint8Array(32), base, auxiliary)).toBeUndefined()
    expect(proveDleq(new Uint8Array(32).fill(255), base, auxiliary)).toBeUndefined()
    expect(proveDleq(secret, new Uint8Array(33), auxiliary)).toBeUndefined()
    const made = proveDleq(secret, base, auxiliary)
    if (made === undefined) throw new Error('no proof')
    const { statement, proof } = made
    expect(verifyDleq(statement, proof)).toBe(true)
    expect(verifyDleq(statement, proof.slice(1))).toBe(false)
    expect(verifyDleq({ ...statement, base: new Uint8Array(33) }, proof)).toBe(false)
    expect(verifyDleq(statement, new Uint8Array(64).fill(255))).toBe(false)
  })
})
