/**
 * The governance stream over real sockets and certificates: who is let in, who is named when not, what survives (GV-1, GV-2,
 * GV-10…GV-12).
 */
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { StreamListener, StreamPort } from '../../actors/stream/index.ts'
import {
  certificateFingerprint,
  createAuthority,
  type IdentityFiles,
  issueCertificate,
} from '../../node/adapters/certificates/index.ts'
import {
  createGovernanceServer,
  type GovernanceLink,
  type GovernanceLinkOptions,
  type MemberIdentity,
  Outbox,
  openGovernanceLink,
  Pump,
  type TlsIdentity,
} from '../../node/adapters/governance-grpc/index.ts'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import {
  GOVERNANCE_PROTO,
  GOVERNANCE_SERVICE,
  type MemberMessage,
  type NodeMessage,
  STREAM_LIMITS,
} from '../../proto/index.ts'

const clock = createSystemClock()
const genesisHash = new Uint8Array(32).fill(7)
const keyOf = (index: number) => new Uint8Array(48).fill(index + 1)
const nowMs = Date.now()

let authority: IdentityFiles
let foreign: IdentityFiles

async function identity(name: string, issuer = authority): Promise<TlsIdentity> {
  const issued = await issueCertificate(issuer, { name, hosts: ['127.0.0.1'], nowMs, validDays: 2 })
  return { authorityPem: authority.certificatePem, ...issued }
}

beforeAll(async () => {
  authority = await createAuthority({ name: 'test', nowMs, validDays: 2 })
  foreign = await createAuthority({ name: 'foreign', nowMs, validDays: 2 })
})

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A server and what it told. */
class ServerSide {
  readonly events: string[] = []
  readonly messages: MemberMessage[] = []
  readonly refusals: { readonly code: string; readonly detail: string }[] = []
  onMessage: (memberIndex: number, message: MemberMessage) => Promise<void> = async () => {}
  readonly server: StreamPort
  port = 0

  constructor(server: StreamPort) {
    this.server = server
  }

  async start(): Promise<this> {
    const listener: StreamListener = {
      registered: (member) => this.events.push(`registered ${member}`),
      message: (member, message) => {
        this.messages.push(message)
        return this.onMessage(member, message)
      },
      seen: (member) => this.events.push(`seen ${member}`),
      disconnected: (member) => this.events.push(`disconnected ${member}`),
      refused: (_, code, detail) => this.refusals.push({ code, detail }),
    }
    this.port = (await this.server.start(listener)).port
    return this
  }
}

async function startServer(
  changes: {
    members?: readonly MemberIdentity[]
    heartbeatMs?: number
    registrationMs?: number
    port?: number
  } = {},
): Promise<ServerSide> {
  const server = createGovernanceServer({
    host: '127.0.0.1',
    port: 0,
    tls: await identity('node-0'),
    genesisHash,
    members: [0, 1].map((index) => ({ index, blsKey: keyOf(index) })),
    clock,
    ...changes,
  })
  return await new ServerSide(server).start()
}

/** A member's end and what it heard. */
class MemberSide {
  readonly messages: NodeMessage[] = []
  registeredAs: number | undefined
  closedBecause: string | undefined
  readonly link: GovernanceLink
  onMessage: (message: NodeMessage) => Promise<void> = async () => {}

  constructor(port: number, tls: TlsIdentity, changes: Partial<GovernanceLinkOptions> = {}) {
    this.link = openGovernanceLink(
      {
        endpoint: `127.0.0.1:${port}`,
        tls,
        nodeName: 'node-0',
        registration: { genesisHash, memberKey: keyOf(0), software: 'test' },
        clock,
        ...changes,
      },
      {
        registered: (index) => {
          this.registeredAs = index
        },
        message: async (message) => {
          this.messages.push(message)
          await this.onMessage(message)
        },
        closed: (reason) => {
          this.closedBecause = reason
        },
      },
    )
  }

  async registered(): Promise<this> {
    await until(() => this.registeredAs !== undefined, 'registration')
    return this
  }

  async closed(): Promise<string> {
    await until(() => this.closedBecause !== undefined, 'the end')
    return this.closedBecause ?? ''
  }
}

