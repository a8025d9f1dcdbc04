/** What a bench measures, how ours compares with the peers', and how it is shown. */

export interface Figure {
  readonly metric: string
  readonly unit: string
  readonly better: 'lower' | 'higher'
  readonly ours: number
  /** The same on this machine in this run, by somebody else. */
  readonly peers?: Readonly<Record<string, number>>
  /** Where it is not the quotient of the two figures, such as the median of the rounds' ratios. */
  readonly ratio?: Readonly<Record<string, number>>
  /** How it was come by, for the table: samples, spread, aim. */
  readonly note?: string
}

export interface BenchOptions {
  readonly json: boolean
  /** Blocks of the idle chain that are measured. */
  readonly blocks: number
  readonly deposits: number
  readonly nodes: number
  readonly members: number
  /** Rounds in which everybody is measured once, in turn. */
  readonly rounds: number
  readonly worlds: number
  /** Signed transactions of the largest round. */
  readonly transactions: number
  /** Of the largest state. */
  readonly accounts: number
  /** The contenders that run; absent: all. */
  readonly only?: readonly string[]
  tell(line: string): void
}

export type Bench = (options: BenchOptions) => Promise<readonly Figure[]>

/** The shape of the last line of every bench. */
export interface Report {
  readonly bench: string
  readonly results: readonly {
    readonly metric: string
    readonly unit: string
    readonly ours: number
    readonly peers: Readonly<Record<string, number>>
    /** Above 1: ours is better. */
    readonly ratio: Readonly<Record<string, number>>
  }[]
}

export function reportOf(bench: string, figures: readonly Figure[]): Report {
  const results = figures.map(({ metric, unit, better, ours, peers = {}, ratio = {} }) => {
    const shown = Object.entries(peers).map(([name, value]) => [name, rounded(value)] as const)
    const ratios = Object.entries(peers).flatMap(([name, value]) => {
      const measured = ratio[name] ?? (better === 'lower' ? value / ours : ours / value)
      return Number.isFinite(measured) ? [[name, rounded(measured)] as const] : []
    })
    return {
      metric,
      unit,
      ours: rounded(ours),
      peers: Object.fromEntries(shown),
      ratio: Object.fromEntries(ratios),
    }
  })
  return { bench, results }
}

/** One row per figure, columns aligned. */
export function tableOf({ results }: Report, figures: readonly Figure[]): string {
  const rows = results.map(({ metric, unit, ours, peers, ratio }, index) => {
    const others = Object.entries(peers).map(
      ([name, value]) => `${name} ${value} (ratio ${ratio[name] ?? 'none'})`,
    )
    return [metric, String(ours), unit, others.join(', '), figures[index]?.note ?? '']
  })
  const table = [['metric', 'ours', 'unit', 'peers', 'how'], ...rows]
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  )
  const lines = table.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return column === 1 ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
  return lines.join('\n')
}

/** The value below which `share` of the samples lie: nearest rank, so that it is one that was measured. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new Error('nothing was measured')
  const sorted = [...samples].sort((left, right) => left - right)
  const rank = Math.max(1, Math.ceil(share * sorted.length))
  return sorted[rank - 1] as number
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5)

/** The median of the ratios of samples that were taken side by side: what slowed down one round slowed down both. */
export function medianRatio(ours: readonly number[], peers: readonly number[]): number {
  if (ours.length !== peers.length) throw new Error('not measured side by side')
  return median(ours.map((value, round) => value / (peers[round] as number)))
}

/** By how much `y` grows for each `x`: the line of least squares. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  if (points.length < 2) throw new Error('a line takes two points')
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length
  const meanX = mean(points.map(({ x }) => x))
  const meanY = mean(points.map(({ y }) => y))
  const both = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0)
  return both / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
}

/** Three digits are more than any of these figures can carry. */
function rounded(value: number): number {
  return Number(value.toPrecision(value >= 1_000 ? 4 : 3))
}
