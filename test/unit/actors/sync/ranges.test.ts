import fc from 'fast-check'
import { assigned, createEpisode, extended, withPeers } from '../../../../actors/sync/episode.ts'
import { DEFAULT_LIMITS, MAX_BATCH_BLOCKS } from '../../../../actors/sync/limits.ts'
import { above, checkBlocks, planRanges } from '../../../../actors/sync/ranges.ts'
import { chainOfBlocks } from '../chain-of-blocks.ts'

describe('ranges', () => {
  it("the seed's example: tip + 1 = 1000 and three peers give 1000–1100, 1101–1200, 1201–1300 (SY-1)", () => {
    const ranges = planRanges(1_000, 1_300, 100).map(({ from, to }) => [from, to])
    expect(ranges).toEqual([
      [1_000, 1_100],
      [1_101, 1_200],
      [1_201, 1_300],
    ])
  })

  it('are disjoint and complete, whatever is missing (SY-1)', () => {
    const any = fc.tuple(fc.nat(10_000), fc.nat(2_000), fc.integer({ min: 1, max: 127 }))
    fc.assert(
      fc.property(any, ([from, more, length]) => {
        let next = from
        for (const range of planRanges(from, from + more, length)) {
          expect(range.from).toBe(next)
          expect(range.to).toBeGreaterThanOrEqual(range.from)
          expect(range.to - range.from + 1).toBeLessThanOrEqual(MAX_BATCH_BLOCKS)
          next = range.to + 1
        }
        expect(next).toBe(from + more + 1)
      }),
    )
  })

  it('above a height nothing is lost and nothing below it is left', () => {
    const ranges = planRanges(1, 300, 100)
    for (const height of [0, 1, 50, 101, 102, 299, 300]) {
      const left = above(ranges, height)
      expect(left[0]?.from ?? 301).toBe(height + 1)
      expect(left.at(-1)?.to ?? 300).toBe(300)
    }
  })

  it('consecutive linked blocks pass, others name what is wrong (SY-4)', () => {
    const blocks = chainOfBlocks(5, 9)
    const range = { from: 5, to: 10 }
    expect(checkBlocks(blocks, range)).toBeUndefined()
    expect(checkBlocks(blocks, { from: 5, to: 8 })).toBe('TooManyBlocks')
    expect(checkBlocks(blocks, { from: 4, to: 10 })).toBe('WrongHeight')
    expect(checkBlocks([...blocks.slice(0, 2), ...chainOfBlocks(7, 9)], range)).toBe('BrokenLink')
  })
})

describe('assignment', () => {
  const source = fc.record({ height: fc.nat(3_000), resting: fc.boolean(), failed: fc.boolean() })

  it('gives the lowest missing range an owner whenever a peer may have it, within all limits', () => {
    fc.assert(
      fc.property(fc.array(source, { minLength: 1, maxLength: 8 }), (given) => {
        const peers = given.map(({ height }, index) => ({ peer: `p${index}`, height }))
        let episode = withPeers(createEpisode(100, 0), peers)
        for (const [index, { resting }] of given.entries()) {
          const peer = `p${index}`
          const known = episode.sources.get(peer)
          if (known === undefined || !resting) continue
          const sources = new Map(episode.sources).set(peer, { ...known, restUntilMs: 5_000 })
          episode = { ...episode, sources }
        }
        episode = extended(episode, DEFAULT_LIMITS)
        const failed = given.flatMap((peer, index) => (peer.failed ? [`p${index}`] : []))
        episode = { ...episode, ranges: episode.ranges.map((range) => ({ ...range, failed })) }
        const { episode: after, assignments } = assigned(episode, DEFAULT_LIMITS, 1_000)
        const someoneHasIt = peers.some(({ height }) => height > 100)
        expect(after.ranges[0]?.owner !== undefined).toBe(someoneHasIt)
        expect(assignments.length).toBeLessThanOrEqual(DEFAULT_LIMITS.requests)
        for (const { peer, from } of assignments) {
          const claim = peers.find((each) => each.peer === peer)?.height ?? 0
          expect(claim).toBeGreaterThanOrEqual(from)
          const load = assignments.filter((each) => each.peer === peer).length
          expect(load).toBeLessThanOrEqual(DEFAULT_LIMITS.requestsPerPeer)
        }
      }),
    )
  })
})
