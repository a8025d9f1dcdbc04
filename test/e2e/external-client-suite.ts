/** The engine port's compliance suite, run on a real execution client by the Engine API: EthereumJS from npm. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { toHex } from '../../crypto/index.ts'
import { discardState } from '../../node/adapters/engine/index.ts'
import { openExternalEngine } from '../../node/adapters/engine-api/index.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import { gethGenesis } from '../../vm/evm/index.ts'
import { type EngineUnderTest, engineSuite } from '../ports/engine-suite.ts'
import { genesis } from '../unit/vm/evm/fixtures.ts'
import { type ClientPlace, fetchClient, RunningClient } from './execution-client.ts'
import { itWith, type Tools } from './tools.ts'

const PATIENCE_MS = 120_000
/** Below the ports that the system gives to outgoing connections. */
const FIRST_PORT = 30_100
const secret = new Uint8Array(32).fill(7)
const root = mkdtempSync(join(tmpdir(), 'millrace-client-'))
const running: RunningClient[] = []
const tools = fetchClient()
let nextPort = FIRST_PORT

jest.setTimeout(PATIENCE_MS * 3)

afterEach(async () => {
  for (const client of running.splice(0)) await client.kill()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function freePort(): Promise<number> {
  const found = await findPort({ host: '127.0.0.1', port: nextPort }, { fallback: true })
  if (!found.ok) throw new Error('no port is free')
  nextPort = found.value + 1
  return found.value
}

async function newPlace(): Promise<ClientPlace> {
  const directory = mkdtempSync(join(root, 'client-'))
  const place = {
    directory,
    genesisFile: join(directory, 'genesis.json'),
    jwtSecretFile: join(directory, 'jwt'),
    enginePort: await freePort(),
    readPort: await freePort(),
  }
  writeFileSync(place.genesisFile, JSON.stringify(gethGenesis(genesis)))
  writeFileSync(place.jwtSecretFile, toHex(secret))
  return place
}

async function open(place: ClientPlace): Promise<EngineUnderTest> {
  const directory = join(place.directory, 'mirror')
  const opened = await openExternalEngine({
    directory,
    genesis,
    url: `http://127.0.0.1:${place.enginePort}`,
    readUrl: `http://127.0.0.1:${place.readPort}`,
    jwtSecret: secret,
    patienceMs: PATIENCE_MS,
    timeouts: { getPayloadMs: 30_000, engineMs: 60_000 },
  })
  if (opened.status !== 'OPEN') throw new Error(`${opened.code}: ${opened.reason}`)
  const { engine } = opened
  let isOpen = true
  const close = async () => {
    if (isOpen) await engine.close()
    isOpen = false
  }
  return {
    head: engine.openedAt,
    build: (request) => engine.build(request),
    execute: (request) => engine.execute(request),
    commit: (hash) => engine.commit(hash),
    async restart() {
      await close()
      return open(place)
    },
    async rollback() {
      await close()
      discardState(directory)
      return open(place)
    },
    close,
  }
}

async function start(client: Tools): Promise<EngineUnderTest> {
  const place = await newPlace()
  running.push(RunningClient.start(client, place))
  return open(place)
}

if (tools !== undefined) {
  engineSuite('EthereumJS behind the Engine API', () => start(tools), { hasOwnPool: true })
} else {
  itWith(tools, 'an execution client')(
    'the engine port: EthereumJS behind the Engine API',
    async () => {},
  )
}
