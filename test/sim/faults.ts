/** What goes wrong in a world until it heals, and how often. Everything is drawn from the seed. */
import type { Chance } from './chance.ts'
import type { Trouble } from './disk.ts'
import type { SimulatedMember } from './member.ts'
import { CALM } from './network.ts'
import type { SimulatedNode, Surroundings } from './node.ts'

const NO_TROUBLE: Trouble = { writes: 0, syncs: 0, engine: 0 }
const DOWN_MS = 4_000
const MEMBER_DOWN_MS = 6_000

export class Faults {
  readonly #around: Surroundings
  readonly #nodes: readonly SimulatedNode[]
  readonly #members: readonly SimulatedMember[]
  readonly #chance: Chance
  #healed = false

  constructor(
    around: Surroundings,
    nodes: readonly SimulatedNode[],
    members: readonly SimulatedMember[],
  ) {
    this.#around = around
    this.#nodes = nodes
    this.#members = members
    this.#chance = around.world.chance('faults')
  }

  begin(): void {
    this.#every(5_000, 'crash', () => this.#crash())
    this.#every(15_000, 'stop', () => this.#stop())
    this.#every(9_000, 'freeze', () => this.#freeze())
    this.#every(9_000, 'trouble', () => this.#trouble())
    this.#every(14_000, 'member crash', () => this.#crashMember())
    this.#every(8_000, 'partition', () => this.#partition())
    this.#every(5_000, 'weather', () => this.#weather())
    this.#every(6_000, 'clock', () => this.#clock())
    this.#every(6_000, 'stream break', () => {
      this.#around.world.fault('streamBreak')
      this.#around.streams.breakOne()
    })
    this.#every(14_000, 'bitcoin outage', () => this.#outage())
    this.#every(18_000, 'reorg', () => this.#around.bitcoin.reorg(this.#chance.between(1, 2)))
  }

  /** From now on all is well. */
  heal(): void {
    const { world, network, bitcoin } = this.#around
    this.#healed = true
    world.log('healed')
    network.weather = { ...CALM }
    network.mend()
    bitcoin.unreachableUntilMs = 0
    for (const node of this.#nodes) {
      node.light(undefined)
      node.skew.offsetMs = 0
      Object.assign(node.disk.trouble, NO_TROUBLE)
      node.start()
    }
    for (const member of this.#members) {
      member.skew.offsetMs = 0
      member.start()
    }
  }

  #every(meanMs: number, label: string, act: () => void): void {
    // Each world has its own mixture: some faults are rare in it, some frequent.
    const mean = meanMs * (0.4 + 2 * this.#chance.fraction())
    const next = () =>
      this.#around.world.at(this.#chance.untilNext(mean), `fault: ${label}`, () => {
        if (this.#healed) return
        act()
        next()
      })
    next()
  }

  #crash(): void {
    const { world } = this.#around
    const node = this.#chance.pick(this.#nodes.filter(({ alive }) => alive))
    if (node === undefined) return
    const how = this.#chance.pick(['now', 'before', 'after'] as const) ?? 'now'
    const calls = this.#chance.between(1, 40)
    if (how === 'now') {
      world.fault('crash')
      node.crash()
    } else {
      world.fault(how === 'before' ? 'crashBeforeCall' : 'crashAfterCall')
      node.light({ calls, side: how })
    }
    const downMs = this.#chance.between(20, DOWN_MS)
    world.at(downMs, `${node.name} comes back`, () => {
      node.light(undefined)
      node.start()
    })
  }

  /** A stop may still be under way when the node is killed, or when everything heals. */
  #stop(): void {
    const { world } = this.#around
    const node = this.#chance.pick(this.#nodes.filter(({ alive }) => alive))
    if (node === undefined) return
    world.fault('stop')
    const downMs = this.#chance.between(20, DOWN_MS)
    node.stop(() => void world.at(downMs, `${node.name} comes back`, () => node.start()))
  }

  #freeze(): void {
    const node = this.#chance.pick(this.#nodes.filter(({ alive }) => alive))
    if (node === undefined) return
    this.#around.world.fault('freeze')
    node.freeze(this.#chance.pick([200, 1_500, 6_000]) ?? 200)
  }

  /** A disk or an engine of one node fails now and then for a while. */
  #trouble(): void {
    const { world } = this.#around
    const node = this.#chance.pick(this.#nodes)
    if (node === undefined) return
    world.fault('trouble')
    const { trouble } = node.disk
    trouble.writes = this.#chance.pick([0, 0.05, 0.5]) ?? 0
    trouble.syncs = this.#chance.pick([0, 0.05, 0.5]) ?? 0
    trouble.engine = this.#chance.pick([0, 0.02, 0.2]) ?? 0
    world.at(this.#chance.between(200, 5_000), 'fault: trouble ends', () => {
      Object.assign(trouble, NO_TROUBLE)
    })
  }

  #crashMember(): void {
    const { world } = this.#around
    const member = this.#chance.pick(this.#members.filter(({ alive }) => alive))
    if (member === undefined) return
    world.fault('memberCrash')
    member.crash()
    const downMs = this.#chance.between(20, MEMBER_DOWN_MS)
    world.at(downMs, `${member.name} comes back`, () => member.start())
  }

  #partition(): void {
    const { world, network } = this.#around
    const names = this.#nodes.map(({ name }) => name)
    const oneWay = this.#chance.happens(0.4)
    const side = new Set(names.filter(() => this.#chance.happens(0.4)))
    world.fault(oneWay ? 'partitionOneWay' : 'partition')
    world.log(`cut ${[...side].join(' ')} ${oneWay ? 'one way' : ''}`)
    for (const from of names) {
      for (const to of names) {
        if (side.has(from) === side.has(to)) continue
        if (side.has(from) || !oneWay) network.cut(from, to)
      }
    }
    world.at(this.#chance.between(300, 6_000), 'fault: partition ends', () => network.mend())
  }

  #weather(): void {
    const { world, network } = this.#around
    world.fault('weather')
    network.weather = {
      loss: this.#chance.pick([0, 0, 0.01, 0.1, 0.3]) ?? 0,
      doubled: this.#chance.pick([0, 0.05, 0.3]) ?? 0,
      delayMs: this.#chance.pick([20, 60, 200, 600]) ?? 40,
      slowMs: this.#chance.pick([0, 2_000, 5_000]) ?? 0,
    }
  }

  #clock(): void {
    const node = this.#chance.pick(this.#nodes)
    if (node === undefined) return
    this.#around.world.fault('clock')
    const mostMs = this.#chance.pick([100, 500, 500, 4_000]) ?? 100
    node.skew.offsetMs = this.#chance.between(-mostMs, mostMs)
  }

  #outage(): void {
    const { world, bitcoin } = this.#around
    world.fault('bitcoinOutage')
    bitcoin.unreachableUntilMs = world.nowMs + this.#chance.between(500, 5_000)
  }
}
