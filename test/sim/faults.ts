/** Plays the plan of a world: each fault begins at its time and ends after its own, or when everything heals. */
import type { Auditor } from './auditor.ts'
import type { FaultKind, TreasonKind } from './coverage.ts'
import type { Trouble } from './disk.ts'
import type { Skew } from './life.ts'
import type { Load } from './load.ts'
import type { SimulatedMember } from './member.ts'
import type { SimulatedNode, Surroundings } from './node.ts'
import type { Fault } from './plan.ts'

/** The port call after which a signature may be made. */
const SIGNATURES = /^sync guard$/
/** Between the starts of nodes that died together. */
const STAGGER_MS = 20
/** How long it takes until a member without a disk has another. */
const MEMBER_BACK_MS = 1_500

export class Faults {
  readonly #around: Surroundings
  readonly #auditor: Auditor
  readonly #nodes: readonly SimulatedNode[]
  readonly #members: readonly SimulatedMember[]
  readonly #load: Load
  /** What undoes the faults that are on. */
  readonly #ends = new Set<() => void>()
  #healed = false

  constructor(
    around: Surroundings,
    auditor: Auditor,
    nodes: readonly SimulatedNode[],
    members: readonly SimulatedMember[],
    load: Load,
  ) {
    this.#around = around
    this.#auditor = auditor
    this.#nodes = nodes
    this.#members = members
    this.#load = load
  }

