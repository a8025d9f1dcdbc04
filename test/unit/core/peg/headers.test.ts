import { parseHeader, serializeHeader } from '../../../../core/bitcoin/index.ts'
import { ledgerRoot, rowOf } from '../../../../core/ledger/index.ts'
import { assemble, nextHeaderLocator } from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { BitcoinWorld, PegWorld, type PegWorld as World } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }

function changed(
  header: Uint8Array,
  fields: Partial<{ bits: number; time: number; nonce: number; previousHash: Uint8Array }>,
): Uint8Array {
  const parsed = parseHeader(header)
  if (!parsed.ok) throw new Error('no header')
  return serializeHeader({ ...parsed.value, ...fields })
}

/** The same header with a nonce that does not meet its target. */
function withoutWork(world: World, header: Uint8Array): Uint8Array {
  for (let nonce = 0; ; nonce++) {
    const other = changed(header, { nonce })
    if (world.codeOf({ bitcoinHeaders: [other] }) === 'HeaderWorkMissing') return other
  }
}

describe('the in-block header chain (P 4.1)', () => {
  it('headers extend the tip and count as confirmations at once', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 5)
    world.syncHeaders()
    expect(world.ledger.state.tipHeight).toBe(5)
    expect(toHex(world.ledger.state.tipHash)).toBe(toHex(world.bitcoin.tip.hash))
    expect(rowOf(world.ledger, 'headers', world.bitcoin.tip.hash)).toMatchObject({
      height: 5,
      chainWork: 12n,
    })
  })

  it.each([
    ['HeaderParentUnknown', (h: Uint8Array) => changed(h, { previousHash: new Uint8Array(32) })],
    ['HeaderBitsWrong', (h: Uint8Array) => changed(h, { bits: 0x207ffffe })],
  ] as const)('%s', (code, change) => {
    const world = new PegWorld()
    const { header } = world.bitcoin.mine()
    expect(world.codeOf({ bitcoinHeaders: [change(header)] })).toBe(code)
  })

  it('HeaderMalformed: 79 bytes; HeaderWorkMissing: a hash above its target', () => {
    const world = new PegWorld()
    const { header } = world.bitcoin.mine()
    expect(world.codeOf({ bitcoinHeaders: [header.subarray(1)] })).toBe('HeaderMalformed')
    expect(
      world.codeOf({ bitcoinHeaders: [header, world.bitcoin.mine().header.subarray(1)] }),
    ).toBe('HeaderMalformed')
    expect(withoutWork(world, header)).toHaveLength(80)
  })

  it('HeaderParentUnknown: the second header must link to the first', () => {
    const world = new PegWorld()
    const headers = [world.bitcoin.mine().header, world.bitcoin.mine().header]
    expect(
      world.codeOf({ bitcoinHeaders: [headers[0] as Uint8Array, headers[0] as Uint8Array] }),
    ).toBe('HeaderParentUnknown')
    expect(world.codeOf({ bitcoinHeaders: headers })).toBeUndefined()
  })

  it('HeaderTimeTooOld: not later than the median of the last 11', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 11)
    world.syncHeaders()
    const { header } = world.bitcoin.mine()
    // The times are 1 s apart: the median of the last 11 is that of height 6.
    expect(timed(world, header, 6)).toBe('HeaderTimeTooOld')
    expect(timed(world, header, 7)).toBeUndefined()
  })

  function timed(world: World, header: Uint8Array, height: number) {
    const limit = parseHeader(world.bitcoin.blocks[height]?.header as Uint8Array)
    if (!limit.ok) throw new Error('no header')
    for (let nonce = 0; ; nonce++) {
      const other = changed(header, { time: limit.value.time, nonce })
      const code = world.codeOf({ bitcoinHeaders: [other] })
      if (code !== 'HeaderWorkMissing') return code
    }
  }

  it('HeaderTimeTooNew: at most two hours after the block, and a proposer leaves such a one for later', () => {
    const world = new PegWorld()
    const { header } = world.bitcoin.mine()
    const parsed = parseHeader(header)
    if (!parsed.ok) throw new Error('no header')
    const latest = parsed.value.time - 7200
    const items = { bitcoinHeaders: [header] }
    expect(world.codeOf(items, { timestamp: latest })).toBeUndefined()
    expect(world.codeOf(items, { timestamp: latest - 1 })).toBe('HeaderTimeTooNew')
    const queue = { ...EMPTY_QUEUE, headers: [header] }
    expect(assemble(world.ledger, world.context({ timestamp: latest - 1 }), queue)).toMatchObject({
      items: { bitcoinHeaders: [] },
      refused: [{ kind: 'header', index: 0, code: 'HeaderTimeTooNew', permanent: false }],
    })
  })

  it('HeadersTooMany: 144 extend the tip, and a proposer takes as many', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 145)
    const headers = world.bitcoin.headersAfter(0)
    expect(world.codeOf({ bitcoinHeaders: headers })).toBe('HeadersTooMany')
    expect(world.codeOf({ bitcoinHeaders: headers.slice(0, 144) })).toBeUndefined()
    const { items } = assemble(world.ledger, world.context(), { ...EMPTY_QUEUE, headers })
    expect(items.bitcoinHeaders).toHaveLength(144)
  })

  it('PegOutsideViewZero: a block of a later view carries none', () => {
    const world = new PegWorld()
    const { header } = world.bitcoin.mine()
    const slot = world.context().slot
    const late = { viewZeroSlot: slot - 1 }
    expect(world.codeOf({ bitcoinHeaders: [header] }, late)).toBe('PegOutsideViewZero')
    expect(world.codeOf({}, late)).toBeUndefined()
    const queue = { ...EMPTY_QUEUE, headers: [header] }
    expect(assemble(world.ledger, world.context(late), queue).items.bitcoinHeaders).toEqual([])
  })
})

