/** Worlds with one fault that is written down: what a node that missed something is told, and what it asks for (protocol §2.5, §2.6). */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const MOST_MS = 240_000
const SEED = '2'

it(
  'BF-14, BF-6, BF-10: who speaks of a decided height is answered, who connects is greeted, a block that is only certified is fetched, a Prepare is kept over a crash',
  async () => {
    const ran = promisify(execFile)(process.execPath, ['test/sim/stages.ts', 'all', SEED], {
      cwd: ROOT,
    })
    const { stdout } = await ran.catch((failed: { stdout: string }) => failed)
    expect(stdout.trim().split('\n')).toEqual([
      'answered: []',
      'greeted: []',
      'fetched: []',
      'keptWord: []',
    ])
  },
  MOST_MS,
)
