/** The launcher as a newcomer meets it: `npm start`, and what may go wrong with it. */
import { spawnSync } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { until } from '../../devnet/launcher/rpc.ts'
import { processesLeft, processesOf } from './federation.ts'
import { Program, runProgram, testDirectory } from './program.ts'

const SMALL = ['--nodes', '1', '--members', '1']
const PATIENCE = 300_000
/** After kill -9 of the launcher nothing may live longer. */
const ORPHAN_MS = 10_000

const directory = testDirectory('launcher')
const at = (name: string) => join(directory.path, name)

afterAll(() => directory.clean())

/** What holds of every result line, whichever Bitcoin and however many nodes. */
function expectGoodLine(line: Record<string, unknown>, nodes: number, members: number): void {
  expect(line).toEqual({
    ok: true,
    nodes,
    members,
    height: expect.any(Number),
    pegIn: {
      outpoint: expect.stringMatching(/^[0-9a-f]{64}:\d+$/),
      amountSat: '1200000000',
      block: expect.any(Number),
    },
    evm: {
      txHash: expect.stringMatching(/^0x[0-9a-f]{64}$/),
      contract: expect.stringMatching(/^0x[0-9a-fA-F]{40}$/),
    },
    pegOut: {
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      txid: expect.stringMatching(/^[0-9a-f]{64}$/),
      amountSat: '50000000',
      feeSat: expect.stringMatching(/^[1-9]\d*$/),
    },
    reserveSat: expect.stringMatching(/^\d+$/),
    supplySat: expect.stringMatching(/^\d+$/),
    inFlightSat: expect.stringMatching(/^\d+$/),
    inFlight: expect.any(Array),
    seconds: expect.any(Number),
  })
  const sat = (name: string) => BigInt(line[name] as string)
  expect(sat('reserveSat')).toBe(sat('supplySat') + sat('inFlightSat'))
  const inFlight = line['inFlight'] as readonly { readonly amountSat: string }[]
  expect(inFlight.reduce((sum, { amountSat }) => sum + BigInt(amountSat), 0n)).toBe(
    sat('inFlightSat'),
  )
}

describe('dev --once --json', () => {
  let height = 0

  it(
    'takes a coin there and back through four nodes and four members, and leaves no process',
    async () => {
      const run = await runProgram('dev', '--once', '--json', '--data-dir', at('four'))
      expect([run.code, run.code === 0 ? '' : run.stderr]).toEqual([0, ''])
      const line = run.json()
      expectGoodLine(line, 4, 4)
      expect(run.stdout.trimEnd().split('\n')).toHaveLength(1)
      height = line['height'] as number
      expect(await processesLeft(at('four'))).toEqual([])
    },
    PATIENCE,
  )

  it(
    'goes on where it stopped',
    async () => {
      const run = await runProgram('dev', '--once', '--json', '--data-dir', at('four'))
      expect([run.code, run.code === 0 ? '' : run.stderr]).toEqual([0, ''])
      const line = run.json()
      expectGoodLine(line, 4, 4)
      expect(line['height']).toBeGreaterThan(height)
      // Two deposits in less their fees, two payouts out; the reserve is less by what sweeps took from the fund.
      expect(line['supplySat']).toBe('2299998000')
    },
    PATIENCE,
  )

  it(
    'works with a Bitcoin that runs already',
    async () => {
      const bitcoin = new Program(['bitcoin', '--port', '0', '--data-dir', at('regtest')])
      try {
        const url = await bitcoin.says(/http:\S+/)
        const args = [
          'dev',
          '--once',
          '--json',
          ...SMALL,
          '--data-dir',
          at('url'),
          '--bitcoin',
          url,
        ]
        const run = await runProgram(...args)
        expect([run.code, run.code === 0 ? '' : run.stderr]).toEqual([0, ''])
        expectGoodLine(run.json(), 1, 1)
        // It is not the launcher's to stop.
        expect(bitcoin.child.exitCode).toBe(null)
      } finally {
        bitcoin.child.kill('SIGTERM')
        expect(await bitcoin.exited).toBe(0)
      }
    },
    PATIENCE,
  )

  const bitcoind = process.env['BITCOIND'] ?? 'bitcoind'
  if (spawnSync(bitcoind, ['-version'], { stdio: 'ignore' }).error === undefined) {
    it(
      'works with Bitcoin Core',
      async () => {
        const args = ['dev', '--once', '--json', ...SMALL, '--data-dir', at('core')]
        const run = await runProgram(...args, '--bitcoin', 'bitcoind')
        expect([run.code, run.code === 0 ? '' : run.stderr]).toEqual([0, ''])
        expectGoodLine(run.json(), 1, 1)
        expect(await processesLeft(at('core'))).toEqual([])
      },
      PATIENCE,
    )
  } else {
    it.skip('works with Bitcoin Core: there is no bitcoind, by BITCOIND or on PATH', () => {})
  }
})

