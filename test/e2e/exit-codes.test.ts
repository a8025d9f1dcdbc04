/** Exit codes are what docs/guides/run-a-node.md says, and each comes with one line. */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { TestFederation } from './federation.ts'
import { runProgram } from './program.ts'

const PATIENCE = 300_000
/** Nothing listens there. */
const NOBODY = 'http://127.0.0.1:19'

let federation: TestFederation
beforeAll(async () => {
  federation = await TestFederation.prepare({ nodes: 1, members: 1 })
}, PATIENCE)
afterAll(() => federation?.stop(), PATIENCE)

const config = (own: string) => join(own, 'config.json')
const lastLine = (text: string) => text.trimEnd().split('\n').at(-1)

it(
  '4: the sign guard of a validator is damaged',
  async () => {
    const own = federation.files.nodeDirectory(0)
    federation.startNode(0)
    await federation.heightAtLeast(2)
    await federation.kill('node', 0)
    const guard = join(own, 'data', 'sign-guard')
    const intact = readFileSync(guard)
    const damaged = Buffer.from(intact)
    damaged.writeUInt8(damaged.readUInt8(0) ^ 0xff, 0)
    writeFileSync(guard, damaged)
    const run = await runProgram('node', '--config', config(own))
    writeFileSync(guard, intact)
    expect(run.code).toBe(4)
    expect(lastLine(run.stderr)).toMatch(/^millrace node: Guard\w+: actor chain was given up /)
  },
  PATIENCE,
)

it(
  '3: the port of JSON-RPC that was named is in use',
  async () => {
    const server = createServer()
    const port = Number(new URL(federation.urls[0] as string).port)
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    try {
      const run = await runProgram('node', '--config', config(federation.files.nodeDirectory(0)))
      expect([run.code, lastLine(run.stderr)]).toEqual([3, expect.stringContaining(String(port))])
    } finally {
      server.close()
    }
  },
  PATIENCE,
)

it(
  '4: the journal of a member is damaged',
  async () => {
    const own = federation.files.memberDirectory(0)
    mkdirSync(join(own, 'data'), { recursive: true })
    appendFileSync(join(own, 'data', 'journal.jsonl'), 'what is this\nand this\n')
    const run = await runProgram('governance', '--config', config(own))
    expect(run.code).toBe(4)
    expect(lastLine(run.stderr)).toMatch(
      /^millrace governance: .*journal\.jsonl: line 1 is damaged$/,
    )
  },
  PATIENCE,
)

it('5: the node that is to be inspected does not answer', async () => {
  const run = await runProgram('inspect', 'tree', '--url', NOBODY)
  expect(run.code).toBe(5)
  expect(run.stderr).toMatch(
    /^millrace inspect: no node answers at \S+ \(.+\); --url URL names another\n$/,
  )
})

it('5: there is no federation that a faucet could ask', async () => {
  const address = `0x${'11'.repeat(20)}`
  const none = await runProgram('faucet', address, '--data-dir', join(federation.directory, 'none'))
  expect([none.code, none.stderr]).toEqual([5, expect.stringContaining('no federation in')])
  const state = { bitcoinUrl: federation.bitcoinUrl, rpcUrls: [NOBODY] }
  writeFileSync(join(federation.directory, 'launcher.json'), JSON.stringify(state))
  const away = await runProgram('faucet', address, '--data-dir', federation.directory)
  expect([away.code, away.stderr]).toEqual([5, expect.stringContaining(`no answer of ${NOBODY}`)])
})

it('2: inspect is told nothing that it could show', async () => {
  const run = await runProgram('inspect', 'everything')
  expect([run.code, run.stderr.split('\n')]).toEqual([2, [expect.any(String), '']])
})
