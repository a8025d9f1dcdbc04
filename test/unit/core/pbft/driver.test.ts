import type {
  Block,
  CommittedBlock,
  ConsensusMessage,
  QuorumCertificate,
} from '../../../../core/block/index.ts'
import { encodeConsensusMessage } from '../../../../core/block/index.ts'
import { EMPTY_GUARD, foldGuard } from '../../../../core/guard/index.ts'
import { invalid, unknown } from '../../../../core/params/index.ts'
import { snapshot, step, viewStart } from '../../../../core/pbft/index.ts'
import {
  Desk,
  type DeskOptions,
  freshBlock,
  HEIGHT,
  kinds,
  only,
  PARENT_HASH,
  PARENT_SLOT,
  proposerAt,
  votesIn,
} from './desk.ts'
import {
  blockOf,
  certificateBy,
  countingSuite,
  hashOf,
  proposalBy,
  SLOT_MS,
  validatorsOf,
  viewChangeBy,
  voteBy,
} from './fixtures.ts'

/** A validator that does not propose in views 0 to 2, in view 0. */
function voter(options: DeskOptions = {}): Desk {
  const desk = new Desk({ self: 0, ...options })
  desk.start()
  return desk
}

function prepared(view: number, block: Block, voters = [1, 2, 3]): QuorumCertificate {
  return certificateBy(voters, 4, 'prepare', HEIGHT, view, hashOf(block))
}

function committed(view: number, block: Block, voters = [1, 2, 3]): QuorumCertificate {
  return certificateBy(voters, 4, 'commit', HEIGHT, view, hashOf(block))
}

function hearVotes(
  desk: Desk,
  phase: 'prepare' | 'commit',
  view: number,
  block: Block,
  by: number[],
) {
  return by.flatMap((one) =>
    desk.hear(voteBy(one, phase, HEIGHT, view, hashOf(block)), `peer${one}`),
  )
}

/** Brings the desk to a lock on `block` in view 0. */
function lock(desk: Desk, block: Block): void {
  desk.hear(proposalBy(1, 0, block))
  desk.found(block)
  hearVotes(desk, 'prepare', 0, block, [1, 2])
  expect(desk.guard.lock).toMatchObject({ view: 0, hash: hashOf(block) })
}

describe('a height in the good case', () => {
  it('goes from proposal to commit in one view (BF-3, BF-6)', () => {
    const desk = voter()
    const block = freshBlock(0)
    expect(kinds(desk.hear(proposalBy(1, 0, block)))).toEqual(['validate'])
    expect(votesIn(desk.found(block))).toEqual(['prepare 0'])
    expect(votesIn(hearVotes(desk, 'prepare', 0, block, [1, 2]))).toEqual(['commit 0'])
    const [commit, ...more] = only(hearVotes(desk, 'commit', 0, block, [1, 2, 3]), 'commit')
    expect(more).toEqual([])
    expect(commit?.certificate.bitmap.getTrueBitIndexes()).toEqual([0, 1, 2])
    expect(hashOf(commit?.block as Block)).toEqual(hashOf(block))
  })

  it('is committed by a single validator alone', () => {
    const desk = new Desk({ n: 1, self: 0 })
    const [build] = only(desk.start(), 'build')
    expect(build).toMatchObject({ height: HEIGHT, view: 0, slot: PARENT_SLOT + 1 })
    const block = freshBlock(0, 0, 1)
    desk.tell({ kind: 'built', height: HEIGHT, view: 0, block })
    expect(kinds(desk.found(block))).toContain('commit')
  })

  it('is proposed by its proposer at the first slot, once (BF-2, BF-3, BP-5)', () => {
    const desk = new Desk({ self: 1, nowMs: PARENT_SLOT * SLOT_MS + 10 })
    expect(kinds(desk.start())).toEqual(['wake'])
    expect(only(desk.clock(desk.startOf(0)), 'build')).toHaveLength(1)
    expect(only(desk.clock(desk.startOf(0) + 1), 'build')).toHaveLength(0)
    const block = freshBlock(0)
    const effects = desk.tell({
      kind: 'built',
      height: HEIGHT,
      view: 0,
      block: { ...block, signature: new Uint8Array(96) },
    })
    const [sent] = only(effects, 'broadcast')
    expect(sent?.message).toEqual(proposalBy(1, 0, block))
    expect(kinds(desk.tell({ kind: 'built', height: HEIGHT, view: 0, block }))).toEqual([])
    expect(only(voter().log, 'build')).toEqual([])
  })

  it('is followed by an observer that signs nothing', () => {
    const desk = new Desk()
    desk.start()
    const block = freshBlock(0)
    desk.hear(proposalBy(1, 0, block))
    desk.found(block)
    hearVotes(desk, 'prepare', 0, block, [1, 2, 3])
    hearVotes(desk, 'commit', 0, block, [1, 2, 3])
    expect(kinds(desk.log)).toContain('commit')
    expect(kinds(desk.log)).not.toContain('sign')
  })

  it('counts voting power, not heads (BF-1)', () => {
    const desk = voter({ powers: [1, 1, 1, 4] })
    const block = freshBlock(0)
    desk.hear(proposalBy(1, 0, block))
    desk.found(block)
    expect(votesIn(hearVotes(desk, 'prepare', 0, block, [1, 2]))).toEqual([])
    expect(votesIn(hearVotes(desk, 'prepare', 0, block, [3]))).toEqual(['commit 0'])
  })

  it('leaves the state that a step was given untouched', () => {
    const desk = voter()
    const before = desk.state
    const input = {
      kind: 'message',
      message: proposalBy(1, 0, freshBlock(0)),
      from: 'peer',
      nowMs: desk.nowMs,
    } as const
    const first = step(before, input)
    expect(step(before, input)).toEqual(first)
    expect(snapshot(before)?.proposal).toBeUndefined()
    expect(snapshot(first.state)?.proposal?.status).toBe('checking')
  })
})

