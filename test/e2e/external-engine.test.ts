/** A federation of two nodes whose EVMs are of different makes: the embedded engine, and EthereumJS behind the Engine API. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from '../../crypto/index.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import { type ClientPlace, fetchedClient, RunningClient } from './execution-client.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { runProgram } from './program.ts'
import { itWith } from './tools.ts'
import { Account, include, minted, payDeposit } from './user.ts'

const PATIENCE = 600_000
/** Its node has the client. */
const EXTERNAL = 0
const EMBEDDED = 1
const tools = fetchedClient()
const onClient = itWith(tools, 'an execution client')

let federation: TestFederation
let place: ClientPlace
let client: RunningClient | undefined

async function freePort(from: number): Promise<number> {
  const port = await findPort({ host: '127.0.0.1', port: from }, { fallback: true })
  if (!port.ok) throw new Error('no port is free')
  return port.value
}

beforeAll(async () => {
  if (tools === undefined) return
  federation = await TestFederation.prepare({ nodes: 2, members: 1 })
  const directory = join(federation.directory, 'client')
  mkdirSync(directory)
  const written = await runProgram('genesis', '--genesis-file', federation.files.genesisFile)
  const enginePort = await freePort(29_551)
  place = {
    directory,
    genesisFile: join(directory, 'genesis.json'),
    jwtSecretFile: join(directory, 'jwt'),
    enginePort,
    readPort: await freePort(enginePort + 1),
  }
  writeFileSync(place.genesisFile, written.stdout)
  writeFileSync(place.jwtSecretFile, toHex(new Uint8Array(randomBytes(32))), { mode: 0o600 })
  const path = join(federation.files.nodeDirectory(EXTERNAL), 'config.json')
  const engine = {
    mode: 'engine-api',
    url: `http://127.0.0.1:${place.enginePort}`,
    readUrl: `http://127.0.0.1:${place.readPort}`,
    jwtSecretFile: place.jwtSecretFile,
  }
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), engine }))
  client = RunningClient.start(tools, place)
  federation.startMember(0)
  for (const index of [EXTERNAL, EMBEDDED]) federation.startNode(index)
  for (const index of [EXTERNAL, EMBEDDED]) await federation.answers(index)
  federation.startMining()
}, PATIENCE)

afterAll(async () => {
  await client?.kill()
  await federation?.stop()
}, PATIENCE)

/** Who proposed the blocks from `height` on. */
async function authors(height: number, count: number): Promise<Set<string>> {
  const rpc = federation.node(EMBEDDED)
  const found = new Set<string>()
  for (let at = height; at < height + count; at++) {
    const block = await rpc.call<{ miner: string }>('eth_getBlockByNumber', [
      `0x${at.toString(16)}`,
      false,
    ])
    found.add(block.miner)
  }
  return found
}

onClient(
  '6.1: engines of two makes agree on every block: a deposit is minted and a transfer goes through',
  async () => {
    const [external, embedded] = [EXTERNAL, EMBEDDED].map((index) => federation.node(index)) as [
      ReturnType<TestFederation['node']>,
      ReturnType<TestFederation['node']>,
    ]
    const user = Account.random(Number(await external.call<string>('eth_chainId')))
    await minted(federation.rpc, await payDeposit(federation, user.address, 1_000_000n))
    const to = `0x${'00'.repeat(18)}aa01`
    const hash = await include(external, await user.transfer(to, 10n ** 12n))
    await include(embedded, await user.transfer(to, 10n ** 12n))
    const receipt = await until('the receipt', PATIENCE_MS, async () => {
      const found = await external.call<{ blockNumber: string } | null>(
        'eth_getTransactionReceipt',
        [hash],
      )
      return found ?? undefined
    })
    const top = await federation.heightAtLeast(Number(receipt.blockNumber) + 6)
    await federation.heightAtLeast(top.height, external)
    const balances = await Promise.all(
      [external, embedded].map((rpc) => rpc.call('eth_getBalance', [to, 'latest'])),
    )
    expect(balances).toEqual(['0x1d1a94a2000', '0x1d1a94a2000'])
    for (const method of ['eth_getTransactionReceipt', 'eth_getTransactionByHash']) {
      expect(await external.call(method, [hash])).toEqual(await embedded.call(method, [hash]))
    }
    const proposed = await authors(1, top.height)
    expect(proposed.size).toBe(2)
  },
  PATIENCE,
)

onClient(
  'SY-12: the client is killed and emptied while the chain stands; it gets all blocks again and the chain goes on',
  async () => {
    const before = await federation.head(federation.node(EXTERNAL))
    await client?.kill()
    rmSync(join(place.directory, 'database'), { recursive: true, force: true })
    client = tools && RunningClient.start(tools, place)
    await federation.heightAtLeast(before.height + 4, federation.node(EXTERNAL))
    await federation.heightAtLeast(before.height + 4, federation.node(EMBEDDED))
  },
  PATIENCE,
)
