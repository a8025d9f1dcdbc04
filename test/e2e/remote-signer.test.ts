/**
 * A member whose secrets are with a signer, set up by the commands of the guide: it takes its part in the making of the key, and payments that
 * cannot be signed without it are, though the signer is killed in the middle (PO-12, PO-13, QD-11).
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Supervised, startProgram, stopProcess } from '../../devnet/launcher/processes.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { keyMade } from './keys.ts'
import { runProgram } from './program.ts'
import { Account, booked, include, minted, payDeposit } from './user.ts'

const GUIDE = fileURLToPath(new URL('../../docs/guides/remote-signer.md', import.meta.url))
const START_MS = 180_000
const TEST_MS = 6 * PATIENCE_MS
const AMOUNT_SAT = 100_000_000n
const MEMBER = 0

let federation: TestFederation
let signer: Supervised | undefined
/** Without the door, as the guide writes them. */
const ran: string[] = []

beforeAll(async () => {
  // Of three members all sign.
  federation = await TestFederation.prepare({ nodes: 1, members: 3 })
}, START_MS)

afterAll(async () => {
  if (signer !== undefined) await stopProcess(signer)
  const left = await federation?.stop()
  expect(left).toEqual([])
}, START_MS)

const at = (...names: string[]) => join(federation.directory, ...names)
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>

/** A command of the guide, whose paths are relative to the federation's directory. */
function typed(...words: string[]): string[] {
  ran.push(words.join(' '))
  return words.map((word, index) => (words[index - 1]?.startsWith('--') ? at(word) : word))
}

function startSigner(): void {
  const words = typed('signer', '--config', 'signer/config.json')
  signer = startProgram('signer', words, at('signer', 'log'))
}

function said(): readonly string[] {
  return readFileSync(at('signer', 'log'), 'utf8').split('\n')
}

/** Steps 1 and 2 of the guide. */
async function moveKeys(): Promise<void> {
  const paired = await runProgram(...typed('signer', 'pair', '--out', 'pair'))
  expect(paired).toMatchObject({ code: 0, stderr: '' })
  const [member, own] = [...paired.stdout.matchAll(/"fingerprint": "([0-9a-f]{64})"/g)].map(
    ([, print]) => print,
  )
  mkdirSync(at('signer'))
  const directory = federation.files.memberDirectory(MEMBER)
  for (const name of ['keys.json', 'password']) {
    renameSync(join(directory, name), at('signer', name))
  }
  renameSync(at('pair', 'signer'), at('signer', 'tls'))
  renameSync(at('pair', 'member'), join(directory, 'signer-tls'))
  const port = await findPort({ host: '127.0.0.1', port: 0 }, { fallback: false })
  if (!port.ok) throw new Error(port.error.code)
  const blocks = [...readFileSync(GUIDE, 'utf8').matchAll(/^```json\n([\s\S]*?)^```/gm)]
  const [forSigner, forMember] = blocks.map(([, text = '']) => JSON.parse(text)) as [
    Record<string, object>,
    { signer: object },
  ]
  const config = {
    ...forSigner,
    genesisFile: federation.files.genesisFile,
    listen: { ...forSigner['listen'], port: port.value },
    member: { fingerprint: member },
  }
  writeFileSync(at('signer', 'config.json'), JSON.stringify(config))
  const { keyFile: _, passwordFile: __, ...rest } = json(join(directory, 'config.json'))
  const endpoint = `127.0.0.1:${port.value}`
  const where = { ...forMember.signer, endpoint, fingerprint: own }
  writeFileSync(join(directory, 'config.json'), JSON.stringify({ ...rest, signer: where }))
}

it(
  'makes the key, approves and signs; killed in the middle of a signature it goes on after a start',
  async () => {
    await moveKeys()
    const looked = await runProgram(...typed('doctor', '--signer', 'signer/config.json'))
    expect(looked).toMatchObject({ code: 0 })
    startSigner()
    for (let index = 0; index < 3; index++) federation.startMember(index)
    ran.push(`governance --config member-${MEMBER}/config.json`)
    federation.startNode(0)
    await federation.answers(0)
    await federation.heightAtLeast(1)
    federation.startMining()
    await keyMade(federation, 1)

    const account = Account.random(Number(await federation.rpc.call<string>('eth_chainId')))
    await minted(federation.rpc, await payDeposit(federation, account.address, 10n * AMOUNT_SAT))
    const paying = federation.wallet.address
    const first = await include(federation.rpc, await account.burn(paying, AMOUNT_SAT))
    await booked(federation.rpc, first)

    const before = said().length
    const second = await include(federation.rpc, await account.burn(paying, AMOUNT_SAT))
    await until('an offer of nonces', PATIENCE_MS, async () =>
      said()
        .slice(before - 1)
        .find((line) => line.includes('offer: sign')),
    )
    signer?.child.kill('SIGKILL')
    await signer?.exited
    startSigner()
    await booked(federation.rpc, second)
    const reserves = await federation.reserves()
    expect(reserves.balanced).toBe(true)

    // The secrets, and what was signed, are with the signer alone.
    const directory = federation.files.memberDirectory(MEMBER)
    expect(readdirSync(join(directory, 'data')).sort()).not.toEqual(
      expect.arrayContaining(['journal.jsonl']),
    )
    expect(existsSync(join(directory, 'data', 'shares'))).toBe(false)
    expect(existsSync(join(directory, 'keys.json'))).toBe(false)
    const shares = readdirSync(at('signer', 'data', 'shares'))
    expect(shares).toEqual([expect.stringMatching(/^share-[0-9a-f]{64}\.json$/)])
    const kinds = readFileSync(at('signer', 'data', 'journal.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { kind: string }).kind)
    expect(new Set(kinds)).toEqual(new Set(['approval', 'intent', 'signed']))

    const commands = [...readFileSync(GUIDE, 'utf8').matchAll(/^node bin\/millrace\.cjs (.*)$/gm)]
    expect(
      commands.map(([, command]) => command).filter((one) => !ran.includes(one ?? '')),
    ).toEqual([])
  },
  TEST_MS,
)
