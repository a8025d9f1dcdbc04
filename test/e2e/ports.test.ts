/**
 * Garbage and strangers on every port of a running federation (issue 3, "Bad input"): nothing falls over, nothing is believed, whoever is
 * refused is named in the log, and a coin still goes in.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { until } from '../../devnet/launcher/rpc.ts'
import { createAuthority, issueCertificate } from '../../node/adapters/certificates/index.ts'
import { openGovernanceLink, type TlsIdentity } from '../../node/adapters/governance-grpc/index.ts'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { Stranger } from './stranger.ts'
import { minted, payDeposit } from './user.ts'

const START_MS = 180_000
const TEST_MS = 2 * PATIENCE_MS
const SOCKET_MS = 1_000
const DEPOSIT_SAT = 50_000_000n

let federation: TestFederation

beforeAll(async () => {
  federation = await TestFederation.start()
}, START_MS)

afterAll(async () => {
  const left = await federation?.stop()
  expect(left).toEqual([])
}, START_MS)

/** Every process runs as before, the chain goes on, the nodes agree, and a deposit is minted. */
async function expectUnharmed(): Promise<void> {
  const { nodes, members } = federation.files
  for (let index = 0; index < nodes; index++) expect(federation.isRunning('node', index)).toBe(true)
  for (let index = 0; index < members; index++) {
    expect(federation.isRunning('member', index)).toBe(true)
    await federation.memberReady(index)
  }
  const evmAddress = `0x${randomBytes(20).toString('hex')}`
  await minted(federation.rpc, await payDeposit(federation, evmAddress, DEPOSIT_SAT))
  const { height } = await federation.head()
  const hashes = new Set<string>()
  for (let index = 0; index < nodes; index++) {
    const rpc = federation.node(index)
    await federation.heightAtLeast(height, rpc)
    hashes.add((await rpc.call<{ hash: string }>('getblockbyheight', [height])).hash)
    const { actors } = await statusOf(index)
    for (const { path, restarts } of actors) expect([path, restarts]).toEqual([path, 0])
  }
  expect(hashes.size).toBe(1)
}

/** What the node's status page shows. */
async function statusOf(
  index: number,
): Promise<{ readonly actors: readonly { readonly path: string; readonly restarts: number }[] }> {
  const response = await fetch(`${federation.urls[index]}/status.json`)
  return (await response.json()) as Awaited<ReturnType<typeof statusOf>>
}

/** Writes bytes to a port and waits until the other side has had enough of them. */
function throwAt(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const end = () => {
      socket.destroy()
      resolve()
    }
    socket.setTimeout(SOCKET_MS, end)
    socket.on('error', end)
    socket.on('close', end)
    socket.on('data', () => {})
    socket.write(bytes)
  })
}

it(
  'garbage on every port harms nothing',
  async () => {
    const text = (line: string) => new TextEncoder().encode(line)
    const garbage = [
      new Uint8Array(randomBytes(100_000)),
      new Uint8Array(65_536),
      text('GET / HTTP/9.9\r\n\r\n'),
      text(`GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`),
      text(`POST / HTTP/1.1\r\ncontent-length: 999999999\r\n\r\n{`),
      text('POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffff\r\n'),
      text('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u0000\u0000\u0000'),
      text('/multistream/1.0.0\n/noise\n'),
      // A TLS hello that ends too soon.
      Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03),
      text(''),
    ]
    const ports = [...federation.urls, ...federation.memberUrls, federation.bitcoinUrl]
      .map((url) => Number(new URL(url).port))
      .concat(federation.p2pPorts, federation.governancePorts)
    await Promise.all(ports.flatMap((port) => garbage.map((bytes) => throwAt(port, bytes))))
    await expectUnharmed()
  },
  TEST_MS,
)

