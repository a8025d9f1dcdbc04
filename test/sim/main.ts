/** `npm run sim -- [options]`: worlds from seeds; see USAGE. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { addCoverage, LIVENESS, noCoverage, WORLDS_FOR_COVERAGE, zeros } from './coverage.ts'
import {
  type HuntOptions,
  MOST_WORLDS,
  plantedHere,
  runHunt,
  runPlanted,
} from './mutants/command.ts'
import { MOST_NODES } from './node.ts'
import type { Fault } from './plan.ts'
import { PROFILES, type Profile, type ProfileName, profileNamed } from './profiles.ts'
import { shrink } from './shrink.ts'
import type { WorldReport } from './simulate.ts'
import { runAll, type Setting, type Task, Worlds } from './worlds.ts'

/** How often a run with --json says how far it is. */
const PROGRESS_MS = 30_000
const PROGRESS_WORLDS = 100
/** Of more seeds than this nobody wants to know how many. */
const MOST_TOLD = 1e9

const USAGE = `usage: npm run sim -- [--seed N | --seeds A..B] [--minutes M] [--nodes N] [--members N]
       [--profile NAME] [--jobs N] [--json] [--log FILE] [--faults FILE] [--shrink WORLDS] [--mutant NAME]
       npm run sim -- --mutants [--only NAME,...] [--worlds N] [--jobs N] [--json]

  --seeds    worlds of these seeds [1..20]; with --minutes alone, from 1 until the time is over
  --profile  which faults and load: ${Object.keys(PROFILES).join(', ')} [everything]
  --nodes    validators, at most ${MOST_NODES} [4]; --members: of the federation [4; bridge: 7 in some worlds; consensus: 1]
  --jobs     worker processes; the result does not depend on their number [1]
  --log      writes every event and log line of the last world
  --faults   plays this list of faults (JSON) instead of those of the seed
  --mutant   plants this bug first; with --mutants each of them in turn, in worlds from seed 1
             on until one is violated, at most --worlds [${MOST_WORLDS}]
  --shrink   how many worlds may be spent in all, after the result, on finding shorter lists of faults [40]

A violation is told when it is found, with --json on stderr, where also a line says how far the run is, every ${PROGRESS_MS / 1_000} s
or ${PROGRESS_WORLDS} worlds. SIGTERM ends the run with the worlds that are under way; their sum is the last line all the same.

exit code: 0 nothing found, 1 a violation, 2 usage, 3 something that the profile covers never happened (in a run of at
least ${WORLDS_FOR_COVERAGE} worlds, of the profile consensus ${PROFILES.consensus.enoughWorlds})
`

interface Options {
  readonly kind: 'worlds'
  readonly first: number
  readonly last: number
  readonly minutes: number
  readonly setting: Setting
  readonly jobs: number
  readonly json: boolean
  readonly log: string | undefined
  readonly plan: readonly Fault[] | undefined
  readonly shrinkBudget: number
  readonly mutant: string | undefined
}

function readOptions(): Options | HuntOptions | undefined {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: {
      mutant: text,
      mutants: { type: 'boolean' },
      only: text,
      worlds: text,
      seed: text,
      seeds: text,
      minutes: text,
      nodes: text,
      members: text,
      profile: text,
      jobs: text,
      json: { type: 'boolean' },
      log: text,
      faults: text,
      shrink: text,
    },
  })
  const everything = values.minutes === undefined ? '1..20' : `1..${Number.MAX_SAFE_INTEGER}`
  const range = values.seeds ?? values.seed ?? everything
  const [first = 1, last = first] = range.split('..').map(Number)
  const minutes = Number(values.minutes ?? Number.POSITIVE_INFINITY)
  const nodes = Number(values.nodes ?? 4)
  const jobs = Number(values.jobs ?? 1)
  const shrinkBudget = Number(values.shrink ?? 40)
  const profile = values.profile ?? 'everything'
  const members = values.members === undefined ? undefined : Number(values.members)
  const whole = [first, last, nodes, members ?? 1, jobs, shrinkBudget].every(Number.isInteger)
  const inBounds = [nodes, members ?? 1].every((count) => count >= 1 && count <= MOST_NODES)
  if (values.mutants === true && jobs >= 1) {
    const bound = Number(values.worlds ?? MOST_WORLDS)
    return { kind: 'hunt', only: values.only, bound, jobs, json: values.json === true }
  }
  if (!whole || last < first || Number.isNaN(minutes) || !inBounds || jobs < 1) return undefined
  if (profileNamed(profile) === undefined) return undefined
  return {
    kind: 'worlds',
    first,
    last,
    minutes,
    setting: { nodes, profile: profile as ProfileName, ...(members !== undefined && { members }) },
    jobs,
    json: values.json === true,
    log: values.log,
    plan: values.faults === undefined ? undefined : JSON.parse(readFileSync(values.faults, 'utf8')),
    shrinkBudget,
    mutant: values.mutant,
  }
}

function commitName(): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return 'unknown'
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function warn(line: string): void {
  process.stderr.write(`${line}\n`)
}

function printWorld({ seed, events, virtualSeconds, coverage, logHash }: WorldReport): void {
  const { commits, viewChanges, restarts, pegInsDone, pegOutsDone } = coverage
  print(
    `seed ${seed}: ${events} events, ${virtualSeconds.toFixed(0)} s, ${commits} blocks, ` +
      `${viewChanges} view changes, ${restarts} restarts, ${pegInsDone} in, ${pegOutsDone} out, ` +
      `log ${logHash.slice(0, 12)}`,
  )
}

