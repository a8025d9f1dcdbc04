import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256, toHex } from '../../crypto/index.ts'
import { discardState, type NodeEngine } from '../../node/adapters/engine/index.ts'
import { openExternalEngine, readJwtSecret } from '../../node/adapters/engine-api/index.ts'
import { hashPayload } from '../../vm/evm/index.ts'
import { attributes, genesis, keyOf, mint, openEngine, signed } from '../unit/vm/evm/fixtures.ts'
import { type EngineUnderTest, engineSuite } from './engine-suite.ts'
import { TestClient } from './execution-client.ts'

const secret = sha256(new TextEncoder().encode('secret'))
const alice = keyOf('alice')
const bob = keyOf('bob')
const directories: string[] = []
const clients: TestClient[] = []
const engines: NodeEngine[] = []

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
  for (const client of clients.splice(0)) await client.close()
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-mirror-'))
  directories.push(directory)
  return directory
}

async function newClient(): Promise<TestClient> {
  const client = await TestClient.start(genesis, secret)
  clients.push(client)
  return client
}

function connect({ url }: Pick<TestClient, 'url'>, directory: string, jwtSecret = secret) {
  const options = { directory, genesis, url, jwtSecret, patienceMs: 0 }
  return openExternalEngine({ ...options, maxAnswerBytes: 1_000_000 })
}

async function open(client: TestClient, directory = newDirectory()): Promise<NodeEngine> {
  const opened = await connect(client, directory)
  if (opened.status !== 'OPEN') throw new Error(opened.reason)
  engines.push(opened.engine)
  return opened.engine
}

/** The client is waited for as long as there is time: none is needed here. */
function soon(deadlineMs: number): number {
  return Math.min(deadlineMs, Date.now() + 200)
}

async function underTest(client: TestClient, directory: string): Promise<EngineUnderTest> {
  const engine = await open(client, directory)
  const again = async () => {
    await engine.close()
    engines.splice(engines.indexOf(engine), 1)
  }
  return {
    head: engine.openedAt,
    build: (request) => engine.build({ ...request, deadlineMs: soon(request.deadlineMs) }),
    execute: (request) => engine.execute(request),
    commit: (hash) => engine.commit(hash),
    async restart() {
      await again()
      return underTest(client, directory)
    },
    async rollback() {
      await again()
      discardState(directory)
      return underTest(client, directory)
    },
    close: async () => {},
  }
}

engineSuite(
  'an execution client behind the Engine API',
  async () => underTest(await newClient(), newDirectory()),
  { hasOwnPool: true },
)

engineSuite(
  'an execution client that knows receipts of its canonical chain alone',
  async () => {
    const client = await newClient()
    client.manners.receiptsByHash = false
    return underTest(client, newDirectory())
  },
  { hasOwnPool: true },
)

/** A block on the engine's head, with what is offered. */
async function build(
  engine: NodeEngine,
  raws: readonly Uint8Array[] = [],
  withdrawals = [mint(alice.address, 10n ** 10n)],
) {
  const { hash, number } = engine.blocks.head()
  const request = {
    ...attributes(hash, number + 1),
    withdrawals,
    deadlineMs: soon(Date.now() + 60_000),
  }
  return engine.build({ ...request, transactions: raws.map((raw) => ({ raw })) })
}

async function grow(engine: NodeEngine, raws: readonly Uint8Array[] = []) {
  const built = await build(engine, raws)
  if (built.status !== 'BUILT') throw new Error(built.reason)
  const reply = await engine.commit(built.payload.blockHash)
  if (reply.status !== 'COMMITTED') throw new Error(reply.reason)
  return built.payload
}

const pay = (nonce: number) => signed(alice, { nonce, to: bob.address, value: 1n })