describe('a launcher that stays up', () => {
  const args = ['dev', ...SMALL, '--data-dir', at('up')]

  it(
    'tells every block, keeps its directory to itself, and goes by Ctrl-C',
    async () => {
      const up = new Program(args)
      await up.says(/Ctrl-C stops everything/)
      await up.says(/block \d+ · slot \d+ · [0-9a-f]{12} · view \d+ · votes 1 · \d+ tx/)
      const second = await runProgram(...args)
      expect(second.code).toBe(4)
      expect(second.stderr).toMatch(/^millrace dev: \S+ is in use by process \d+\n$/)
      expect(processesOf(at('up')).length).toBeGreaterThanOrEqual(4)
      up.child.kill('SIGINT')
      expect(await up.exited).toBe(0)
      expect(up.stderr).toBe('')
      expect(await processesLeft(at('up'))).toEqual([])
    },
    PATIENCE,
  )

  it(
    'goes by Ctrl-C while it comes up as well',
    async () => {
      const up = new Program(args)
      await up.says(/continued/)
      up.child.kill('SIGINT')
      expect(await up.exited).toBe(0)
      await until('nothing left', ORPHAN_MS, async () =>
        processesOf(at('up')).length === 0 ? true : undefined,
      )
    },
    PATIENCE,
  )

  it(
    'leaves no process 10 s after kill -9, and starts again',
    async () => {
      const up = new Program(args)
      await up.says(/first block/)
      up.child.kill('SIGKILL')
      await up.exited
      await until('nothing left', ORPHAN_MS, async () =>
        processesOf(at('up')).length === 0 ? true : undefined,
      )
      const again = await runProgram(...args, '--once', '--json')
      expect([again.code, again.code === 0 ? '' : again.stderr]).toEqual([0, ''])
      expectGoodLine(again.json(), 1, 1)
    },
    PATIENCE,
  )
})

describe('what cannot be is told in one line', () => {
  let taken: Server | undefined
  afterAll(() => taken?.close())

  it.each([
    ['an option that does not exist', ['--sideways'], /--sideways/],
    ['a number that is none', ['--nodes', 'many'], /--nodes takes a number/],
    ['a Bitcoin that is none', ['--bitcoin', 'gold'], /--bitcoin takes/],
    ['a port that is none', ['--rpc-port', '70000'], /--rpc-port is no port/],
  ])('%s: exit code 2', async (_, args, line) => {
    const run = await runProgram('dev', ...args)
    expect(run.code).toBe(2)
    expect(run.stdout).toBe('')
    expect(run.stderr).toMatch(line)
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  it('a command that does not exist: exit code 2', async () => {
    const run = await runProgram('mill')
    expect(run.code).toBe(2)
    expect(run.stderr).toMatch(/^millrace: unknown command mill; there are .*\n$/)
  })

  it(
    'Bitcoin unreachable',
    async () => {
      const unreachable = 'http://user:password@127.0.0.1:9'
      const run = await runProgram(
        'dev',
        '--once',
        '--data-dir',
        at('none'),
        '--bitcoin',
        unreachable,
      )
      expect(run.code).toBe(5)
      expect(run.stderr).toMatch(/^millrace dev: .*127\.0\.0\.1:9.*ECONNREFUSED.*\n$/)
    },
    PATIENCE,
  )

  it(
    'a port asked for by name that is taken',
    async () => {
      const server = createServer()
      taken = server
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as { port: number }
      const args = [
        'dev',
        ...SMALL,
        '--once',
        '--data-dir',
        at('taken'),
        '--rpc-port',
        String(port),
      ]
      const run = await runProgram(...args)
      expect(run.code).toBeGreaterThan(0)
      expect(run.stderr).toBe(`millrace dev: port ${port} is in use\n`)
      expect(await processesLeft(at('taken'))).toEqual([])
    },
    PATIENCE,
  )
})
