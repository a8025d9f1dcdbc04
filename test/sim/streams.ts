/** The members' streams without gRPC: ordered, one message taken at a time, ended by either side, by a crash or by the world. */
import type { StreamListener, StreamPort } from '../../actors/stream/index.ts'
import type { LinkListener, LinksPorts } from '../../governance/port.ts'
import type { MemberMessage, NodeMessage } from '../../proto/index.ts'
import type { Chance } from './chance.ts'
import type { Federation } from './federation.ts'
import { KeygenLiar } from './keygen-lies.ts'
import { FalseNode, Liar } from './lies.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

/** How a faulty member answers. */
export type Conduct = 'memberSlow' | 'memberSilent' | 'memberLies'

/** A slow member needs up to so long for each message, in both directions. */
const SLOW_MS = 3_000

/** Who sees what nodes ask, as it arrives, and what members who do not lie answer. */
export interface StreamWitness {
  asked(node: number, member: number, message: NodeMessage): void
  answered(node: number, member: number, message: MemberMessage): void
}

const NOBODY: StreamWitness = { asked() {}, answered() {} }

interface Connection {
  readonly node: number
  readonly member: number
  readonly nodeLife: Life
  readonly memberLife: Life
  readonly server: StreamListener
  readonly client: LinkListener
  readonly toNode: Lane
  readonly toMember: Lane
  open: boolean
}

/** One direction: a message is delivered when the one before was taken. */
class Lane {
  readonly #queue: (() => Promise<void>)[] = []
  #busy = false

  push(deliver: () => Promise<void>): void {
    this.#queue.push(deliver)
    void this.#drain()
  }

  async #drain(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift())
      await next()
    this.#busy = false
  }
}

export class Streams {
  readonly #world: World
  readonly #chance: Chance
  readonly #servers = new Map<number, { life: Life; listener: StreamListener }>()
  readonly #connections = new Map<string, Connection>()
  /** Members that are faulty for the whole world. */
  readonly #conduct = new Map<number, Conduct>()

  readonly #liars = new Map<number, Liar>()
  readonly #keygenLiars = new Map<number, KeygenLiar>()
  readonly #witness: StreamWitness
  /** Nodes that ask for what no block carries. */
  readonly #falseNodes = new Map<number, FalseNode>()

  constructor(world: World, witness: StreamWitness = NOBODY) {
    this.#world = world
    this.#witness = witness
    this.#chance = world.chance('streams')
  }

  /** Before a node starts. */
  nodeIs(node: number, isFalse: boolean): void {
    if (!isFalse || this.#falseNodes.has(node)) return
    this.#falseNodes.set(node, new FalseNode(this.#world.chance(`false node ${node}`)))
  }

  conductOf(member: number): Conduct | undefined {
    return this.#conduct.get(member)
  }

  server(node: number, life: Life): StreamPort {
    return {
      start: (listener) =>
        life.io(this.#chance.between(1, 20), 'serve streams', () => {
          this.#servers.set(node, { life, listener })
          return { port: 1 }
        }),
      send: (member, message: NodeMessage) => {
        const connection = this.#connections.get(`${node}:${member}`)
        if (connection === undefined || connection.nodeLife !== life) return 'notConnected'
        this.#liars.get(member)?.hear(message)
        this.#keygenLiars.get(member)?.hear(message)
        life.call('stream send', () => {
          for (const told of this.#told(node, message)) {
            this.#witness.asked(node, member, told)
            this.#deliver(connection, connection.toMember, () => connection.client.message(told))
          }
        })
        return 'sent'
      },
      // No sockets here: what was sent arrives.
      pauseReading() {},
      stop: async () => {
        if (life.alive) this.crashed(life)
      },
    }
  }