  begin(plan: readonly Fault[]): void {
    const { world } = this.#around
    for (const fault of plan) {
      world.at(fault.atMs, `fault: ${JSON.stringify(fault)}`, () => {
        if (!this.#healed) this.#play(fault)
      })
    }
  }

  /** From now on all is well, but for those who are faulty by nature. */
  heal(): void {
    this.#healed = true
    this.#around.world.log('healed')
    for (const end of [...this.#ends]) end()
    for (const node of this.#nodes) {
      this.#turnClock(node.skew, -node.skew.offsetMs)
      node.start()
    }
    for (const member of this.#members) {
      member.skew.offsetMs = 0
      member.start()
    }
  }

  #play(fault: Fault): void {
    const { world } = this.#around
    const undo = this.#apply(fault)
    if (undo === undefined) return
    const end = () => {
      if (!this.#ends.delete(end)) return
      undo()
    }
    this.#ends.add(end)
    if ('forMs' in fault) world.at(fault.forMs, `fault: ${fault.kind} ends`, end)
  }

  #count(kind: FaultKind): void {
    this.#around.world.fault(kind)
  }

  /** What ends it, or undefined when there is nothing to end. */
  #apply(fault: Fault): (() => void) | undefined {
    const { world, network, bitcoin, streams, federation } = this.#around
    const { kind } = fault
    switch (kind) {
      case 'equivocatesVotes':
      case 'equivocatesProposals':
      case 'withholds':
      case 'staleViews':
      case 'badBlocks':
      case 'forgesPegIns':
      case 'votesUnknown':
      case 'replays':
      case 'badAnswers':
      case 'silent':
      case 'silentProposer':
      case 'delaysProposals':
      case 'shortAnswers':
      case 'turnsCoat':
      case 'usurps':
      case 'asksFalsely':
      case 'hoards':
        // Counted whenever it is done.
        return this.#betray(this.#nodes[fault.node] as SimulatedNode, kind)
      case 'smallMailboxes':
      case 'shortDeadlines':
      case 'smallBatches':
      case 'smallFanOut':
        this.#count(kind)
        this.#nodes[fault.node]?.knobs.add(kind)
        return undefined
      case 'crash':
      case 'stop':
      case 'crashBeforeCall':
      case 'crashAfterCall':
      case 'freeze':
        return this.#ofProcess(fault)
      case 'crashAtSign':
      case 'blackout':
        return this.#atSign(fault)
      case 'writesFail':
        return this.#trouble(fault, { writes: fault.share })
      case 'syncsFail':
        return this.#trouble(fault, { syncs: fault.share })
      case 'engineFails':
        return this.#trouble(fault, { engine: fault.share })
      case 'memberCrash': {
        const member = this.#members[fault.member]
        if (!member?.alive) return undefined
        this.#count(kind)
        this.#auditor.memberDies(fault.member, false)
        member.crash()
        return () => member.start()
      }
      case 'memberSlow':
      case 'memberSilent':
      case 'memberLies':
        this.#count(kind)
        streams.conduct(fault.member, kind, federation)
        return undefined
      case 'memberDiskLost': {
        const member = this.#members[fault.member]
        this.#count(kind)
        this.#auditor.memberDies(fault.member, true)
        member?.loseDisk()
        world.at(MEMBER_BACK_MS, `member${fault.member} is set up anew`, () => member?.start())
        return undefined
      }
      case 'doubleSpend':
        if (this.#load.doubleSpend()) this.#count(kind)
        return undefined
      case 'creditTaken':
        if (this.#load.takeCredited()) this.#count(kind)
        return undefined
      case 'creditReorg':
        return bitcoin.reorgCredits(() => this.#count(kind))
      case 'membersPause':
        this.#count(kind)
        return this.#pauseMembers(fault)
      case 'streamBreak':
        if (streams.breakOne(fault.node, fault.member)) this.#count(kind)
        return undefined
      case 'partition':
      case 'partitionOneWay':
        this.#count(kind)
        return network.cutAll(this.#across(fault.side, kind === 'partition'))
      case 'halves':
        return this.#halve(fault)
      case 'steadyLoss':
        this.#count(kind)
        return network.spell({ loss: fault.share })
      case 'clockFar': {
        const { skew } = this.#nodes[fault.node] as SimulatedNode
        this.#count(kind)
        this.#turnClock(skew, fault.byMs)
        return () => this.#turnClock(skew, -fault.byMs)
      }
      case 'guardRestored':
        return this.#restoreGuard(fault)
      case 'guardDamaged':
        return this.#damageGuard(fault)
      case 'directoryRestored':
        return this.#restoreDirectory(fault)
      case 'deepReorg':
        return bitcoin.reorgBookings(() => this.#count(kind))
      case 'linkFlaps':
        this.#count(kind)
        return this.#flap(fault.from, fault.to, fault.periodMs)
      case 'linkClogs':
        this.#count(kind)
        return network.clog(this.#name(fault.from), this.#name(fault.to), fault.delayMs)
      case 'loss':
        this.#count(kind)
        return network.spell({ loss: fault.share })
      case 'doubling':
        this.#count(kind)
        return network.spell({ doubled: fault.share })
      case 'delay':
        this.#count(kind)
        return network.spell({ delayMs: fault.delayMs })
      case 'reordering':
        this.#count(kind)
        return network.spell({ slowMs: fault.delayMs })
      case 'clockSkew':
      case 'clockJump': {
        const { skew } = this.#nodes[fault.node] as SimulatedNode
        this.#count(kind)
        this.#turnClock(skew, fault.byMs)
        return () => this.#turnClock(skew, -fault.byMs)
      }
      case 'reorg':
        if (bitcoin.reorg(fault.depth)) this.#count(kind)
        return undefined
      case 'feeSpike':
        this.#count(kind)
        return bitcoin.feeSpell(fault.satPerKvb)
      case 'staleTip':
        this.#count(kind)
        return bitcoin.stale(fault.node)
      case 'bitcoinOutage':
        this.#count(kind)
        return bitcoin.outage()
    }
  }

  /** So many that the others are fewer than t sign nothing, or no more than a little, until their operators say otherwise. */
  #pauseMembers({ limitSat, members }: Extract<Fault, { kind: 'membersPause' }>): () => void {
    const paused = members.flatMap((at) => this.#members[at] ?? [])
    const turn = (policy: SimulatedMember['policy']) => {
      for (const member of paused) {
        member.policy = policy
        member.crash()
        member.start()
      }
    }
    turn(limitSat === undefined ? { hold: true } : { hold: false, dailyLimitSat: limitSat })
    return () => turn({ hold: false })
  }

  #turnClock(skew: Skew, byMs: number): void {
    skew.offsetMs += byMs
    skew.changedAtMs = this.#around.world.nowMs
  }

  /** Two sides without a quorum: a halt, and no fork; then it is measured how soon the chain goes on. */
  #halve({ side, held }: Extract<Fault, { kind: 'halves' }>): () => void {
    const { network } = this.#around
    const links = this.#across(side, true)
    this.#count('halves')
    const mend = held ? network.holdAll(links) : network.cutAll(links)
    this.#auditor.halts.split(this.#nodes, side)
    return () => {
      mend()
      if (!this.#healed) this.#auditor.halts.mended(this.#nodes, held)
      else this.#auditor.halts.forget()
    }
  }

  /** Its guard is older than its chain: it must leave out the height that the guard does not know of. */
  #restoreGuard({ node: at, lost }: Extract<Fault, { kind: 'guardRestored' }>) {
    const node = this.#nodes[at] as SimulatedNode
    if (!node.alive || !node.disk.hasGuardBackup(lost)) return undefined
    this.#count('guardRestored')
    node.crash()
    return () => {
      if (!node.alive && node.disk.restoreGuard(lost)) {
        this.#auditor.guardIsOld(node)
        this.#count('guardRefused')
      }
      node.start()
    }
  }

  /** What was durable is not any more. Where the end is hit nobody can know: such a node is one of the f. */
  #damageGuard({ node: at }: Extract<Fault, { kind: 'guardDamaged' }>) {
    const node = this.#nodes[at] as SimulatedNode
    if (!node.alive) return undefined
    node.crash()
    if (node.disk.damageGuard()) {
      this.#count('guardDamaged')
      this.#betray(node, 'guardDamaged')
    }
    return () => node.start()
  }

  #restoreDirectory({ node: at }: Extract<Fault, { kind: 'directoryRestored' }>) {
    const { world } = this.#around
    const node = this.#nodes[at] as SimulatedNode
    if (!node.alive) return undefined
    node.crash()
    const restore = node.disk.backup()
    world.at(100, `${node.name} comes back`, () => node.start())
    return () => {
      node.crash()
      restore()
      this.#count('directoryRestored')
      this.#betray(node, 'directoryRestored')
      node.start()
    }
  }

  #betray(node: SimulatedNode, kind: TreasonKind): undefined {
    node.treason.add(kind)
    this.#auditor.betrays(node)
  }

  #ofProcess(
    fault: Extract<
      Fault,
      { kind: 'crash' | 'stop' | 'crashBeforeCall' | 'crashAfterCall' | 'freeze' }
    >,
  ): (() => void) | undefined {
    const { kind } = fault
    const node = this.#nodes[fault.node]
    if (node?.alive !== true) return undefined
    const start = () => {
      node.light(undefined)
      node.start()
    }
    this.#count(kind)
    switch (kind) {
      case 'crash':
        node.crash()
        return start
      case 'crashBeforeCall':
      case 'crashAfterCall':
        node.light({ calls: fault.calls, side: kind === 'crashBeforeCall' ? 'before' : 'after' })
        return start
      case 'stop': {
        // It may still be under way when the node is killed, or when everything heals.
        const { world } = this.#around
        node.stop(() => void world.at(fault.forMs, `${node.name} comes back`, () => node.start()))
        return undefined
      }
      case 'freeze':
        node.freeze(fault.forMs)
        return undefined
    }
  }

  #atSign(fault: Extract<Fault, { kind: 'crashAtSign' | 'blackout' }>): (() => void) | undefined {
    const { kind, calls, side, downMs } = fault
    const { world } = this.#around
    const node = this.#nodes[fault.node]
    if (node?.alive !== true) return undefined
    const burnt = () => {
      this.#count(kind)
      const dying = kind === 'blackout' ? this.#nodes.filter(({ alive }) => alive) : [node]
      // After the one whose call it is, which dies by itself.
      world.at(0, `fault: ${kind}`, () => {
        for (const one of dying) one.crash()
      })
      for (const [at, one] of dying.entries()) {
        world.at(1 + downMs + at * STAGGER_MS, `${one.name} comes back`, () => one.start())
      }
    }
    node.light({ calls, side, only: SIGNATURES, burnt })
    return () => node.light(undefined)
  }

