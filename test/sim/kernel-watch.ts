/**
 * What the kernel promises, seen from outside a node: by the events that it gives to any listener, and by its snapshot. A bug is a
 * failed assertion, mail survives a restart, nobody sleeps on a letter, letters keep their order, what is never dropped is not.
 */
import { MESSAGE_ROWS } from '../../messages/index.ts'
import type { KernelEvent, System } from '../../supervisor/index.ts'
import type { SimulatedNode } from './node.ts'
import type { World } from './world.ts'

type EventOf<Kind extends KernelEvent['kind']> = Extract<KernelEvent, { kind: Kind }>

const rows = new Map(MESSAGE_ROWS.map((row) => [row.type, row]))
/** These live on Storage: it ends after them. */
const BUILT_ON_STORAGE: ReadonlySet<string> = new Set(['engine', 'chain', 'bridge', 'sync'])
/** Above it an actor may let letters wait. */
const MAX_IN_FLIGHT = 1_024
/** So many sends wait for room elsewhere: what comes in waits as well, which is back pressure (SU-9). */
const MAX_BLOCKED = 16

/** Waits since then, although its actor runs. */
interface Sleeper {
  readonly handled: number
  readonly sinceMs: number
}

/** One incarnation of a node's process. */
class Tree {
  readonly system: System
  readonly #node: SimulatedNode
  readonly #world: World
  readonly #depthAtFault = new Map<string, number>()
  readonly #lastSequence = new Map<string, number>()
  readonly #sleepers = new Map<string, Sleeper>()
  /** Actors that came up and have not been looked at since. */
  readonly #risen = new Set<string>()
  /** Since when each actor runs. */
  readonly #runningSinceMs = new Map<string, number>()
  #frozenAtMs = Number.NEGATIVE_INFINITY
  /** Actors whose mailbox is full: who sends to them waits, and what comes to the sender waits as well (SU-9). */
  readonly #full = new Set<string>()
  #fullUntilMs = Number.NEGATIVE_INFINITY
  /** When Storage failed at a write, until Chain heard of it. */
  #failedWriteAtMs: number | undefined
  /** Blocks are on their way to the disk: Chain cannot go on without an answer, as it can where evidence is not recorded. */
  #isPersisting = false

  constructor(world: World, node: SimulatedNode, system: System) {
    this.#world = world
    this.#node = node
    this.system = system
    system.subscribe((event) => this.#heard(event), { messages: true })
  }

  /** After an event of the world. */
  settled(): void {
    if (this.#node.isFrozen) this.#frozenAtMs = this.#world.nowMs
    if (this.#depthAtFault.size > 0) this.#noteMail()
    if (this.#failedWriteAtMs !== undefined && this.#failedWriteAtMs < this.#world.nowMs) {
      this.#world.check('AsksEnd', !this.#runningSinceMs.has('chain'), () => {
        return `${this.#node.name} storage failed at a write and chain still waits for it`
      })
      this.#failedWriteAtMs = undefined
    }
    // A letter that is taken back meanwhile (a timer that was set anew) is none that anybody sleeps on.
    if (this.#sleepers.size > 0) this.#lookForSleepers((path) => this.#sleepers.has(path))
    if (this.#risen.size === 0) return
    this.#lookForSleepers((path) => this.#risen.has(path))
    for (const path of this.#risen) if (!this.#sleepers.has(path)) this.#risen.delete(path)
  }

  /** What comes while an actor is away is kept as well. */
  #noteMail(): void {
    for (const actor of this.system.loads()) {
      const known = this.#depthAtFault.get(actor.path)
      if (known !== undefined && known < actor.waiting) {
        this.#depthAtFault.set(actor.path, actor.waiting)
      }
    }
  }

  look(): void {
    this.#lookForSleepers(() => true)
    // Nothing to object to since the last look, which counts as a check.
    for (const name of ['NoBug', 'AsksEnd', 'NeverDropped'] as const) {
      this.#world.check(name, true, () => '')
    }
  }

  #lookForSleepers(which: (path: string) => boolean): void {
    const { nowMs } = this.#world
    if (this.#node.isFrozen) {
      this.#sleepers.clear()
      return
    }
    for (const actor of this.system.loads()) {
      if (!which(actor.path)) continue
      const { path, handled } = actor
      const known = this.#sleepers.get(path)
      const isBusy = actor.inFlight >= MAX_IN_FLIGHT || actor.blocked >= MAX_BLOCKED
      const canTake = actor.life === 'Running' && !isBusy
      if (!canTake || actor.waiting === 0 || known?.handled !== handled) {
        this.#sleepers.delete(path)
        if (canTake && actor.waiting > 0) this.#sleepers.set(path, { handled, sinceMs: nowMs })
        continue
      }
      // Whoever yields to the loop is called again before time goes on.
      this.#world.check('Woken', known.sinceMs === nowMs, () => {
        return `${this.#node.name} ${path} sleeps on ${actor.waiting} letters`
      })
    }
    this.#world.check('Woken', true, () => '')
  }

  #heard(event: KernelEvent): void {
    if (!this.#node.alive) return
    if (event.kind === 'handled') this.#handled(event)
    else if (event.kind === 'life') this.#lived(event)
    else if (event.kind === 'fault') this.#failed(event)
    else if (event.kind === 'drop') this.#dropped(event)
    else if (event.kind === 'pressure') this.#pressed(event)
  }