/** A connection without any stream. */
async function dial(port: number, { authorityPem, certificatePem, privateKeyPem }: TlsIdentity) {
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    ca: authorityPem,
    cert: certificatePem,
    key: privateKeyPem,
    checkServerIdentity: () => undefined,
  })
  const dialled = { session, closed: false }
  session.on('error', () => {})
  session.on('close', () => {
    dialled.closed = true
  })
  await once(session, 'remoteSettings')
  return dialled
}

const query: MemberMessage = {
  requestId: 'q1',
  correlationId: 'flow',
  body: { kind: 'headerRequest', fromHeight: 5, count: 3 },
}

describe('the governance stream', () => {
  it('carries messages both ways with their ids and every field', async () => {
    const node = await startServer()
    const member = await new MemberSide(node.port, await identity('member-0')).registered()
    expect(member.registeredAs).toBe(0)
    const rich: MemberMessage = {
      requestId: 'r',
      correlationId: 'c',
      body: {
        kind: 'signatureResponse',
        batchId: new Uint8Array(32).fill(9),
        version: 1,
        attempt: 2,
        decision: 'REFUSED',
        code: 'PaysStranger',
        retryAfterMs: 5,
        offers: [
          {
            member: 3,
            serial: 1,
            commitments: [new Uint8Array(66).fill(3), new Uint8Array(66).fill(4)],
            signature: new Uint8Array(64).fill(5),
          },
        ],
      },
    }
    expect(member.link.send(rich)).toBe('sent')
    await until(() => node.messages.length === 1, 'the message')
    expect(node.messages).toEqual([rich])
    const answer: NodeMessage = {
      requestId: 'r',
      correlationId: 'c',
      body: {
        kind: 'ledgerProof',
        height: 2 ** 40,
        rows: [
          {
            set: 'batches',
            key: new Uint8Array(32),
            present: true,
            row: new Uint8Array(3),
            proof: new Uint8Array(0),
          },
        ],
      },
    }
    expect(node.server.send(0, answer)).toBe('sent')
    await until(() => member.messages.length === 1, 'the answer')
    expect(member.messages).toEqual([answer])
    expect(node.server.send(1, answer)).toBe('notConnected')
    member.link.close('done')
    await until(() => node.events.includes('disconnected 0'), 'the end')
    await node.server.stop()
  })

  it('refuses a foreign certificate and names it; a stranger never reaches the service (GV-2)', async () => {
    const node = await startServer()
    const member = new MemberSide(node.port, await identity('member-0', foreign))
    await member.closed()
    await until(() => node.refusals.length > 0, 'the refusal')
    expect(node.refusals[0]?.code).toBe('ForeignCertificate')
    expect(node.refusals[0]?.detail).toContain('CN=member-0')
    expect(node.events).toEqual([])
    await node.server.stop()
  })

  it('refuses a certificate of our authority that belongs to no member', async () => {
    const node = await startServer()
    const member = new MemberSide(node.port, await identity('node-1'))
    expect(await member.closed()).toContain('UnknownIdentity')
    expect(node.refusals).toEqual([{ code: 'UnknownIdentity', detail: 'node-1' }])
    await node.server.stop()
  })

  it('takes a pinned certificate and no other of the same name', async () => {
    const pinned = await identity('member-0')
    const fingerprint = certificateFingerprint(pinned.certificatePem)
    const node = await startServer({ members: [{ index: 0, blsKey: keyOf(0), fingerprint }] })
    await new MemberSide(node.port, pinned).registered()
    const twin = new MemberSide(node.port, await identity('member-0'))
    expect(await twin.closed()).toContain('UnknownIdentity')
    await node.server.stop()
  })

  it.each([
    ['another member key', { memberKey: keyOf(1) }],
    ['another chain', { genesisHash: new Uint8Array(32) }],
  ])('refuses a registration with %s', async (detail, changes) => {
    const node = await startServer()
    const registration = { genesisHash, memberKey: keyOf(0), software: 'test', ...changes }
    const member = new MemberSide(node.port, await identity('member-0'), { registration })
    expect(await member.closed()).toContain('RegistrationMismatch')
    expect(node.refusals).toEqual([{ code: 'RegistrationMismatch', detail }])
    await node.server.stop()
  })

  it('is not opened by a member to a node of another name, certificate or authority', async () => {
    const node = await startServer()
    const tls = await identity('member-0')
    const named = new MemberSide(node.port, tls, { nodeName: 'node-3' })
    expect(await named.closed()).toContain('expected node-3, got node-0')
    const nodeFingerprint = '00'.repeat(32)
    expect(await new MemberSide(node.port, tls, { nodeFingerprint }).closed()).toContain('expected')
    const other = { ...tls, authorityPem: foreign.certificatePem }
    await new MemberSide(node.port, other).closed()
    expect(node.events).toEqual([])
    await node.server.stop()
  })

  it('gives up a member that does not register in time, and garbage on the port', async () => {
    const node = await startServer({ registrationMs: 200 })
    const silent = connect(node.port, '127.0.0.1')
    silent.on('error', () => {})
    const garbage = connect(node.port, '127.0.0.1', () => garbage.write('GET / HTTP/1.1\r\n\r\n'))
    garbage.on('error', () => {})
    await until(() => node.refusals.length >= 2, 'refusals')
    expect(new Set(node.refusals.map(({ code }) => code))).toEqual(new Set(['HandshakeFailed']))
    silent.destroy()
    garbage.destroy()
    await node.server.stop()
  })

  it.each([
    ['says nothing', undefined],
    ['begins with something else', { requestId: 'x', heartbeat: { sequence: 1 } }],
  ])('ends for a member that %s instead of registering (GV-2)', async (_, first) => {
    const node = await startServer({ registrationMs: 200 })
    const tls = await identity('member-0')
    const credentials = grpc.credentials.createSsl(
      Buffer.from(tls.authorityPem),
      Buffer.from(tls.privateKeyPem),
      Buffer.from(tls.certificatePem),
      { checkServerIdentity: () => undefined },
    )
    const client = new grpc.Client(`localhost:${node.port}`, credentials)
    const service = loadSync(fileURLToPath(GOVERNANCE_PROTO))[GOVERNANCE_SERVICE]
    const method = (service as grpc.ServiceDefinition)['Connect']
    if (method === undefined) throw new Error('no method')
    const call = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
    )
    let ended = 0
    call.on('error', (error: grpc.ServiceError) => {
      ended = error.code
    })
    if (first !== undefined) call.write(first)
    await until(() => ended !== 0, 'the end')
    expect(ended).toBe(grpc.status.UNAUTHENTICATED)
    expect(node.refusals.map(({ code }) => code)).toEqual(['RegistrationMissing'])
    client.close()
    await node.server.stop()
  })

  it('goes to the newest connection of a member', async () => {
    const node = await startServer()
    const tls = await identity('member-0')
    const first = await new MemberSide(node.port, tls).registered()
    const second = await new MemberSide(node.port, tls).registered()
    expect(await first.closed()).toContain('replaced')
    expect(node.events).toEqual(['registered 0', 'registered 0'])
    expect(second.link.send(query)).toBe('sent')
    await until(() => node.messages.length === 1, 'the message')
    await node.server.stop()
  })

  it('GV-2, N14: of one member’s connections the newest four stay, and nobody else loses a place to them', async () => {
    const node = await startServer()
    const tls = await identity('member-0')
    const other = new MemberSide(node.port, await identity('member-1'), {
      registration: { genesisHash, memberKey: keyOf(1), software: 'test' },
    })
    await other.registered()
    // As half-open ones, whose other end is gone: they say nothing, and their end is never heard of.
    const dead: Awaited<ReturnType<typeof dial>>[] = []
    for (let count = 0; count < 9; count++) dead.push(await dial(node.port, tls))
    await until(() => dead.filter(({ closed }) => closed).length === 5, 'the oldest to give way')
    expect(dead.map(({ closed }) => closed)).toEqual(dead.map((_, at) => at < 5))
    expect(node.refusals).toEqual(
      Array.from({ length: 5 }, () => ({
        code: 'TooManyConnections',
        detail: 'limit 4 of member 0',
      })),
    )
    const member = await new MemberSide(node.port, tls).registered()
    const strangers: typeof dead = []
    const stranger = await identity('node-1')
    for (let count = 0; count < 9; count++) strangers.push(await dial(node.port, stranger))
    await until(() => node.refusals.length === 6 + 5, 'strangers to give way to each other')
    expect(node.refusals.at(-1)?.detail).toBe('limit 4 of no member')
    expect([member.closedBecause, other.closedBecause]).toEqual([undefined, undefined])
    for (const { session } of [...dead, ...strangers]) session.destroy()
    await node.server.stop()
  })

  it('GV-12: a connection has a bounded number of streams', async () => {
    const node = await startServer()
    const { session } = await dial(node.port, await identity('member-0'))
    await until(() => session.remoteSettings?.maxConcurrentStreams !== undefined, 'settings')
    await until(() => session.remoteSettings.maxConcurrentStreams === 4, 'the bound')
    session.destroy()
    await node.server.stop()
  })

  it('lives on heartbeats and ends half-open without them', async () => {
    const node = await startServer({ heartbeatMs: 100 })
    const member = await new MemberSide(node.port, await identity('member-0')).registered()
    await until(() => node.events.filter((event) => event === 'seen 0').length >= 4, 'heartbeats')
    expect(member.closedBecause).toBeUndefined()
    // A member that hangs: its link is open, but nothing is sent any more.
    const stuck = createSystemClock()
    const silent = { ...stuck, setTimer: () => ({ cancel: () => {} }) }
    const hanging = await new MemberSide(node.port, await identity('member-1'), {
      clock: silent,
      registration: { genesisHash, memberKey: keyOf(1), software: 'test' },
    }).registered()
    expect(await hanging.closed()).toContain('no heartbeat')
    expect(node.events).toContain('disconnected 1')
    await node.server.stop()
    await member.closed()
  })

  it('is not read on while the node is busy with a message (backpressure)', async () => {
    const node = await startServer()
    let release: () => void = () => {}
    node.onMessage = () =>
      new Promise((resolve) => {
        release = resolve
      })
    const member = await new MemberSide(node.port, await identity('member-0')).registered()
    for (let count = 0; count < 5; count++) member.link.send(query)
    await until(() => node.messages.length === 1, 'the first message')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(node.messages).toHaveLength(1)
    for (let count = 2; count <= 5; count++) {
      release()
      await until(() => node.messages.length === count, `message ${count}`)
    }
    release()
    await node.server.stop()
  })

  it('is not read on either side while that side is paused; the sender is stopped, nothing is lost (SU-9)', async () => {
    const node = await startServer()
    const member = await new MemberSide(node.port, await identity('member-0')).registered()
    node.server.pauseReading(true)
    const approvalOf = (index: number): MemberMessage => ({
      requestId: `r${index}`,
      correlationId: '',
      body: {
        kind: 'approvalResponse',
        outpoint: 'x'.repeat(60_000),
        claimRoot: new Uint8Array(32),
        decision: 'REFUSED',
        code: '',
        retryAfterMs: 0,
        signature: new Uint8Array(0),
      },
    })
    let sentBytes = 0
    let queued = 0
    for (let index = 0; index < 300; index++) {
      const outcome = member.link.send(approvalOf(index))
      if (outcome === 'sent') sentBytes += 60_000
      else queued += 1
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(queued).toBeGreaterThan(200)
    expect(sentBytes).toBeLessThan(6_000_000)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(node.messages).toHaveLength(0)
    expect(member.closedBecause).toBeUndefined()
    node.server.pauseReading(false)
    await until(() => node.messages.length === 300, 'all messages')
    expect(node.messages.map(({ requestId }) => requestId)).toEqual(
      Array.from({ length: 300 }, (_, index) => `r${index}`),
    )
    member.link.pauseReading(true)
    const head = { requestId: 'h', correlationId: '', body: { kind: 'errorResponse' } } as const
    const { kind } = head.body
    const answer = { ...head, body: { kind, code: 'BUSY', message: '', retryAfterMs: 0 } } as const
    for (let index = 0; index < 20; index++) node.server.send(0, answer)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(member.messages).toHaveLength(0)
    member.link.pauseReading(false)
    await until(() => member.messages.length === 20, 'all answers')
    member.link.close('done')
    await node.server.stop()
  })

  it('ends at a message above 4 MiB, and a new stream works (GV-12)', async () => {
    const node = await startServer()
    const tls = await identity('member-0')
    const member = await new MemberSide(node.port, tls).registered()
    const huge = new Uint8Array(STREAM_LIMITS.maxMessageBytes + 1)
    member.link.send({
      requestId: 'x',
      correlationId: '',
      body: { kind: 'ledgerProofRequest', rows: [], batchId: huge, version: 0 },
    })
    await member.closed()
    const again = await new MemberSide(node.port, tls).registered()
    again.link.send(query)
    await until(() => node.messages.length === 1, 'the message')
    await node.server.stop()
  })

  it('survives a restart of the node: the member hears of the end, and registers again (GV-10)', async () => {
    const node = await startServer()
    const tls = await identity('member-0')
    const member = await new MemberSide(node.port, tls).registered()
    await node.server.stop()
    await member.closed()
    const next = await startServer({ port: node.port })
    await new MemberSide(next.port, tls).registered()
    await next.server.stop()
  })

  it('says at once when its port is taken', async () => {
    const node = await startServer()
    await expect(startServer({ port: node.port })).rejects.toMatchObject({
      code: 'GovernancePortUnavailable',
      faultClass: 'configuration',
    })
    await node.server.stop()
  })

  it('leaves nothing behind after many reconnects (GV-11)', async () => {
    const node = await startServer()
    const tls = await identity('member-0')
    for (let count = 0; count < 40; count++) {
      const member = await new MemberSide(node.port, tls).registered()
      member.link.close('done')
      await until(
        () => node.events.filter((event) => event === 'disconnected 0').length === count + 1,
        'the end',
      )
    }
    expect(
      node.server.send(0, { requestId: '', correlationId: '', body: { kind: 'unrecognized' } }),
    ).toBe('notConnected')
    await node.server.stop()
  })
})

