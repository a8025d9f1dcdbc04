/** `npm run sim -- [--seed N | --seeds A..B] [--minutes M] [--nodes N] [--json] [--log FILE]`: worlds from seeds. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Coverage, createFederation, simulate } from './simulate.ts'

const USAGE =
  'usage: npm run sim -- [--seed N | --seeds A..B] [--minutes M] [--nodes N] [--json] [--log FILE]'

interface Options {
  readonly first: number
  readonly last: number
  readonly minutes: number
  readonly nodes: number
  readonly json: boolean
  readonly log: string | undefined
}

function readOptions(): Options | undefined {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: {
      seed: text,
      seeds: text,
      minutes: text,
      nodes: text,
      json: { type: 'boolean' },
      log: text,
    },
  })
  const range = values.seeds ?? values.seed ?? '1..20'
  const [first = 1, last = first] = range.split('..').map(Number)
  const minutes = Number(values.minutes ?? Number.POSITIVE_INFINITY)
  const nodes = Number(values.nodes ?? 4)
  const isRange = Number.isInteger(first) && Number.isInteger(last) && last >= first
  if (!isRange || Number.isNaN(minutes) || !(nodes >= 1 && nodes <= 10)) return undefined
  return { first, last, minutes, nodes, json: values.json === true, log: values.log }
}

async function main(): Promise<number> {
  const options = readOptions()
  if (options === undefined) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const startedAtMs = performance.now()
  const elapsedSeconds = () => (performance.now() - startedAtMs) / 1_000
  const federation = createFederation(options.nodes, 4)
  const totals = { worlds: 0, stuck: 0, events: 0, virtualSeconds: 0 }
  const violations: { seed: number; invariant: string; event: number }[] = []
  const coverage: Coverage = {
    commits: 0,
    viewChanges: 0,
    pegInsDone: 0,
    pegOutsDone: 0,
    restarts: 0,
    faults: {},
    invariantChecks: {},
  }
  for (let seed = options.first; seed <= options.last; seed++) {
    if (elapsedSeconds() > options.minutes * 60) break
    const report = await simulate({ seed, federation, keepLog: options.log !== undefined })
    if (options.log !== undefined) writeFileSync(options.log, `${report.lines.join('\n')}\n`)
    totals.worlds += 1
    totals.events += report.events
    totals.virtualSeconds += report.virtualSeconds
    add(coverage, report.coverage)
    for (const { invariant, event, atMs, detail } of report.violations) {
      if (LIVENESS.has(invariant)) totals.stuck += 1
      violations.push({ seed, invariant, event })
      process.stdout.write(`seed ${seed}: ${invariant} at event ${event}, ${atMs} ms: ${detail}\n`)
    }
    if (!options.json) {
      const { commits, viewChanges, restarts, pegInsDone, pegOutsDone } = report.coverage
      process.stdout.write(
        `seed ${seed}: ${report.events} events, ${report.virtualSeconds.toFixed(0)} s, ${commits} blocks, ` +
          `${viewChanges} view changes, ${restarts} restarts, ${pegInsDone} in, ${pegOutsDone} out, ` +
          `log ${report.logHash.slice(0, 12)}\n`,
      )
    }
  }
  const seconds = Number(elapsedSeconds().toFixed(1))
  const result = { ...totals, violations, seconds, coverage }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  for (const { seed } of violations) {
    process.stderr.write(
      `again: npm run sim -- --seed ${seed} --nodes ${options.nodes} --log sim.log\n`,
    )
  }
  return violations.length === 0 ? 0 : 1
}

const LIVENESS: ReadonlySet<string> = new Set(['Progress', 'Together', 'PegEnds'])

function add(sum: Coverage, one: Coverage): void {
  for (const name of ['commits', 'viewChanges', 'pegInsDone', 'pegOutsDone', 'restarts'] as const) {
    sum[name] += one[name]
  }
  for (const name of ['faults', 'invariantChecks'] as const) {
    for (const [kind, count] of Object.entries(one[name])) {
      sum[name][kind] = (sum[name][kind] ?? 0) + count
    }
  }
}

process.exitCode = await main()
