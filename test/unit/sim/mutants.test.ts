import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MUTANTS, placesOf, planted, type Room } from '../../sim/mutants/index.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const ROOMS: readonly Room[] = ['kernel', 'consensus', 'storage', 'peg', 'sync']
/** Found in their first world, soon after its start. */
const QUICK = ['newest-first', 'quorum-off-by-one', 'told-before-durable', 'fee-minted']
const QUICK_MS = 120_000

describe('planted bugs', () => {
  it('are at least 24, four in each room, each under a name of its own', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(24)
    for (const room of ROOMS) {
      expect(MUTANTS.filter((mutant) => mutant.room === room).length).toBeGreaterThanOrEqual(4)
    }
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
    // `npm run test:all` leaves the rare ones out.
    expect(MUTANTS.filter(({ rare }) => rare === true).length).toBeLessThan(MUTANTS.length / 8)
  })

  it.each(MUTANTS)('$name has its places, each once, and their files still parse', (mutant) => {
    for (const { file } of placesOf(mutant)) {
      const source = readFileSync(`${ROOT}${file}`, 'utf8')
      const changed = planted(mutant, file, source)
      expect(changed).not.toBe(source)
      expect(stripTypeScriptTypes(changed).length).toBeGreaterThan(0)
    }
  })

  it('are never in product code: nothing but the simulator and its tests names one', () => {
    const others = MUTANTS.flatMap(placesOf).filter(({ file }) => file.startsWith('test/'))
    expect(others).toEqual([])
  })

  it(
    'some are found in their first world, which holds without them',
    async () => {
      const args = ['test/sim/main.ts', '--mutants', '--only', QUICK.join(','), '--worlds', '1']
      const { stdout } = await promisify(execFile)(process.execPath, [...args, '--json'], {
        cwd: ROOT,
      })
      const { mutants, control } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
      expect(mutants).toEqual(
        QUICK.map((name) => expect.objectContaining({ name, found: true, worlds: 1 })),
      )
      expect(control).toEqual({ worlds: 1, violations: [] })
    },
    QUICK_MS,
  )
})
