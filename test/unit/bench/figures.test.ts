import {
  type Figure,
  median,
  medianRatio,
  quantile,
  reportOf,
  slope,
  tableOf,
} from '../../bench/figures.ts'
import { cpuShare, residentMib, usageOf } from '../../bench/processes.ts'

const slow: Figure = {
  metric: 'latency',
  unit: 'ms',
  better: 'lower',
  ours: 200,
  peers: { floor: 50, other: 400 },
  note: 'of 3',
}
const fast: Figure = {
  metric: 'throughput',
  unit: '1/s',
  better: 'higher',
  ours: 300,
  peers: { other: 100 },
}

describe('a report', () => {
  it('has a ratio above 1 exactly where ours is better', () => {
    const { results } = reportOf('b', [slow, fast])
    expect(results.map(({ ratio }) => ratio)).toEqual([{ floor: 0.25, other: 2 }, { other: 3 }])
  })

  it('has every field of the one shape, with or without peers', () => {
    const figure: Figure = { metric: 'm', unit: 's', better: 'lower', ours: 1.23456 }
    expect(reportOf('b', [figure])).toEqual({
      bench: 'b',
      results: [{ metric: 'm', unit: 's', ours: 1.23, peers: {}, ratio: {} }],
    })
  })

  it('has no ratio to nothing', () => {
    const [idle] = reportOf('b', [{ ...slow, ours: 0, peers: { other: 0 } }]).results
    expect(idle?.ratio).toEqual({})
  })

  it('is a table with a row per figure for people', () => {
    const lines = tableOf(reportOf('b', [slow, fast]), [slow, fast]).split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[1]).toContain('floor 50 (ratio 0.25)')
    expect(lines[1]).toContain('of 3')
  })
})

describe('a ratio of what was measured side by side', () => {
  it('is the median of the rounds, and not the quotient of the medians', () => {
    expect(medianRatio([20, 30, 80], [10, 30, 20])).toBe(2)
    expect(() => medianRatio([1], [])).toThrow('side by side')
  })

  it('stands in the report instead of the quotient', () => {
    const [only] = reportOf('b', [{ ...fast, ratio: { other: 2.5 } }]).results
    expect(only?.ratio).toEqual({ other: 2.5 })
  })
})

describe('a slope', () => {
  it('is what y grows by for each x, whatever lies around the line', () => {
    const points = [0, 1, 2, 3].map((x) => ({ x, y: 5 + 2 * x + (x % 3 === 0 ? 1 : -1) }))
    expect(slope(points)).toBeCloseTo(2)
    expect(() => slope([{ x: 1, y: 1 }])).toThrow('two points')
  })
})

describe('a quantile', () => {
  it('is a sample that was measured', () => {
    const samples = [40, 10, 30, 20]
    expect(median(samples)).toBe(20)
    expect(quantile(samples, 0.99)).toBe(40)
    expect(quantile(samples, 0)).toBe(10)
  })

  it('of nothing is an error', () => {
    expect(() => median([])).toThrow('nothing was measured')
  })
})

describe('what Linux tells of a process', () => {
  it('grows with the work that it does', () => {
    const before = usageOf(process.pid)
    const endMs = performance.now() + 300
    while (performance.now() < endMs);
    const share = cpuShare(before, usageOf(process.pid))
    expect(share).toBeGreaterThan(5)
  })

  it('has its memory in MiB', () => {
    const mib = process.memoryUsage.rss() / 2 ** 20
    expect(residentMib(process.pid)).toBeGreaterThan(mib * 0.5)
    expect(residentMib(process.pid)).toBeLessThan(mib * 2)
  })
})
