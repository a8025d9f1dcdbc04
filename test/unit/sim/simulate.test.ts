import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readTree } from '../../arch/sources.ts'
import { addCoverage, INVARIANTS, noCoverage, PLANNED, zeros } from '../../sim/coverage.ts'
import { drawPlan, faultyMembers, faultyNodes } from '../../sim/plan.ts'
import { PROFILES } from '../../sim/profiles.ts'
import { shrink } from '../../sim/shrink.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SEEDS = { first: 1, last: 24 }
const WORLDS_MS = 600_000
const PLACES = { nodes: 4, members: 4 }

/** What the simulator may know of the product: the trees, ports, and the doors of lower floors. */
const ENTRANCES =
  /^(?:node\/tree\.ts|governance\/(?:tree|port)\.ts|node\/adapters\/sign-guard\/index\.ts|(?:crypto|proto|supervisor|messages|bridge)\/index\.ts|(?:core|actors|vm|devnet)\/\w+\/index\.ts)$/

interface Kept {
  readonly seed: number
  readonly profile: string
  readonly found: string
}

async function worlds(...args: string[]): Promise<{ lines: string[]; result: Result }> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['test/sim/main.ts', '--shrink', '0', ...args],
    { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 },
  ).catch((failed: { stdout: string }) => failed)
  const lines = stdout.trimEnd().split('\n')
  return { lines: lines.slice(0, -1), result: JSON.parse(lines.at(-1) as string) as Result }
}

interface Result {
  readonly worlds: number
  readonly violations: readonly unknown[]
  readonly stuck: number
  readonly coverage: { readonly commits: number; readonly faults: Readonly<Record<string, number>> }
}

describe('worlds', () => {
  const told = new Map<string, string>()
  const seedOf = (line: string) => line.split(':')[0] as string

  it(
    'hold all invariants, and after healing all goes on',
    async () => {
      const range = `${SEEDS.first}..${SEEDS.last}`
      const { lines, result } = await worlds('--seeds', range, '--profile', 'short', '--jobs', '2')
      expect(result.violations).toEqual([])
      expect(result.worlds).toBe(SEEDS.last)
      expect(result.coverage.commits).toBeGreaterThan(SEEDS.last)
      for (const line of lines) told.set(seedOf(line), line)
      expect(told.size).toBe(SEEDS.last)
      const hashes = [...told.values()].map((line) => line.split('log ')[1])
      expect(new Set(hashes).size).toBe(SEEDS.last)
    },
    WORLDS_MS,
  )

  it(
    'hold all rules of voting while f validators lie and the network is split (BF-12)',
    async () => {
      const { result } = await worlds('--seeds', '1..16', '--profile', 'consensus', '--jobs', '2')
      expect(result.violations).toEqual([])
      expect(result.worlds).toBe(16)
    },
    WORLDS_MS,
  )

  it.each(['bridge', 'keys'])(
    'of the profile %s hold: nobody is named who does not lie, and all that was asked of the peg ends (5.1, 5.8)',
    async (profile) => {
      const { result } = await worlds('--seeds', '1..2', '--profile', profile, '--jobs', '2')
      expect(result.violations).toEqual([])
      expect(result.worlds).toBe(2)
    },
    WORLDS_MS,
  )

  it(
    'are the same, to the byte of their logs, whatever ran before and in however many processes',
    async () => {
      const { lines } = await worlds('--seeds', '7..9', '--profile', 'short')
      expect(lines).toHaveLength(3)
      for (const line of lines) expect(line).toBe(told.get(seedOf(line)))
    },
    WORLDS_MS,
  )

  const kept = JSON.parse(readFileSync(`${ROOT}test/sim/seeds.json`, 'utf8')) as Kept[]
  it.each(kept)(
    'seed $seed ($profile) holds, which once did not: $found',
    async ({ seed, profile }) => {
      const { result } = await worlds('--seed', String(seed), '--profile', profile)
      expect(result.violations).toEqual([])
    },
    WORLDS_MS,
  )
})

describe('the plan of a world', () => {
  const plans = Array.from({ length: 100 }, (_, seed) =>
    drawPlan(seed, PROFILES.everything, PLACES),
  )

  it('is a function of the seed, as data', () => {
    const again = drawPlan(42, PROFILES.everything, PLACES)
    expect(JSON.parse(JSON.stringify(again))).toEqual(plans[42])
    expect(plans[41]).not.toEqual(plans[42])
  })

  it('holds every kind of fault in some world', () => {
    const kinds = new Set(plans.flat().map(({ kind }) => kind))
    expect([...PLANNED].filter((kind) => !kinds.has(kind))).toEqual([])
  })

  it('has at most f validators that break the rules, and n − t members', () => {
    for (const plan of plans) {
      const seats = (of: (fault: (typeof plan)[number]) => number | undefined) =>
        new Set(plan.filter(({ atMs }) => atMs === 0).flatMap((fault) => of(fault) ?? [])).size
      const treason = /^(?:equivocates|withholds|stale|bad|forges|votesUnknown|replays)/
      const traitors = seats((fault) =>
        treason.test(fault.kind) && fault.kind !== 'staleTip' && 'node' in fault
          ? fault.node
          : undefined,
      )
      expect(traitors).toBeLessThanOrEqual(faultyNodes(PLACES.nodes))
      const liars = seats((fault) => ('member' in fault ? fault.member : undefined))
      expect(liars).toBeLessThanOrEqual(faultyMembers(PLACES.members))
    }
  })
})

describe('a failure', () => {
  it('is reduced to the faults that it needs', async () => {
    const items = Array.from({ length: 60 }, (_, at) => at)
    const needs = [3, 17, 44]
    const few = await shrink(items, 200, async (part) => needs.every((one) => part.includes(one)))
    expect(few).toEqual(needs)
  })

  it('that needs no fault is reduced to none', async () => {
    expect(await shrink([1, 2, 3], 10, async () => true)).toEqual([])
  })

  it('keeps within the budget, and what it returns still fails', async () => {
    let tries = 0
    const few = await shrink([...Array(100).keys()], 7, async (part) => {
      tries += 1
      return part.includes(5) && part.includes(95)
    })
    expect(tries).toBeLessThanOrEqual(7)
    expect(few).toEqual(expect.arrayContaining([5, 95]))
  })
})

describe('coverage', () => {
  it('names what never happened', () => {
    const sum = noCoverage(['crash', 'loss'], INVARIANTS)
    const one = noCoverage(['crash'], INVARIANTS)
    one.faults['crash'] = 2
    one.commits = 5
    addCoverage(sum, one)
    expect(zeros(sum)).toContain('loss')
    expect(zeros(sum)).not.toContain('crash')
    expect(zeros(sum)).not.toContain('commits')
  })
})

it('the simulator enters the product by its trees, ports and doors alone', () => {
  const imports = readTree(['test/sim'])
    .filter(({ path }) => !path.startsWith('test/sim/mutants/'))
    .flatMap(({ path, imports: all }) => all.map(({ target }) => ({ path, target: target ?? '' })))
    .filter(({ target }) => target !== '' && !target.startsWith('test/'))
  expect(imports.length).toBeGreaterThan(20)
  expect(imports.filter(({ target }) => !ENTRANCES.test(target))).toEqual([])
})
