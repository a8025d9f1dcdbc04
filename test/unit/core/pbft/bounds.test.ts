/** BF-8: what a driver holds is bounded by n, whatever heights and views come; forged messages displace nothing (T3). */
import type { ConsensusMessage } from '../../../../core/block/index.ts'
import {
  MAX_HEIGHTS_AHEAD,
  MAX_VIEWS_AHEAD,
  MAX_VIEWS_BEHIND,
} from '../../../../core/pbft/index.ts'
import { sha256 } from '../../../../crypto/index.ts'
import { Desk, freshBlock, HEIGHT } from './desk.ts'
import { hashOf, viewChangeBy, voteBy } from './fixtures.ts'

const N = 100
const VIEWS = [0, 1, 5, 8, 9, 10, 100, 2 ** 20, 2 ** 32, 2 ** 52]
const HEIGHTS = [HEIGHT - 9, HEIGHT - 1, HEIGHT, HEIGHT + 1, HEIGHT + 2, HEIGHT + 3, 2 ** 40]
/** Fewer than f + 1: the view stays. */
const VOTERS = Array.from({ length: 15 }, (_, at) => 1 + 6 * at)
const HASHES = [1, 2, 3].map((one) => sha256(Uint8Array.of(one)))

function flooded(forged: boolean): Desk {
  const desk = new Desk({ self: 0, n: N })
  desk.start()
  const spoil = (message: ConsensusMessage): ConsensusMessage => {
    if (forged && 'signature' in message.value) {
      const signature = new Uint8Array(96).fill(1)
      return { ...message, value: { ...message.value, signature } } as ConsensusMessage
    }
    return message
  }
  for (const voter of VOTERS) {
    for (const height of HEIGHTS) {
      for (const view of VIEWS) {
        desk.hear(spoil(viewChangeBy(voter, height, view)), `peer${voter}`)
        for (const hash of HASHES) {
          for (const phase of ['prepare', 'commit'] as const) {
            desk.hear(spoil(voteBy(voter, phase, height, view, hash)), `peer${voter}`)
          }
        }
      }
    }
  }
  return desk
}

describe('a driver of a hundred validators under a flood of heights and views', () => {
  it('holds a bounded number of votes, views, messages for later and answers (BF-8)', () => {
    const { height, future, answers } = flooded(false).state
    const votes = height?.votes
    const kept = [...(votes?.views.keys() ?? [])]
    expect(kept.every((view) => view <= (height?.view ?? 0) + MAX_VIEWS_AHEAD)).toBe(true)
    expect(kept.length).toBeLessThanOrEqual(MAX_VIEWS_AHEAD + MAX_VIEWS_BEHIND + 1)
    for (const { prepare, commit } of votes?.views.values() ?? []) {
      expect(Math.max(prepare.size, commit.size)).toBeLessThanOrEqual(N)
    }
    expect(votes?.viewChanges.size).toBeLessThanOrEqual(MAX_VIEWS_AHEAD + MAX_VIEWS_BEHIND + 1)
    expect(votes?.highestViews.size).toBeLessThanOrEqual(N)
    const perValidator = MAX_HEIGHTS_AHEAD * (MAX_VIEWS_AHEAD + 1) * 4
    expect(future.held.size).toBeLessThanOrEqual(VOTERS.length * perValidator)
    expect(future.heights.size).toBeLessThanOrEqual(N)
    expect(answers.counts.size).toBeLessThanOrEqual(256)
    // Some of all of it came through, or the bounds say nothing.
    expect(votes?.views.size).toBeGreaterThan(3)
    expect(future.held.size).toBeGreaterThan(100)
  })

  it('of forged ones keeps no view, no height and no word for later, and the genuine vote counts (T3, BF-8)', () => {
    const desk = flooded(true)
    const { height, future } = desk.state
    expect(future.held.size).toBe(0)
    expect(future.heights.size).toBe(0)
    expect(height?.votes.highestViews.size).toBe(0)
    expect(height?.view).toBe(0)
    const hash = hashOf(freshBlock(0, 0, N))
    desk.hear(voteBy(1, 'prepare', HEIGHT, 0, hash), 'honest', true)
    expect(desk.state.height?.votes.views.get(0)?.prepare.get(1)?.hash).toEqual(hash)
    expect(desk.log.some(({ kind }) => kind === 'evidence')).toBe(false)
  })
})