describe('a proposal', () => {
  const punished = (desk: Desk) => only(desk.log, 'punish').map(({ code }) => code)

  it('by any other key is refused (BP-1, BF-2)', () => {
    const desk = voter()
    desk.hear(proposalBy(2, 0, freshBlock(0)))
    expect(punished(desk)).toEqual(['NotTheProposer'])
    const stolen = blockOf({ height: HEIGHT, slot: 101, parentHash: PARENT_HASH, author: 2 })
    desk.hear(proposalBy(1, 0, stolen))
    expect(punished(desk)).toEqual(['NotTheProposer', 'WrongSlotAuthor'])
    expect(only(desk.log, 'validate')).toEqual([])
  })

  it('fresh has the slot in which its view starts (BP-2, 2.2)', () => {
    const desk = voter()
    const late = blockOf({ height: HEIGHT, slot: 102, parentHash: PARENT_HASH, author: 2 })
    desk.hear(proposalBy(1, 0, late))
    desk.clock(desk.startOf(1))
    desk.hear(proposalBy(2, 1, freshBlock(0)))
    expect(punished(desk)).toEqual(['WrongSlot', 'WrongSlot'])
  })

  it('again needs a prepare quorum of an earlier view for this very block (2.2, BF-5)', () => {
    const block = freshBlock(0)
    const hash = hashOf(block)
    const certificates = [
      prepared(0, block, [1, 2]),
      committed(0, block),
      prepared(2, block),
      prepared(0, freshBlock(0, 3)),
      certificateBy([1, 2, 3], 4, 'prepare', HEIGHT + 1, 0, hash),
      { ...prepared(0, block), signature: new Uint8Array(96) },
    ]
    for (const certificate of certificates) {
      const desk = voter()
      desk.clock(desk.startOf(2))
      desk.hear(proposalBy(3, 2, block, certificate))
      expect(punished(desk)).toEqual(['BadCertificate'])
      expect(votesIn(desk.found(block))).toEqual([])
    }
    const desk = voter()
    desk.clock(desk.startOf(2))
    desk.hear(proposalBy(3, 2, freshBlock(2), prepared(0, freshBlock(2))))
    expect(punished(desk)).toEqual(['WrongSlot'])
  })

  it('on another parent, or with a forged author, is refused', () => {
    const desk = voter()
    const elsewhere = blockOf({
      height: HEIGHT,
      slot: 101,
      parentHash: hashOf(freshBlock(0)),
      author: 1,
    })
    desk.hear(proposalBy(1, 0, elsewhere))
    desk.hear(proposalBy(1, 0, { ...freshBlock(0), signature: new Uint8Array(96) }))
    expect(punished(desk)).toEqual(['WrongParent', 'BadSignature'])
  })

  it('is prepared only after it was executed and found valid (T1, BF-4)', () => {
    const desk = voter()
    const block = freshBlock(0)
    expect(votesIn(desk.hear(proposalBy(1, 0, block)))).toEqual([])
    const hash = hashOf(block)
    desk.tell({ kind: 'validated', hash, verdict: unknown('NoBitcoin', 200) })
    expect(votesIn(desk.log)).toEqual([])
    expect(kinds(desk.clock(desk.nowMs + 199))).not.toContain('validate')
    expect(kinds(desk.clock(desk.nowMs + 1))).toContain('validate')
    desk.tell({ kind: 'validated', hash, verdict: invalid('BadRoot') })
    expect(votesIn(desk.log)).toEqual([])
    expect(snapshot(desk.state)?.abstention).toBe('Invalid')
  })

  it('that the local view objects to is not prepared, yet a certificate commits it (4.6, BF-4)', () => {
    const desk = voter()
    const block = freshBlock(0)
    desk.hear(proposalBy(1, 0, block))
    desk.found(block, true)
    expect(votesIn(desk.log)).toEqual([])
    const value = { block, certificate: committed(0, block) }
    expect(kinds(desk.hear({ kind: 'committedBlock', value }))).toContain('commit')
  })

  it('from beyond the window is dropped, from within it waits for the clock (BP-3)', () => {
    const desk = voter({ self: 2, nowMs: (PARENT_SLOT - 1) * SLOT_MS })
    const block = freshBlock(0)
    expect(kinds(desk.hear(proposalBy(1, 0, block)))).toEqual([])
    expect(kinds(desk.clock(PARENT_SLOT * SLOT_MS))).toContain('validate')
    expect(votesIn(desk.found(block))).toEqual([])
    expect(votesIn(desk.clock(desk.startOf(0)))).toEqual(['prepare 0'])
    const early = voter({ nowMs: (PARENT_SLOT - 20) * SLOT_MS })
    early.hear(proposalBy(1, 0, block))
    expect(snapshot(early.state)?.proposal).toBeUndefined()
    early.clock(early.startOf(0))
    expect(votesIn(early.found(block))).toEqual([])
  })

  it('sent twice with different blocks is evidence, once, and the first stands (BP-17, BF-11)', () => {
    const desk = voter()
    desk.hear(proposalBy(1, 0, freshBlock(0)))
    desk.hear(proposalBy(1, 0, freshBlock(0, 7)))
    desk.hear(proposalBy(1, 0, freshBlock(0, 8)))
    expect(only(desk.log, 'evidence')).toHaveLength(1)
    expect(votesIn(desk.found(freshBlock(0)))).toEqual(['prepare 0'])
  })

  it('that is forged does not keep the genuine one out, nor convict (T3)', () => {
    const desk = voter()
    const forged = proposalBy(1, 0, freshBlock(0, 7))
    forged.value.signature = new Uint8Array(96)
    desk.hear(forged, 'mallory')
    desk.hear(proposalBy(1, 0, freshBlock(0)))
    desk.hear(forged, 'mallory')
    expect(only(desk.log, 'evidence')).toEqual([])
    expect(votesIn(desk.found(freshBlock(0)))).toEqual(['prepare 0'])
  })

  it('that comes again is not checked again', () => {
    const suite = countingSuite()
    const desk = voter({ suite })
    desk.hear(proposalBy(1, 0, freshBlock(0)))
    const { singles } = suite
    desk.hear(proposalBy(1, 0, freshBlock(0)))
    expect(suite.singles).toBe(singles)
  })
})

