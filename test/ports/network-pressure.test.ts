/** SU-9 over real sockets: a node that is not reading stops its senders, keeps little, and loses nothing. */
import { randomBytes } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { NetworkPort, NetworkStart } from '../../actors/network/index.ts'
import { createLibp2pNetwork } from '../../node/adapters/libp2p/index.ts'

const TX = '/millrace/0badcafe/tx'
const BLOCKS = '/millrace/0badcafe/blocks/1'
const MIB = 1024 * 1024

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** A wire between two sockets that counts what the far side has taken. */
class Wire {
  toServer = 0
  readonly #server: Server
  readonly #sockets: Socket[] = []

  constructor(port: () => number) {
    this.#server = createServer((near) => {
      const far = connect(port(), '127.0.0.1')
      this.#sockets.push(near, far)
      near.on('data', (chunk) => {
        this.toServer += chunk.length
        if (!far.write(chunk)) near.pause()
      })
      far.on('drain', () => near.resume())
      far.pipe(near)
      for (const socket of [near, far]) socket.on('error', () => socket.destroy())
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

interface Node {
  readonly port: NetworkPort
  readonly frames: Uint8Array[]
  readonly gossip: Uint8Array[]
  requests: number
  peer: string
  address: string
}

describe('a node whose actors have too much to do (SU-9)', () => {
  const nodes: Node[] = []
  let wire: Wire | undefined

  async function node(): Promise<Node> {
    const port = createLibp2pNetwork({ keySeed: new Uint8Array(randomBytes(32)) })
    const own: Node = { port, frames: [], gossip: [], requests: 0, peer: '', address: '' }
    const events: NetworkStart['events'] = {
      peerConnected() {},
      peerDisconnected() {},
      frame: ({ peer, bytes }) => {
        own.frames.push(bytes)
        port.takeFrame(peer)
      },
      gossip: ({ id, bytes }) => {
        own.gossip.push(bytes)
        port.judge(id, 'accept')
      },
      request: ({ id, bytes }) => {
        own.requests += 1
        port.respond(id, bytes)
      },
    }
    const identity = await port.start({
      listen: ['/ip4/127.0.0.1/tcp/0'],
      topics: [{ name: TX, maxBytes: 100_000 }],
      protocols: [{ name: BLOCKS, maxRequestBytes: 1_000 }],
      direct: { name: '/millrace/0badcafe/consensus/1', maxFrameBytes: MIB },
      maxPeers: 10,
      events,
    })
    own.peer = identity.peer
    own.address = identity.addresses[0] as string
    nodes.push(own)
    return own
  }

  async function connected(): Promise<{ sender: Node; reader: Node; counted: Wire }> {
    const [sender, reader] = [await node(), await node()]
    const counted = new Wire(() => Number(reader.address.split('/')[4]))
    wire = counted
    const address = `/ip4/127.0.0.1/tcp/${await counted.listen()}/p2p/${reader.peer}`
    expect(await sender.port.dial(address, 10_000)).toMatchObject({ ok: true })
    sender.port.send(reader.peer, Uint8Array.of(1))
    await until('the direct stream', () => reader.frames.length === 1)
    return { sender, reader, counted }
  }

  afterEach(async () => {
    for (const { port } of nodes.splice(0)) await port.stop()
    wire?.close()
  })

  it('stops a sender of frames after a few windows, takes all of them later, in order', async () => {
    const { sender, reader, counted } = await connected()
    reader.port.pauseReading(true)
    const before = counted.toServer
    const count = 320
    for (let index = 0; index < count; index++) {
      const frame = new Uint8Array(64 * 1024).fill(index & 255)
      frame[1] = index >> 8
      expect(sender.port.send(reader.peer, frame)).toBe(true)
    }
    let taken = -1
    while (counted.toServer !== taken) {
      taken = counted.toServer
      await pause(300)
    }
    expect(reader.frames).toHaveLength(1)
    expect(taken - before).toBeLessThan(3 * MIB)
    reader.port.pauseReading(false)
    await until('all frames', () => reader.frames.length === count + 1)
    expect(reader.frames.slice(1).map((frame) => (frame[0] ?? 0) + 256 * (frame[1] ?? 0))).toEqual(
      Array.from({ length: count }, (_, index) => index),
    )
    expect(counted.toServer - before).toBeGreaterThan(count * 64 * 1024)
  })

  it('neither reads gossip nor requests meanwhile, and both go on', async () => {
    const { sender, reader, counted } = await connected()
    const say = (index: number) => sender.port.publish(TX, new Uint8Array(64 * 1024).fill(index))
    const heard = () => reader.gossip.filter(({ length }) => length > 100)
    // What is said before the mesh stands reaches nobody, and is not said twice.
    let trial = 0
    await until('gossip', () => {
      trial += 1
      void sender.port.publish(TX, new Uint8Array(8).fill(trial & 255).fill(trial >> 8, 4))
      return reader.gossip.length > 0
    })
    reader.port.pauseReading(true)
    await pause(150)
    const before = counted.toServer
    for (let index = 1; index <= 100; index++) await say(index)
    const answer = sender.port.request(reader.peer, BLOCKS, Uint8Array.of(7), {
      timeoutMs: 10_000,
      maxBytes: 1_000,
    })
    await pause(600)
    expect(heard()).toHaveLength(0)
    expect(reader.requests).toBe(0)
    expect(counted.toServer - before).toBeLessThan(2 * MIB)
    reader.port.pauseReading(false)
    await until('all gossip', () => heard().length === 100)
    expect(await answer).toEqual({ ok: true, value: Uint8Array.of(7) })
  })
})
