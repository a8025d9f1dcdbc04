import {
  hexBytes,
  schnorrPublicKey,
  schnorrSign,
  schnorrVerify,
  toHex,
} from '../../../crypto/index.ts'

/** Rows 0, 1 and 3 of BIP340's table: secret key, public key, auxiliary, message, signature. */
const KNOWN = [
  [
    '0000000000000000000000000000000000000000000000000000000000000003',
    'f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000000',
    'e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca821525f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0',
  ],
  [
    'b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef',
    'dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659',
    '0000000000000000000000000000000000000000000000000000000000000001',
    '243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89',
    '6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de33418906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a',
  ],
  [
    '0b432b2677937381aef05bb02a66ecd012773062cf3fa2549e44f58ed2401710',
    '25d1dff95105f5253c4022f628a996ad3a0d95fbf21d468a1b33f8c160d8f517',
    'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    '7eb0509757e246f19449885651611cb965ecc1a187dd51b64fda1edc9637d5ec97582b9cb13db3933705b32ba982af5af25fd78881ebb32771fc5922efc66ea3',
  ],
].map((row) => row.map(hexBytes)) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array][]

describe('BIP340', () => {
  it('known answers: public key, signature, verification', () => {
    for (const [secretKey, publicKey, auxiliary, message, signature] of KNOWN) {
      expect(toHex(schnorrPublicKey(secretKey))).toBe(toHex(publicKey))
      expect(toHex(schnorrSign(secretKey, message, auxiliary))).toBe(toHex(signature))
      expect(schnorrVerify(publicKey, message, signature)).toBe(true)
    }
  })

  it('a bit changed in key, message or signature makes it none', () => {
    const [, publicKey, , message, signature] = KNOWN[1] as (typeof KNOWN)[0]
    const flip = (bytes: Uint8Array, at: number) =>
      Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte))
    for (const at of [0, 15, 31]) {
      expect(schnorrVerify(flip(publicKey, at), message, signature)).toBe(false)
      expect(schnorrVerify(publicKey, flip(message, at), signature)).toBe(false)
    }
    for (const at of [0, 31, 32, 63]) {
      expect(schnorrVerify(publicKey, message, flip(signature, at))).toBe(false)
    }
  })

  it('C-7: lengths and points that are none give false, never a throw', () => {
    const [, publicKey, , message, signature] = KNOWN[0] as (typeof KNOWN)[0]
    const odd = [new Uint8Array(0), new Uint8Array(31), new Uint8Array(32), new Uint8Array(33)]
    for (const bytes of [...odd, new Uint8Array(32).fill(0xff)]) {
      expect(schnorrVerify(bytes, message, signature)).toBe(false)
    }
    for (const bytes of [new Uint8Array(0), new Uint8Array(31), new Uint8Array(33)]) {
      expect(schnorrVerify(publicKey, bytes, signature)).toBe(false)
    }
    for (const length of [0, 63, 64, 65]) {
      expect(schnorrVerify(publicKey, message, new Uint8Array(length))).toBe(false)
    }
    expect(() => schnorrPublicKey(new Uint8Array(32))).toThrow()
  })
})