describe('the lock', () => {
  const blockA = freshBlock(0)
  const blockB = freshBlock(1)

  it('is made on a prepare quorum of the present view, with the block (BF-5, T4)', () => {
    const desk = voter()
    lock(desk, blockA)
    const [record] = only(desk.log, 'sign').filter(({ record }) => record.kind === 'commit')
    expect(record?.record).toMatchObject({ view: 0, hash: hashOf(blockA) })
    expect(only(desk.log, 'locked')).toHaveLength(1)
    expect([...desk.guard.blocks.keys()]).toHaveLength(1)
    const sent = only(desk.log, 'broadcast').map(({ message }) => message.kind)
    expect(sent.slice(-2)).toEqual(['vote', 'prepareCertificate'])
  })

  it('needs the block executed and valid here (BF-4)', () => {
    const desk = voter()
    desk.hear(proposalBy(1, 0, blockA))
    hearVotes(desk, 'prepare', 0, blockA, [1, 2, 3])
    expect(votesIn(desk.log)).toEqual([])
    expect(votesIn(desk.found(blockA))).toEqual(['prepare 0', 'commit 0'])
  })

  it('is not made for a quorum of a past view: no Commit for a late quorum (2.4)', () => {
    const desk = voter()
    desk.hear(proposalBy(1, 0, blockA))
    desk.found(blockA)
    desk.clock(desk.startOf(1))
    hearVotes(desk, 'prepare', 0, blockA, [1, 2])
    expect(votesIn(desk.log)).not.toContain('commit 0')
    expect(desk.guard.lock).toBeUndefined()
    expect(snapshot(desk.state)?.highestPrepared?.view).toBe(0)
  })

  it('keeps a fresh block from being prepared in later views (BF-5)', () => {
    const desk = voter()
    lock(desk, blockA)
    desk.clock(desk.startOf(1))
    desk.hear(proposalBy(2, 1, blockB))
    expect(votesIn(desk.found(blockB))).toEqual([])
    expect(snapshot(desk.state)?.abstention).toBe('Locked')
  })

  it('lets its own block be prepared again in a later view (BF-5, BP-2)', () => {
    const desk = voter()
    lock(desk, blockA)
    desk.clock(desk.startOf(1))
    expect(votesIn(desk.hear(proposalBy(2, 1, blockA, prepared(0, blockA))))).toEqual(['prepare 1'])
  })

  it('yields to a later certificate for another block, never to an earlier or equal one (BF-5)', () => {
    const old = voter({ nowMs: viewStart(PARENT_SLOT, 1, 4) * SLOT_MS })
    old.hear(proposalBy(2, 1, blockB))
    old.found(blockB)
    hearVotes(old, 'prepare', 1, blockB, [1, 2])
    old.clock(old.startOf(2))
    old.hear(proposalBy(3, 2, blockA, prepared(0, blockA)))
    expect(votesIn(old.found(blockA))).toEqual([])

    const desk = voter()
    lock(desk, blockA)
    desk.clock(desk.startOf(2))
    desk.hear(proposalBy(3, 2, blockB, prepared(1, blockB)))
    expect(votesIn(desk.found(blockB))).toEqual(['prepare 2'])
  })

  it('survives a restart with its block, which is proposed again (T4, BF-5, BF-9)', () => {
    const before = voter()
    lock(before, blockA)
    const nowMs = before.startOf(3) + 10
    const desk = new Desk({ self: 0, guard: before.guard, nowMs })
    desk.start()
    desk.clock(nowMs + 125)
    const proposals = only(desk.log, 'broadcast').filter(
      ({ message }) => message.kind === 'prePrepare',
    )
    expect(proposals.map(({ message }) => message)).toEqual([
      proposalBy(0, 3, blockA, before.guard.lock?.certificate),
    ])
    desk.found(blockA)
    expect(votesIn(desk.log)).toEqual(['prepare 3'])
  })

  it('is told in later views, whatever older certificate a proposal brings after a restart (2.5, BF-9)', () => {
    const before = voter({ nowMs: viewStart(PARENT_SLOT, 1, 4) * SLOT_MS })
    before.hear(proposalBy(2, 1, blockB))
    before.found(blockB)
    hearVotes(before, 'prepare', 1, blockB, [1, 2])
    const desk = new Desk({ self: 0, guard: before.guard, nowMs: before.startOf(2) })
    desk.start()
    desk.hear(proposalBy(3, 2, blockA, prepared(0, blockA)))
    const changed = only(desk.clock(desk.startOf(3)), 'broadcast')
      .flatMap(({ message }) => (message.kind === 'viewChange' ? message.value : []))
      .map(({ view, certificate }) => ({ view, named: certificate[0]?.view }))
    expect(changed.at(-1)).toEqual({ view: 3, named: 1 })
  })

  it('of an earlier height means nothing at the next (T4, BF-14)', () => {
    const before = voter()
    lock(before, blockA)
    const desk = new Desk({ self: 0, guard: before.guard })
    desk.start(HEIGHT + 1)
    expect(snapshot(desk.state)?.lock).toBeUndefined()
    expect(snapshot(desk.state)?.highestPrepared).toBeUndefined()
  })
})