function describe({ seed, violations: [first] }: WorldReport): string {
  if (first === undefined) return `seed ${seed}: nothing`
  const { invariant, event, atMs, detail } = first
  return `seed ${seed}: ${invariant} at event ${event}, ${atMs} ms: ${detail}`
}

/** The first world that broke each invariant: few faults that do it again, and how to see it, within a budget for all. */
async function explain(
  failed: readonly WorldReport[],
  setting: Setting,
  budget: number,
): Promise<void> {
  const worlds = new Worlds()
  const invariantOf = ({ violations: [first] }: WorldReport) => first?.invariant
  const firsts = failed.filter(
    (report, at) => failed.findIndex((one) => invariantOf(one) === invariantOf(report)) === at,
  )
  let left = budget
  for (const [at, report] of firsts.entries()) {
    const { seed, plan } = report
    const share = Math.ceil(left / (firsts.length - at))
    left -= share
    const few = await shrink(plan, share, async (part) => {
      const again = await worlds.run({ setting, seed, plan: part })
      return again.violations.some(({ invariant }) => invariant === invariantOf(report))
    })
    const { nodes, members, profile } = setting
    const said = members === undefined ? '' : `--members ${members} `
    const mutant = plantedHere()
    const planted = mutant === undefined ? '' : `--mutant ${mutant} `
    warn(describe(report))
    warn(`  commit ${commitName()}`)
    warn(`  ${few.length} of ${plan.length} faults are enough: ${JSON.stringify(few)}`)
    warn(
      `  again: npm run sim -- --seed ${seed} --nodes ${nodes} ${said}` +
        `--profile ${profile} ${planted}--log sim.log  (with the list above in a file: --faults FILE)`,
    )
  }
}

/** Says now and then how far a run is. */
class Progress {
  readonly #total: number
  readonly #startedAtMs = performance.now()
  #toldAtMs = performance.now()

  constructor({ first, last }: Options) {
    this.#total = last - first + 1
  }

  note({ worlds }: { readonly worlds: number }, violations: number): void {
    const nowMs = performance.now()
    if (worlds % PROGRESS_WORLDS !== 0 && nowMs - this.#toldAtMs < PROGRESS_MS) return
    this.#toldAtMs = nowMs
    const of = this.#total > MOST_TOLD ? '' : ` of ${this.#total}`
    const seconds = Math.round((nowMs - this.#startedAtMs) / 1_000)
    warn(`${worlds}${of} worlds in ${seconds} s, ${violations} violated`)
  }
}

async function main(): Promise<number> {
  const options = readOptions()
  if (options === undefined) {
    process.stderr.write(USAGE)
    return 2
  }
  if (options.kind === 'hunt') return runHunt(options)
  const { setting, jobs, plan, log, mutant } = options
  if (mutant !== undefined && mutant !== plantedHere()) {
    return runPlanted(mutant, process.argv.slice(2))
  }
  const startedAtMs = performance.now()
  const elapsedSeconds = () => (performance.now() - startedAtMs) / 1_000
  const profile: Profile = PROFILES[setting.profile]
  const { covers, invariants, without = [], enoughWorlds = WORLDS_FOR_COVERAGE } = profile
  const coverage = noCoverage(covers, invariants)
  const totals = { worlds: 0, stuck: 0, events: 0, virtualSeconds: 0 }
  const failed: WorldReport[] = []
  /** Reports that came before their turn: seeds are told in their order. */
  const early = new Map<number, WorldReport>()
  let told = options.first
  const progress = new Progress(options)

  const tell = (report: WorldReport) => {
    totals.worlds += 1
    totals.events += report.events
    totals.virtualSeconds += report.virtualSeconds
    addCoverage(coverage, report.coverage)
    if (report.violations.some(({ invariant }) => LIVENESS.has(invariant))) totals.stuck += 1
    if (report.violations.length > 0) {
      failed.push(report)
      if (options.json) warn(describe(report))
      else print(describe(report))
    }
    if (options.json) progress.note(totals, failed.length)
    if (log !== undefined) writeFileSync(log, `${report.lines.join('\n')}\n`)
    if (!options.json) printWorld(report)
  }
  let seed = options.first
  let isEnded = false
  process.once('SIGTERM', () => {
    isEnded = true
  })
  const next = (): Task | undefined => {
    if (isEnded || seed > options.last || elapsedSeconds() > options.minutes * 60) return undefined
    seed += 1
    return { setting, seed: seed - 1, keepLog: log !== undefined, ...(plan && { plan }) }
  }
  await runAll(jobs, next, (report) => {
    early.set(report.seed, report)
    for (let due = early.get(told); due !== undefined; due = early.get(told)) {
      early.delete(told)
      told += 1
      tell(due)
    }
  })
  const seconds = Number(elapsedSeconds().toFixed(1))
  const missing = totals.worlds < enoughWorlds ? [] : zeros(coverage, without)
  if (missing.length > 0) print(`never happened in ${totals.worlds} worlds: ${missing.join(', ')}`)
  const violations = failed.flatMap(({ seed: of, violations: all }) =>
    all.map(({ invariant, event }) => ({ seed: of, invariant, event })),
  )
  const { worlds, stuck, events, virtualSeconds } = totals
  const result = {
    worlds,
    violations,
    stuck,
    events,
    virtualSeconds: Number(virtualSeconds.toFixed(3)),
    seconds,
    coverage,
  }
  print(JSON.stringify(result))
  if (options.shrinkBudget > 0) await explain(failed, setting, options.shrinkBudget)
  if (violations.length > 0) return 1
  return missing.length > 0 ? 3 : 0
}

process.exitCode = await main()
