/** A crash before and after each kind of port call in a block's life; `node test/sim/steps.ts` does it at every single call. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { StepsReport } from '../../sim/steps.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const MOST_MS = 300_000

/** Of a block's life, in its order (2.11), and of a start over a torn guard. */
const LABELS = [
  'build',
  'execute',
  'write guard',
  'sync guard',
  'write guard mark',
  'send',
  'publish',
  'writeBlocks',
  'writeBlocks told',
  'commit evm',
  'append evm',
  'append evm told',
  'open store',
  'open engine',
  'read guard',
  'read guard mark',
  'truncate guard',
]

describe('a node that dies at a step of a block’s life', () => {
  it(
    'and starts again signs nothing twice, loses nothing, and the chain goes on (BP-7, BF-10, BP-4, 2.11)',
    async () => {
      const args = ['test/sim/steps.ts', '--short', '--json']
      const ran = promisify(execFile)(process.execPath, args, { cwd: ROOT })
      const { stdout } = await ran.catch((failed: { stdout: string }) => failed)
      const report = JSON.parse(stdout) as StepsReport
      expect(report.violations).toEqual([])
      expect(report.steps).toBe(2 * LABELS.length)
      expect(report.crashes).toBe(report.steps)
      expect(report.resent).toBeGreaterThan(0)
      const kinds = Object.keys(report.byLabel)
      for (const label of LABELS) {
        const sides = kinds
          .filter((kind) => kind.endsWith(` ${label}`))
          .map((kind) => kind.split(' ')[1])
        expect({ label, sides: sides.sort() }).toEqual({ label, sides: ['after', 'before'] })
      }
    },
    MOST_MS,
  )
})