describe('views', () => {
  it('advance by the clock, each with a ViewChange (BF-7, BF-9)', () => {
    const desk = voter()
    const effects = desk.clock(desk.startOf(1))
    expect(only(effects, 'viewEntered')).toMatchObject([{ view: 1, reason: 'clock' }])
    expect(only(effects, 'broadcast').map(({ message }) => message)).toEqual([
      viewChangeBy(0, HEIGHT, 1),
    ])
    expect(only(desk.log, 'broadcast')).toHaveLength(1)
  })

  it('advance by f+1 votes before the clock, of whatever kind, not by f (1.3, BF-7)', () => {
    const desk = voter()
    desk.hear(viewChangeBy(1, HEIGHT, 3))
    expect(snapshot(desk.state)?.view).toBe(0)
    desk.hear(voteBy(2, 'prepare', HEIGHT, 2, hashOf(freshBlock(2))))
    expect(snapshot(desk.state)?.view).toBe(2)
    desk.hear(voteBy(3, 'commit', HEIGHT, 60, hashOf(freshBlock(2))))
    expect(snapshot(desk.state)?.view).toBe(3)
    desk.hear(viewChangeBy(2, HEIGHT, 50))
    expect(snapshot(desk.state)?.view).toBe(50)
  })

  it('do not advance by forged votes', () => {
    const desk = voter()
    for (const by of [1, 2, 3]) {
      const message = viewChangeBy(by, HEIGHT, 5)
      message.value.signature = new Uint8Array(96)
      desk.hear(message, 'mallory')
    }
    expect(snapshot(desk.state)?.view).toBe(0)
    expect(only(desk.log, 'punish')).toHaveLength(3)
  })

  it('advance by a certificate: its signers are in its view (1.3)', () => {
    const desk = voter()
    desk.hear({ kind: 'prepareCertificate', value: prepared(4, freshBlock(4)) })
    expect(snapshot(desk.state)?.view).toBe(4)
  })

  it('never go back, over a clock set back or a restart (1.3, BF-7)', () => {
    const desk = voter()
    desk.clock(desk.startOf(3))
    desk.clock(desk.startOf(1))
    expect(snapshot(desk.state)?.view).toBe(3)
    const again = new Desk({ self: 0, guard: desk.guard, nowMs: desk.startOf(1) })
    expect(only(again.start(), 'viewEntered')).toMatchObject([{ view: 3, reason: 'guard' }])
    const block = freshBlock(1)
    again.hear(proposalBy(2, 1, block))
    expect(votesIn(again.found(block))).toEqual([])
  })

  it('let nothing be voted for in a past one (2.4, BF-7)', () => {
    const desk = voter()
    const block = freshBlock(0)
    desk.hear(proposalBy(1, 0, block))
    desk.clock(desk.startOf(1))
    expect(votesIn(desk.found(block))).toEqual([])
    const late = new Desk({ self: 1 })
    late.start()
    late.clock(late.startOf(1))
    expect(only(late.tell({ kind: 'built', height: HEIGHT, view: 0, block }), 'broadcast')).toEqual(
      [],
    )
  })

  it('have no proposal before the clock, ViewChanges of all, or the last view’s certificate (BF-9)', () => {
    const proposerOf1 = () => {
      const desk = new Desk({ self: 2 })
      desk.start()
      desk.clock(desk.startOf(1))
      return desk
    }
    const timed = proposerOf1()
    expect(only(timed.log, 'wake').at(-1)?.atMs).toBe(timed.startOf(1) + SLOT_MS / 8)
    expect(only(timed.log, 'build')).toEqual([])
    expect(only(timed.clock(timed.startOf(1) + SLOT_MS / 8), 'build')).toHaveLength(1)

    const informed = proposerOf1()
    for (const by of [0, 1]) informed.hear(viewChangeBy(by, HEIGHT, 1))
    expect(only(informed.log, 'build')).toEqual([])
    informed.hear(viewChangeBy(3, HEIGHT, 1))
    expect(only(informed.log, 'build')).toHaveLength(1)

    const certified = proposerOf1()
    const block = freshBlock(0)
    certified.hear(proposalBy(1, 0, block))
    certified.hear({ kind: 'prepareCertificate', value: prepared(0, block, [0, 1, 3]) })
    const [sent] = only(certified.log, 'broadcast').slice(-1)
    expect(sent?.message).toEqual(proposalBy(2, 1, block, prepared(0, block, [0, 1, 3])))
  })

  it('re-propose the block of the highest certificate named, fetching it if need be (BF-9, BF-6)', () => {
    const desk = new Desk({ self: 3 })
    desk.start()
    const [older, newer] = [freshBlock(0), freshBlock(1)]
    desk.hear(proposalBy(1, 0, older))
    desk.clock(desk.startOf(2))
    desk.hear(viewChangeBy(0, HEIGHT, 2, prepared(0, older, [0, 1, 2])), 'peer0')
    const named = desk.hear(viewChangeBy(1, HEIGHT, 2, prepared(1, newer, [0, 1, 2])), 'peer1')
    const [fetch] = only(named, 'fetchBlock')
    expect(fetch).toMatchObject({ height: HEIGHT, hash: hashOf(newer), peers: ['peer1'] })
    expect(only(named, 'build')).toEqual([])
    desk.clock(desk.startOf(2) + SLOT_MS / 8)
    desk.tell({ kind: 'blockFetched', block: freshBlock(1, 9), from: 'peer1' })
    const fetched = desk.tell({ kind: 'blockFetched', block: newer, from: 'peer1' })
    expect(only(fetched, 'broadcast').map(({ message }) => message)).toEqual([
      proposalBy(3, 2, newer, prepared(1, newer, [0, 1, 2])),
    ])
  })

  it('are not proposed in twice for one slot, whatever the height (2.8, BP-4)', () => {
    const used = { kind: 'floor', floor: HEIGHT, slot: PARENT_SLOT + 1 } as const
    const desk = new Desk({ self: 1, guard: foldGuard(EMPTY_GUARD, used) })
    expect(only(desk.start(), 'build')).toEqual([])
  })

  it('skip the proposal when no block could be built', () => {
    const desk = new Desk({ self: 1 })
    desk.start()
    desk.tell({ kind: 'buildFailed', height: HEIGHT, view: 0, code: 'Timeout' })
    desk.tell({ kind: 'built', height: HEIGHT, view: 0, block: freshBlock(0) })
    desk.clock(desk.nowMs + 100)
    expect(only(desk.log, 'sign')).toEqual([])
    expect(only(desk.log, 'build')).toHaveLength(1)
  })
})

