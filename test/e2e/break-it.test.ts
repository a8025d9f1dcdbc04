/** The tutorial's commands, and whether they still show what it says. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { mutantNamed } from '../sim/mutants/index.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const RUN_MS = 10 * 60_000

describe('docs/tutorials/break-it.md', () => {
  const text = readFileSync(join(ROOT, 'docs/tutorials/break-it.md'), 'utf8')
  const command = /^npm run sim -- (.*--mutant.*)$/m.exec(text)?.[1] ?? ''
  const mutant = mutantNamed(/--mutant (\S+)/.exec(command)?.[1] ?? '')

  it(
    'the planted bug breaks the invariant that the page names, at the lines that it shows',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'break-it-'))
      try {
        const log = join(folder, 'sim.log')
        const args = command.replace('sim.log', log).split(' ')
        const run = promisify(execFile)(process.execPath, ['test/sim/main.ts', ...args], {
          cwd: ROOT,
        })
        const { stdout } = await run.catch((failed: { stdout: string }) => failed)
        const found = /^seed \d+: (\w+) at event \d+, \d+ ms: \w+: .*?"code":"(\w+)","faultClass"/m
        const [, invariant = 'none', code = 'none'] = found.exec(stdout) ?? []
        expect(text).toContain(`${invariant} at event`)
        expect(text).toContain(code)
        const lines = readFileSync(log, 'utf8').split('\n')
        expect(lines.filter((line) => line.includes('writeBlocks fails'))).not.toEqual([])
        expect(lines.filter((line) => line.includes(`VIOLATION ${invariant}`))).toHaveLength(1)
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
    RUN_MS,
  )

  it('shows the source as it is, and as the mutant makes it', () => {
    expect(mutant).toBeDefined()
    const shown = (sign: string) =>
      text
        .split('\n')
        .filter((line) => line.startsWith(`${sign} `))
        .map((line) => `${line.slice(1)}\n`)
        .join('')
    expect(shown('-')).toBe(mutant?.find)
    expect(shown('+')).toBe(mutant?.replace)
  })
})
