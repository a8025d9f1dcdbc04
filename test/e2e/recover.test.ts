/** The recovery drill on real processes, and that the guide's commands are those that it runs. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { processesLeft } from './federation.ts'
import { guideCommands, notFollowed } from './guide.ts'
import { runProgram, testDirectory } from './program.ts'

const PATIENCE_MS = 480_000
const bitcoin = process.env['E2E_BITCOIN'] ?? 'embedded'

const directory = testDirectory('recover')
afterAll(() => directory.clean())

it(
  'a lost share, a lost member and a lost federation: every coin comes back, by the commands of the guide (N6, PO-19, PO-22)',
  async () => {
    const keep = join(directory.path, 'drill')
    const ran = await runProgram('recover', 'drill', '--json', '--keep', keep, '--bitcoin', bitcoin)
    if (ran.code !== 0) throw new Error(ran.stdout + ran.stderr)
    const result = ran.json() as Record<string, string> & { readonly commands: readonly string[] }
    expect(result).toMatchObject({ paidWithout: [0] })
    const sat = (name: string) => BigInt(result[name] as string)
    // Sweeps are paid by the fund, which has the fees of three deposits.
    expect(sat('reserveSat')).toBeGreaterThanOrEqual(125_000_000n - 3_000n)
    expect(sat('reserveSat')).toBeLessThanOrEqual(125_000_000n)
    expect(sat('byMembersSat') + sat('byRecoverySat') + sat('feesSat')).toBe(sat('reserveSat'))
    // The share is there again, the lost member is not.
    expect(existsSync(join(keep, result['shareRepaired'] as string))).toBe(true)
    expect(existsSync(join(keep, 'member-0'))).toBe(false)
    // What only holders may read, nobody else can.
    const open = readdirSync(keep, { recursive: true, withFileTypes: true }).filter((entry) => {
      const isSecret = /^(keys\.json|password|share-.*\.json)$/.test(entry.name)
      return isSecret && (statSync(join(entry.parentPath, entry.name)).mode & 0o077) !== 0
    })
    expect(open.map(({ name }) => name)).toEqual([])
    const known = guideCommands('recover-coins').filter((one) => !/^recover (drill|key)/.test(one))
    expect(known.length).toBeGreaterThan(10)
    expect(notFollowed(known, result.commands)).toEqual([])
    expect(await processesLeft(keep)).toEqual([])
  },
  PATIENCE_MS,
)
