import {
  EVMError,
  getActivePrecompiles,
  NobleBLS,
  NobleBN254,
  type PrecompileFunc,
} from '@ethereumjs/evm'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { bn254 } from '@noble/curves/bn254.js'
import { p256 } from '@noble/curves/nist.js'
import { ripemd160 } from '@noble/hashes/legacy.js'
import fc from 'fast-check'
import {
  bigintFromBytes,
  bigintToBytes,
  concatBytes,
  hexBytes,
  sha256,
  toHex,
  verifyP256,
} from '../../../../crypto/index.ts'
import { createChainEvm } from '../../../../vm/evm/chain.ts'
import { OSAKA } from '../../../../vm/evm/fork.ts'
import { modexpGas } from '../../../../vm/evm/modexp.ts'
import { createPrecompiles } from '../../../../vm/evm/precompiles.ts'

const { bls, bn254: bn } = await createPrecompiles(OSAKA)
const chain = await createChainEvm(1)
const plain = { bls: new NobleBLS(), bn: new NobleBN254() }

const R = bls12_381.fields.Fr.ORDER
const P = bls12_381.fields.Fp.ORDER
const word = (value: bigint) => bigintToBytes(value, 32)
const field = (value: bigint) => bigintToBytes(value, 64)

function g1(scalar: bigint): Uint8Array {
  if (scalar === 0n) return new Uint8Array(128)
  const { x, y } = bls12_381.G1.Point.BASE.multiply(scalar).toAffine()
  return concatBytes(field(x), field(y))
}

function g2(scalar: bigint): Uint8Array {
  if (scalar === 0n) return new Uint8Array(256)
  const { x, y } = bls12_381.G2.Point.BASE.multiply(scalar).toAffine()
  return concatBytes(field(x.c0), field(x.c1), field(y.c0), field(y.c1))
}

function bnG1(scalar: bigint): Uint8Array {
  if (scalar === 0n) return new Uint8Array(64)
  const { x, y } = bn254.G1.Point.BASE.multiply(scalar).toAffine()
  return concatBytes(word(x), word(y))
}

function bnG2(scalar: bigint): Uint8Array {
  const { x, y } = bn254.G2.Point.BASE.multiply(scalar).toAffine()
  return concatBytes(word(x.c1), word(x.c0), word(y.c1), word(y.c0))
}

/** What a function gives; nothing or an error: that it refuses. */
function outcome(run: () => Uint8Array): string {
  try {
    return toHex(run()) || 'refused'
  } catch {
    return 'refused'
  }
}

/** Points with their special cases. */
const scalar = fc.oneof(fc.constantFrom(0n, 1n, R - 1n), fc.bigInt(2n, R - 2n))
const few = { numRuns: 6 }

describe('BLS12-381 (EIP-2537), against pure JavaScript', () => {
  const cases = [
    ['addG1', fc.tuple(scalar, scalar).map(([a, b]) => concatBytes(g1(a), g1(b)))],
    ['addG2', fc.tuple(scalar, scalar).map(([a, b]) => concatBytes(g2(a), g2(b)))],
    [
      'msmG1',
      fc
        .array(fc.tuple(scalar, scalar), { minLength: 1, maxLength: 3 })
        .map((pairs) => concatBytes(...pairs.map(([a, k]) => concatBytes(g1(a), word(k))))),
    ],
    [
      'msmG2',
      fc
        .array(fc.tuple(scalar, scalar), { minLength: 1, maxLength: 2 })
        .map((pairs) => concatBytes(...pairs.map(([a, k]) => concatBytes(g2(a), word(k))))),
    ],
    ['mapFPtoG1', fc.bigInt(0n, P - 1n).map(field)],
    [
      'mapFP2toG2',
      fc
        .tuple(fc.bigInt(0n, P - 1n), fc.bigInt(0n, P - 1n))
        .map(([a, b]) => concatBytes(field(a), field(b))),
    ],
  ] as const

  it.each(cases)('%s', (name, inputs) => {
    fc.assert(
      fc.property(inputs, (input) => {
        expect(outcome(() => bls[name](input))).toBe(outcome(() => plain.bls[name](input)))
      }),
      few,
    )
  })

  it.each([
    [7n, 11n, true],
    [7n, 12n, false],
    [0n, 5n, true],
  ])('the pairing of %d and %d', (a, b, holds) => {
    const other = a === 0n ? [g1(3n), g2(0n)] : [g1(77n), g2(R - 1n)]
    const input = concatBytes(g1(a), g2(b), ...other)
    expect(bigintFromBytes(bls.pairingCheck(input))).toBe(holds ? 1n : 0n)
  })

  it('a coordinate that is no field element, a point beside the curve or outside the subgroup is refused', () => {
    const bad = [
      concatBytes(field(P), field(0n)),
      concatBytes(field(P + 1n), field(2n)),
      concatBytes(field(1n), field(1n)),
    ]
    for (const point of bad) {
      expect(outcome(() => bls.addG1(concatBytes(point, g1(1n))))).toBe('refused')
      expect(outcome(() => bls.msmG1(concatBytes(point, word(1n))))).toBe('refused')
    }
    expect(outcome(() => bls.mapFPtoG1(field(P)))).toBe('refused')
    // (0, 2) is on the curve y² = x³ + 4, and its order is 3.
    const outside = concatBytes(field(0n), field(2n))
    expect(outcome(() => bls.addG1(concatBytes(outside, g1(0n))))).toBe(toHex(outside))
    expect(outcome(() => bls.msmG1(concatBytes(outside, word(1n))))).toBe('refused')
  })
})

