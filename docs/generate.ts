/**
 * `npm run docs`: writes MESSAGES.md, docs/reference, the READMEs' state diagrams and the figures of consensus from the tables,
 * machines and rules in code. Nothing there is written by hand, so that it cannot say what the code does not;
 * `test/docs/generated.test.ts` compares.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configurationPage } from './generator/configuration.ts'
import { CONSENSUS_PAGE, consensusPage } from './generator/consensus.ts'
import { constantsPage } from './generator/constants.ts'
import { DIAGRAMS, readmeWithDiagrams } from './generator/diagrams.ts'
import { errorsPage } from './generator/errors.ts'
import { limitsPage } from './generator/limits.ts'
import { messagesPage } from './generator/messages.ts'
import { metricsPage } from './generator/metrics.ts'
import { ROOT } from './generator/source.ts'

export const REFERENCE = 'docs/reference'

/** Every generated file of the repository by its path; READMEs whole, with their diagrams drawn anew. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const readmes = Object.keys(DIAGRAMS).map((path) => [path, readmeWithDiagrams(path)] as const)
  return new Map([
    ['MESSAGES.md', messagesPage()],
    [`${REFERENCE}/configuration.md`, configurationPage()],
    [`${REFERENCE}/errors.md`, errorsPage()],
    [`${REFERENCE}/limits.md`, await limitsPage()],
    [`${REFERENCE}/metrics.md`, metricsPage()],
    [`${REFERENCE}/protocol-constants.md`, constantsPage()],
    [CONSENSUS_PAGE, consensusPage()],
    ...readmes,
  ])
}

if (import.meta.main) {
  for (const [path, text] of await generatedFiles()) {
    writeFileSync(join(ROOT, path), text)
    process.stdout.write(`${path}\n`)
  }
}
