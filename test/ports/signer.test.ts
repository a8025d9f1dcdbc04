/** A signer and its door over real sockets: who is let in, who is served, what it survives, and how both sides stop and come back. */
import { createServer, type Socket } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { encodeCertificate, encodeHeader } from '../../core/block/index.ts'
import { parseConfig } from '../../governance/config.ts'
import type { Vault } from '../../governance/port.ts'
import { openSigner } from '../../governance/remote/index.ts'
import { createAnswers } from '../../governance/remote/serve.ts'
import {
  certificateFingerprint,
  createAuthority,
  type IdentityFiles,
  issueCertificate,
} from '../../node/adapters/certificates/index.ts'
import {
  openSignerClient,
  type SignerListener,
  type SignerServer,
  startSignerServer,
  type TlsIdentity,
} from '../../node/adapters/governance-grpc/index.ts'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import { SIGNER_LIMITS, SIGNER_METHODS } from '../../proto/index.ts'
import { createTestPorts } from '../../supervisor/testing/index.ts'
import { randomOf } from '../unit/core/keygen/ceremony.ts'
import { seeded, testGenesis } from '../unit/core/peg/world.ts'
import { HeaderChain } from '../unit/governance/world.ts'

const clock = createSystemClock()
const genesis = testGenesis()
const nowMs = Date.now()
const kernel = { clock, log: { write: () => {} } }

let authority: IdentityFiles
let signerTls: TlsIdentity
let memberTls: TlsIdentity

async function identity(name: string, issuer = authority): Promise<TlsIdentity> {
  const issued = await issueCertificate(issuer, { name, nowMs, validDays: 2 })
  return { authorityPem: authority.certificatePem, ...issued }
}

beforeAll(async () => {
  authority = await createAuthority({ name: 'pair', nowMs, validDays: 2 })
  signerTls = await identity('signer')
  memberTls = await identity('member')
})

const pinOf = (tls: TlsIdentity) => certificateFingerprint(tls.certificatePem)
const chain = new HeaderChain(genesis)
const { header } = chain.head

/** A vault that says that it is there; `changes` of what it does. */
function vaultOf(changes: Partial<Vault> = {}): Vault {
  const nothing = async () => ({ kind: 'refuse', code: 'Nothing' }) as const
  return {
    head: async () => ({ header, nextValidators: genesis.validators, isStale: false }),
    follow: async () => true,
    approve: nothing,
    offer: nothing,
    parts: nothing,
    keygen: nothing,
    settle: nothing,
    ...changes,
  }
}

interface Running {
  readonly server: SignerServer
  readonly events: string[]
}

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function serve(changes: Partial<Vault> = {}, port = 0): Promise<Running> {
  const events: string[] = []
  const answers = createAnswers({
    vault: vaultOf(changes),
    genesisHash: genesis.hash,
    memberIndex: 2,
    software: 'test',
    clock,
    metrics: { count: () => {}, observe: () => {} },
    log: () => {},
  })
  const listener: SignerListener = {
    asked: (method, fields) => answers.answer(method, fields),
    connected: () => events.push('connected'),
    disconnected: () => events.push('disconnected'),
    refused: (_, code, detail) => events.push(`${code} ${detail}`),
    failed: (method, error) => events.push(`failed ${method} ${(error as Error).message}`),
  }
  const options = { host: '127.0.0.1', port, tls: signerTls, fingerprint: pinOf(memberTls) }
  const server = await startSignerServer(options, listener)
  open.push({ close: () => server.stop() })
  return { server, events }
}

async function find(port: number, tls = memberTls, fingerprint = pinOf(signerTls), findMs = 300) {
  const endpoint = `127.0.0.1:${port}`
  const found = await openSigner({ endpoint, fingerprint, tls }, genesis, kernel, findMs)
  if (!('code' in found)) open.push(found)
  return found
}

const keygenOf = { epoch: 1, evidence: { header: chain.commit(), rows: [] } }