it.each<[string, string, number]>([
  ['no JSON', '{"jsonrpc":', -32700],
  ['bytes that are no text', '\u0000\u0001\u0002', -32700],
  ['a number', '7', -32600],
  ['an empty batch', '[]', -32600],
  ['no method', '{"jsonrpc":"2.0","id":1}', -32600],
  [
    'a method that does not exist',
    '{"jsonrpc":"2.0","id":1,"method":"eth_mine","params":[]}',
    -32601,
  ],
  ['a method of objects', '{"jsonrpc":"2.0","id":1,"method":"constructor","params":[]}', -32601],
  ['wrong parameters', '{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":[{}]}', -32602],
  [
    'a transaction of zeros',
    '{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x00"]}',
    -32003,
  ],
  [
    'nests of arrays',
    `{"jsonrpc":"2.0","id":1,"method":"eth_call","params":${'['.repeat(9_999)}${']'.repeat(9_999)}}`,
    -32602,
  ],
])('JSON-RPC: %s gets its code', async (_, body, code) => {
  const response = await fetch(federation.urls[0] as string, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  const text = await response.text()
  expect((JSON.parse(text) as { error: { code: number } }).error.code).toBe(code)
  // Nothing of the inside goes out.
  expect(text).not.toMatch(/node_modules|\.ts:|at .*\(/)
})

it('a body above the limit is refused before it is read', async () => {
  const body = 'x'.repeat(6 * 1024 * 1024)
  const response = await fetch(federation.urls[0] as string, { method: 'POST', body }).catch(
    () => undefined,
  )
  expect([413, 415, undefined]).toContain(response?.status)
})

describe('the governance stream', () => {
  const identityOf = (directory: string): TlsIdentity => {
    const text = (name: string) => readFileSync(join(directory, name), 'utf8')
    return {
      authorityPem: text('authority.pem'),
      certificatePem: text('certificate.pem'),
      privateKeyPem: text('private-key.pem'),
    }
  }

  /** Dials node 0 as somebody; why it was closed. */
  function dial(tls: TlsIdentity, member: number): Promise<string> {
    return new Promise((resolve, reject) => {
      openGovernanceLink(
        {
          endpoint: `127.0.0.1:${federation.governancePorts[0]}`,
          tls,
          registration: {
            genesisHash: federation.genesis.hash,
            memberKey: federation.genesis.members[member]?.blsKey as Uint8Array,
            software: 'stranger',
          },
          clock: createSystemClock(),
        },
        {
          registered: () => reject(new Error('it was let in')),
          message: async () => {},
          closed: resolve,
        },
      )
    })
  }

  const refusals = (code: string) =>
    federation.log('node', 0).filter(({ msg, fields }) => {
      const isRefusal = msg === 'governance connection refused'
      return isRefusal && (fields as { code?: string }).code === code
    })

  it.each<[string, string, () => Promise<readonly [TlsIdentity, number]>]>([
    [
      'of another authority',
      'ForeignCertificate',
      async () => {
        const options = { nowMs: Date.now(), validDays: 1 }
        const authority = await createAuthority({ ...options, name: 'somebody' })
        const own = await issueCertificate(authority, { ...options, name: 'member-0' })
        const { authorityPem } = identityOf(federation.files.memberDirectory(0))
        return [{ authorityPem, ...own }, 0]
      },
    ],
    [
      'of a node',
      'UnknownIdentity',
      async () => [identityOf(federation.files.nodeDirectory(1)), 0],
    ],
    [
      'of a member that registers as another',
      'RegistrationMismatch',
      async () => [identityOf(federation.files.memberDirectory(2)), 0],
    ],
  ])(
    'a client with a certificate %s is refused as %s, and logged',
    async (_, code, identity) => {
      const before = refusals(code).length
      const [tls, member] = await identity()
      const reason = await dial(tls, member)
      expect(reason).toMatch(/^1[46]: /)
      const line = await until('the refusal in the log', PATIENCE_MS, async () => {
        const lines = refusals(code)
        return lines.length > before ? lines.at(-1) : undefined
      })
      expect(line).toMatchObject({
        level: 'warn',
        actor: 'stream',
        correlationId: expect.stringMatching(/^[0-9a-f]{16,}$/),
        fields: { peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) },
      })
    },
    TEST_MS,
  )
})

it(
  'a peer that speaks the protocol and lies is not believed, and shut out',
  async () => {
    const stranger = new Stranger(federation.genesis)
    try {
      const seed = readFileSync(
        join(federation.files.nodeDirectory(0), 'network-key'),
        'utf8',
      ).trim()
      const networkSeed = new Uint8Array(Buffer.from(seed, 'hex'))
      const peer = await stranger.meet(federation.p2pPorts[0] as number, networkSeed)
      const { height } = await federation.head(federation.node(0))
      const real = await stranger.block(peer, height)
      const forged = stranger.forgeries(real)
      for (let round = 0; round < 5; round++) {
        for (const [, bytes] of forged) await stranger.say(peer, bytes)
        for (const size of [0, 1, 41, 1_000])
          await stranger.say(peer, new Uint8Array(randomBytes(size)))
      }
      await until('the end of the connection', PATIENCE_MS, async () =>
        stranger.disconnected.length > 0 ? true : undefined,
      )
    } finally {
      await stranger.stop()
    }
    await expectUnharmed()
  },
  TEST_MS,
)
