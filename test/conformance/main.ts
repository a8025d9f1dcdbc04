/** `npm run conformance -- evm [--filter TEXT] [--slow MS] [--json]`: public vectors through our code. The last line is the count. */
import { parseArgs } from 'node:util'
import { casesOf, runAll, SUITES } from './run.ts'
import { hasVectors, VECTORS } from './suite.ts'

const USAGE = `usage: npm run conformance -- ${Object.keys(SUITES).join(' | ')} [options]

  --json         standard output is the line of JSON alone
  --filter TEXT  only cases whose suite, file or name has this in it
  --slow MS      names the cases that take longer than this

The vectors are read from VECTORS_DIR, ../shared/vectors if it is not set.
`
const EXIT = { ok: 0, failed: 1, usage: 2, missing: 3 } as const

async function main(args: readonly string[]): Promise<number> {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean' }, filter: text, slow: text },
  })
  const suites = Object.hasOwn(SUITES, positionals[0] ?? '') && SUITES[positionals[0] as string]
  if (!suites) {
    process.stderr.write(USAGE)
    return EXIT.usage
  }
  if (!hasVectors('ethereum-tests')) {
    process.stderr.write(`no vectors in ${VECTORS}\n`)
    return EXIT.missing
  }
  const slowMs = Number(values.slow ?? Number.POSITIVE_INFINITY)
  const people = values.json ? process.stderr : process.stdout
  let suite = ''
  const tally = await runAll(casesOf(suites, values.filter), (located, _, ms) => {
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

process.exitCode = await main(process.argv.slice(2))
