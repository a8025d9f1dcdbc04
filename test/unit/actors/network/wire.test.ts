import fc from 'fast-check'
import { pointsOf, punished, take } from '../../../../actors/network/conduct.ts'
import { dialBackoffMs, peerOfAddress } from '../../../../actors/network/dialing.ts'
import { DEFAULT_LIMITS, MAX_RANGE_BLOCKS } from '../../../../actors/network/limits.ts'
import { NOTHING_RECENT, noted, toldAt } from '../../../../actors/network/recent.ts'
import {
  decodeApprovedClaim,
  decodeConsensus,
  decodeHeadFrame,
  decodePoint,
  decodePruned,
  decodeRange,
  decodeRangeRequest,
  decodeStatus,
  encodeApprovedClaim,
  encodeHeadFrame,
  encodePoint,
  encodePruned,
  encodeRange,
  encodeRangeRequest,
  encodeStatus,
  isHeadFrame,
} from '../../../../actors/network/wire.ts'
import {
  CommittedBlockType,
  encodeConsensusMessage,
  MemberApprovalType,
  PegInClaimType,
} from '../../../../core/block/index.ts'
import { sha256 } from '../../../../crypto/index.ts'
import { chainOfBlocks, voteOf } from '../chain-of-blocks.ts'

const hash = new Uint8Array(32).fill(3)

describe('codecs of the wire (C-7)', () => {
  it('decode what they encoded', () => {
    const point = { height: 2 ** 40 + 5, hash }
    expect(decodePoint(encodePoint(point))).toEqual(point)
    expect(decodeHeadFrame(encodeHeadFrame(point))).toEqual(point)
    expect(isHeadFrame(encodeHeadFrame(point))).toBe(true)
    const status = { genesisHash: hash, ...point }
    expect(decodeStatus(encodeStatus(status))).toEqual(status)
    const range = { from: 1_000, count: 101 }
    expect(decodeRangeRequest(encodeRangeRequest(range))).toEqual(range)
    const pruned = encodePruned(1_541)
    expect([decodePruned(pruned), decodeRange(pruned, 128)]).toEqual([1_541, undefined])
    expect(decodePruned(encodeRange([]))).toBeUndefined()
    const blocks = chainOfBlocks(7, 11)
    const decoded = decodeRange(encodeRange(blocks), 5)
    expect(decoded?.map((block) => CommittedBlockType.serialize(block))).toEqual(
      blocks.map((block) => CommittedBlockType.serialize(block)),
    )
    const approved = {
      claim: PegInClaimType.defaultValue(),
      approval: MemberApprovalType.defaultValue(),
    }
    expect(decodeApprovedClaim(encodeApprovedClaim(approved))).toMatchObject({
      claim: { vout: 0 },
    })
  })

  it('no consensus message looks like a head', () => {
    expect(isHeadFrame(encodeConsensusMessage(voteOf(1, 0)))).toBe(false)
  })

  it('no bytes make a decoder throw', () => {
    const decoders = [
      decodePoint,
      decodeStatus,
      decodeHeadFrame,
      decodePruned,
      decodeRangeRequest,
      decodeApprovedClaim,
      decodeConsensus,
      (bytes: Uint8Array) => decodeRange(bytes, 128),
    ]
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const decode of decoders) decode(bytes)
      }),
    )
  })

  it('a range that was changed in one byte decodes to other blocks or not at all', () => {
    const encoded = encodeRange(chainOfBlocks(1, 2))
    fc.assert(
      fc.property(fc.nat(encoded.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Uint8Array.from(encoded)
        changed[at] = (changed[at] as number) ^ flip
        const decoded = decodeRange(changed, 2)
        if (decoded !== undefined) expect(encodeRange(decoded)).toEqual(changed)
      }),
    )
  })

  it('refuses counts above what was asked for, and heights that are no integers here (SY-6)', () => {
    expect(decodeRange(encodeRange(chainOfBlocks(1, 3)), 2)).toBeUndefined()
    expect(decodeRangeRequest(encodeRangeRequest({ from: 1, count: 0 }))).toBeUndefined()
    const many = { from: 1, count: MAX_RANGE_BLOCKS + 1 }
    expect(decodeRangeRequest(encodeRangeRequest(many))).toBeUndefined()
    const huge = new Uint8Array(40)
    huge[7] = 0x80
    expect(decodePoint(huge)).toBeUndefined()
  })
})

describe('reconnection', () => {
  it('waits 1 s, then twice as long each time, up to 60 s, moved by at most a tenth', () => {
    const waits = [1, 2, 3, 6, 7, 50].map((failures) => dialBackoffMs(failures, 0.5))
    expect(waits).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000])
    expect(dialBackoffMs(1, 0)).toBe(900)
    expect(dialBackoffMs(50, 0.999999)).toBe(66_000)
  })

  it('finds the peer at the end of an address', () => {
    expect(peerOfAddress('/ip4/1.2.3.4/tcp/30303/p2p/12D3KooWabc')).toBe('12D3KooWabc')
    expect(peerOfAddress('/ip4/1.2.3.4/tcp/30303')).toBeUndefined()
  })
})

describe('conduct', () => {
  it('a bucket holds its burst and refills with time', () => {
    const rate = { perSecond: 10, burst: 2 }
    const once = take({}, 'consensus', rate, 1, 0)
    const twice = take(once ?? {}, 'consensus', rate, 1, 0)
    expect(twice).toBeDefined()
    expect(take(twice ?? {}, 'consensus', rate, 1, 50)).toBeUndefined()
    expect(take(twice ?? {}, 'consensus', rate, 1, 100)).toBeDefined()
    expect(take(twice ?? {}, 'consensus', rate, 3, 1e9)).toBeUndefined()
  })

  it('three lies of 34 points are a ban, and points fade', () => {
    let penalties = new Map() as Parameters<typeof punished>[0]
    for (let lie = 0; lie < 3; lie += 1) {
      penalties = punished(penalties, 'p', 34, DEFAULT_LIMITS, 1_000)
    }
    expect(pointsOf(penalties, 'p', DEFAULT_LIMITS, 1_000)).toBeGreaterThanOrEqual(
      DEFAULT_LIMITS.banPoints,
    )
    expect(pointsOf(penalties, 'p', DEFAULT_LIMITS, 61_000)).toBe(92)
    expect(pointsOf(penalties, 'p', DEFAULT_LIMITS, 3_600_000)).toBe(0)
  })

  it('remembers a bounded number of peers and messages', () => {
    let penalties = new Map() as Parameters<typeof punished>[0]
    for (let peer = 0; peer < 2_000; peer += 1) {
      penalties = punished(penalties, `p${peer}`, 1, DEFAULT_LIMITS, 0)
    }
    expect(penalties.size).toBe(1_024)
    let recent = NOTHING_RECENT
    for (let index = 0; index < 10_000; index += 1) {
      recent = noted(recent, sha256(Uint8Array.of(index, index >> 8)), index)
    }
    expect(recent.reduce((sum, bucket) => sum + bucket.size, 0)).toBeLessThanOrEqual(256 * 16)
    expect(toldAt(recent, sha256(Uint8Array.of(9_999, 9_999 >> 8)))).toBe(9_999)
  })
})