describe('the engine port over the Engine API', () => {
  it('6.2: header fields that no attribute tells the client are those of the protocol, and the embedded engine finds the block valid', async () => {
    const client = await newClient()
    const engine = await open(client)
    const first = await grow(engine)
    const second = await grow(engine, [pay(0)])
    expect(second.extraData).toEqual(new Uint8Array(0))
    expect(second.gasLimit).toBeGreaterThan(first.gasLimit)
    expect(first.gasLimit).toBeGreaterThan(genesis.gasLimit)
    const { engine: embedded } = await openEngine()
    for (const payload of [first, second]) {
      expect((await embedded.execute({ payload })).status).toBe('VALID')
      expect((await embedded.commit(payload.blockHash)).status).toBe('COMMITTED')
    }
  })

  it('6.4: the pool of the client is fed with ours, each transaction once, and again when it was lost', async () => {
    const client = await newClient()
    const engine = await open(client)
    await grow(engine)
    const gapped = signed(alice, { nonce: 5, to: bob.address })
    for (let height = 0; height < 20; height++) await grow(engine, [gapped])
    const sent = client.calls.filter((method) => method === 'eth_sendRawTransaction')
    expect(sent.length).toBe(2)
    expect(client.poolSize).toBe(1)
  })

  it('state is read after the durable head, never after a candidate', async () => {
    const client = await newClient()
    const engine = await open(client)
    await grow(engine)
    client.manners.receiptsByHash = false
    const built = await build(engine, [pay(0)], [])
    expect(built).toMatchObject({ status: 'BUILT', outcome: { transactionCount: 1 } })
    expect(client.headHeight).toBe(2)
    expect(await engine.state.balanceWei(bob.address)).toBe(0n)
    expect(await engine.state.nonce(alice.address)).toBe(0n)
    if (built.status === 'BUILT') await engine.commit(built.payload.blockHash)
    expect(await engine.state.balanceWei(bob.address)).toBe(1n)
    expect(engine.blocks.receiptsAt(2)).toHaveLength(1)
    expect(engine.blocks.transactionsAt(2).map(({ sender }) => sender)).toEqual([alice.address])
  })

  it('SY-12: a client that lost all its blocks gets them from the mirror when the node starts', async () => {
    const client = await newClient()
    const directory = newDirectory()
    const engine = await open(client, directory)
    for (let nonce = 0; nonce < 3; nonce++) await grow(engine, nonce === 0 ? [] : [pay(nonce - 1)])
    await engine.close()
    engines.length = 0
    client.wipe()
    const again = await open(client, directory)
    expect(again.openedAt.number).toBe(3)
    expect(client.headHeight).toBe(3)
    expect((await build(again, [pay(2)])).status).toBe('BUILT')
  })

  it('SY-12: a client that lost all its blocks while the node runs gets them again', async () => {
    const client = await newClient()
    const engine = await open(client)
    await grow(engine)
    const built = await build(engine, [pay(0)])
    client.wipe()
    if (built.status !== 'BUILT') throw new Error(built.reason)
    expect((await engine.commit(built.payload.blockHash)).status).toBe('COMMITTED')
    expect(client.headHeight).toBe(2)
  })

  it('2.11: a client that is ahead of the node is not taken back, and its blocks are executed as they come', async () => {
    const client = await newClient()
    client.manners.receiptsByHash = false
    const engine = await open(client)
    const payloads = [
      await grow(engine),
      await grow(engine, [pay(0)]),
      await grow(engine, [pay(1)]),
    ]
    const behind = await open(client)
    expect(behind.openedAt.number).toBe(0)
    expect(client.headHeight).toBe(3)
    for (const payload of payloads) {
      expect((await behind.execute({ payload })).status).toBe('VALID')
      expect((await behind.commit(payload.blockHash)).status).toBe('COMMITTED')
      expect(client.headHeight).toBe(3)
    }
    expect((await build(behind, [pay(2)])).status).toBe('BUILT')
  })

  it('BP-10: a client that is syncing is asked again; while it stays so, the block is unknown', async () => {
    const client = await newClient()
    const engine = await open(client)
    await grow(engine)
    client.manners.syncing = 3
    expect((await build(engine, [pay(0)])).status).toBe('BUILT')
    client.manners.syncing = 1_000
    const reply = await build(engine, [pay(0)], [])
    expect(reply).toMatchObject({ status: 'UNKNOWN', code: 'EngineFault' })
  }, 20_000)

  it('BP-10: a payload that the client finds invalid is invalid, with its reason', async () => {
    const client = await newClient()
    const engine = await open(client)
    const { engine: embedded, head } = await openEngine()
    const request = { ...attributes(head.hash, 1), transactions: [], deadlineMs: 1 }
    const built = await embedded.build(request)
    if (built.status !== 'BUILT') throw new Error(built.reason)
    const unsealed = { ...built.payload, stateRoot: new Uint8Array(32) }
    const payload = { ...unsealed, blockHash: hashPayload(unsealed) }
    expect(await engine.execute({ payload })).toEqual({
      status: 'INVALID',
      code: 'ClientRefused',
      reason: 'StateRootMismatch',
    })
  })

  it('6.2: receipts that do not have the root of the block make it unknown, never voted for', async () => {
    const client = await newClient()
    const engine = await open(client)
    await grow(engine)
    const lie = { type: '0x2', status: '0x0', cumulativeGasUsed: '0x5208', logs: [] }
    client.manners.answers = new Map([['eth_getBlockReceipts', [lie]]])
    const reply = await build(engine, [pay(0)])
    expect(reply).toMatchObject({ status: 'UNKNOWN', code: 'ReceiptsMissing' })
  })

  it('6.1: a block with a blob transaction in it is refused before any client is asked', async () => {
    const client = await newClient()
    const engine = await open(client)
    const first = await grow(engine)
    const { engine: embedded } = await openEngine()
    await embedded.execute({ payload: first })
    const request = { ...attributes(first.blockHash, 2), transactions: [], deadlineMs: 1 }
    const built = await embedded.build(request)
    if (built.status !== 'BUILT') throw new Error(built.reason)
    const asked = client.calls.length
    const unsealed = { ...built.payload, transactions: [Uint8Array.of(3, 0xc0)] }
    const payload = { ...unsealed, blockHash: hashPayload(unsealed) }
    expect(await engine.execute({ payload })).toMatchObject({ code: 'TransactionTypeRefused' })
    expect(client.calls.length).toBe(asked)
  })

  it.each([
    [
      'another secret',
      async (client: TestClient) => connect(client, newDirectory(), alice.secret),
      'ClientUnsuitable',
    ],
    [
      'a client of an older fork by its methods',
      async (client: TestClient) => {
        client.manners.capabilities = ['engine_newPayloadV4', 'engine_forkchoiceUpdatedV3']
        return connect(client, newDirectory())
      },
      'ClientUnsuitable',
    ],
    [
      'a client of an older fork by what it executes',
      async (client: TestClient) => {
        client.manners.answers = new Map([['eth_call', '0x']])
        return connect(client, newDirectory())
      },
      'ClientUnsuitable',
    ],
    [
      'another chain id',
      async (client: TestClient) => {
        client.manners.answers = new Map([['eth_chainId', '0x1']])
        return connect(client, newDirectory())
      },
      'GenesisMismatch',
    ],
    [
      'another block 0',
      async (client: TestClient) => {
        const block = { number: '0x0', hash: `0x${'11'.repeat(32)}` }
        client.manners.answers = new Map([['eth_getBlockByNumber', block]])
        return connect(client, newDirectory())
      },
      'GenesisMismatch',
    ],
    [
      'a client that is not there',
      async (client: TestClient) => {
        const { url } = client
        await client.close()
        clients.length = 0
        return connect({ url }, newDirectory())
      },
      'EngineUnavailable',
    ],
  ])('is refused by name: %s', async (_, attempt, code) => {
    const opened = await attempt(await newClient())
    expect(opened).toMatchObject({ status: 'REFUSED', code })
  })

  it('an answer that is too long, of another shape or missing is the fault of the client, and the next call goes on', async () => {
    const client = await newClient()
    const engine = await open(client)
    await grow(engine)
    client.manners.padding = 2_000_000
    expect(await build(engine)).toMatchObject({ status: 'UNKNOWN', code: 'EngineFault' })
    client.manners.padding = 0
    client.manners.answers = new Map([['engine_forkchoiceUpdatedV3', { payloadStatus: 7 }]])
    expect(await build(engine)).toMatchObject({ status: 'UNKNOWN', code: 'EngineFault' })
    client.manners.answers = new Map()
    client.manners.silent = new Set(['engine_getPayloadV5'])
    expect(await build(engine)).toMatchObject({ status: 'UNKNOWN', code: 'EngineFault' })
    client.manners.silent = new Set()
    expect((await build(engine, [pay(0)])).status).toBe('BUILT')
  })

  it('a payload that the client did not build as it was asked to is not proposed', async () => {
    const client = await newClient()
    const engine = await open(client)
    client.manners.randao = new Uint8Array(32).fill(9)
    const reply = await build(engine)
    expect(reply).toMatchObject({ status: 'UNKNOWN', code: 'EngineFault' })
    expect(reply).toMatchObject({ reason: expect.stringContaining('another prevRandao') })
  })
})

describe('the secret of the Engine API', () => {
  it('is 32 bytes in hex, with 0x or without', () => {
    const digits = toHex(secret)
    expect(readJwtSecret(`0x${digits}\n`)).toEqual(secret)
    expect(readJwtSecret(digits)).toEqual(secret)
    for (const text of ['', '0x', digits.slice(2), `${digits}00`, `${digits.slice(0, -1)}g`]) {
      expect(readJwtSecret(text)).toBeUndefined()
    }
  })
})
