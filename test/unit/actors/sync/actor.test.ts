import { syncMachine } from '../../../../actors/sync/machine.ts'
import { type CommittedBlock, CommittedBlockType } from '../../../../core/block/index.ts'
import { unknown, VALID } from '../../../../core/params/index.ts'
import { edgesOf } from '../../../../supervisor/index.ts'
import { chainOfBlocks } from '../chain-of-blocks.ts'
import { createSyncWorld, type FakePeer, honest, type SyncWorld } from './world.ts'

const heights = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

const blocks = chainOfBlocks(1_000, 1_700)

/** Blocks with one changed. */
function tampered(height: number, change: (block: CommittedBlock) => void): CommittedBlock[] {
  return blocks.map((block) => {
    if (block.block.header.height !== height) return block
    const copy = CommittedBlockType.deserialize(CommittedBlockType.serialize(block))
    change(copy)
    return copy
  })
}

async function worldWith(peers: Readonly<Record<string, FakePeer>>): Promise<SyncWorld> {
  const world = await createSyncWorld()
  for (const [name, peer] of Object.entries(peers)) world.peers.set(name, peer)
  return world
}

describe('an episode', () => {
  it("downloads the seed's ranges from three peers at once and imports them in order (SY-1, SY-2)", async () => {
    const upTo1300 = honest(blocks.slice(0, 301))
    const world = await worldWith({ alfa: upTo1300, bravo: upTo1300, carmen: upTo1300 })
    await world.require(999, 1_300)
    await world.advance(15)
    expect(world.asked.map(({ peer, from, count }) => [peer, from, from + count - 1])).toEqual([
      ['alfa', 1_000, 1_100],
      ['bravo', 1_101, 1_200],
      ['carmen', 1_201, 1_300],
    ])
    await world.advance(2_000)
    expect(world.imported).toEqual(heights(1_000, 1_300))
    expect(world.completed).toEqual([1_300])
    expect(world.penalties).toEqual([])
    await world.advance(60_000)
    expect(world.completed).toEqual([1_300])
  })

  it('walks Idle, Headers, Bodies, Importing and back, and tells SyncCompleted exactly once each (SY-14)', async () => {
    const world = await worldWith({ alfa: honest(blocks.slice(0, 50)) })
    await world.require(999, 1_049)
    await world.advance(5_000)
    expect(world.states).toEqual(['Headers', 'Bodies', 'Importing', 'Bodies', 'Headers', 'Idle'])
    world.peers.set('alfa', honest(blocks.slice(0, 60)))
    await world.require(1_049, 1_059)
    await world.advance(5_000)
    expect(world.completed).toEqual([1_049, 1_059])
    expect(world.imported).toEqual(heights(1_000, 1_059))
  })

  it('PR-3: a peer that has pruned what is asked for is left for one that has it, without a penalty', async () => {
    const pruned: FakePeer = {
      claim: 1_300,
      answer: (from, count) =>
        from < 1_150
          ? { blocks: [], code: 'Pruned', lowest: 1_150 }
          : honest(blocks.slice(0, 301)).answer(from, count),
    }
    const world = await worldWith({ alfa: pruned, bravo: honest(blocks.slice(0, 301)) })
    await world.require(999, 1_300)
    await world.advance(5_000)
    expect(world.imported).toEqual(heights(1_000, 1_300))
    expect(world.penalties).toEqual([])
    const below = world.asked.filter(({ peer, from }) => peer === 'alfa' && from < 1_150)
    expect(below).toHaveLength(1)
    expect(world.asked.some(({ peer, from }) => peer === 'alfa' && from > 1_150)).toBe(true)
  })

  it('begins for a higher target only', async () => {
    const world = await worldWith({ alfa: honest(blocks) })
    await world.require(2_000, 2_000)
    expect(world.states).toEqual([])
    expect((await world.status()).currentHeight).toBe(2_000)
  })

  it('follows peers that grow while it runs, and heights that this node commits itself', async () => {
    const peer = honest(blocks, 1_099)
    const world = await worldWith({ alfa: peer })
    await world.require(999, 1_099)
    await world.advance(10)
    peer.claim = 1_400
    await world.require(999, 1_400)
    await world.advance(5_000)
    expect(world.imported).toEqual(heights(1_000, 1_400))
    expect(world.completed).toEqual([1_400])
  })

  it('has a way back to Idle from every state', () => {
    const edges = edgesOf(syncMachine)
    const states = new Set(edges.map(({ from }) => from))
    for (const state of states) {
      let reached = new Set([state])
      for (let size = 0; size !== reached.size; ) {
        size = reached.size
        const next = edges.filter(({ from }) => reached.has(from)).map(({ to }) => to)
        reached = new Set([...reached, ...next])
      }
      expect(reached.has('Idle')).toBe(true)
    }
    expect([...states].sort()).toEqual(['Bodies', 'Headers', 'Idle', 'Importing', 'Stalled'])
  })
})