describe('bn254 (EIP-196, 197), against pure JavaScript', () => {
  const small = fc.oneof(fc.constantFrom(0n, 1n, 2n), fc.bigInt(2n, bn254.fields.Fr.ORDER - 1n))

  it('addition and multiplication', () => {
    fc.assert(
      fc.property(small, small, (a, b) => {
        const sum = concatBytes(bnG1(a), bnG1(b))
        const product = concatBytes(bnG1(a), word(b))
        expect(toHex(bn.add(sum))).toBe(toHex(plain.bn.add(sum)))
        expect(toHex(bn.mul(product))).toBe(toHex(plain.bn.mul(product)))
      }),
      few,
    )
  })

  it('the pairing, and what is no point', () => {
    const minus = bn254.fields.Fr.ORDER - 35n
    const right = concatBytes(bnG1(5n), bnG2(7n), bnG1(minus), bnG2(1n))
    const wrong = concatBytes(bnG1(5n), bnG2(8n), bnG1(minus), bnG2(1n))
    expect(bigintFromBytes(bn.pairing(right))).toBe(1n)
    expect(bigintFromBytes(bn.pairing(wrong))).toBe(0n)
    expect(outcome(() => bn.add(concatBytes(word(1n), word(1n), bnG1(1n))))).toBe('refused')
  })

  it('points that meet, cancel or are infinite; factors of the order and above it', () => {
    const order = bn254.fields.Fr.ORDER
    const none = new Uint8Array(64)
    for (const [a, b] of [
      [bnG1(5n), bnG1(5n)],
      [bnG1(5n), bnG1(order - 5n)],
      [bnG1(5n), none],
      [none, none],
    ] as const) {
      const sum = concatBytes(a, b)
      expect(toHex(bn.add(sum))).toBe(toHex(plain.bn.add(sum)))
    }
    for (const factor of [0n, order - 1n, order, order + 1n, 2n ** 256n - 1n]) {
      const product = concatBytes(bnG1(5n), word(factor))
      expect(toHex(bn.mul(product))).toBe(toHex(plain.bn.mul(product)))
    }
    expect(toHex(bn.mul(concatBytes(none, word(7n))))).toBe(toHex(none))
  })

  it('a coordinate of the prime and above it is refused', () => {
    const prime = bn254.fields.Fp.ORDER
    for (const bad of [prime, prime + 1n, 2n ** 256n - 1n]) {
      expect(outcome(() => bn.add(concatBytes(word(bad), word(2n), bnG1(1n))))).toBe('refused')
      expect(outcome(() => bn.mul(concatBytes(word(1n), word(bad), word(1n))))).toBe('refused')
    }
    expect(outcome(() => bn.add(concatBytes(word(0n), word(prime), bnG1(1n))))).toBe('refused')
  })

  it('infinities, no pairs, more pairs than run together, and points outside the subgroup', () => {
    const minus = bn254.fields.Fr.ORDER - 35n
    const right = [bnG1(5n), bnG2(7n), bnG1(minus), bnG2(1n)]
    const infinite = [new Uint8Array(64), bnG2(3n), bnG1(3n), new Uint8Array(128)]
    const one = (...parts: Uint8Array[]) => bigintFromBytes(bn.pairing(concatBytes(...parts)))
    expect(one()).toBe(1n)
    expect(one(...infinite)).toBe(1n)
    const many = Array.from({ length: 9 }, () => right).flat()
    expect(one(...many, ...infinite)).toBe(1n)
    expect(one(...infinite, ...many, bnG1(1n), bnG2(1n))).toBe(0n)
    const outside = twistPointOutside()
    expect(outcome(() => bn.pairing(concatBytes(new Uint8Array(64), outside)))).toBe('refused')
    expect(outcome(() => plain.bn.pairing(concatBytes(bnG1(1n), outside)))).toBe('refused')
  })
})

