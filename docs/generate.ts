/**
 * `npm run docs`: writes docs/reference from the tables in code. Nothing there is written by hand, so that it cannot say
 * what the code does not; `test/docs/generated.test.ts` compares.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configurationPage } from './generator/configuration.ts'
import { constantsPage } from './generator/constants.ts'
import { errorsPage } from './generator/errors.ts'
import { limitsPage } from './generator/limits.ts'
import { messagesPage } from './generator/messages.ts'
import { metricsPage } from './generator/metrics.ts'
import { ROOT } from './generator/source.ts'

export const REFERENCE = 'docs/reference'

/** Every page of the reference by its file name. */
export async function referencePages(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['configuration.md', configurationPage()],
    ['errors.md', errorsPage()],
    ['limits.md', await limitsPage()],
    ['messages.md', messagesPage()],
    ['metrics.md', metricsPage()],
    ['protocol-constants.md', constantsPage()],
  ])
}

if (import.meta.main) {
  const directory = join(ROOT, REFERENCE)
  mkdirSync(directory, { recursive: true })
  for (const [name, text] of await referencePages()) {
    writeFileSync(join(directory, name), text)
    process.stdout.write(`${REFERENCE}/${name}\n`)
  }
}
