import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connect } from 'node:tls'
import { makePair, type Pair } from '../../governance/remote/pair.ts'
import { readTls } from '../../governance/run.ts'
import {
  openSignerClient,
  type SignerServer,
  startSignerServer,
} from '../../node/adapters/governance-grpc/index.ts'

let at: string
let pair: Pair
let server: SignerServer
let refused: string[] = []

const tlsOf = (side: 'signer' | 'member') => {
  const file = (name: string) => join(at, side, name)
  const names = { authorityFile: file('authority.pem'), certificateFile: file('certificate.pem') }
  return readTls({ ...names, privateKeyFile: file('private-key.pem') })
}

beforeEach(async () => {
  at = mkdtempSync(join(tmpdir(), 'millrace-door-'))
  pair = await makePair(at, Date.now())
  refused = []
  const answer = {
    genesisHash: new Uint8Array(32),
    memberIndex: 1,
    header: new Uint8Array(0),
    nextValidators: new Uint8Array(0),
    software: 'x',
  }
  server = await startSignerServer(
    { host: '127.0.0.1', port: 0, tls: tlsOf('signer'), fingerprint: pair.member },
    {
      asked: async () => answer,
      refused: (_, code) => refused.push(code),
      connected: () => {},
      disconnected: () => {},
      failed: () => {},
    },
  )
})
afterEach(async () => {
  await server.stop()
  rmSync(at, { recursive: true, force: true })
})

async function hello(): Promise<string> {
  const endpoint = `127.0.0.1:${server.port}`
  const clock = { nowMs: () => Date.now() }
  const client = openSignerClient({
    endpoint,
    tls: tlsOf('member'),
    fingerprint: pair.signer,
    clock,
  })
  const given = await client.ask('Hello', { genesisHash: new Uint8Array(32), software: 'x' }, 4_000)
  client.close()
  return given.ok ? 'ok' : given.code
}

describe('N8, N14: a stranger at the signer’s door', () => {
  it('who shows no certificate is refused and named, and ends nothing', async () => {
    const socket = connect({
      port: server.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    })
    socket.on('error', () => {})
    await Promise.race([once(socket, 'close'), pause(2_000)])
    socket.destroy()
    expect(refused).toEqual(['ForeignCertificate'])
    expect(await hello()).toBe('ok')
  })

  it.each([9, 100])(
    'who holds %i silent connections does not keep the member out',
    async (count) => {
      const silent = Array.from({ length: count }, () =>
        connectTcp(server.port, '127.0.0.1').on('error', () => {}),
      )
      await Promise.all(silent.map((socket) => once(socket, 'connect')))
      const answer = await hello()
      for (const socket of silent) socket.destroy()
      expect(answer).toBe('ok')
      const crowded = refused.filter((code) => code === 'TooManyHandshakes')
      expect(crowded.length > 0).toBe(count > 64)
    },
  )

  it('who has the member’s certificate does not end the connection that is served, however often it dials', async () => {
    const clock = { nowMs: () => Date.now() }
    const endpoint = `127.0.0.1:${server.port}`
    const client = openSignerClient({
      endpoint,
      tls: tlsOf('member'),
      fingerprint: pair.signer,
      clock,
    })
    const question = { genesisHash: new Uint8Array(32), software: 'x' }
    expect(await client.ask('Hello', question, 4_000)).toMatchObject({ ok: true })
    const { authorityPem: ca, certificatePem: cert, privateKeyPem: key } = tlsOf('member')
    const sessions = []
    for (let count = 0; count < 9; count++) {
      const options = { ca, cert, key, checkServerIdentity: () => undefined }
      const session = connectHttp2(`https://${endpoint}`, options).on('error', () => {})
      await once(session, 'remoteSettings')
      expect(session.remoteSettings.maxConcurrentStreams).toBe(256)
      sessions.push(session)
    }
    expect(refused).toEqual(Array.from({ length: 6 }, () => 'TooManyConnections'))
    expect(await client.ask('Hello', question, 4_000)).toMatchObject({ ok: true })
    client.close()
    for (const session of sessions) session.destroy()
  })
})
