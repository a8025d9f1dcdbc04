/** All nodes of a federation in one world, with the auditor that watches them; nobody is started. */
import { Auditor } from './auditor.ts'
import { SimulatedBitcoin } from './bitcoin.ts'
import type { Chance } from './chance.ts'
import type { Federation } from './federation.ts'
import { Network } from './network.ts'
import { SimulatedNode, type Surroundings } from './node.ts'
import { Streams } from './streams.ts'
import { ValidatorBook } from './validator-book.ts'
import type { World } from './world.ts'

export interface WatchedNodes {
  readonly around: Surroundings
  readonly auditor: Auditor
  readonly nodes: readonly SimulatedNode[]
}

export interface WatchOptions extends Pick<Surroundings, 'wrap' | 'keepBlocks' | 'makesKey'> {
  /** Nodes look at what waits for a block of Bitcoin [they do not]. */
  readonly seesMempool?: boolean
  /** Told of every consensus frame after the auditor. */
  readonly sent?: (from: string, bytes: Uint8Array) => void
}

export function watchedNodes(
  world: World,
  federation: Federation,
  { seesMempool, sent, ...rest }: WatchOptions = {},
): WatchedNodes {
  const auditor = new Auditor(world)
  const around: Surroundings = {
    world,
    federation,
    book: new ValidatorBook(world, federation.genesis),
    network: new Network(
      world,
      (from, bytes, topic) => {
        if (topic !== undefined && !topic.endsWith('/consensus')) return
        auditor.sent(from, bytes)
        sent?.(from, bytes)
      },
      (by, peer) => auditor.banned(by, peer),
    ),
    bitcoin: new SimulatedBitcoin(world, federation, seesMempool),
    streams: new Streams(world, auditor),
    ...rest,
  }
  const nodes = federation.validators.map((_, at) => new SimulatedNode(at, around, auditor))
  auditor.watch(around, nodes)
  world.afterEvent = () => auditor.afterEvent(nodes)
  return { around, auditor, nodes }
}

/** Each at a moment of its own within `spreadMs`. */
export function startAll(
  world: World,
  chance: Chance,
  processes: readonly { start(): void }[],
  spreadMs: number,
): void {
  for (const one of processes) world.at(chance.between(0, spreadMs), 'start', () => one.start())
}