describe('the queue of a slow peer (GV-11)', () => {
  const head = (height: number): NodeMessage => ({
    requestId: '',
    correlationId: '',
    body: {
      kind: 'newHead',
      height,
      head: {
        header: new Uint8Array(0),
        certificate: new Uint8Array(0),
        nextValidators: new Uint8Array(0),
      },
    },
  })
  const ask = (attempt: number): NodeMessage => ({
    requestId: `${attempt}`,
    correlationId: '',
    body: {
      kind: 'signatureRequest',
      genesisHash,
      batchId: new Uint8Array(32),
      version: 0,
      attempt,
      height: 0,
    },
  })

  it('lets go of heads for requests, never of requests', () => {
    const outbox = new Outbox<NodeMessage>(3)
    expect([head(1), ask(1), head(2)].map((message) => outbox.offer(message))).toEqual([
      'accepted',
      'accepted',
      'accepted',
    ])
    expect(outbox.offer(head(3))).toBe('dropped')
    expect(outbox.offer(ask(2))).toBe('accepted')
    expect(outbox.offer(ask(3))).toBe('accepted')
    expect(outbox.offer(ask(4))).toBe('overflow')
    expect([outbox.take(), outbox.take(), outbox.take()].map((each) => each?.requestId)).toEqual([
      '1',
      '2',
      '3',
    ])
    expect(outbox.dropped).toBe(3)
  })

  it('waits while write() says false, and goes on when the stream has drained', () => {
    const written: unknown[] = []
    let drain: () => void = () => {}
    const stream = {
      write: (message: unknown) => {
        written.push(message)
        return written.length % 2 !== 0
      },
      once: (_: 'drain', listener: () => void) => {
        drain = listener
      },
    }
    const pump = new Pump<NodeMessage>(stream, 10, (message) => message.requestId)
    const outcomes = [1, 2, 3, 4, 5].map((attempt) => pump.send(ask(attempt)))
    expect(outcomes).toEqual(['sent', 'sent', 'queued', 'queued', 'queued'])
    expect(written).toEqual(['1', '2'])
    drain()
    expect(written).toEqual(['1', '2', '3', '4'])
    drain()
    expect(written).toEqual(['1', '2', '3', '4', '5'])
  })
})
