import { createLinksPort } from '../../governance/links-port.ts'
import type { LinksPorts } from '../../governance/port.ts'
import {
  createAuthority,
  type IdentityFiles,
  issueCertificate,
} from '../../node/adapters/certificates/index.ts'
import { createGovernanceServer } from '../../node/adapters/governance-grpc/index.ts'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import { Streams } from '../sim/streams.ts'
import { RunningWorld } from './running-world.ts'
import { type StreamsUnderTest, streamSuite } from './stream-suite.ts'

const clock = createSystemClock()
const nowMs = Date.now()
const genesisHash = new Uint8Array(32).fill(7)
const keyOf = (index: number) => new Uint8Array(48).fill(index + 1)

let authority: IdentityFiles
beforeAll(async () => {
  authority = await createAuthority({ name: 'test', nowMs, validDays: 2 })
})

async function identity(name: string) {
  const hosts = ['127.0.0.1']
  const issued = await issueCertificate(authority, { name, hosts, nowMs, validDays: 2 })
  return { authorityPem: authority.certificatePem, ...issued }
}

async function overGrpc(): Promise<StreamsUnderTest> {
  const clients: LinksPorts[] = []
  return {
    server: async () =>
      createGovernanceServer({
        host: '127.0.0.1',
        port: 0,
        tls: await identity('node-0'),
        genesisHash,
        members: [0, 1].map((index) => ({ index, blsKey: keyOf(index) })),
        clock,
      }),
    client: async (member, port) => {
      const links = createLinksPort({
        nodes: [{ name: 'node-0', endpoint: `127.0.0.1:${port}` }],
        tls: await identity(`member-${member}`),
        registration: { genesisHash, memberKey: keyOf(member), software: 'test' },
        clock,
      })
      clients.push(links)
      return links
    },
    close: async () => {
      for (const links of clients) links.closeAll()
    },
  }
}

async function simulated(): Promise<StreamsUnderTest> {
  const running = new RunningWorld()
  const streams = new Streams(running.world)
  let lives = 0
  const life = () => {
    lives += 1
    return running.life(`process ${lives}`)
  }
  return {
    server: async () => streams.server(0, life()),
    client: async (member) => streams.client(member, life(), 1),
    close: async () => running.stop(),
  }
}

streamSuite('gRPC', overGrpc)
streamSuite('simulated', simulated)
