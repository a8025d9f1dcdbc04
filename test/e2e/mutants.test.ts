/** Planted bugs, each in a process of its own: all but the rare ones, which `npm run sim -- --mutants` looks for; `npm test` has a few. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MUTANTS } from '../sim/mutants/index.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const HUNT_MS = 30 * 60_000

describe('the simulator', () => {
  it(
    'finds every planted bug that is not rare, and nothing in the same worlds without one',
    async () => {
      const wanted = MUTANTS.filter(({ rare }) => rare !== true).map(({ name }) => name)
      const only = ['--only', wanted.join(',')]
      const args = ['test/sim/main.ts', '--mutants', ...only, '--jobs', '2', '--json']
      const run = promisify(execFile)(process.execPath, args, { cwd: ROOT })
      const { stdout } = await run.catch((failed: { stdout: string }) => failed)
      const { mutants, control } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
      expect(mutants).toHaveLength(wanted.length)
      expect(mutants.filter(({ found }: { found: boolean }) => !found)).toEqual([])
      expect(control.violations).toEqual([])
    },
    HUNT_MS,
  )
})