describe('limits', () => {
  it('never more than four requests per peer and sixteen in all, 128 blocks each (SY-1)', async () => {
    const names = ['alfa', 'bravo', 'carmen', 'delta', 'echo', 'foxtrot']
    const slow = { ...honest(blocks, 9_000), delayMs: 3_000 }
    const world = await worldWith(Object.fromEntries(names.map((name) => [name, slow])))
    await world.require(999, 9_000)
    await world.advance(2_000)
    expect(world.asked).toHaveLength(16)
    for (const name of names) {
      expect(world.asked.filter(({ peer }) => peer === name).length).toBeLessThanOrEqual(4)
    }
    expect(world.asked.every(({ count }) => count <= 128)).toBe(true)
  })

  it('holds a bounded number of bytes ahead of the import, and still finishes (SY-5)', async () => {
    const big = chainOfBlocks(1, 40, 100_000)
    const world = await createSyncWorld({
      limits: { rangeLength: 4, lookAheadBytes: 1_500_000 },
    })
    world.importMs = 2_000
    world.peers.set('alfa', honest(big))
    world.peers.set('bravo', honest(big))
    await world.require(0, 40)
    await world.advance(1_000)
    // 15 blocks fit beside the lowest range of five.
    expect((await world.status()).targetHeight).toBeLessThanOrEqual(20)
    await world.advance(60_000)
    expect(world.imported).toEqual(heights(1, 40))
    expect(world.completed).toEqual([40])
  })
})

describe('peers that do not answer', () => {
  it('a silent peer loses its range after ten seconds to another (SY-3)', async () => {
    const upTo1300 = honest(blocks.slice(0, 301))
    const silent: FakePeer = { claim: 1_300, answer: () => undefined }
    const world = await worldWith({ alfa: silent, bravo: upTo1300 })
    await world.require(999, 1_300)
    await world.advance(12_500)
    const first = world.asked.filter(({ from }) => from === 1_000)
    expect(first.map(({ peer }) => peer)).toEqual(['alfa', 'bravo'])
    expect((first[1]?.atMs ?? 0) - (first[0]?.atMs ?? 0)).toBeLessThanOrEqual(11_000)
    expect(world.imported).toEqual(heights(1_000, 1_300))
  })

  it('with two of three peers silent it still completes within a minute (SY-3, SY-6)', async () => {
    const silent: FakePeer = { claim: 1_700, answer: () => undefined }
    const world = await worldWith({ alfa: silent, bravo: silent, carmen: honest(blocks) })
    await world.require(999, 1_700)
    await world.advance(60_000)
    expect(world.imported).toEqual(heights(1_000, 1_700))
    expect(world.completed).toEqual([1_700])
    expect(world.penalties).toEqual([])
  })

  it('the lowest missing range always has an owner while a peer may have it (SY-3)', async () => {
    const flaky: FakePeer = {
      claim: 1_700,
      answer: (from, count) => (from % 3 === 0 ? undefined : honest(blocks).answer(from, count)),
    }
    const world = await worldWith({ alfa: flaky, bravo: honest(blocks), carmen: flaky })
    await world.require(999, 1_700)
    for (let second = 0; second < 40 && world.completed.length === 0; second += 1) {
      await world.advance(1_000)
      if (world.completed.length > 0) break
      const next = (world.imported.at(-1) ?? 999) + 1
      const owners = world.asked.filter(({ from, count }) => from <= next && next < from + count)
      expect(owners.length).toBeGreaterThan(0)
    }
    expect(world.completed).toEqual([1_700])
  })

  it('without any peer it is Stalled, says so, and goes on when one comes (SY-6)', async () => {
    const world = await worldWith({})
    await world.require(999, 1_200)
    await world.advance(10_000)
    expect((await world.status()).state).toBe('Stalled')
    expect(world.completed).toEqual([])
    world.peers.set('alfa', honest(blocks.slice(0, 201)))
    await world.advance(10_000)
    expect(world.completed).toEqual([1_200])
  })
})