/** A point on the twist whose order is not that of the group: the first x that has a root. */
function twistPointOutside(): Uint8Array {
  const { Fp2 } = bn254.fields
  const { b } = bn254.G2.Point.CURVE()
  for (let x = 1n; ; x += 1n) {
    const at = Fp2.fromBigTuple([x, 0n])
    try {
      const y = Fp2.sqrt(Fp2.add(Fp2.mul(Fp2.sqr(at), at), b))
      return concatBytes(word(0n), word(x), word(y.c1), word(y.c0))
    } catch {
      // No root: beside the curve.
    }
  }
}

describe('BLAKE2b compression (EIP-152)', () => {
  const blake = precompile('09')
  const words =
    '48c9bdf267e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5' +
    'd182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b' +
    '616263'.padEnd(256, '0')
  const vector = (rounds: string, final: string) =>
    hexBytes(`${rounds}${words}${'03'.padEnd(32, '0')}${final}`)

  // Test vectors 4 to 7 of the EIP.
  it.each([
    [
      '00000000',
      '01',
      '08c9bcf367e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5d282e6ad7f520e511f6c3e2b8c68059b9442be0454267ce079217e1319cde05b',
    ],
    [
      '0000000c',
      '01',
      'ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923',
    ],
    [
      '0000000c',
      '00',
      '75ab69d3190a562c51aef8d88f1c2775876944407270c42c9844252c26d2875298743e7f6d5ea2f2d3e8d226039cd31b4e426ac4f2d3d666a610c2116fde4735',
    ],
    [
      '00000001',
      '01',
      'b63a380cb2897d521994a85234ee2c181b5f844d2c624c002677e9703449d2fba551b3a8333bcdf5f2f7e08993d53923de3d64fcc68c034e717b9293fed7a421',
    ],
  ])('%s rounds, final %s', (rounds, final, expected) => {
    const { returnValue, executionGasUsed } = blake(vector(rounds, final))
    expect(toHex(returnValue)).toBe(expected)
    expect(executionGasUsed).toBe(BigInt(`0x${rounds}`))
  })

  it('anything gives what pure JavaScript gives, whatever the number of rounds', async () => {
    const library = getActivePrecompiles(chain.evm.common).get('9'.padStart(40, '0'))
    const run = library as PrecompileFunc
    const bytes = fc.uint8Array({ minLength: 209, maxLength: 209 })
    await fc.assert(
      fc.asyncProperty(fc.nat(30_000), bytes, async (rounds, rest) => {
        const data = concatBytes(bigintToBytes(BigInt(rounds), 4), rest)
        data[212] = (data[212] as number) & 1
        const input = { data, gasLimit: 10n ** 9n, common: chain.evm.common, _EVM: chain.evm }
        expect(toHex(blake(data).returnValue)).toBe(toHex((await run(input)).returnValue))
      }),
      { numRuns: 30 },
    )
  })

  it('another length, another last byte and too little gas take all gas and give nothing', () => {
    const right = vector('0000000c', '01')
    for (const bad of [
      right.subarray(1),
      concatBytes(right, Uint8Array.of(0)),
      vector('0000000c', '02'),
    ]) {
      const { returnValue, exceptionError, executionGasUsed } = blake(bad)
      expect(exceptionError?.error).toBe(EVMError.errorMessages.OUT_OF_RANGE)
      expect([returnValue.length, executionGasUsed]).toEqual([0, 10n ** 9n])
    }
    const dear = blake(vector('ffffffff', '01'))
    expect(dear.exceptionError?.error).toBe(EVMError.errorMessages.OUT_OF_GAS)
  })
})