describe('a signer’s door', () => {
  it('lets in nobody but the certificate that it pins, and names who it refuses', async () => {
    const { events, server } = await serve()
    const sister = await identity('another of the same authority')
    const foreign = await createAuthority({ name: 'foreign', nowMs, validDays: 2 })
    for (const tls of [sister, await identity('member', foreign)]) {
      expect(await find(server.port, tls)).toMatchObject({ code: 'SignerUnreachable', exitCode: 5 })
    }
    expect(events.some((one) => one.includes(`NotPinned: CN=another of the same authority`))).toBe(
      true,
    )
    expect(events.every((one) => one.startsWith('ForeignCertificate'))).toBe(true)
    expect(await find(server.port)).toMatchObject({ memberIndex: 2 })
  })

  it('is none for a member that pins another certificate', async () => {
    const { server } = await serve()
    const found = await find(server.port, memberTls, pinOf(memberTls))
    expect(found).toMatchObject({ code: 'SignerUnreachable', exitCode: 5 })
    expect('message' in found && found.message).toContain('expected certificate')
  })

  it('serves one process at a time; the next one when that is gone', async () => {
    const { events, server } = await serve()
    const first = await find(server.port)
    const second = await find(server.port)
    expect(second).toMatchObject({ code: 'SignerBusy', exitCode: 5 })
    expect('message' in second && second.message).toContain('another member process')
    if (!('vault' in first)) throw new Error(first.message)
    expect(await first.vault.keygen(keygenOf)).toEqual({ kind: 'refuse', code: 'Nothing' })
    await first.close()
    expect(await find(server.port, memberTls, pinOf(signerTls), 5_000)).toMatchObject({
      memberIndex: 2,
    })
    expect(events.filter((one) => !one.startsWith('Busy'))).toEqual([
      'connected',
      'disconnected',
      'connected',
    ])
  })

  it('goes on after any bytes, and answers each with an error', async () => {
    const { server } = await serve()
    const credentials = grpc.credentials.createSsl(
      Buffer.from(memberTls.authorityPem),
      Buffer.from(memberTls.privateKeyPem),
      Buffer.from(memberTls.certificatePem),
      { checkServerIdentity: () => undefined },
    )
    const client = new grpc.Client(`127.0.0.1:${server.port}`, credentials, {
      'grpc.ssl_target_name_override': 'millrace-signer',
    })
    open.push(client)
    const random = randomOf('garbage')
    const ask = (method: string, bytes: Uint8Array) =>
      new Promise<number | undefined>((resolve) => {
        const path = `/millrace.governance.v1.MemberSigner/${method}`
        const plain = (value: unknown) => value as Buffer
        client.makeUnaryRequest(path, plain, plain, Buffer.from(bytes), (error) =>
          resolve(error?.code),
        )
      })
    for (const method of SIGNER_METHODS) {
      for (let size = 1; size < 400; size += 57) {
        const code = await ask(method, random(size))
        if (method !== 'Hello') expect(code).toBeDefined()
      }
      expect(await ask(method, new Uint8Array(SIGNER_LIMITS.maxQuestionBytes + 1))).toBe(
        grpc.status.RESOURCE_EXHAUSTED,
      )
    }
    expect(await ask('Hello', new Uint8Array(0))).toBeUndefined()
  })

  it('tells of a vault that fails, and the member does not know', async () => {
    const offer = async () => {
      throw new Error('no space left on the disk')
    }
    const { events, server } = await serve({ keygen: offer })
    const found = await find(server.port)
    if (!('vault' in found)) throw new Error(found.message)
    expect(await found.vault.keygen(keygenOf)).toMatchObject({
      kind: 'unknown',
      code: 'SignerFailed',
    })
    expect(events).toContain('failed Keygen no space left on the disk')
  })
})

