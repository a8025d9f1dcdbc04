import {
  type ConsensusMessage,
  encodeBlock,
  encodeConsensusMessage,
} from '../../../../core/block/index.ts'
import {
  decideGuard,
  decodeGuardFile,
  EMPTY_GUARD,
  encodeGuardFile,
  foldGuard,
  type GuardEntry,
  type GuardRecord,
  guardEntries,
  guardOwner,
  signRecord,
} from '../../../../core/guard/index.ts'
import { verifyAuthor, verifyConsensusMessage } from '../../../../core/pbft/index.ts'
import { PARENT_HASH } from '../pbft/desk.ts'
import {
  blockOf,
  certificateBy,
  fakeSuite,
  GENESIS_HASH,
  hashOf,
  keyOf,
  proposalBy,
  signerOf,
} from '../pbft/fixtures.ts'

const NO_SIGNATURE = new Uint8Array(96)
const blockA = blockOf({ height: 5, slot: 101, parentHash: PARENT_HASH, author: 0, salt: 1 })
const blockB = blockOf({ height: 5, slot: 102, parentHash: PARENT_HASH, author: 1, salt: 2 })
const certificate = certificateBy([0, 1, 2], 4, 'prepare', 5, 2, hashOf(blockA))

function prepare(view: number, block = blockA, height = 5): GuardRecord {
  return { kind: 'prepare', height, view, hash: hashOf(block), block: encodeBlock(block) }
}

function commit(view: number, block = blockA): GuardRecord {
  const fields = { height: 5, view, hash: hashOf(block), block: encodeBlock(block) }
  return { kind: 'commit', ...fields, certificate: { ...certificate, view } }
}

function viewChange(view: number, height = 5): GuardRecord {
  return { kind: 'viewChange', height, view, certificate: undefined }
}

function propose(view: number, block = blockA, fresh = true): GuardRecord {
  const unsigned = { ...block, signature: NO_SIGNATURE }
  const message = proposalBy(0, view, fresh ? unsigned : block, fresh ? undefined : certificate)
  const bytes = encodeConsensusMessage({
    ...message,
    value: { ...message.value, signature: NO_SIGNATURE },
  })
  const { slot } = block.header
  return { kind: 'propose', height: 5, view, slot, hash: hashOf(block), fresh, bytes }
}

function folded(...records: readonly GuardEntry[]) {
  return records.reduce(foldGuard, EMPTY_GUARD)
}

describe('the sign guard', () => {
  it('lets one PrePrepare, Prepare and Commit pass per height and view (2.8)', () => {
    const view = folded(viewChange(2), propose(2), prepare(2), commit(2))
    expect(decideGuard(view, propose(2, blockB))).toEqual({ refuse: 'ConflictingPropose' })
    expect(decideGuard(view, prepare(2, blockB))).toEqual({ refuse: 'ConflictingPrepare' })
    expect(decideGuard(view, commit(2, blockB))).toEqual({ refuse: 'ConflictingCommit' })
    expect(decideGuard(view, prepare(3, blockB))).toBe('sign')
  })

  it('lets the identical message be signed again (BP-4)', () => {
    const view = folded(viewChange(2), propose(2), prepare(2), commit(2))
    const decisions = [viewChange(2), propose(2), prepare(2), commit(2)].map((record) =>
      decideGuard(view, record),
    )
    expect(decisions).toEqual(['repeat', 'repeat', 'repeat', 'repeat'])
  })

  it('refuses everything below the highest height and view signed (2.8)', () => {
    const view = folded(prepare(3))
    for (const record of [
      viewChange(2),
      propose(2),
      prepare(2),
      commit(2),
      prepare(9, blockA, 4),
    ]) {
      expect(decideGuard(view, record)).toEqual({ refuse: 'BelowHighest' })
    }
    expect(decideGuard(view, prepare(0, blockA, 6))).toBe('sign')
  })

  it('refuses a second own block in a slot, also at another height (2.8, BP-4)', () => {
    const view = folded(propose(0), { kind: 'floor', floor: 6, slot: 101 })
    const next = { ...propose(1, blockB), height: 6, slot: 101 } as GuardRecord
    expect(decideGuard(view, next)).toEqual({ refuse: 'SlotUsed' })
    expect(decideGuard(view, { ...next, slot: 100 } as GuardRecord)).toEqual({ refuse: 'SlotUsed' })
    expect(decideGuard(view, { ...next, slot: 102 } as GuardRecord)).toBe('sign')
  })

  it('lets an older block be proposed again: its slot is not used up by that (2.2)', () => {
    const view = folded(propose(0), viewChange(3))
    expect(decideGuard(view, propose(3, blockA, false))).toBe('sign')
    expect(foldGuard(view, propose(3, blockB, false)).slot).toBe(101)
  })

  it('refuses what lies below its floor, and a vote without the block (2.8)', () => {
    const floor: GuardEntry = { kind: 'floor', floor: 6, slot: -1 }
    expect(decideGuard(folded(floor), prepare(0))).toEqual({ refuse: 'BelowFloor' })
    const bare = { ...prepare(0), block: new Uint8Array(0) } as GuardRecord
    expect(decideGuard(EMPTY_GUARD, bare)).toEqual({ refuse: 'BlockMissing' })
    expect(decideGuard(folded(prepare(0)), { ...bare, view: 1 } as GuardRecord)).toBe('sign')
  })

  it('keeps lock and blocks over views and drops them with the height (T4)', () => {
    const locked = folded(prepare(1), commit(1), viewChange(2), prepare(2, blockB))
    expect(locked.lock).toMatchObject({ view: 1, hash: hashOf(blockA) })
    expect(locked.blocks.size).toBe(2)
    const next = foldGuard(locked, viewChange(0, 6))
    expect([next.lock, next.blocks.size, next.height]).toEqual([undefined, 0, 6])
  })
})