describe('a build that ends late', () => {
  it.each(['built', 'buildFailed'] as const)(
    'is none of the next height, whose own build goes on (%s)',
    (kind) => {
      const desk = new Desk({ self: 1 })
      desk.start()
      const stale = { height: HEIGHT - 1, view: 0 }
      desk.tell(
        kind === 'built'
          ? { kind, ...stale, block: freshBlock(0, 7) }
          : { kind, ...stale, code: 'EngineTimeout' },
      )
      const block = freshBlock(0)
      const effects = desk.tell({ kind: 'built', height: HEIGHT, view: 0, block })
      expect(only(effects, 'broadcast')).toHaveLength(1)
    },
  )
})

describe('a restart', () => {
  it('sends the identical messages of the view again (BP-4, BF-10)', () => {
    const before = new Desk({ self: 1 })
    before.start()
    const block = freshBlock(0)
    before.tell({ kind: 'built', height: HEIGHT, view: 0, block })
    before.found(block)
    hearVotes(before, 'prepare', 0, block, [0, 2])
    const sent = (desk: Desk) =>
      only(desk.log, 'broadcast').map(({ message }) => encodeConsensusMessage(message))
    const after = new Desk({ self: 1, guard: before.guard })
    after.start()
    expect(sent(after)).toEqual(sent(before))
    expect(only(after.log, 'build')).toEqual([])
  })

  it('signs no second block for the slot when it comes between record and message (BP-4)', () => {
    const before = new Desk({ self: 1 })
    before.start()
    before.tell({ kind: 'built', height: HEIGHT, view: 0, block: freshBlock(0) })
    const after = new Desk({ self: 1, guard: before.guard })
    after.start()
    after.tell({ kind: 'built', height: HEIGHT, view: 0, block: freshBlock(0, 3) })
    const hashes = only(after.log, 'sign').map(({ record }) => 'hash' in record && record.hash)
    expect(hashes).toEqual([hashOf(freshBlock(0))])
  })

  it('with a guard whose floor is above the height signs nothing (2.8)', () => {
    const guard = foldGuard(EMPTY_GUARD, { kind: 'floor', floor: HEIGHT + 1, slot: -1 })
    const desk = new Desk({ self: 0, guard })
    desk.start()
    desk.hear(proposalBy(1, 0, freshBlock(0)))
    desk.found(freshBlock(0))
    desk.clock(desk.startOf(1))
    expect(only(desk.log, 'sign')).toEqual([])
  })
})

