import type { Block, ConsensusMessage, Evidence } from '../../../../core/block/index.ts'
import { EVIDENCE_PHASES } from '../../../../core/block/index.ts'
import { EMPTY_GUARD } from '../../../../core/guard/index.ts'
import { evidenceKey, verifyEvidence } from '../../../../core/pbft/index.ts'
import { equalBytes, toHex } from '../../../../crypto/index.ts'
import { Desk, freshBlock, HEIGHT, only, PARENT_HASH, PARENT_SLOT } from './desk.ts'
import {
  blockOf,
  certificateBy,
  fakeSuite,
  GENESIS_HASH,
  hashOf,
  keyOf,
  proposalBy,
  validatorsOf,
  voteBy,
} from './fixtures.ts'

const A = freshBlock(0)
const B = freshBlock(0, 7)

function started(): Desk {
  const desk = new Desk({ self: 0 })
  desk.start()
  return desk
}

/** All evidence so far, each piece checked as a third party would. */
function found(desk: Desk): string[] {
  return only(desk.log, 'evidence').map(({ evidence }) => {
    expect(verifyEvidence(fakeSuite, GENESIS_HASH, evidence).kind).toBe('valid')
    return described(evidence)
  })
}

function firstOf(desk: Desk): Evidence {
  const [first] = only(desk.log, 'evidence')
  if (first === undefined) throw new Error('nobody was convicted')
  return first.evidence
}

function described({ phase, validator, round, first }: Evidence): string {
  const position = validatorsOf(4).findIndex(({ blsKey }) => equalBytes(blsKey, validator))
  return `${EVIDENCE_PHASES[phase]} ${first.height} ${round} by ${position}`
}

function decided(desk: Desk, block: Block): void {
  const certificate = certificateBy([0, 1, 2], 4, 'commit', HEIGHT, 0, hashOf(block))
  desk.hear({ kind: 'committedBlock', value: { block, certificate } })
  desk.found(block)
}

function nextHeight(desk: Desk, parent: Block): void {
  const context = {
    height: HEIGHT + 1,
    parentHash: hashOf(parent),
    parentSlot: parent.header.slot,
    validators: validatorsOf(4),
  }
  desk.tell({ kind: 'startHeight', context, guard: EMPTY_GUARD, nowMs: desk.nowMs })
}

const vote = (by: number, block: Block, height = HEIGHT, view = 0): ConsensusMessage =>
  voteBy(by, 'commit', height, view, hashOf(block))