describe('branches (P 4.1)', () => {
  it('a branch of strictly more work takes over, whole; the old headers stay known', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 5)
    world.syncHeaders()
    const before = world.bitcoin.tip
    const other = world.bitcoin.fork(2, 'other')
    other.mine([], 3)
    expect(world.codeOf({ bitcoinHeaders: other.headersAfter(2) })).toBe('BranchWithoutMoreWork')
    other.mine()
    expect(world.codeOf({ bitcoinHeaders: other.headersAfter(2) })).toBeUndefined()
    world.block({ items: { bitcoinHeaders: other.headersAfter(2) } })
    expect(world.ledger.state).toMatchObject({ tipHeight: 6, tipHash: other.tip.hash })
    expect(rowOf(world.ledger, 'headers', before.hash)?.height).toBe(5)
  })

  it('BranchFromStale: what follows a header that is off the best chain is no whole branch', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 3)
    world.syncHeaders()
    const other = world.bitcoin.fork(1, 'other')
    other.mine([], 3)
    world.block({ items: { bitcoinHeaders: other.headersAfter(1) } })
    world.bitcoin.mine([], 5)
    expect(world.codeOf({ bitcoinHeaders: world.bitcoin.headersAfter(3) })).toBe('BranchFromStale')
    expect(world.codeOf({ bitcoinHeaders: world.bitcoin.headersAfter(1) })).toBeUndefined()
  })

  it('BranchNeedsApproval: no block by itself removes more than 100', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 101)
    world.syncHeaders()
    const deep = new BitcoinWorld('deep', world.bitcoin.blocks.slice(0, 1))
    deep.mine([], 102)
    expect(world.codeOf({ bitcoinHeaders: deep.headersAfter(0) })).toBe('BranchNeedsApproval')
    const allowed = world.bitcoin.fork(1, 'allowed')
    allowed.mine([], 101)
    expect(world.codeOf({ bitcoinHeaders: allowed.headersAfter(1) })).toBeUndefined()
  })

  it('a shorter chain of more work closes the heights above it; going back and forth gives equal roots', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const other = world.bitcoin.fork(0, 'other')
    other.mine([], 3)
    world.block({ items: { bitcoinHeaders: other.headersAfter(0) } })
    world.bitcoin.mine([], 2)
    world.block({ items: { bitcoinHeaders: world.bitcoin.headersAfter(0) } })
    expect(world.ledger.state.tipHash).toEqual(world.bitcoin.tip.hash)
    expect(ledgerRoot(world.ledger)).toHaveLength(32)
  })

  it('a proposer passes over what the ledger has, and the locator leads from the tip to the checkpoint', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 40)
    world.syncHeaders()
    world.bitcoin.mine([], 2)
    const queue = { ...EMPTY_QUEUE, headers: world.bitcoin.headersAfter(10) }
    const { items, refused } = assemble(world.ledger, world.context(), queue)
    expect(items.bitcoinHeaders).toEqual(world.bitcoin.headersAfter(40))
    expect(refused).toEqual([])
    const points = nextHeaderLocator(world.ledger, world.genesis)
    expect(points.map(({ height }) => height)).toEqual([
      40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 29, 25, 17, 1, 0,
    ])
    for (const { height, hash } of points) {
      expect(hash).toEqual(world.bitcoin.blocks[height]?.hash)
    }
  })
})