describe('a commit', () => {
  const block = freshBlock(0)

  it('waits for the block, which is fetched by hash, and for its execution (BF-6)', () => {
    const desk = voter()
    const heard = hearVotes(desk, 'commit', 0, block, [1, 2, 3])
    expect(only(heard, 'fetchBlock')).toMatchObject([
      { hash: hashOf(block), peers: ['peer1', 'peer2', 'peer3'] },
    ])
    expect(only(desk.clock(desk.nowMs + 10), 'fetchBlock')).toEqual([])
    expect(only(desk.clock(desk.startOf(1)), 'fetchBlock')).toHaveLength(1)
    const fetched = desk.tell({ kind: 'blockFetched', block, from: 'peer1' })
    expect(only(fetched, 'validate')).toMatchObject([{ fresh: false }])
    expect(only(fetched, 'commit')).toEqual([])
    expect(only(desk.found(block), 'commit')).toHaveLength(1)
  })

  it('takes the block from its proposal, though the proposer sent us another one first (BF-6)', () => {
    const desk = voter()
    desk.hear(proposalBy(1, 0, freshBlock(0, 6)))
    desk.clock(desk.startOf(4))
    hearVotes(desk, 'commit', 0, block, [1, 2, 3])
    expect(only(desk.hear(proposalBy(1, 0, block)), 'validate')).toHaveLength(1)
    expect(only(desk.found(block), 'commit')).toHaveLength(1)
    const again = voter()
    again.hear(proposalBy(1, 0, freshBlock(0, 6)))
    hearVotes(again, 'commit', 0, block, [1, 2, 3])
    again.hear(proposalBy(1, 0, block))
    expect(only(again.found(block), 'commit')).toHaveLength(1)
  })

  it('happens once per height, and nothing of that height acts any more (BF-14)', () => {
    const desk = voter()
    const value = { block, certificate: committed(0, block) }
    desk.hear({ kind: 'committedBlock', value })
    desk.found(block)
    desk.hear({ kind: 'committedBlock', value })
    hearVotes(desk, 'commit', 0, block, [1, 2, 3])
    desk.clock(desk.startOf(5))
    expect(only(desk.log, 'commit')).toHaveLength(1)
    expect(only(desk.log, 'sign')).toEqual([])
  })

  it('is not made by a certificate that is short, padded or for another block (BF-6, T2)', () => {
    const desk = voter()
    const certificates = [
      committed(0, block, [1, 2]),
      prepared(0, block),
      committed(0, freshBlock(0, 4)),
      { ...committed(0, block), height: HEIGHT + 1 },
    ]
    for (const certificate of certificates) {
      desk.hear({ kind: 'committedBlock', value: { block, certificate } })
    }
    expect(only(desk.log, 'validate')).toEqual([])
    expect(only(desk.log, 'punish')).toHaveLength(certificates.length)
  })

  it('of two blocks at one height halts with both certificates (2.7, BP-16)', () => {
    const other = freshBlock(0, 5)
    const desk = voter()
    desk.hear({ kind: 'committedBlock', value: { block, certificate: committed(0, block) } })
    const value = { block: other, certificate: committed(0, other) }
    const [halt] = only(desk.hear({ kind: 'committedBlock', value }), 'halt')
    expect(halt?.reason).toBe('ConflictingCertificates')
    expect(halt?.certificates.map(({ blockHash }) => blockHash)).toEqual([
      hashOf(block),
      hashOf(other),
    ])
    expect(kinds(desk.found(block))).toEqual([])
    expect(kinds(desk.clock(desk.startOf(3)))).toEqual([])
  })

  it('of another block at the height before halts as well (2.7)', () => {
    const other = freshBlock(0, 5)
    const desk = voter()
    desk.hear({ kind: 'committedBlock', value: { block, certificate: committed(0, block) } })
    desk.found(block)
    desk.start(HEIGHT + 1)
    desk.hear({
      kind: 'committedBlock',
      value: { block: other, certificate: committed(0, other, [1, 2]) },
    })
    expect(only(desk.log, 'halt')).toEqual([])
    desk.hear({ kind: 'committedBlock', value: { block: other, certificate: committed(0, other) } })
    expect(only(desk.log, 'halt')).toHaveLength(1)
  })

  it('of another block at the parent’s height halts after a restart and after a sync, too (2.7)', () => {
    const other = freshBlock(0, 5)
    const decided = {
      height: HEIGHT,
      validators: validatorsOf(4),
      certificate: committed(0, block),
    }
    const startAbove = () => {
      const desk = new Desk({ self: 0 })
      const context = {
        height: HEIGHT + 1,
        parentHash: hashOf(block),
        parentSlot: block.header.slot,
        validators: validatorsOf(5),
        parent: decided,
      }
      desk.tell({ kind: 'startHeight', context, guard: desk.guard, nowMs: desk.nowMs })
      return desk
    }
    const hears = (desk: Desk, value: CommittedBlock) =>
      only(desk.hear({ kind: 'committedBlock', value }), 'halt')
    const value = { block: other, certificate: committed(0, other) }
    expect(hears(startAbove(), value)).toMatchObject([
      { reason: 'ConflictingCertificates', certificates: [decided.certificate, value.certificate] },
    ])
    // Another subset of signers for the same block is none (2.6).
    const subset = { block, certificate: committed(0, block, [0, 1, 3]) }
    expect(hears(startAbove(), subset)).toEqual([])
    // One that q did not sign says nothing.
    const short = { block: other, certificate: committed(0, other, [1, 2]) }
    expect(hears(startAbove(), short)).toEqual([])
  })

  it('of a block that is invalid here halts: this node or the quorum is broken', () => {
    const desk = voter()
    desk.hear({ kind: 'committedBlock', value: { block, certificate: committed(0, block) } })
    const effects = desk.tell({
      kind: 'validated',
      hash: hashOf(block),
      verdict: invalid('BadRoot'),
    })
    expect(only(effects, 'halt')).toMatchObject([{ reason: 'CertifiedBlockInvalid' }])
  })
})

