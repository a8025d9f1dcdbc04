/**
 * The cables between the nodes of a federation: every node dials each other one through a forwarder of its own, so that a connection can
 * be cut, or held so that nothing passes, whoever began it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestFederation } from './federation.ts'

type State = 'open' | 'held' | 'cut'

interface Cable {
  readonly from: number
  readonly to: number
  readonly server: Server
  readonly pipes: Set<Pipe>
  state: State
}

interface Pipe {
  readonly ends: readonly [Socket, Socket]
  /** Both ends are connected. */
  live: boolean
}

export class Cables {
  readonly #cables: readonly Cable[]

  private constructor(cables: readonly Cable[]) {
    this.#cables = cables
  }

  /** Before the nodes are started: their configurations name the forwarders from now on. */
  static async lay(federation: TestFederation): Promise<Cables> {
    const { p2pPorts, files } = federation
    const cables: Cable[] = []
    for (let from = 0; from < p2pPorts.length; from++) {
      const path = join(files.nodeDirectory(from), 'config.json')
      const config = JSON.parse(readFileSync(path, 'utf8')) as { p2p: { peers: string[] } }
      const peers: string[] = []
      for (const address of config.p2p.peers) {
        const port = Number(/\/tcp\/(\d+)/.exec(address)?.[1])
        const cable = await layCable(from, p2pPorts.indexOf(port), port)
        cables.push(cable)
        const own = (cable.server.address() as { readonly port: number }).port
        peers.push(address.replace(`/tcp/${port}/`, `/tcp/${own}/`))
      }
      const changed = { ...config, p2p: { ...config.p2p, peers } }
      writeFileSync(path, JSON.stringify(changed, undefined, 2))
    }
    return new Cables(cables)
  }

  /** No connection between the two sides, and none can be made. */
  cut(some: readonly number[], others: readonly number[]): void {
    for (const cable of this.#between(some, others)) {
      cable.state = 'cut'
      for (const { ends } of cable.pipes) for (const socket of ends) socket.destroy()
    }
  }

  /** Connections stand, and nothing passes; what is sent comes late, or never if they end meanwhile. */
  hold(some: readonly number[], others: readonly number[]): void {
    for (const cable of this.#between(some, others)) {
      cable.state = 'held'
      for (const { ends } of cable.pipes) for (const socket of ends) socket.pause()
    }
  }

  mend(): void {
    for (const cable of this.#cables) {
      cable.state = 'open'
      for (const { ends } of cable.pipes) for (const socket of ends) socket.resume()
    }
  }

  /** Whether each of these nodes has a connection to each other one. */
  areConnected(nodes: readonly number[]): boolean {
    return nodes.every((left) =>
      nodes.every(
        (right) =>
          left >= right ||
          this.#between([left], [right]).some(({ pipes }) => [...pipes].some(({ live }) => live)),
      ),
    )
  }

  close(): void {
    for (const { server, pipes } of this.#cables) {
      server.close()
      for (const { ends } of pipes) for (const socket of ends) socket.destroy()
    }
  }

  #between(some: readonly number[], others: readonly number[]): Cable[] {
    return this.#cables.filter(
      ({ from, to }) =>
        (some.includes(from) && others.includes(to)) ||
        (some.includes(to) && others.includes(from)),
    )
  }
}

async function layCable(from: number, to: number, port: number): Promise<Cable> {
  const server = createServer({ pauseOnConnect: true, noDelay: true })
  const cable: Cable = { from, to, server, pipes: new Set(), state: 'open' }
  server.on('connection', (near) => connectEnds(cable, near, port))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return cable
}

function connectEnds(cable: Cable, near: Socket, port: number): void {
  if (cable.state === 'cut') {
    near.destroy()
    return
  }
  const far = connect({ host: '127.0.0.1', port, noDelay: true })
  const pipe: Pipe = { ends: [near, far], live: false }
  cable.pipes.add(pipe)
  const end = () => {
    pipe.live = false
    cable.pipes.delete(pipe)
    near.destroy()
    far.destroy()
  }
  for (const socket of pipe.ends) socket.on('error', end).on('close', end)
  near.on('data', (bytes) => far.write(bytes))
  far.on('data', (bytes) => near.write(bytes))
  far.once('connect', () => {
    pipe.live = true
    for (const socket of pipe.ends) {
      if (cable.state === 'held') socket.pause()
      else socket.resume()
    }
  })
}
