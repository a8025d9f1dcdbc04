/** The recovery drill on real processes, and that the guide's commands are those that it runs. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { processesLeft } from './federation.ts'
import { runProgram, testDirectory } from './program.ts'

const PATIENCE_MS = 480_000
const GUIDE = fileURLToPath(new URL('../../docs/guides/recover-coins.md', import.meta.url))
const bitcoin = process.env['E2E_BITCOIN'] ?? 'embedded'

const directory = testDirectory('recover')
afterAll(() => directory.clean())

/** Of the guide's shell blocks, a line each. */
function guideCommands(): string[] {
  const blocks = [...readFileSync(GUIDE, 'utf8').matchAll(/^```sh\n([\s\S]*?)^```/gm)]
  return blocks
    .map(([, text = '']) => text.replaceAll(/ \\\n\s*/g, ' '))
    .flatMap((text) => text.split('\n'))
    .flatMap((line) => {
      const [, command] = /^node bin\/millrace\.cjs (.*)$/.exec(line.trim()) ?? []
      return command === undefined ? [] : [command]
    })
}

/** Whether a command that ran is one of the guide, whose words in capitals stand for anything. */
function isCommand(written: string, ran: string): boolean {
  const pairs = (text: string) =>
    text
      .split(/ (?=--)/)
      .filter((pair) => pair !== '--yes')
      .sort()
  const [wanted, have] = [pairs(written), pairs(ran)]
  return (
    wanted.length === have.length &&
    wanted.every((pair, at) => {
      const [flag = '', value = ''] = pair.split(' ')
      return /^(URL|ADDRESS|TXID:VOUT)$/.test(value)
        ? have[at]?.startsWith(`${flag} `)
        : pair === have[at]
    })
  )
}

it(
  'a lost share, a lost member and a lost federation: every coin comes back, by the commands of the guide (N6, PO-19, PO-22)',
  async () => {
    const keep = join(directory.path, 'drill')
    const ran = await runProgram('recover', 'drill', '--json', '--keep', keep, '--bitcoin', bitcoin)
    if (ran.code !== 0) throw new Error(ran.stdout + ran.stderr)
    const result = ran.json() as Record<string, string> & { readonly commands: readonly string[] }
    expect(result).toMatchObject({ paidWithout: [0] })
    const sat = (name: string) => BigInt(result[name] as string)
    expect(sat('reserveSat')).toBe(125_000_000n)
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
    const known = guideCommands().filter((one) => !/^recover (drill|key)/.test(one))
    expect(known.length).toBeGreaterThan(10)
    const missing = known.filter((one) => !result.commands.some((typed) => isCommand(one, typed)))
    expect(missing).toEqual([])
    expect(await processesLeft(keep)).toEqual([])
  },
  PATIENCE_MS,
)
