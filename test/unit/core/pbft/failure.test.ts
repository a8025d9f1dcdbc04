/** Why a view failed, as the operator is told. */
import { invalid, unknown } from '../../../../core/params/index.ts'
import { snapshot, type ViewFailure } from '../../../../core/pbft/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { Desk, type DeskOptions, freshBlock, HEIGHT, only, proposerAt } from './desk.ts'
import { certificateBy, hashOf, keyOf, proposalBy, voteBy } from './fixtures.ts'

const block = freshBlock(0)
const name = (index: number) => toHex(keyOf(index))

/** A validator in view 0, whose proposer is validator 1; what `play` does, then the next view. */
function failureOf(play: (desk: Desk) => void, options: DeskOptions = { self: 0 }): ViewFailure {
  const desk = new Desk(options)
  desk.start()
  play(desk)
  const [failed, ...more] = only(desk.clock(desk.startOf(1)), 'viewFailed')
  if (failed === undefined || more.length > 0) throw new Error('not one view failed')
  return failed.failure
}

function hear(desk: Desk, phase: 'prepare' | 'commit', by: readonly number[]): void {
  for (const one of by) desk.hear(voteBy(one, phase, HEIGHT, 0, hashOf(block)), `peer${one}`)
}

describe('a view that is left without a decision', () => {
  it('tells who proposed, what was missing and how late', () => {
    const failure = failureOf((desk) => {
      desk.clock(desk.startOf(0) + 300)
      desk.hear(proposalBy(1, 0, block))
      desk.found(block)
      desk.clock(desk.startOf(0) + 700)
      hear(desk, 'prepare', [1, 2])
      hear(desk, 'commit', [2])
    })
    expect(failure).toEqual({
      height: HEIGHT,
      view: 0,
      proposer: name(1),
      reason: 'TooFewCommits',
      quorum: 3,
      prepares: 3,
      commits: 2,
      missing: [name(1), name(3)],
      proposalMs: 300,
      preparedMs: 700,
      lastedMs: 1_000,
    })
  })

  it.each<[string, Partial<ViewFailure>, (desk: Desk) => void]>([
    ['no proposal', { reason: 'NoProposal', missing: [name(1)], prepares: 0 }, () => {}],
    [
      'a proposal that it may not make',
      { reason: 'NoProposal' },
      (desk) => desk.hear(proposalBy(2, 0, block)),
    ],
    [
      'a quorum without the block',
      { reason: 'BodyMissing', prepares: 3, commits: 1, missing: [name(0), name(1), name(3)] },
      (desk) => {
        hear(desk, 'prepare', [1, 2, 3])
        hear(desk, 'commit', [2])
      },
    ],
    [
      'execution that did not end',
      { reason: 'NotExecuted' },
      (desk) => desk.hear(proposalBy(1, 0, block)),
    ],
    [
      'an engine that cannot decide',
      { reason: 'NotExecuted', code: 'NoEngine' },
      (desk) => {
        desk.hear(proposalBy(1, 0, block))
        const verdict = unknown('NoEngine', 60_000)
        desk.tell({ kind: 'validated', hash: hashOf(block), verdict })
      },
    ],
    [
      'an invalid block',
      { reason: 'Invalid', code: 'BadRoot' },
      (desk) => {
        desk.hear(proposalBy(1, 0, block))
        desk.tell({ kind: 'validated', hash: hashOf(block), verdict: invalid('BadRoot') })
      },
    ],
    [
      'an objection',
      { reason: 'Objection' },
      (desk) => {
        desk.hear(proposalBy(1, 0, block))
        desk.found(block, true)
      },
    ],
    [
      'Prepares of others',
      { reason: 'TooFewPrepares', prepares: 2, missing: [name(1), name(2)] },
      (desk) => {
        desk.hear(proposalBy(1, 0, block))
        desk.found(block)
        hear(desk, 'prepare', [3])
      },
    ],
  ])('for want of %s', (_, expected, play) => {
    expect(failureOf(play)).toMatchObject(expected)
  })

  it('for want of a block of our own, or of leave to sign', () => {
    const failed = failureOf(
      (desk) => desk.tell({ kind: 'buildFailed', height: HEIGHT, view: 0, code: 'EngineTimeout' }),
      { self: 1 },
    )
    expect(failed).toMatchObject({ reason: 'NotBuilt', code: 'EngineTimeout', missing: [name(1)] })
    const silent = failureOf(() => {}, { self: 1 })
    expect(silent).toMatchObject({ reason: 'NotBuilt' })
    expect(silent).not.toHaveProperty('code')
  })

  it('for the lock', () => {
    const desk = new Desk({ self: 0 })
    desk.start()
    desk.hear(proposalBy(1, 0, block))
    desk.found(block)
    hear(desk, 'prepare', [1, 2])
    desk.clock(desk.startOf(1))
    const other = freshBlock(1)
    desk.hear(proposalBy(proposerAt(1), 1, other))
    desk.found(other)
    const [failed] = only(desk.clock(desk.startOf(2)), 'viewFailed')
    expect(failed?.failure).toMatchObject({ view: 1, reason: 'Locked', prepares: 0 })
  })

  it('is told once, not for a height that is decided, and the last eight are kept', () => {
    const decided = new Desk({ self: 0 })
    decided.start()
    const certificate = certificateBy([1, 2, 3], 4, 'commit', HEIGHT, 0, hashOf(block))
    decided.hear({ kind: 'committedBlock', value: { block, certificate } })
    decided.found(block)
    expect(only(decided.clock(decided.startOf(1)), 'viewFailed')).toEqual([])

    const desk = new Desk({ self: 0 })
    desk.start()
    for (let view = 1; view <= 7; view++) desk.clock(desk.startOf(view))
    desk.clock(desk.startOf(7) + 10)
    desk.clock(desk.startOf(12))
    desk.clock(desk.startOf(13))
    expect(only(desk.log, 'viewFailed')).toHaveLength(9)
    const views = snapshot(desk.state)?.failures.map(({ view }) => view)
    expect(views).toEqual([1, 2, 3, 4, 5, 6, 7, 12])
  })
})
