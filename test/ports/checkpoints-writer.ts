/**
 * A process that makes checkpoints and the state from them, over and over until it is killed, and says each step as it begins. What it
 * works on it copies from its first argument, once for each round.
 */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { makeCheckpoint } from '../../node/adapters/checkpoints/make.ts'
import { restoreState } from '../../node/adapters/checkpoints/restore.ts'

const [source, target] = process.argv.slice(2) as [string, string]
for (let round = 0; ; round++) {
  const root = join(target, String(round))
  cpSync(source, root, { recursive: true })
  const paths = {
    directory: join(root, 'checkpoints'),
    chainDirectory: join(root, 'chain'),
    engineDirectory: join(root, 'evm'),
  }
  process.stdout.write(`make ${round}\n`)
  // The last file comes to be, the others are folded.
  await makeCheckpoint({ ...paths, every: 1, keep: 2 })
  process.stdout.write(`restore ${round}\n`)
  await restoreState({ ...paths, below: Number.MAX_SAFE_INTEGER, isMissing: false })
}