describe('P-256 (EIP-7951), against pure JavaScript', () => {
  const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const keyOf = (seed: Uint8Array) => {
    const secret = new Uint8Array(sha256(seed))
    const encoded = p256.getPublicKey(secret, false)
    return { secret, encoded, key: { x: encoded.subarray(1, 33), y: encoded.subarray(33) } }
  }

  it('signatures, and such with one bit changed', () => {
    fc.assert(
      fc.property(bytes32, bytes32, fc.nat(511), (seed, hash, bit) => {
        const { secret, encoded, key } = keyOf(seed)
        const signature = p256.sign(hash, secret, { prehash: false, lowS: false })
        const verify = (both: Uint8Array, of = hash) =>
          verifyP256(of, both.subarray(0, 32), both.subarray(32), key)
        expect(verify(signature)).toBe(true)
        const changed = signature.slice()
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
        const options = { prehash: false, lowS: false } as const
        expect(verify(changed)).toBe(outcomeOf(() => p256.verify(changed, hash, encoded, options)))
        expect(verify(signature, new Uint8Array(sha256(hash)))).toBe(false)
      }),
      { numRuns: 12 },
    )
  })

  it('a hash of zero, keys that meet the nonce point, and what is out of range', () => {
    const { n, p } = p256.Point.CURVE()
    const one = keyOf(Uint8Array.of(1))
    const zero = new Uint8Array(32)
    const ofZero = p256.sign(zero, one.secret, { prehash: false, lowS: false })
    expect(verifyP256(zero, ofZero.subarray(0, 32), ofZero.subarray(32), one.key)).toBe(true)
    // With s = r: u2 = 1, and u2·Q is the key itself.
    const hash = new Uint8Array(sha256(zero))
    const r = new Uint8Array(sha256(hash))
    const isSigned = p256.verify(concatBytes(r, r), hash, one.encoded, {
      prehash: false,
      lowS: false,
    })
    expect(verifyP256(hash, r, r, one.key)).toBe(isSigned)
    for (const bad of [zero, word(n)]) {
      expect(verifyP256(hash, bad, r, one.key)).toBe(false)
      expect(verifyP256(hash, r, bad, one.key)).toBe(false)
    }
    expect(verifyP256(hash, r, r, { x: zero, y: zero })).toBe(false)
    expect(verifyP256(hash, r, r, { x: word(p), y: word(1n) })).toBe(false)
    expect(verifyP256(hash, r, r, { x: one.key.x, y: one.key.x })).toBe(false)
  })
})

function outcomeOf(run: () => boolean): boolean {
  try {
    return run()
  } catch {
    return false
  }
}

describe('modular powers (EIP-7823, 7883)', () => {
  const modexp = precompile('05')
  const call = (base: Uint8Array, exponent: Uint8Array, modulus: Uint8Array) => {
    const lengths = [base, exponent, modulus].map(({ length }) => word(BigInt(length)))
    return modexp(concatBytes(...lengths, base, exponent, modulus))
  }
  const number = fc.uint8Array({ maxLength: 80 })

  it('are right', () => {
    fc.assert(
      fc.property(number, number, number, (base, exponent, modulus) => {
        const [b, e, m] = [base, exponent, modulus].map(bigintFromBytes) as [bigint, bigint, bigint]
        const power = m === 0n ? 0n : slowPower(b, e, m)
        const { returnValue } = call(base, exponent, modulus)
        expect(toHex(returnValue)).toBe(
          modulus.length === 0 ? '' : toHex(bigintToBytes(power, modulus.length)),
        )
      }),
      { numRuns: 60 },
    )
  })

  it('beyond 1024 bytes all gas is gone; input that ends early reads as zeros', () => {
    const long = concatBytes(word(1025n), word(1n), word(1n))
    expect(modexp(long).exceptionError?.error).toBe(EVMError.errorMessages.OUT_OF_GAS)
    const short = concatBytes(word(1n), word(1n), word(2n), Uint8Array.of(3, 2))
    expect(toHex(modexp(short).returnValue)).toBe('0000')
  })

  it('cost what the EIP says', () => {
    expect(modexpGas(32, new Uint8Array(1))).toBe(500n)
    expect(modexpGas(32, new Uint8Array(32).fill(0xff))).toBe(4_080n)
    expect(modexpGas(64, hexBytes('10001'.padStart(6, '0')))).toBe(2_048n)
    expect(modexpGas(64, new Uint8Array(64).fill(0xff))).toBe(98_176n)
  })
})

it('RIPEMD-160 is padded to a word', () => {
  const data = new Uint8Array(100).fill(7)
  const { executionGasUsed, returnValue } = precompile('03')(data)
  expect(toHex(returnValue)).toBe(toHex(ripemd160(data)).padStart(64, '0'))
  expect(executionGasUsed).toBe(1_080n)
})

it('every precompile of Osaka is there', () => {
  const last = [0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x100]
  const addresses = [1, 2, 3, 4, 5, 6, 7, 8, 9, ...last].map((at) =>
    at.toString(16).padStart(40, '0'),
  )
  expect([...chain.evm.precompiles.keys()].sort()).toEqual(addresses.sort())
})

function precompile(address: string) {
  const run = chain.evm.precompiles.get(address.padStart(40, '0')) as PrecompileFunc
  return (data: Uint8Array) =>
    run({ data, gasLimit: 10n ** 9n, common: chain.evm.common, _EVM: chain.evm }) as Exclude<
      ReturnType<PrecompileFunc>,
      Promise<unknown>
    >
}

function slowPower(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [power, square] = [1n % modulus, base % modulus]
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) power = (power * square) % modulus
    square = (square * square) % modulus
  }
  return power
}
