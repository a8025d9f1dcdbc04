/** Runs suites and counts: every case is passed, failed, or skipped for a reason that is counted too. */
import { globSync, readFileSync } from 'node:fs'
import { blockTests } from './block-tests.ts'
import { codecTests } from './codec-tests.ts'
import { stateTests } from './state-tests.ts'
import { type Case, type Suite, VECTORS, type Verdict } from './suite.ts'

export const SUITES: Readonly<Record<string, readonly Suite[]>> = {
  evm: [...codecTests, ...stateTests, ...blockTests],
}

export interface Tally {
  run: number
  passed: number
  failed: number
  skipped: Record<string, number>
  readonly failures: string[]
}

export type Located = Case & { readonly suite: string; readonly file: string }

/** All cases whose suite, file or name contains `filter`. */
export function* casesOf(suites: readonly Suite[], filter = ''): Iterable<Located> {
  for (const suite of suites) {
    for (const file of filesOf(suite)) yield* locatedIn(suite, file, filter)
  }
}

export function filesOf(suite: Suite): string[] {
  return globSync(suite.files, { cwd: VECTORS }).sort()
}

export function* locatedIn(suite: Suite, file: string, filter = ''): Iterable<Located> {
  const parsed: unknown = JSON.parse(readFileSync(`${VECTORS}/${file}`, 'utf8'))
  for (const { name, run } of suite.casesOf(parsed)) {
    if (!`${suite.name} ${file} ${name}`.includes(filter)) continue
    yield { suite: suite.name, file, name, run }
  }
}

export async function runAll(
  cases: Iterable<Located>,
  told: (located: Located, verdict: Verdict, ms: number) => void = () => {},
): Promise<Tally> {
  const tally: Tally = { run: 0, passed: 0, failed: 0, skipped: {}, failures: [] }
  for (const located of cases) {
    const startedMs = performance.now()
    const verdict = await verdictOf(located)
    told(located, verdict, performance.now() - startedMs)
    if (verdict.kind === 'skipped') {
      tally.skipped[verdict.reason] = (tally.skipped[verdict.reason] ?? 0) + 1
      continue
    }
    tally.run += 1
    if (verdict.kind === 'passed') tally.passed += 1
    else {
      tally.failed += 1
      tally.failures.push(`${located.file}: ${located.name}: ${verdict.reason}`)
    }
  }
  return tally
}

async function verdictOf(located: Located): Promise<Verdict> {
  try {
    return await located.run()
  } catch (cause) {
    return { kind: 'failed', reason: `threw ${(cause as Error).stack ?? String(cause)}` }
  }
}
