import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const LIMIT_MS = 900_000

it(
  'two hundred worlds hold every invariant, and between them everything happens that is declared',
  async () => {
    const args = ['test/sim/main.ts', '--seeds', '1..200', '--jobs', '2', '--json']
    const ran = await promisify(execFile)(process.execPath, args, {
      cwd: ROOT,
      maxBuffer: 64 * 1024 * 1024,
    }).catch((failed: { stdout: string }) => failed)
    const lines = ran.stdout.trimEnd().split('\n')
    // What was found, and what never happened, is told above the result.
    expect(lines.slice(0, -1)).toEqual([])
    expect(JSON.parse(lines.at(-1) as string)).toMatchObject({ worlds: 200, stuck: 0 })
  },
  LIMIT_MS,
)
