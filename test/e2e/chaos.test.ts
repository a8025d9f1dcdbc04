/** `--chaos SEED`: the round trip completes while processes die and come back. */
import { join } from 'node:path'
import { processesLeft } from './federation.ts'
import { Program, runProgram, testDirectory } from './program.ts'

const PATIENCE = 600_000

const directory = testDirectory('chaos')
const at = (name: string) => join(directory.path, name)

afterAll(() => directory.clean())

it(
  'a coin goes there and back while nodes and members are killed; all come back and the books balance',
  async () => {
    const args = ['--once', '--json', '--chaos', '11', '--data-dir', at('once')]
    const run = await runProgram('dev', ...args)
    expect([run.code, run.code === 0 ? '' : run.stderr]).toEqual([0, ''])
    const line = run.json()
    expect(line).toMatchObject({ ok: true, chaos: { seed: 11 } })
    const { kills, nodeKills, memberKills } = line['chaos'] as Record<string, number>
    expect(nodeKills).toBeGreaterThanOrEqual(2)
    expect(memberKills).toBeGreaterThanOrEqual(2)
    const told = (pattern: RegExp) => run.stderr.match(pattern)?.length
    expect(told(/(node|member)-\d killed/g)).toBe(kills)
    expect(told(/(node|member)-\d back after/g)).toBe(
      (kills as number) - (told(/killed again/g) ?? 0),
    )
    const sat = (name: string) => BigInt(line[name] as string)
    expect(sat('reserveSat')).toBe(sat('supplySat') + sat('inFlightSat'))
    expect(await processesLeft(at('once'))).toEqual([])
  },
  PATIENCE,
)

it(
  'without --once it goes on until Ctrl-C',
  async () => {
    const up = new Program(['dev', '--members', '1', '--chaos', '3', '--data-dir', at('up')])
    await up.says(/Ctrl-C stops everything/)
    const seen = up.stdout.length
    await up.says(new RegExp(`^[^]{${seen},}node-\\d killed[^]*node-\\d back`))
    up.child.kill('SIGINT')
    expect(await up.exited).toBe(0)
    expect(up.stderr).toBe('')
    expect(await processesLeft(at('up'))).toEqual([])
  },
  PATIENCE,
)
