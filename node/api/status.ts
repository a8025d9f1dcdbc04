/** The document behind the status page: everything that it shows, as /status.json tells it. */

import { blockHash, type CommittedBlock } from '../../core/block/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import type { ActorStatus, Clock } from '../../supervisor/index.ts'
import { checkHealth } from './health.ts'
import type { ApiLimits } from './limits.ts'
import { type ApiPorts, PEG_IN_STEPS, PEG_OUT_STEPS } from './port.ts'
import {
  federationToJson,
  operationToJson,
  reserveToJson,
  signersOf,
  validatorToJson,
} from './shapes/millrace.ts'

/** A committed block in one row. */
export interface BlockRow {
  readonly height: number
  readonly hash: string
  readonly slot: number
  readonly view: number
  /** Position in the validator set; -1 for an author that is no longer in it. */
  readonly author: number
  readonly timeMs: number
  readonly transactions: number
  readonly gasUsed: number
  readonly pegIns: number
  readonly records: number
  readonly bookings: number
  readonly conflicts: number
  /** Items of the making of a key. */
  readonly keygen: number
  readonly pegOrders: number
  readonly validatorChanges: number
  readonly bitcoinHeaders: number
  /** Positions of the validators in the certificate that this node holds. */
  readonly voters: readonly number[]
}

/** Parts that are compared and sent apart from one another. */
export interface StatusDocument {
  readonly node: unknown
  readonly health: unknown
  readonly consensus: unknown
  readonly validators: unknown
  readonly actors: unknown
  readonly blocks: readonly BlockRow[]
  readonly peg: unknown
  readonly network: unknown
  readonly pool: unknown
}

export class StatusView {
  private readonly ports: ApiPorts
  private readonly limits: ApiLimits
  private readonly clock: Clock
  /** Rows of the latest blocks, newest first; blocks never change once committed. */
  private rows: readonly BlockRow[] = []

  constructor(ports: ApiPorts, limits: ApiLimits, clock: Clock) {
    this.ports = ports
    this.limits = limits
    this.clock = clock
  }

  async read(): Promise<StatusDocument> {
    const { ports, limits } = this
    const operations = await ports.peg.operations(limits.statusOperations)
    const reserve = await ports.peg.reserve()
    await this.readRows()
    return {
      node: this.node(),
      health: checkHealth(ports),
      consensus: ports.chain.consensus(),
      validators: ports.chain.validators().map(validatorToJson),
      actors: ports.system.actors().map(actorToJson),
      blocks: this.rows,
      peg: {
        steps: { in: PEG_IN_STEPS, out: PEG_OUT_STEPS },
        operations: operations.map(operationToJson),
        reserve: reserveToJson(reserve),
        keys: await ports.peg.keygen(),
      },
      network: {
        peers: ports.peers(),
        federation: federationToJson(ports.federation()),
        sync: ports.sync(),
        bitcoin: ports.bitcoin(),
      },
      pool: ports.pool.status(),
    }
  }

  nowMs(): number {
    return this.clock.nowMs()
  }

  private node(): unknown {
    const { node, evm } = this.ports
    return {
      name: node.name,
      version: node.version,
      chain: node.chain,
      chainId: evm.chainId,
      genesisHash: toHex(node.genesisHash),
      startedAtMs: node.startedAtMs,
      notices: node.notices,
    }
  }

  private async readRows(): Promise<void> {
    const { chain } = this.ports
    const head = await chain.head()
    if (head === undefined) return
    const top = head.block.header.height
    const known = new Map(this.rows.map((row) => [row.height, row]))
    const rows: BlockRow[] = []
    for (let height = top; height > 0 && rows.length < this.limits.statusBlocks; height--) {
      const row = known.get(height)
      if (row !== undefined) {
        rows.push(row)
        continue
      }
      const committed = height === top ? head : await chain.blockByHeight(height)
      if (committed === undefined) break
      rows.push(this.rowOf(committed))
    }
    this.rows = rows
  }

  private rowOf(committed: CommittedBlock): BlockRow {
    const { chain } = this.ports
    const { header, body } = committed.block
    const author = chain.validators().findIndex(({ key }) => equalBytes(key, header.author))
    return {
      height: header.height,
      hash: toHex(blockHash(header)),
      slot: header.slot,
      view: committed.certificate.view,
      author,
      timeMs: body.payload.timestamp * 1_000,
      transactions: body.payload.transactions.length,
      gasUsed: body.payload.gasUsed,
      pegIns: body.pegIns.length,
      records: body.records.length,
      bookings: body.bookings.length,
      conflicts: body.conflicts.length,
      keygen: body.keygen.length,
      pegOrders: body.pegOrders.length,
      validatorChanges: body.validatorChanges.length,
      bitcoinHeaders: body.bitcoinHeaders.length,
      voters: signersOf(committed.certificate),
    }
  }
}

function actorToJson(actor: ActorStatus): unknown {
  const sum = (numbers: Readonly<Record<string, number>>) =>
    Object.values(numbers).reduce((total, number) => total + number, 0)
  const fullest = Object.entries(actor.depth).reduce((share, [priority, depth]) => {
    const room = actor.capacity[priority as keyof typeof actor.capacity]
    return Math.max(share, room === 0 ? 0 : depth / room)
  }, 0)
  return {
    path: actor.path,
    life: actor.life,
    state: actor.state,
    degraded: actor.degraded,
    depth: sum(actor.depth),
    capacity: sum(actor.capacity),
    /** Of the class that is closest to its bound. */
    fullest: Math.round(fullest * 1_000) / 1_000,
    pressure: actor.pressure,
    handled: actor.handled,
    dropped: sum(actor.dropped),
    deadLetters: actor.deadLetters,
    restarts: actor.restarts,
    runningSinceMs: actor.runningSinceMs,
    lastFault:
      actor.lastFault === undefined
        ? undefined
        : {
            code: actor.lastFault.code,
            faultClass: actor.lastFault.faultClass,
            atMs: actor.lastFault.atMs,
          },
  }
}

/** JSON with money as decimal strings. */
export function statusText(value: unknown): string {
  return JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item))
}
