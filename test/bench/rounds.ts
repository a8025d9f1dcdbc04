/** Measures contenders in turn, so that whatever else the machine does hits all of them alike. */

import { type Figure, median, medianRatio } from './figures.ts'
import type { Contender } from './kernel-contenders.ts'

export interface Race {
  readonly metric: string
  readonly count: number
  readonly rounds: number
  readonly aim: string
  /** The first is ours. */
  readonly contenders: readonly Contender[]
}

/** Rounds that nobody counts: the compiler has its turn. */
const WARM_UP = 2

export async function race({ metric, count, rounds, aim, contenders }: Race): Promise<Figure> {
  const rates = contenders.map((): number[] => [])
  for (let round = -WARM_UP; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      // Who begins changes from round to round.
      const at = (turn + round + WARM_UP) % contenders.length
      const startedMs = performance.now()
      await contenders[at]?.run(count)
      const seconds = (performance.now() - startedMs) / 1_000
      if (round >= 0) rates[at]?.push(count / seconds)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  for (const contender of contenders) await contender.close()
  const [ours = [], ...others] = rates
  const names = contenders.slice(1).map(({ name }) => name)
  const spread = `${thousands(Math.min(...ours))}–${thousands(Math.max(...ours))}`
  return {
    metric,
    unit: 'msg/s',
    better: 'higher',
    ours: median(ours),
    peers: Object.fromEntries(names.map((name, at) => [name, median(others[at] ?? [])])),
    ratio: Object.fromEntries(names.map((name, at) => [name, medianRatio(ours, others[at] ?? [])])),
    note: `${rounds} rounds of ${thousands(count)}, ours ${spread}; ${aim}`,
  }
}

const thousands = (count: number): string => `${Math.round(count / 1_000)}k`