describe('a member and its signer', () => {
  it('that goes away is not known, and is found again by itself', async () => {
    const first = await serve()
    const { port } = first.server
    const found = await find(port)
    if (!('vault' in found)) throw new Error(found.message)
    await first.server.stop()
    expect(found.isThere()).toBe(true)
    const gone = { kind: 'unknown', code: 'SignerUnreachable' }
    expect(await found.vault.keygen(keygenOf)).toMatchObject(gone)
    expect(await found.vault.follow([])).toBe(false)
    await expect(found.vault.head()).rejects.toThrow('SignerUnreachable')
    expect(found.isThere()).toBe(false)
    await serve({}, port)
    const end = Date.now() + 15_000
    for (;;) {
      const { kind } = await found.vault.keygen(keygenOf)
      if (kind === 'refuse') break
      expect(found.isThere()).toBe(false)
      expect(Date.now()).toBeLessThan(end)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })

  it('that accepts and never answers costs no more than its time', async () => {
    const sockets: Socket[] = []
    const silent = createServer((socket) => sockets.push(socket))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const options = { endpoint: `127.0.0.1:${port}`, fingerprint: pinOf(signerTls), tls: memberTls }
    const client = openSignerClient({ ...options, clock })
    const begunMs = Date.now()
    const hello = { genesisHash: genesis.hash, software: 'test' }
    expect(await client.ask('Hello', hello, 300)).toMatchObject({ ok: false, code: 'SignerSlow' })
    expect(Date.now() - begunMs).toBeLessThan(5_000)
    client.close()
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => silent.close(resolve))
  })

  it('of another chain is none', async () => {
    const { server } = await serve()
    const endpoint = `127.0.0.1:${server.port}`
    const other = { ...genesis, hash: seeded('another chain') }
    const options = { endpoint, fingerprint: pinOf(signerTls), tls: memberTls }
    expect(await openSigner(options, other, kernel, 300)).toMatchObject({
      code: 'SignerOfAnotherChain',
      exitCode: 3,
    })
  })
})

describe('a signer that is told to stop', () => {
  it('agrees to nothing new, gives the parts of what it offered, and ends (N4, SU-12)', async () => {
    const ports = createTestPorts()
    const offer = { member: 0, serial: 1, commitments: [], signature: new Uint8Array(64) }
    const answers = createAnswers({
      vault: vaultOf({
        offer: async () => ({ kind: 'sign', value: { offer } }),
        parts: async () => ({
          kind: 'sign',
          value: { listHash: seeded('list'), parts: [], signature: new Uint8Array(64) },
        }),
      }),
      genesisHash: genesis.hash,
      memberIndex: 0,
      software: 'test',
      clock: ports.clock,
      metrics: { count: () => {}, observe: () => {} },
      log: () => {},
    })
    const asked = { genesisHash: genesis.hash, batchId: seeded('batch'), version: 0, attempt: 0 }
    const { certificate, header: top } = chain.head
    const bytes = {
      header: encodeHeader(top),
      certificate: encodeCertificate(certificate),
      nextValidators: new Uint8Array(0),
    }
    const question = { node: 0, request: asked, evidence: { header: bytes, rows: [] }, keys: [] }
    expect(await answers.answer('Offer', question)).toMatchObject({ verdict: { kind: 'sign' } })
    let isDone = false
    const finished = answers.finish().then(() => {
      isDone = true
    })
    expect(await answers.answer('Offer', question)).toMatchObject({
      verdict: { kind: 'unknown', code: 'SignerStopping' },
    })
    await ports.clock.advance(1_000)
    expect(isDone).toBe(false)
    const { genesisHash: _, ...id } = asked
    const parts = await answers.answer('Parts', { node: 0, ...id, offers: [] })
    expect(parts).toMatchObject({ verdict: { kind: 'sign' } })
    await finished
    // With nothing out it goes at once.
    await answers.finish()
  })
})

describe('the configuration of a member', () => {
  const tls = { authorityFile: 'a', certificateFile: 'b', privateKeyFile: 'c' }
  const file = {
    genesisFile: 'genesis.json',
    dataDir: 'data',
    bitcoinUrl: 'http://user:password@127.0.0.1:1',
    tls,
    nodes: [{ name: 'node-0', endpoint: '127.0.0.1:1' }],
  }
  const signer = { endpoint: '127.0.0.1:1', fingerprint: 'ab'.repeat(32), tls }
  const files = { keyFile: 'keys.json', passwordFile: 'password' }

  it.each([
    ['neither keys nor a signer', {}, 'keyFile: missing, and there is no signer'],
    ['both', { ...files, signer }, 'keyFile: the signer holds the keys: one of the two'],
    ['a policy beside a signer', { signer, policy: { hold: true } }, 'policy: the signer decides'],
    [
      'a signer that is not pinned',
      { signer: { ...signer, fingerprint: '' } },
      'signer.fingerprint',
    ],
  ])('with %s is refused in one line', (_, changes, message) => {
    expect(parseConfig({ ...file, ...changes }, '/')).toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining(message),
    })
  })

  it('with a signer has no keys of its own', () => {
    const config = parseConfig({ ...file, signer }, '/place')
    expect(config).toMatchObject({ signer: { tls: { authorityFile: '/place/a' } } })
    expect(config).not.toHaveProperty('keystore')
  })
})
