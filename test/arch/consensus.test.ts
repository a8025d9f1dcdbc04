/** What keeps the outcome of consensus a function of its inputs (C-3, C-5): where time, chance and fractions may be at all. */
import { HOUSE, parseSource, readTree, type SourceFile } from './sources.ts'

interface Hit {
  readonly path: string
  readonly what: string
}

function hits(files: readonly SourceFile[], pattern: RegExp): Hit[] {
  return files.flatMap(({ path, code }) =>
    [...code.matchAll(pattern)].map(([what]) => ({ path, what: what.trim() })),
  )
}

const WORLD_CLOCK = /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/g
const WORLD_CHANCE = /\bMath\.random\b|\brandomBytes\(|\brandomUUID\(|\bgetRandomValues\b/g

describe('C-3: time and chance have one door', () => {
  const programs = readTree(HOUSE).filter(
    ({ path }) => !path.startsWith('devnet/') && !path.startsWith('supervisor/testing/'),
  )
  /** Real sockets and threads measure their own durations; whatever decides something is above them. */
  const aboveAdapters = programs.filter(({ path }) => !path.startsWith('node/adapters/'))

  it('a node and a member read no clock but the one that they are given', () => {
    expect(hits(aboveAdapters, WORLD_CLOCK)).toEqual([])
    const system = programs.filter(({ path }) => path.startsWith('node/adapters/system/'))
    expect(hits(system, WORLD_CLOCK)).toEqual([
      { path: 'node/adapters/system/clock.ts', what: 'Date.now' },
    ])
  })

  it('a node and a member draw chance in one place, but for serial numbers of certificates and names of files that are renamed at once', () => {
    expect(hits(programs, WORLD_CHANCE)).toEqual([
      { path: 'node/adapters/certificates/index.ts', what: 'getRandomValues' },
      { path: 'node/adapters/system/chance.ts', what: 'randomBytes(' },
      { path: 'governance/files.ts', what: 'randomUUID(' },
    ])
  })

  it('a second door would be seen', () => {
    const planted = parseSource('actors/chain/a.ts', 'const at = Date.now() + Math.random()')
    expect(hits([planted], WORLD_CLOCK)).toHaveLength(1)
    expect(hits([planted], WORLD_CHANCE)).toHaveLength(1)
  })
})

describe('C-5: no floating point where blocks are decided', () => {
  const rooms = readTree(['core', 'bridge', 'vm', 'crypto']).filter(
    ({ path }) => !path.includes('/contracts/') && path !== 'crypto/keystore.ts',
  )
  /** What may give a number that is no integer. */
  const FLOATS =
    /(?<![\w.])\d+\.\d+|\bparseFloat\b|\bMath\.(?!min\b|max\b|floor\b|ceil\b|abs\b|trunc\b|imul\b)\w+|\btoFixed\b|\bNumber\.EPSILON\b/g

  it('no fractions, no roots, no logarithms, no rounding to the nearest', () => {
    expect(hits(rooms, FLOATS)).toEqual([])
  })

  /** Quotients of numbers that stand in no floor or ceil, and why they are whole or decide nothing. */
  const WHOLE: Readonly<Record<string, string>> = {
    'return (slot * slotMs) / 1000': 'slotMs is a multiple of 1000 (genesis)',
    'const shortest = TARGET_TIMESPAN_SECONDS / 4': 'a constant that is a multiple of 4',
    'waitMs: (viewLength(view, size(height)) * state.config.slotMs) / 8,': 'a timer',
  }

  it('every division is one of integers: by bigint, within floor or ceil, or known to be whole', () => {
    const divisions = rooms
      .filter(({ path }) => path.startsWith('core/') || path.startsWith('bridge/'))
      .flatMap(({ code }) => code.split('\n').map((line) => line.trim()))
      .filter((line) => /[\w)\]] \/ [\w(]/.test(line))
      .filter(
        (line) =>
          !/Math\.(?:floor|ceil)\(/.test(line) && !/\d n|\dn\b|BigInt|[Ww]ei|divisor/.test(line),
      )
    expect(divisions.sort()).toEqual(Object.keys(WHOLE).sort())
  })

  it('a fraction would be seen', () => {
    const planted = parseSource('core/peg/a.ts', 'const fee = Math.round(rate * 1.5)')
    expect(hits([planted], FLOATS).map(({ what }) => what)).toEqual(['Math.round', '1.5'])
  })
})
