/** What every network port must do; the real and the simulated one pass it. */
import type {
  GossipVerdict,
  NetworkIdentity,
  NetworkPort,
  NetworkStart,
  PeerCode,
} from '../../actors/network/index.ts'

export interface NetworkWorld {
  /** A port of its own identity that is not started. */
  create(): Promise<NetworkPort>
  /** Where ports of this world listen. */
  readonly listen: string
}

const TX = '/millrace/0badcafe/tx'
const BLOCKS = '/millrace/0badcafe/blocks/1'
const MISSING = '/millrace/0badcafe/missing/1'
const DIRECT = '/millrace/0badcafe/consensus/1'
const WAIT_MS = 15_000
const BIG = 9 * 1024 * 1024

interface Node {
  readonly port: NetworkPort
  readonly identity: NetworkIdentity
  readonly connected: { readonly peer: string; readonly inbound: boolean }[]
  readonly gone: { readonly peer: string; readonly code: PeerCode }[]
  readonly frames: { readonly peer: string; readonly text: string }[]
  readonly gossip: { readonly peer: string; readonly text: string }[]
  requests: number
}

interface Behaviour {
  readonly judge?: (bytes: Uint8Array) => GossipVerdict
  readonly answer?: (bytes: Uint8Array) => Uint8Array | undefined | 'never'
  /** Frames are taken only when the test says so. */
  readonly holdFrames?: boolean
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array): string =>
  bytes.length > 100 ? `${bytes.length} bytes` : new TextDecoder().decode(bytes)

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + WAIT_MS
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not within ${WAIT_MS} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export function networkSuite(name: string, createWorld: () => NetworkWorld): void {
  describe(`network port: ${name}`, () => {
    let world: NetworkWorld
    let nodes: Node[]

    beforeEach(() => {
      world = createWorld()
      nodes = []
    })
    afterEach(() => Promise.all(nodes.map(({ port }) => port.stop())))

    async function node(behaviour: Behaviour = {}): Promise<Node> {
      const port = await world.create()
      const own: Omit<Node, 'identity'> = {
        port,
        connected: [],
        gone: [],
        frames: [],
        gossip: [],
        requests: 0,
      }
      const events: NetworkStart['events'] = {
        peerConnected: (peer) => own.connected.push(peer),
        peerDisconnected: (peer) => own.gone.push(peer),
        frame: ({ peer, bytes }) => {
          own.frames.push({ peer, text: textOf(bytes) })
          if (behaviour.holdFrames !== true) port.takeFrame(peer)
        },
        gossip: ({ id, peer, bytes }) => {
          own.gossip.push({ peer, text: textOf(bytes) })
          port.judge(id, behaviour.judge?.(bytes) ?? 'accept')
        },
        request: ({ id, bytes }) => {
          own.requests += 1
          const answer = behaviour.answer === undefined ? bytes : behaviour.answer(bytes)
          if (answer !== 'never') port.respond(id, answer)
        },
      }
      const identity = await port.start({
        listen: [world.listen],
        topics: [{ name: TX, maxBytes: 1_000 }],
        protocols: [{ name: BLOCKS, maxRequestBytes: 64 }],
        direct: { name: DIRECT, maxFrameBytes: BIG },
        maxPeers: 50,
        events,
      })
      const started = Object.assign(own, { identity })
      nodes.push(started)
      return started
    }

    const addressOf = (of: Node): string => of.identity.addresses[0] as string

    async function connect(from: Node, to: Node): Promise<void> {
      const dialled = await from.port.dial(addressOf(to), WAIT_MS)
      expect(dialled).toEqual({ ok: true, value: to.identity.peer })
      await until('both know of the connection', () =>
        [from.connected.length, to.connected.length].every((count) => count > 0),
      )
    }

    it('tells both sides of a connection, once, with its direction', async () => {
      const [a, b] = [await node(), await node()]
      await connect(a, b)
      await a.port.dial(addressOf(b), WAIT_MS)
      expect(a.connected).toMatchObject([{ peer: b.identity.peer, inbound: false }])
      expect(b.connected).toMatchObject([{ peer: a.identity.peer, inbound: true }])
    })

    it('tells that a peer nobody listens for cannot be dialled', async () => {
      const [a, b] = [await node(), await node()]
      await b.port.stop()
      expect(await a.port.dial(addressOf(b), 5_000)).toEqual({ ok: false, code: 'DialFailed' })
    })

    it('delivers the frames to a peer in order, one of 8 MiB among them', async () => {
      const [a, b] = [await node(), await node()]
      await connect(a, b)
      const expected: string[] = []
      for (let index = 0; index < 200; index += 1) {
        expect(a.port.send(b.identity.peer, bytesOf(`frame ${index}`))).toBe(true)
        expected.push(`frame ${index}`)
        if (index === 100) {
          a.port.send(b.identity.peer, new Uint8Array(8 * 1024 * 1024))
          expected.push(`${8 * 1024 * 1024} bytes`)
        }
      }
      await until('all frames', () => b.frames.length === expected.length)
      expect(b.frames.map(({ text }) => text)).toEqual(expected)
      expect(b.frames.every(({ peer }) => peer === a.identity.peer)).toBe(true)
    })

    it('hands out one frame of a peer at a time and slows a sender that is not read (SU-9)', async () => {
      const [a, b] = [await node(), await node({ holdFrames: true })]
      await connect(a, b)
      const frame = new Uint8Array(1024 * 1024)
      let accepted = 0
      while (accepted < 200 && a.port.send(b.identity.peer, frame)) accepted += 1
      expect(accepted).toBeLessThan(200)
      await until('the sender is cut off', () => a.gone.length > 0)
      expect(a.gone).toEqual([{ peer: b.identity.peer, code: 'SlowPeer' }])
      expect(b.frames.length).toBeLessThanOrEqual(1)
    })

    it('ends the connection with a peer that sends a frame above the limit', async () => {
      const [a, b] = [await node(), await node()]
      await connect(a, b)
      a.port.send(b.identity.peer, new Uint8Array(BIG + 1))
      await until('the connection ends', () => b.gone.length > 0)
      expect(b.gone).toEqual([{ peer: a.identity.peer, code: 'FrameTooLarge' }])
    })

    it('answers a request, a large one too', async () => {
      const large = new Uint8Array(16 * 1024 * 1024)
      const answer = (bytes: Uint8Array) => (bytes.length === 1 ? large : bytes)
      const [a, b] = [await node(), await node({ answer })]
      await connect(a, b)
      const limits = { timeoutMs: WAIT_MS, maxBytes: large.length }
      const echoed = await a.port.request(b.identity.peer, BLOCKS, bytesOf('hello'), limits)
      expect(echoed.ok && textOf(echoed.value)).toBe('hello')
      const big = await a.port.request(b.identity.peer, BLOCKS, bytesOf('x'), limits)
      expect(big.ok && big.value.length).toBe(large.length)
    })

    it('ends a request by its deadline, its size limit, a refusal or an unknown protocol (SY-5)', async () => {
      const answer = (bytes: Uint8Array) => {
        if (textOf(bytes) === 'silence') return 'never'
        return textOf(bytes) === 'refuse' ? undefined : new Uint8Array(1_000)
      }
      const [a, b] = [await node(), await node({ answer })]
      await connect(a, b)
      const ask = (text: string, protocol = BLOCKS) =>
        a.port.request(b.identity.peer, protocol, bytesOf(text), {
          timeoutMs: 1_000,
          maxBytes: 999,
        })
      expect(await ask('silence')).toEqual({ ok: false, code: 'Timeout' })
      expect(await ask('much')).toEqual({ ok: false, code: 'TooLarge' })
      expect(await ask('refuse')).toEqual({ ok: false, code: 'Refused' })
      expect(await ask('who', MISSING)).toEqual({ ok: false, code: 'Unsupported' })
      expect(await ask('x'.repeat(65))).toMatchObject({ ok: false })
      expect(b.requests).toBe(3)
    })

    it('passes accepted gossip on over a line of four nodes, once to each', async () => {
      const line = [await node(), await node(), await node(), await node()] as const
      await connect(line[0], line[1])
      await connect(line[1], line[2])
      await connect(line[2], line[3])
      let sent = 0
      await until('the last node hears', () => {
        sent += 1
        if (sent % 50 === 1) void line[0].port.publish(TX, bytesOf(`hello ${sent}`))
        return line[3].gossip.length > 0
      })
      for (const { gossip } of line.slice(1)) {
        const texts = gossip.map(({ text }) => text)
        expect(new Set(texts).size).toBe(texts.length)
      }
      expect(line[3].gossip[0]?.peer).toBe(line[2].identity.peer)
      expect(line[0].gossip).toEqual([])
    })

    it('does not pass on what was rejected or ignored, nor deliver what is too large', async () => {
      const judge = (bytes: Uint8Array): GossipVerdict => {
        const text = textOf(bytes)
        return text.startsWith('good') ? 'accept' : text === 'bad' ? 'reject' : 'ignore'
      }
      const [a, b, c] = [await node(), await node({ judge }), await node()]
      await connect(a, b)
      await connect(b, c)
      let sent = 0
      await until('the mesh stands', () => {
        sent += 1
        if (sent % 50 === 1) void a.port.publish(TX, bytesOf(`good ${sent}`))
        return c.gossip.length > 0
      })
      await a.port.publish(TX, bytesOf('bad'))
      await a.port.publish(TX, bytesOf('unclear'))
      await a.port.publish(TX, new Uint8Array(1_001))
      await a.port.publish(TX, bytesOf('good at last'))
      await until('the last message', () => c.gossip.some(({ text }) => text === 'good at last'))
      const heard = b.gossip.map(({ text }) => text)
      expect(heard).toContain('bad')
      expect(heard).toContain('unclear')
      expect(heard).not.toContain('1001 bytes')
      expect(c.gossip.every(({ text }) => text.startsWith('good'))).toBe(true)
    })

    it('names the reason when it disconnects, and keeps a banned peer out', async () => {
      const [a, b] = [await node(), await node()]
      await connect(a, b)
      a.port.disconnect(b.identity.peer, 'ForeignGenesis')
      await until('both see the end', () => a.gone.length > 0 && b.gone.length > 0)
      expect(a.gone).toEqual([{ peer: b.identity.peer, code: 'ForeignGenesis' }])
      expect(b.gone).toEqual([{ peer: a.identity.peer, code: 'ConnectionClosed' }])
      expect(a.port.send(b.identity.peer, bytesOf('late'))).toBe(false)

      a.port.ban(b.identity.peer, 60_000)
      expect(await a.port.dial(addressOf(b), 5_000)).toEqual({ ok: false, code: 'DialFailed' })
      await b.port.dial(addressOf(a), 2_000)
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(a.connected).toHaveLength(1)
    })

    it('stops and starts again under the same name', async () => {
      const [a, b] = [await node(), await node()]
      await connect(a, b)
      await a.port.stop()
      await until('the other side sees it', () => b.gone.length > 0)
      const again = await a.port.start({
        listen: [world.listen],
        topics: [{ name: TX, maxBytes: 1_000 }],
        protocols: [],
        direct: { name: DIRECT, maxFrameBytes: BIG },
        maxPeers: 50,
        events: {
          peerConnected: () => undefined,
          peerDisconnected: () => undefined,
          frame: () => undefined,
          gossip: () => undefined,
          request: () => undefined,
        },
      })
      expect(again.peer).toBe(a.identity.peer)
      expect(await a.port.dial(addressOf(b), WAIT_MS)).toMatchObject({ ok: true })
    })
  })
}
