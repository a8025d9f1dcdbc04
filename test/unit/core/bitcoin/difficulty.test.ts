import {
  bitsFromTarget,
  headerHash,
  medianTime,
  meetsProofOfWork,
  nextBits,
  parseHeader,
  serializeHeader,
  targetFromBits,
  workOfBits,
} from '../../../../core/bitcoin/index.ts'
import { hexBytes, toDisplayHash } from '../../../../crypto/index.ts'

const MAIN = { powLimitBits: 0x1d00ffff, noRetargeting: false, allowMinDifficulty: false }
const TEST = { ...MAIN, allowMinDifficulty: true }
const REGTEST = { powLimitBits: 0x207fffff, noRetargeting: true, allowMinDifficulty: true }

/** Bitcoin's block 0. */
const GENESIS = hexBytes(
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c',
)

describe('headers', () => {
  it("Bitcoin's first header decodes, hashes and meets its proof of work", () => {
    const header = parseHeader(GENESIS)
    if (!header.ok) throw new Error(header.error.reason)
    expect(header.value).toMatchObject({ version: 1, time: 1231006505, bits: 0x1d00ffff })
    expect(serializeHeader(header.value)).toEqual(GENESIS)
    const hash = headerHash(GENESIS)
    expect(toDisplayHash(hash)).toBe(
      '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
    )
    expect(meetsProofOfWork(hash, 0x1d00ffff, 0x1d00ffff)).toBe(true)
    expect(meetsProofOfWork(hash, 0x1b00ffff, 0x1d00ffff)).toBe(false)
    expect(meetsProofOfWork(hash, 0x207fffff, 0x1d00ffff)).toBe(false)
  })

  it('anything but 80 bytes is no header', () => {
    expect(parseHeader(GENESIS.subarray(0, 79)).ok).toBe(false)
    expect(parseHeader(new Uint8Array(81)).ok).toBe(false)
  })
})

describe('the compact form of targets (Core, arith_uint256_tests)', () => {
  it.each([
    [0x00123456, undefined],
    [0x01003456, undefined],
    [0x02000056, undefined],
    [0x01123456, 0x12n],
    [0x02123456, 0x1234n],
    [0x03123456, 0x123456n],
    [0x04123456, 0x12345600n],
    [0x04923456, undefined],
    [0x05009234, 0x92340000n],
    [0x20123456, 0x123456n << 232n],
    [0xff123456, undefined],
  ])('%#x', (bits, target) => {
    expect(targetFromBits(bits)).toBe(target)
  })

  it.each([
    [0x12n, 0x01120000],
    [0x80n, 0x02008000],
    [0x1234n, 0x02123400],
    [0x92340000n, 0x05009234],
    [0x123456n << 232n, 0x20123456],
  ])('%s encodes', (target, bits) => {
    expect(bitsFromTarget(target)).toBe(bits)
  })

  it('work is 2^256 / (target + 1), and nothing for bits without a target', () => {
    expect(workOfBits(0x207fffff)).toBe(2n)
    expect(workOfBits(0x1d00ffff)).toBe(0x100010001n)
    expect(workOfBits(0x04923456)).toBe(0n)
  })
})

describe("the next header's bits (Core, pow_tests)", () => {
  it.each([
    ['an ordinary retarget', 1261130161, 32255, 1262152739, 0x1d00ffff, 0x1d00d86a],
    ['the limit of proof of work', 1231006505, 2015, 1233061996, 0x1d00ffff, 0x1d00ffff],
    ['a quarter at the least', 1279008237, 68543, 1279297671, 0x1c05a3f4, 0x1c0168fd],
    ['four times at the most', 1263163443, 46367, 1269211443, 0x1c387f6f, 0x1d00e1fd],
  ])('%s', (_, periodTime, height, time, bits, expected) => {
    const parent = { height, time, bits, periodTime, periodBits: bits }
    expect(nextBits(MAIN, parent, time + 600)).toBe(expected)
  })

  const parent = {
    height: 100,
    time: 5000,
    bits: 0x1d00ffff,
    periodTime: 0,
    periodBits: 0x1c05a3f4,
  }

  it('within a period main keeps the bits', () => {
    expect(nextBits(MAIN, { ...parent, bits: 0x1c05a3f4 }, 9999)).toBe(0x1c05a3f4)
  })

  it("test allows the limit after twenty minutes, and else goes on with the period's bits", () => {
    expect(nextBits(TEST, parent, 5000 + 1201)).toBe(0x1d00ffff)
    expect(nextBits(TEST, parent, 5000 + 1200)).toBe(0x1c05a3f4)
  })

  it('regtest never retargets', () => {
    const last = { height: 2015, time: 9, bits: 0x207fffff, periodTime: 0, periodBits: 0x207fffff }
    expect(nextBits(REGTEST, last, 10)).toBe(0x207fffff)
  })

  it('the median of an even count is the upper one, as in Core', () => {
    expect(medianTime([5, 1, 9, 7])).toBe(7)
    expect(medianTime([3])).toBe(3)
  })
})
