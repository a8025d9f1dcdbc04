/** Bench `sim`: what a world of the simulator costs, with the profile that tries everything. */

import { Worlds } from '../sim/worlds.ts'
import { type Bench, type Figure, median } from './figures.ts'

const SETTING = { nodes: 4, members: 4, profile: 'everything' } as const
/** Issue 4: so many worlds in half an hour on two cores. */
const AIM = { worlds: 1_000, seconds: 1_800, cores: 2 } as const
const AIM_CPU_SECONDS = (AIM.seconds * AIM.cores) / AIM.worlds

export const sim: Bench = async ({ worlds: count, tell }) => {
  const worlds = new Worlds()
  const cpuSeconds: number[] = []
  let events = 0
  let virtualSeconds = 0
  const startedMs = performance.now()
  for (let seed = 1; seed <= count; seed++) {
    const before = process.cpuUsage()
    const report = await worlds.run({ setting: SETTING, seed })
    const { user, system } = process.cpuUsage(before)
    cpuSeconds.push((user + system) / 1e6)
    events += report.events
    virtualSeconds += report.virtualSeconds
    if (report.violations.length > 0) tell(`seed ${seed} broke ${report.violations[0]?.invariant}`)
  }
  const seconds = (performance.now() - startedMs) / 1_000
  const cpu = cpuSeconds.reduce((sum, each) => sum + each, 0)
  const figure = (metric: string, unit: string, ours: number, rest: Partial<Figure>): Figure => {
    return { metric, unit, better: 'higher', ours, ...rest }
  }
  return [
    figure('world_cpu', 's', cpu / count, {
      better: 'lower',
      peers: { aim: AIM_CPU_SECONDS },
      note: `mean of ${count} worlds, median ${median(cpuSeconds).toFixed(2)}`,
    }),
    figure('worlds_per_minute', '1/min', (count * 60) / cpu, {
      peers: { aim: 60 / AIM_CPU_SECONDS },
      note: `of one core's time; by the clock, on this machine now, ${((count * 60) / seconds).toFixed(1)}`,
    }),
    figure('events', '1/s', events / cpu, { note: `${Math.round(events / count)} a world` }),
    figure('virtual_to_real', '1', virtualSeconds / cpu, {
      note: `${(virtualSeconds / count).toFixed(0)} virtual seconds a world, per second of processor time`,
    }),
  ]
}
