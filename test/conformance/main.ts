/**
 * `npm run conformance -- evm`: public vectors through our code. `-- differential` and `-- anvil`: random programs on ours and on another
 * executor. The last line is the count.
 */
import { parseArgs } from 'node:util'
import { againstAnvil, againstLibrary, type DifferentialResult } from './differential.ts'
import { casesOf, runAll, SUITES } from './run.ts'
import { hasVectors, type Suite, VECTORS } from './suite.ts'

const USAGE = `usage: npm run conformance -- ${Object.keys(SUITES).join(' | ')} [--filter TEXT] [--slow MS] [--json]
       npm run conformance -- differential | anvil [--count N] [--seed S] [--json]

  --json         standard output is the line of JSON alone
  --filter TEXT  only cases whose suite, file or name has this in it
  --slow MS      names the cases that take longer than this
  --count N      random transactions [10000]
  --seed S       which ones [1]; a failure tells what differed

The vectors are read from VECTORS_DIR, ../shared/vectors if it is not set. differential runs beside stock
@ethereumjs/vm on its own state, a block of transactions at a time; anvil beside anvil, one a block.
`
const EXIT = { ok: 0, failed: 1, usage: 2, missing: 3 } as const
/** A chain of this many random transactions begins afresh with the next seed. */
const PER_CHAIN = 1_000

interface Settings {
  readonly filter: string | undefined
  readonly slowMs: number
  readonly count: number
  readonly seed: number
  readonly people: NodeJS.WriteStream
}

async function main(args: readonly string[]): Promise<number> {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean' }, filter: text, slow: text, count: text, seed: text },
  })
  const name = positionals[0] ?? ''
  const settings: Settings = {
    filter: values.filter,
    slowMs: Number(values.slow ?? Number.POSITIVE_INFINITY),
    count: Number(values.count ?? 10_000),
    seed: Number(values.seed ?? 1),
    people: values.json ? process.stderr : process.stdout,
  }
  if (!(settings.count >= 1) || !Number.isSafeInteger(settings.seed)) return usage()
  if (name === 'differential') return differential(againstLibrary, settings)
  if (name === 'anvil') return differential(againstAnvil, settings)
  const suites = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined
  return suites === undefined ? usage() : vectors(suites, settings)
}

function usage(): number {
  process.stderr.write(USAGE)
  return EXIT.usage
}

async function vectors(suites: readonly Suite[], settings: Settings): Promise<number> {
  const { filter, people, slowMs } = settings
  if (!hasVectors('ethereum-tests')) {
    process.stderr.write(`no vectors in ${VECTORS}\n`)
    return EXIT.missing
  }
  let suite = ''
  const tally = await runAll(casesOf(suites, filter), (located, _, ms) => {
    if (located.suite !== suite) {
      suite = located.suite
      people.write(`${suite}\n`)
    }
    if (ms > slowMs) people.write(`  ${ms.toFixed(0)} ms  ${located.name}\n`)
  })
  const { failures, ...counts } = tally
  for (const failure of failures) people.write(`failed: ${failure}\n`)
  process.stdout.write(`${JSON.stringify(counts)}\n`)
  return counts.failed === 0 && counts.run > 0 ? EXIT.ok : EXIT.failed
}

async function differential(
  against: typeof againstLibrary | typeof againstAnvil,
  { count, people, seed: first }: Settings,
): Promise<number> {
  const sum = { transactions: 0, blocks: 0, succeeded: 0, refused: 0, gasUsed: 0 }
  for (let seed = first; sum.transactions < count; seed++) {
    const part = Math.min(PER_CHAIN, count - sum.transactions)
    const result: DifferentialResult | undefined = await against(seed, part)
    if (result === undefined) {
      process.stderr.write('anvil cannot be installed here\n')
      return EXIT.missing
    }
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += result[key]
    if (result.difference !== undefined) {
      people.write(`seed ${seed}: ${result.difference}\n`)
      process.stdout.write(`${JSON.stringify({ ...sum, differences: 1, seed })}\n`)
      return EXIT.failed
    }
    people.write(`seed ${seed}: ${sum.transactions} transactions, no difference\n`)
  }
  process.stdout.write(`${JSON.stringify({ ...sum, differences: 0 })}\n`)
  return EXIT.ok
}

process.exitCode = await main(process.argv.slice(2))
// A peer's connections would keep the process for a while.
process.stdout.write('', () => process.exit())