describe('another set of validators', () => {
  it('at the next height is known by key: positions move, who left counts no more (BF-13, T11)', () => {
    const desk = voter({ self: 3 })
    const [, ...remaining] = validatorsOf(6)
    const context = {
      height: HEIGHT + 1,
      parentHash: PARENT_HASH,
      parentSlot: PARENT_SLOT,
      validators: remaining.slice(0, 4),
    }
    desk.tell({ kind: 'startHeight', context, guard: desk.guard, nowMs: desk.nowMs })
    // Position (100 + 1) mod 4 of the new set.
    const fields = { height: HEIGHT + 1, slot: PARENT_SLOT + 1, parentHash: PARENT_HASH }
    const block = blockOf({ ...fields, author: 2 })
    desk.hear(proposalBy(2, 0, block))
    expect(votesIn(desk.found(block))).toEqual(['prepare 0'])
    desk.hear(voteBy(0, 'prepare', HEIGHT + 1, 0, hashOf(block)), 'gone')
    desk.hear(voteBy(1, 'prepare', HEIGHT + 1, 0, hashOf(block)))
    expect(only(desk.log, 'punish')).toEqual([
      { kind: 'punish', peer: 'gone', code: 'NotAValidator', blame: 'signer' },
    ])
    expect(votesIn(desk.log)).not.toContain('commit 0')
    desk.hear(voteBy(4, 'prepare', HEIGHT + 1, 0, hashOf(block)))
    expect(votesIn(desk.log)).toContain('commit 0')
  })
})

describe('messages of other heights', () => {
  it('that are past are answered with the committed block, boundedly (2.6, BF-14)', () => {
    const desk = voter()
    const old = voteBy(1, 'prepare', HEIGHT - 3, 0, PARENT_HASH)
    const answers = Array.from({ length: 20 }, () => desk.hear(old, 'slow')).flat()
    expect(answers[0]).toEqual({ kind: 'answerCommitted', height: HEIGHT - 3, peer: 'slow' })
    expect(answers.length).toBe(4)
    expect(desk.hear(old, 'other')).toHaveLength(1)
    desk.clock(desk.startOf(1))
    expect(only(desk.hear(old, 'slow'), 'answerCommitted')).toHaveLength(1)
    const manyPeers = Array.from({ length: 1000 }, (_, peer) => desk.hear(old, `p${peer}`)).flat()
    expect(manyPeers.length).toBeLessThan(300)
  })

  it('are answered from the slot after the decision on when they vote for what was decided, and at once when for something else (2.6)', () => {
    const desk = voter()
    const block = freshBlock(0)
    desk.hear({ kind: 'committedBlock', value: { block, certificate: committed(0, block) } })
    desk.found(block)
    const context = {
      height: HEIGHT + 1,
      parentHash: hashOf(block),
      parentSlot: block.header.slot,
      validators: validatorsOf(4),
    }
    desk.tell({ kind: 'startHeight', context, guard: EMPTY_GUARD, nowMs: desk.nowMs })
    const answers = (vote: ConsensusMessage) => only(desk.hear(vote, 'late'), 'answerCommitted')
    const late = voteBy(3, 'commit', HEIGHT, 0, hashOf(block))
    expect(answers(late)).toEqual([])
    expect(answers(voteBy(3, 'commit', HEIGHT, 0, hashOf(freshBlock(0, 4))))).toHaveLength(1)
    desk.clock(desk.startOf(1))
    expect(answers(late)).toEqual([{ kind: 'answerCommitted', height: HEIGHT, peer: 'late' }])
  })

  it('that are next keep no place for a proposal that is not the author’s own (T3, BF-8)', () => {
    const desk = voter()
    const fields = { height: HEIGHT + 1, slot: PARENT_SLOT + 1, parentHash: PARENT_HASH }
    const block = blockOf({ ...fields, author: 1 })
    desk.hear(proposalBy(2, 0, block), 'mallory')
    expect(snapshot(desk.state)?.heldForLater).toBe(0)
    desk.hear(proposalBy(1, 0, block))
    expect(snapshot(desk.state)?.heldForLater).toBe(1)
  })

  it('that are next are kept and used when the height starts (BF-8, BF-14)', () => {
    const desk = voter()
    const block = blockOf({
      height: HEIGHT + 1,
      slot: PARENT_SLOT + 1,
      parentHash: PARENT_HASH,
      author: 1,
    })
    desk.hear(proposalBy(1, 0, block))
    for (const by of [1, 2]) desk.hear(voteBy(by, 'prepare', HEIGHT + 1, 0, hashOf(block)))
    expect(snapshot(desk.state)?.heldForLater).toBe(3)
    expect(only(desk.start(HEIGHT + 1), 'validate')).toHaveLength(1)
    expect(votesIn(desk.found(block))).toEqual(['prepare 0', 'commit 0'])
    expect(snapshot(desk.state)?.heldForLater).toBe(0)
  })

  it('are bounded in heights, views and validators, and forged ones take no place (BF-8, T3)', () => {
    const desk = voter()
    const other = hashOf(freshBlock(0))
    for (let height = HEIGHT + 1; height < HEIGHT + 8; height++) {
      for (let view = 0; view < 12; view++) {
        for (let by = 0; by < 6; by++) {
          desk.hear(voteBy(by, 'prepare', height, view, PARENT_HASH))
          desk.hear(voteBy(by, 'prepare', height, view, other))
        }
      }
    }
    expect(snapshot(desk.state)?.heldForLater).toBe(2 * 9 * 4)
    const fooled = voter()
    const vote = voteBy(1, 'prepare', HEIGHT + 1, 0, PARENT_HASH)
    fooled.hear({ ...vote, value: { ...vote.value, signature: new Uint8Array(96) } }, 'mallory')
    expect(only(fooled.log, 'punish')).toMatchObject([{ peer: 'mallory' }])
    fooled.hear(vote)
    expect(snapshot(fooled.state)?.heldForLater).toBe(1)
  })

  it('of f+1 validators two heights ahead show that we are behind; of f they do not', () => {
    const desk = voter()
    desk.hear(viewChangeBy(1, HEIGHT + 500, 1))
    expect(only(desk.log, 'behind')).toEqual([])
    desk.hear(viewChangeBy(2, HEIGHT + 7, 1))
    desk.hear(viewChangeBy(2, HEIGHT + 7, 1))
    expect(only(desk.log, 'behind')).toEqual([{ kind: 'behind', height: HEIGHT + 6 }])
  })

  it('with a certificate show it at once; without one a claimed height counts for nothing', () => {
    const desk = voter()
    const block = blockOf({ height: HEIGHT + 9, slot: 200, parentHash: PARENT_HASH, author: 1 })
    const short = certificateBy([1, 2], 4, 'commit', HEIGHT + 9, 0, hashOf(block))
    desk.hear({ kind: 'committedBlock', value: { block, certificate: short } })
    expect(only(desk.log, 'behind')).toEqual([])
    const certificate = certificateBy([1, 2, 3], 4, 'commit', HEIGHT + 9, 0, hashOf(block))
    desk.hear({ kind: 'committedBlock', value: { block, certificate } })
    expect(only(desk.log, 'behind')).toEqual([{ kind: 'behind', height: HEIGHT + 9 }])
  })

  it('hold votes of the present height for eight views ahead only (BF-8)', () => {
    const desk = voter()
    for (let view = 0; view < 500; view++) {
      desk.hear(voteBy(3, 'prepare', HEIGHT, view, PARENT_HASH))
    }
    expect(snapshot(desk.state)?.votes).toHaveLength(9)
  })
})