describe('what a record signs', () => {
  it.each([propose(2), prepare(2), commit(2), viewChange(2)])('verifies: $kind', (record) => {
    const message = signRecord(GENESIS_HASH, record, signerOf(0))
    const config = { genesisHash: GENESIS_HASH }
    expect(verifyConsensusMessage(fakeSuite, config, message).kind).toBe('valid')
  })

  it('is the same bytes every time, with the block signed by its author (BP-4)', () => {
    const first = signRecord(GENESIS_HASH, propose(0), signerOf(0))
    const again = signRecord(GENESIS_HASH, propose(0), signerOf(0))
    expect(encodeConsensusMessage(again)).toEqual(encodeConsensusMessage(first))
    const { block } = (first as Extract<ConsensusMessage, { kind: 'prePrepare' }>).value
    expect(block).toEqual(blockA)
    const reproposed = signRecord(GENESIS_HASH, propose(3, blockB, false), signerOf(0))
    const older = (reproposed as Extract<ConsensusMessage, { kind: 'prePrepare' }>).value.block
    expect(encodeBlock(older)).toEqual(encodeBlock(blockB))
    expect(verifyAuthor(fakeSuite, GENESIS_HASH, older)).toBe(true)
  })
})

describe('the guard file', () => {
  const owner = guardOwner(GENESIS_HASH, keyOf(0))
  const entries: GuardEntry[] = [
    { kind: 'floor', floor: 5, slot: 99 },
    propose(0),
    prepare(0),
    viewChange(1),
    commit(2, blockB),
    { kind: 'viewChange', height: 5, view: 3, certificate },
  ]

  it('reads back what was written, record for record (2.8)', () => {
    const bytes = encodeGuardFile(owner, entries)
    const decoded = decodeGuardFile(owner, bytes)
    expect(decoded).toEqual({
      ok: true,
      value: { view: folded(...entries), entries, goodBytes: bytes.length },
    })
  })

  it('does not take a record for one that stands at another place', () => {
    const bytes = encodeGuardFile(owner, [viewChange(1)]).subarray(0, -17)
    const record = bytes.subarray(bytes.length - 37)
    const moved = Buffer.concat([bytes, Uint8Array.of(0), record])
    expect(decodeGuardFile(owner, moved)).toMatchObject({
      ok: true,
      value: { goodBytes: bytes.length },
    })
  })

  it('compacted folds to the same view', () => {
    const view = folded(...entries, prepare(3, blockA))
    expect(folded(...guardEntries(view))).toEqual(view)
  })
})