  #trouble(
    { kind, node: at }: { readonly kind: FaultKind; readonly node: number },
    trouble: Partial<Trouble>,
  ): () => void {
    const { troubles } = (this.#nodes[at] as SimulatedNode).disk
    this.#count(kind)
    troubles.add(trouble)
    return () => void troubles.delete(trouble)
  }

  #name(at: number): string {
    return (this.#nodes[at] as SimulatedNode).name
  }

  /** The links between one side and all others. */
  #across(side: readonly number[], bothWays: boolean): (readonly [string, string])[] {
    const links: (readonly [string, string])[] = []
    for (const [from] of this.#nodes.entries()) {
      for (const [to] of this.#nodes.entries()) {
        if (side.includes(from) === side.includes(to)) continue
        if (bothWays || side.includes(from)) links.push([this.#name(from), this.#name(to)])
      }
    }
    return links
  }

  #flap(from: number, to: number, periodMs: number): () => void {
    const { world, network } = this.#around
    const links = [[this.#name(from), this.#name(to)] as const]
    let mend: (() => void) | undefined
    let over = false
    const turn = () => {
      if (over) return
      if (mend === undefined) mend = network.cutAll(links)
      else {
        mend()
        mend = undefined
      }
      world.at(periodMs, 'fault: a link flaps', turn)
    }
    turn()
    return () => {
      over = true
      mend?.()
    }
  }
}
