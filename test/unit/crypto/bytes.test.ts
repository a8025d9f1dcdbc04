import {
  bigintFromBytes,
  bigintToBytes,
  compareBytes,
  concatBytes,
  equalBytes,
  fromDisplayHash,
  fromHex,
  hexBytes,
  reversed,
  toDisplayHash,
  toHex,
  uint32be,
  uint64be,
} from '../../../crypto/index.ts'

describe('bytes and their texts', () => {
  it('hex goes both ways, with and without 0x, in either case', () => {
    expect(toHex(Uint8Array.of(0, 1, 0xab, 0xff))).toBe('0001abff')
    expect(fromHex('0001abff')).toEqual(Uint8Array.of(0, 1, 0xab, 0xff))
    expect(fromHex('0x0001ABff')).toEqual(Uint8Array.of(0, 1, 0xab, 0xff))
    expect(fromHex('')).toEqual(new Uint8Array(0))
  })

  it('C-7: what is no hex is undefined, or a bug where it was known to be', () => {
    for (const text of ['0', 'abc', 'zz', '0x0', '0x0xab', ' ab', 'ab\n', 'ａｂ']) {
      expect(fromHex(text)).toBeUndefined()
      expect(() => hexBytes(text)).toThrow('not hex')
    }
  })

  it('hex of a view is that of the view alone', () => {
    expect(toHex(Uint8Array.of(1, 2, 3, 4).subarray(1, 3))).toBe('0203')
  })

  it('order is lexicographic and a prefix comes first', () => {
    const sorted = ['', '00', '0000', '0001', '01', '7f', '80', 'ff', 'ff00'].map(hexBytes)
    for (const [left, a] of sorted.entries()) {
      for (const [right, b] of sorted.entries()) {
        expect(Math.sign(compareBytes(a, b))).toBe(Math.sign(left - right))
        expect(equalBytes(a, b)).toBe(left === right)
      }
    }
  })

  it('Bitcoin’s hashes are reversed for display, and only 32 bytes are one', () => {
    const display = `00${'11'.repeat(30)}22`
    const internal = fromDisplayHash(display)
    expect(internal[0]).toBe(0x22)
    expect(toDisplayHash(internal)).toBe(display)
    expect(() => fromDisplayHash('00')).toThrow('32-byte')
    const bytes = Uint8Array.of(1, 2, 3)
    expect(reversed(bytes)).toEqual(Uint8Array.of(3, 2, 1))
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('§7: integers in hashed concatenations are big endian', () => {
    expect(toHex(uint32be(0x01020304))).toBe('01020304')
    expect(toHex(uint64be(0x01020304))).toBe('0000000001020304')
    expect(toHex(uint64be(Number.MAX_SAFE_INTEGER))).toBe('001fffffffffffff')
    expect(toHex(uint64be(2n ** 64n - 1n))).toBe('ffffffffffffffff')
  })

  it('an integer in a fixed width fits or is a bug', () => {
    expect(toHex(bigintToBytes(258n, 4))).toBe('00000102')
    expect(bigintToBytes(2n ** 256n - 1n, 32)).toEqual(new Uint8Array(32).fill(0xff))
    expect(() => bigintToBytes(2n ** 256n, 32)).toThrow('does not fit')
    expect(() => bigintToBytes(-1n, 32)).toThrow('does not fit')
    expect(bigintFromBytes(hexBytes('0102'))).toBe(258n)
    expect(bigintFromBytes(new Uint8Array(0))).toBe(0n)
  })

  it('concatenation copies', () => {
    const part = Uint8Array.of(1)
    const whole = concatBytes(part, new Uint8Array(0), Uint8Array.of(2, 3))
    part[0] = 9
    expect(whole).toEqual(Uint8Array.of(1, 2, 3))
    expect(concatBytes()).toEqual(new Uint8Array(0))
  })
})
