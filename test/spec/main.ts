/** `npm run spec -- pbft [--traces N] [--views V] [--keep FILE] [--json]`: models of what nodes must agree on, and their runs on our code. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { hasSpin, PLANTED, randomTrace, replayAll, search } from './pbft/check.ts'
import { type Trace, traceText } from './pbft/trace.ts'

const USAGE = 'usage: npm run spec -- pbft [--traces N] [--views 2..4] [--keep FILE] [--json]\n'
const EXIT = { ok: 0, failed: 1, usage: 2, missing: 3 } as const

const KNOWN = Object.keys(PLANTED) as (keyof typeof PLANTED)[]

/** What `test/spec/pbft/kept.txt` holds: runs in which a lock forbids something, and a few others. */
function worthKeeping(traces: readonly Trace[]): Trace[] {
  const forbids = ({ steps }: Trace) =>
    steps.some(({ offers }) => offers.some(({ allowed }) => !allowed))
  return traces.filter((trace, index) => index % 17 === 0 || forbids(trace))
}

interface Options {
  readonly traces: number
  readonly views: number
  readonly keep: string | undefined
}

function pbft({ traces, views, keep }: Options, say: (line: string) => void) {
  let states = 0
  const violations: string[] = []
  for (const liar of [0, 1, 2, 3]) {
    const found = search({ liar, views, crashes: 1 })
    states += found.states
    say(`validator ${liar} lies: ${found.states} states to depth ${found.depth}`)
    if (found.violation !== undefined) violations.push(`liar ${liar}: ${found.violation}`)
  }
  const planted = KNOWN.map((name) => {
    const found = search({ liar: 1, views, crashes: 1, planted: name }).violation !== undefined
    say(`without "${PLANTED[name]}": ${found ? 'a counter-example' : 'NOTHING FOUND'}`)
    return { name, found }
  })
  const runs = Array.from({ length: traces }, (_, index) => randomTrace(index + 1))
  if (keep !== undefined) writeFileSync(keep, worthKeeping(runs).map(traceText).join(''))
  const replays = replayAll(runs)
  say(
    `${replays.traces} runs of ${replays.steps} steps replayed: ${replays.commits} commits, ` +
      `${replays.allowed} proposals allowed, ${replays.forbidden} forbidden by a lock`,
  )
  for (const { trace, step, node, expected, got } of replays.mismatches.slice(0, 10)) {
    say(`seed ${trace + 1}, step ${step}, validator ${node}: expected ${expected}, got ${got}`)
  }
  for (const violation of violations) say(violation)
  return {
    states,
    traces: replays.traces,
    mismatches: replays.mismatches.length,
    violations: violations.length,
    planted,
    steps: replays.steps,
    commits: replays.commits,
    allowed: replays.allowed,
    forbidden: replays.forbidden,
  }
}

function main(args: readonly string[]): number {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { traces: text, views: text, keep: text, json: { type: 'boolean' } },
  })
  const traces = Number(values.traces ?? 1_000)
  const views = Number(values.views ?? 3)
  if (positionals[0] !== 'pbft' || !(traces >= 1) || ![2, 3, 4].includes(views)) {
    process.stderr.write(USAGE)
    return EXIT.usage
  }
  if (!hasSpin()) {
    process.stderr.write('the model needs the programs spin and gcc (apt-get install spin gcc)\n')
    return EXIT.missing
  }
  const say = (line: string) => (values.json ? process.stderr : process.stdout).write(`${line}\n`)
  const result = pbft({ traces, views, keep: values.keep }, say)
  process.stdout.write(`${JSON.stringify(result)}\n`)
  const holds =
    result.mismatches === 0 && result.violations === 0 && result.planted.every(({ found }) => found)
  return holds ? EXIT.ok : EXIT.failed
}

process.exitCode = main(process.argv.slice(2))
