/** A process that prunes a copy of its first argument, over and over until it is killed, and says each step as it begins. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { pruneAll } from './pruning-steps.ts'

const [source, target] = process.argv.slice(2) as [string, string]
for (let round = 0; ; round++) {
  const root = join(target, String(round))
  cpSync(source, root, { recursive: true })
  await pruneAll(root, (step) => process.stdout.write(`${round} ${step}\n`))
}