describe('peers that lie (SY-4)', () => {
  const lies: readonly (readonly [string, readonly CommittedBlock[]])[] = [
    ['a wrong height', tampered(1_050, ({ block }) => (block.header.height = 1_051))],
    ['a gap', blocks.filter(({ block }) => block.header.height !== 1_050)],
    ['an altered header', tampered(1_050, ({ block }) => (block.header.slot = 99))],
    ['a certificate of another block', tampered(1_050, (it) => (it.certificate.height = 7))],
    ['a bad certificate', tampered(1_050, (it) => (it.certificate.signature[0] = 1))],
  ]

  it.each(lies)('%s: the batch is dropped, the peer pays, the others serve', async (_, lie) => {
    const world = await worldWith({ alfa: honest(lie), bravo: honest(blocks) })
    await world.require(999, 1_300)
    await world.advance(30_000)
    expect(world.imported).toEqual(heights(1_000, 1_700))
    expect(world.penalties.length).toBeGreaterThan(0)
    expect(world.penalties.every(({ peer, score }) => peer === 'alfa' && score === 34)).toBe(true)
    expect(world.completed).toHaveLength(1)
  })

  it('more blocks than were asked for are refused', async () => {
    const greedy: FakePeer = { claim: 1_700, answer: () => ({ blocks: blocks.slice(0, 300) }) }
    const world = await worldWith({ alfa: greedy, bravo: honest(blocks) })
    await world.require(999, 1_700)
    await world.advance(10_000)
    expect(world.penalties.some(({ code }) => code === 'TooManyBlocks')).toBe(true)
    expect(world.completed).toEqual([1_700])
  })

  it('a claimed height without blocks counts for nothing (SY-6)', async () => {
    const liar: FakePeer = { claim: Number.MAX_SAFE_INTEGER, answer: () => ({ blocks: [] }) }
    const world = await worldWith({ alfa: liar })
    await world.require(999, Number.MAX_SAFE_INTEGER)
    expect((await world.status()).targetHeight).toBe(999)
    await world.advance(10_000)
    expect(world.completed).toEqual([999])
    expect(world.asked.length).toBeLessThanOrEqual(4)
    expect(world.penalties[0]).toEqual({ peer: 'alfa', code: 'EmptyRange', score: 5 })
  })

  it('a high claim beside an honest peer does not hold the end back', async () => {
    const liar: FakePeer = { claim: 2 ** 52, answer: () => ({ blocks: [] }) }
    const world = await worldWith({ alfa: liar, bravo: honest(blocks) })
    await world.require(999, 1_700)
    await world.advance(30_000)
    expect(world.imported).toEqual(heights(1_000, 1_700))
    expect(world.completed).toEqual([1_700])
  })

  it('a block that Chain finds bad costs its sender, and nothing committed is taken back', async () => {
    const world = await worldWith({ alfa: honest(blocks), bravo: honest(blocks) })
    let refused = 0
    world.onImport = (batch) => {
      const first = batch[0]?.block.header.height ?? 0
      if (first !== 1_000 || refused > 0) return undefined
      refused += 1
      world.imported.push(...heights(1_000, 1_040))
      return { height: 1_040, code: 'BadBody', fault: 'peer' }
    }
    await world.require(999, 1_700)
    await world.advance(20_000)
    expect(world.imported).toEqual(heights(1_000, 1_700))
    expect(world.penalties).toEqual([{ peer: 'alfa', code: 'BadBody', score: 34 }])
    expect(world.completed).toEqual([1_700])
  })
})

describe('trouble of our own', () => {
  it('an import that fails here blames nobody and is tried again (SY-2)', async () => {
    const world = await worldWith({ alfa: honest(blocks.slice(0, 201)) })
    let failures = 2
    world.onImport = () => {
      failures -= 1
      return failures < 0 ? undefined : { height: 999, code: 'EngineUnavailable', fault: 'local' }
    }
    await world.require(999, 1_200)
    await world.advance(2_000)
    expect((await world.status()).state).toBe('Stalled')
    await world.advance(20_000)
    expect(world.imported).toEqual(heights(1_000, 1_200))
    expect(world.penalties).toEqual([])
    expect(world.completed).toEqual([1_200])
  })

  it('what cannot be judged yet is no fault of the peer', async () => {
    let judged = false
    const world = await createSyncWorld({
      verifyCommitted: () => (judged ? VALID : unknown('ParentMissing', 1_000)),
    })
    world.peers.set('alfa', honest(blocks.slice(0, 101)))
    await world.require(999, 1_100)
    await world.advance(2_000)
    expect(world.penalties).toEqual([])
    judged = true
    await world.advance(10_000)
    expect(world.completed).toEqual([1_100])
  })
})

describe('status (SY-14)', () => {
  it('tells start, current, target, peers and rate', async () => {
    const world = await worldWith({ alfa: honest(blocks), bravo: honest(blocks) })
    world.importMs = 1_000
    await world.require(999, 1_700)
    await world.advance(2_500)
    const status = await world.status()
    expect(status).toMatchObject({ startHeight: 999, peers: 2, targetHeight: 1_700 })
    expect(status.currentHeight).toBeGreaterThan(1_000)
    expect(status.blocksPerSecond).toBeGreaterThan(10)
    expect(status.secondsLeft).toBeGreaterThan(0)
  })
})