  #handled({ messageType, path, sender, sequence, waitedMs }: EventOf<'handled'>): void {
    if (waitedMs > 0) this.#checkWait(path, messageType, waitedMs)
    if (messageType.startsWith('storage.PersistBlock')) {
      // What an earlier life of Chain asked for is answered to nobody.
      const chainSinceMs = this.#runningSinceMs.get('chain') ?? Number.POSITIVE_INFINITY
      this.#isPersisting = this.#world.nowMs - waitedMs >= chainSinceMs
    }
    if (messageType === 'storage.WriteMeasured') this.#isPersisting = false
    const row = rows.get(messageType)
    // What an actor sends itself may pass others, and a newer one takes the place of one that coalesces.
    if (row === undefined || sender === path || row.coalesce !== undefined) return
    const key = `${path} ${sender} ${row.priority}`
    const last = this.#lastSequence.get(key) ?? 0
    this.#world.check('InOrder', sequence > last, () => {
      return `${this.#node.name} ${path} handles ${messageType} ${sequence} of ${sender} after ${last}`
    })
    this.#lastSequence.set(key, sequence)
  }

  /**
   * All that is there is handled before time goes on, unless the actor was away, the process stood still, or a full mailbox held
   * somebody back. Waits are told by the node's own clock: one that was turned in between says nothing.
   */
  #checkWait(path: string, messageType: string, waitedMs: number): void {
    const cameAtMs = this.#world.nowMs - waitedMs
    const { changedAtMs: turnedAtMs = Number.NEGATIVE_INFINITY } = this.#node.skew
    if (turnedAtMs >= cameAtMs) return
    const ranSinceMs = this.#runningSinceMs.get(path) ?? Number.POSITIVE_INFINITY
    const heldUntilMs = Math.max(ranSinceMs, this.#frozenAtMs, this.#fullUntilMs)
    const mayWait = cameAtMs <= heldUntilMs || this.#node.isFrozen || this.#full.size > 0
    this.#world.check('Woken', mayWait, () => {
      return `${this.#node.name} ${path} lets ${messageType} wait for ${waitedMs} ms`
    })
  }

  #pressed({ path, level }: EventOf<'pressure'>): void {
    if (level === 'Blocked') this.#full.add(path)
    else if (this.#full.delete(path)) this.#fullUntilMs = this.#world.nowMs
  }

  #lived({ from, path, to }: EventOf<'life'>): void {
    const actors = this.system.loads()
    const actor = actors.find((one) => one.path === path)
    if (actor === undefined) return
    if (path === 'chain') this.#failedWriteAtMs = undefined
    if (to !== 'Running' && to !== 'Stopping') this.#runningSinceMs.delete(path)
    if (to === 'Failed') this.#depthAtFault.set(path, actor.waiting)
    if (to === 'Running') {
      this.#runningSinceMs.set(path, this.#world.nowMs)
      const before = this.#depthAtFault.get(path) ?? 0
      this.#world.check('MailKept', actor.waiting >= before, () => {
        return `${this.#node.name} ${path} comes back to ${actor.waiting} letters of ${before}`
      })
      this.#depthAtFault.delete(path)
      this.#risen.add(path)
    }
    if (path !== 'storage' || from !== 'Stopping') return
    const left = actors.find((one) => BUILT_ON_STORAGE.has(one.path) && one.life === 'Running')
    this.#world.check('StopsInOrder', left === undefined, () => {
      return `${this.#node.name} storage ends while ${left?.path} runs`
    })
  }

  #failed({ path, fault }: EventOf<'fault'>): void {
    const { code, faultClass, reason } = fault
    const isBug = faultClass === 'logic' || code === 'HandlerThrew'
    this.#world.check('NoBug', !isBug, () => `${this.#node.name} ${path}: ${code}, ${reason}`)
    if (path === 'storage' && code === 'WriteFailed' && this.#isPersisting) {
      this.#failedWriteAtMs = this.#world.nowMs
    }
    if (path === 'storage') this.#isPersisting = false
    if (path === 'chain') this.#failedWriteAtMs = undefined
  }

  #dropped({ messageType, path, reason }: EventOf<'drop'>): void {
    const kept = rows.get(messageType)?.neverDrop === true
    this.#world.check('NeverDropped', !kept, () => {
      return `${this.#node.name} ${path} loses ${messageType}: ${reason}`
    })
  }
}

export class KernelWatch {
  readonly #world: World
  readonly #trees = new Map<SimulatedNode, Tree>()

  constructor(world: World) {
    this.#world = world
  }

  afterEvent(nodes: readonly SimulatedNode[]): void {
    for (const node of nodes) this.#treeOf(node)?.settled()
  }

  /** All mailboxes of one node. */
  look(node: SimulatedNode): void {
    this.#treeOf(node)?.look()
  }

  #treeOf(node: SimulatedNode): Tree | undefined {
    const system = node.tree?.system
    if (system === undefined) return undefined
    const known = this.#trees.get(node)
    if (known?.system === system) return known
    const tree = new Tree(this.#world, node, system)
    this.#trees.set(node, tree)
    return tree
  }
}