  client(member: number, life: Life, nodes: number): LinksPorts {
    return {
      nodes,
      pauseReading() {},
      open: (node, listener) => {
        life.call('stream open', () => {
          this.#world.at(this.#chance.between(1, 60), `stream ${member}>${node}`, () =>
            this.#connect(node, member, life, listener),
          )
        })
      },
      send: (node, message: MemberMessage) => {
        const connection = this.#connections.get(`${node}:${member}`)
        if (connection === undefined || connection.memberLife !== life) return 'closed'
        life.call('stream send', () => {
          if (this.#conduct.get(member) !== 'memberLies')
            this.#witness.answered(node, member, message)
          const said = this.#said(member, node, message)
          if (said === undefined) return
          this.#deliver(connection, connection.toNode, () =>
            connection.server.message(member, said),
          )
        })
        return 'sent'
      },
      closeAll: () => {
        if (life.alive) this.crashed(life)
      },
    }
  }

  /** All streams of a process end. */
  crashed(life: Life): void {
    for (const connection of [...this.#connections.values()]) {
      if (connection.nodeLife === life || connection.memberLife === life) {
        this.#end(connection, 'connection closed')
      }
    }
    for (const [node, server] of this.#servers) if (server.life === life) this.#servers.delete(node)
  }

  /** The stream breaks, if it is open. */
  breakOne(node: number, member: number): boolean {
    const connection = this.#connections.get(`${node}:${member}`)
    if (connection === undefined) return false
    this.#end(connection, 'reset')
    return true
  }

  conduct(member: number, conduct: Conduct, { genesis, members }: Federation): void {
    this.#conduct.set(member, conduct)
    const keys = members[member]
    if (conduct !== 'memberLies' || keys === undefined) return
    const chance = this.#world.chance(`lies ${member}`)
    this.#liars.set(member, new Liar(chance, genesis, keys))
    this.#keygenLiars.set(member, new KeygenLiar(this.#world, member, genesis, keys))
  }

  /** Who spoils the making of keys. */
  keygenLiar(member: number): KeygenLiar | undefined {
    return this.#keygenLiars.get(member)
  }

  /** What a node's message becomes on its way out. */
  #told(node: number, message: NodeMessage): readonly NodeMessage[] {
    const told = this.#falseNodes.get(node)?.say(message) ?? [message]
    if (told.length !== 1 || told[0] !== message) {
      this.#world.fault('asksFalsely')
      this.#world.log(`node ${node} bends ${message.body.kind}`)
    }
    return told
  }

  /** What a member's message becomes on its way out. */
  #said(member: number, node: number, message: MemberMessage): MemberMessage | undefined {
    const { body } = message
    const { kind } = body
    if (kind === 'keygenItem') {
      const liar = this.#keygenLiars.get(member)
      const item = liar === undefined ? body.item : liar.say(body.item)
      return item && { ...message, body: { kind, item } }
    }
    const isAnswer =
      kind === 'approvalResponse' || kind === 'signatureResponse' || kind === 'partsResponse'
    switch (isAnswer ? this.#conduct.get(member) : undefined) {
      case 'memberSilent':
        this.#world.fault('memberSilenced')
        return undefined
      case 'memberLies': {
        const lie = this.#liars.get(member)?.say(message) ?? message
        if (lie === message) return message
        this.#world.fault('memberLied')
        this.#world.log(`member${member} lies to ${node}: ${kind}`)
        return lie
      }
      case 'memberSlow':
      case undefined:
        return message
    }
  }

  #connect(node: number, member: number, life: Life, listener: LinkListener): void {
    if (!life.alive) return
    const server = this.#servers.get(node)
    if (server === undefined || !server.life.alive) {
      listener.closed('refused')
      return
    }
    const key = `${node}:${member}`
    const old = this.#connections.get(key)
    if (old !== undefined) this.#end(old, 'replaced')
    const connection: Connection = {
      node,
      member,
      nodeLife: server.life,
      memberLife: life,
      server: server.listener,
      client: listener,
      toNode: new Lane(),
      toMember: new Lane(),
      open: true,
    }
    this.#connections.set(key, connection)
    server.listener.registered(member, `member ${member}`)
    listener.registered(member)
  }

  #deliver(connection: Connection, lane: Lane, message: () => Promise<void>): void {
    const { node, member } = connection
    const isSlow = this.#conduct.get(member) === 'memberSlow'
    if (isSlow) this.#world.fault('memberSlowed')
    // Slow is who is far away: what was sent one after the other travels side by side, and keeps its order.
    const dueMs = this.#world.nowMs + this.#chance.between(1, isSlow ? SLOW_MS : 40)
    lane.push(
      () =>
        new Promise((taken) => {
          const delayMs = Math.max(0, dueMs - this.#world.nowMs)
          this.#world.at(delayMs, `stream ${node}:${member}`, () => {
            const { open, nodeLife, memberLife } = connection
            if (!open || !nodeLife.alive || !memberLife.alive) return taken()
            message().then(taken, taken)
          })
        }),
    )
  }

  #end(connection: Connection, reason: string): void {
    const { node, member, nodeLife, memberLife, server, client } = connection
    connection.open = false
    const key = `${node}:${member}`
    if (this.#connections.get(key) === connection) this.#connections.delete(key)
    this.#world.at(this.#chance.between(0, 300), `stream ${key} ends`, () => {
      // Who reconnected before the end was noticed here has a new stream, which counts.
      if (nodeLife.alive && !this.#connections.has(key)) server.disconnected(member, reason)
    })
    this.#world.at(this.#chance.between(0, 300), `stream ${key} ends`, () => {
      if (memberLife.alive) client.closed(reason)
    })
  }
}
