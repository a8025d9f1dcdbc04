/** What both ends of the governance stream need from each other, over gRPC or simulated (GV-1, GV-2, GV-10, GV-11). */
import type { StreamPort } from '../../actors/stream/index.ts'
import type { LinksPorts } from '../../governance/port.ts'
import type { MemberMessage, NodeMessage } from '../../proto/index.ts'

export interface StreamsUnderTest {
  /** The node's end; not started. */
  server(): Promise<StreamPort>
  /** A member's end, for the node that listens at the port. */
  client(member: number, port: number): Promise<LinksPorts>
  close(): Promise<void>
}

const WAIT_MS = 10_000

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + WAIT_MS
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const query = (fromHeight: number): MemberMessage => ({
  requestId: `query ${fromHeight}`,
  correlationId: 'flow of the query',
  body: { kind: 'headerRequest', fromHeight, count: 3 },
})

const request = (at: number): NodeMessage => ({
  requestId: `request ${at}`,
  correlationId: 'flow of the request',
  body: {
    kind: 'signatureRequest',
    genesisHash: new Uint8Array(32),
    batchId: new Uint8Array(32).fill(at),
    version: 0,
    attempt: at,
    height: 7,
  },
})

class NodeEnd {
  readonly told: string[] = []
  readonly messages: { readonly member: number; readonly message: MemberMessage }[] = []
  readonly port: StreamPort
  /** Held back: the next message is not read before. */
  take: () => Promise<void> = async () => {}

  constructor(port: StreamPort) {
    this.port = port
  }

  async start(): Promise<number> {
    const { port } = await this.port.start({
      registered: (member) => this.told.push(`registered ${member}`),
      message: (member, message) => {
        this.messages.push({ member, message })
        return this.take()
      },
      seen() {},
      disconnected: (member) => this.told.push(`disconnected ${member}`),
      refused: (_, code) => this.told.push(`refused ${code}`),
    })
    return port
  }
}

class MemberEnd {
  readonly told: string[] = []
  readonly messages: NodeMessage[] = []
  readonly port: LinksPorts

  constructor(port: LinksPorts) {
    this.port = port
  }

  open(): void {
    this.port.open(0, {
      registered: (member) => this.told.push(`registered ${member}`),
      message: async (message) => {
        this.messages.push(message)
      },
      closed: () => this.told.push('closed'),
    })
  }

  async registered(): Promise<this> {
    this.open()
    await until(() => this.told.some((line) => line.startsWith('registered')), 'registration')
    return this
  }
}

export function streamSuite(name: string, open: () => Promise<StreamsUnderTest>): void {
  describe(`the governance stream's ports: ${name}`, () => {
    let under: StreamsUnderTest
    let node: NodeEnd
    let port: number
    beforeEach(async () => {
      under = await open()
      node = new NodeEnd(await under.server())
      port = await node.start()
    })
    afterEach(async () => {
      await node.port.stop()
      await under.close()
    })
    const member = async (index: number) =>
      new MemberEnd(await under.client(index, port)).registered()

    it('GV-1: both ends are told of a registration, by the member’s position', async () => {
      const [zero, one] = [await member(0), await member(1)]
      await until(() => node.told.length === 2, 'both at the node')
      expect(node.told).toEqual(['registered 0', 'registered 1'])
      expect([zero.told, one.told]).toEqual([['registered 0'], ['registered 1']])
    })

    it('C-6: messages keep order, request id and flow, in both directions', async () => {
      const { port: links, messages } = await member(0)
      await until(() => node.told.length === 1, 'registration')
      for (let at = 0; at < 20; at++) {
        expect(['sent', 'queued']).toContain(node.port.send(0, request(at)))
        expect(['sent', 'queued']).toContain(links.send(0, query(at)))
      }
      await until(() => node.messages.length === 20 && messages.length === 20, 'all messages')
      expect(node.messages.map(({ message }) => message)).toEqual(
        Array.from({ length: 20 }, (_, at) => query(at)),
      )
      expect(messages.map(({ requestId, correlationId }) => [requestId, correlationId])).toEqual(
        Array.from({ length: 20 }, (_, at) => [`request ${at}`, 'flow of the request']),
      )
    })

    it('SU-9: a member’s next message is read when the last one was taken', async () => {
      let take = (): void => {}
      node.take = () =>
        new Promise((resolve) => {
          take = resolve
        })
      const { port: links } = await member(0)
      links.send(0, query(1))
      links.send(0, query(2))
      await until(() => node.messages.length === 1, 'the first message')
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(node.messages).toHaveLength(1)
      take()
      await until(() => node.messages.length === 2, 'the second message')
      take()
    })

    it('GV-10: who is not there gets nothing, and the sender is told so', async () => {
      expect(node.port.send(1, request(1))).toBe('notConnected')
      const { port: links } = await member(0)
      links.closeAll()
      await until(() => node.told.includes('disconnected 0'), 'the end')
      expect(node.port.send(0, request(1))).toBe('notConnected')
      expect(links.send(0, query(1))).toBe('closed')
    })

    it('GV-10: the member is told when the node goes, and may come again', async () => {
      const one = await member(1)
      await node.port.stop()
      await until(() => one.told.includes('closed'), 'the end')
      expect(one.port.send(0, query(1))).toBe('closed')
      const again = new NodeEnd(await under.server())
      const newPort = await again.start()
      const back = new MemberEnd(await under.client(1, newPort))
      await back.registered()
      await until(() => again.told.includes('registered 1'), 'registration')
      back.port.closeAll()
      await again.port.stop()
    })

    it('GV-2: a second stream of a member takes the place of the first', async () => {
      await member(0)
      const second = await member(0)
      await until(() => node.told.filter((line) => line === 'registered 0').length === 2, 'both')
      node.port.send(0, request(3))
      await until(() => second.messages.length === 1, 'the message')
      expect(second.messages[0]?.requestId).toBe('request 3')
    })
  })
}