describe('who signs twice is convicted, once (2.9, BP-17, BF-11)', () => {
  it('for two proposals of a view to come, and of one that is past', () => {
    const desk = started()
    for (const salt of [0, 1, 2]) desk.hear(proposalBy(3, 2, freshBlock(2, salt)))
    expect(found(desk)).toEqual([`proposal ${HEIGHT} 2 by 3`])
    desk.hear(proposalBy(1, 0, A))
    desk.clock(desk.startOf(5))
    desk.hear(proposalBy(1, 0, B))
    expect(found(desk).slice(1)).toEqual([`proposal ${HEIGHT} 0 by 1`])
  })

  it('although the first of them was no possible block', () => {
    const desk = started()
    const slot = A.header.slot
    const orphan = blockOf({ height: HEIGHT, slot, parentHash: hashOf(B), author: 1 })
    desk.hear(proposalBy(1, 0, orphan))
    desk.hear(proposalBy(1, 0, A))
    expect(found(desk)).toEqual([`proposal ${HEIGHT} 0 by 1`])
    expect(only(desk.log, 'validate')).toHaveLength(1)
  })

  it('for two votes of a view to come', () => {
    const desk = started()
    for (const block of [A, B, freshBlock(0, 8)]) desk.hear(vote(2, block, HEIGHT, 4))
    expect(found(desk)).toEqual([`commit ${HEIGHT} 4 by 2`])
  })

  it('for two votes, or two proposals, of a height to come', () => {
    const desk = started()
    for (const block of [A, B, freshBlock(0, 8)]) desk.hear(vote(2, block, HEIGHT + 1))
    const slot = PARENT_SLOT + 2
    for (const salt of [0, 1, 2]) {
      const block = blockOf({
        height: HEIGHT + 1,
        slot,
        parentHash: hashOf(A),
        author: slot % 4,
        salt,
      })
      desk.hear(proposalBy(slot % 4, 0, block))
    }
    expect(found(desk)).toEqual([
      `commit ${HEIGHT + 1} 0 by 2`,
      `proposal ${HEIGHT + 1} 0 by ${slot % 4}`,
    ])
  })

  it('for a vote that comes after the height was decided, and after the next began', () => {
    const desk = started()
    desk.hear(vote(3, A))
    desk.hear(vote(2, A))
    decided(desk, A)
    desk.hear(vote(3, B))
    nextHeight(desk, A)
    desk.hear(vote(2, B))
    desk.hear(vote(2, freshBlock(0, 8)))
    expect(found(desk)).toEqual([`commit ${HEIGHT} 0 by 3`, `commit ${HEIGHT} 0 by 2`])
  })

  it('for a proposal that comes after the height was decided', () => {
    const desk = started()
    desk.hear(proposalBy(1, 0, A))
    decided(desk, A)
    nextHeight(desk, A)
    desk.hear(proposalBy(1, 0, B))
    desk.hear(proposalBy(1, 0, freshBlock(0, 8)))
    expect(found(desk)).toEqual([`proposal ${HEIGHT} 0 by 1`])
  })

  it('for two blocks of a slot, one of which a quorum prepared', () => {
    const desk = started()
    desk.hear(proposalBy(1, 0, A))
    desk.clock(desk.startOf(1))
    const certificate = certificateBy([1, 2, 3], 4, 'prepare', HEIGHT, 0, hashOf(B))
    desk.hear(proposalBy(2, 1, B, certificate))
    expect(found(desk)).toEqual([`block ${HEIGHT} ${A.header.slot} by 1`])
    const third = freshBlock(0, 8)
    const later = certificateBy([1, 2, 3], 4, 'prepare', HEIGHT, 1, hashOf(third))
    desk.clock(desk.startOf(2))
    desk.hear(proposalBy(3, 2, third, later))
    expect(found(desk)).toHaveLength(1)
  })

  it('for two blocks of a slot at two heights', () => {
    const desk = started()
    const late = freshBlock(2)
    desk.clock(desk.startOf(2))
    desk.hear(proposalBy(3, 2, late))
    decided(desk, A)
    nextHeight(desk, A)
    const { slot } = late.header
    const twin = blockOf({ height: HEIGHT + 1, slot, parentHash: hashOf(A), author: 3 })
    desk.hear(proposalBy(3, 1, twin))
    const evidence = firstOf(desk)
    expect(found(desk)).toHaveLength(1)
    expect([evidence.phase, evidence.round]).toEqual([3, slot])
    expect([evidence.first.height, evidence.second.height].sort()).toEqual([HEIGHT, HEIGHT + 1])
  })

  it('and by one key, whichever two of its hashes are shown', () => {
    const keyAfter = (blocks: readonly Block[]) => {
      const desk = started()
      for (const block of blocks) desk.hear(vote(2, block))
      return toHex(evidenceKey(firstOf(desk)))
    }
    const C = freshBlock(0, 8)
    expect(keyAfter([A, B])).toBe(keyAfter([C, A]))
  })
})

describe('who does not sign twice is not convicted (2.9)', () => {
  it('for a block that is proposed again in a later view (BP-17)', () => {
    const desk = started()
    desk.hear(proposalBy(1, 0, A), 'peer', true)
    desk.clock(desk.startOf(1))
    const certificate = certificateBy([1, 2, 3], 4, 'prepare', HEIGHT, 0, hashOf(A))
    desk.hear(proposalBy(2, 1, A, certificate), 'peer', true)
    decided(desk, A)
    expect(found(desk)).toEqual([])
  })

  it('by what is forged, in the present, the future and the past (T3)', () => {
    const forged = (message: ConsensusMessage): ConsensusMessage =>
      ({
        ...message,
        value: { ...message.value, signature: new Uint8Array(96) },
      }) as ConsensusMessage
    const desk = started()
    for (const at of [HEIGHT, HEIGHT + 1]) {
      desk.hear(vote(2, A, at, 4))
      desk.hear(forged(vote(2, B, at, 4)), 'mallory')
    }
    desk.hear(proposalBy(1, 0, A))
    desk.hear(forged(proposalBy(1, 0, B)), 'mallory')
    decided(desk, A)
    nextHeight(desk, A)
    desk.hear(forged(proposalBy(1, 0, B)), 'mallory')
    desk.hear(forged(vote(2, B, HEIGHT, 4)), 'mallory')
    expect(found(desk)).toEqual([])
  })

  it('for its blocks of two slots, nor for the block of a stranger', () => {
    const desk = started()
    desk.hear(proposalBy(1, 0, A))
    desk.hear(proposalBy(1, 4, freshBlock(4)))
    for (const salt of [0, 1]) {
      const { slot } = A.header
      const stranger = blockOf({ height: HEIGHT, slot, parentHash: PARENT_HASH, author: 9, salt })
      desk.hear(proposalBy(9, 0, stranger))
    }
    expect(found(desk)).toEqual([])
    expect(equalBytes(A.header.author, keyOf(1))).toBe(true)
  })
})