describe('what was said in the present view', () => {
  it('is said again once per slot (2.6)', () => {
    const desk = voter()
    desk.clock(desk.startOf(8))
    const said = (nowMs: number) =>
      only(desk.clock(nowMs), 'broadcast').map(({ message }) => message)
    expect(said(desk.startOf(8) + SLOT_MS - 1)).toEqual([])
    expect(said(desk.startOf(8) + SLOT_MS)).toEqual([viewChangeBy(0, HEIGHT, 8)])
    expect(said(desk.startOf(8) + SLOT_MS + 1)).toEqual([])
  })

  it('is told to a peer that connects, with the tip before it (2.6)', () => {
    const desk = voter()
    const block = freshBlock(0)
    lock(desk, block)
    const effects = desk.tell({ kind: 'peerConnected', peer: 'new' })
    expect(effects[0]).toEqual({ kind: 'answerCommitted', height: HEIGHT - 1, peer: 'new' })
    const sent = only(effects, 'sendTo').map(({ message }) => message.kind)
    expect(sent).toEqual(['vote', 'vote', 'prepareCertificate'])
  })
})

describe('the next wake', () => {
  it('is the first slot, then every slot (BF-7)', () => {
    const desk = new Desk({ self: 0, nowMs: (PARENT_SLOT - 5) * SLOT_MS })
    expect(only(desk.start(), 'wake')).toEqual([{ kind: 'wake', atMs: desk.startOf(0) }])
    expect(only(desk.clock(desk.startOf(0)), 'wake')).toEqual([
      { kind: 'wake', atMs: desk.startOf(1) },
    ])
    expect(only(desk.hear(viewChangeBy(1, HEIGHT, 3)), 'wake')).toEqual([])
  })
})

describe('blame', () => {
  it('falls on the peer only for what no honest node passes on', () => {
    const desk = voter()
    const forged = viewChangeBy(1, HEIGHT, 5)
    forged.value.signature = new Uint8Array(96)
    desk.hear(forged)
    desk.hear(voteBy(9, 'prepare', HEIGHT, 0, PARENT_HASH))
    desk.hear(proposalBy(3, 0, freshBlock(0)))
    desk.hear(viewChangeBy(1, HEIGHT, 5, prepared(3, freshBlock(3), [1, 2])))
    expect(only(desk.log, 'punish').map(({ code, blame }) => [code, blame])).toEqual([
      ['BadSignature', 'peer'],
      ['NotAValidator', 'signer'],
      ['NotTheProposer', 'signer'],
      ['BadCertificate', 'signer'],
    ])
  })
})

describe('the snapshot', () => {
  it('is plain data that says who is in what view and why', () => {
    const desk = voter()
    lock(desk, freshBlock(0))
    const plain = snapshot(desk.state)
    expect(JSON.parse(JSON.stringify(plain))).toMatchObject({
      height: HEIGHT,
      view: 0,
      role: 'validator',
      quorum: 3,
      proposal: { status: 'valid' },
      lock: { view: 0 },
      highestPrepared: { view: 0 },
    })
    expect(plain?.votes[0]?.prepare).toHaveLength(3)
    expect(proposerAt(0)).toBe(1)
  })
})
