/**
 * A network of n drivers under one seed: virtual time, an event heap, messages that are delayed, lost and doubled,
 * crashes and restarts from the guard, and liars. Checked as it runs: no two blocks committed at one height, nothing
 * conflicting signed by an honest validator over all its lives.
 */
import {
  type Block,
  type ConsensusMessage,
  type QuorumCertificate,
  VOTE_PHASES,
} from '../../../../core/block/index.ts'
import {
  decideGuard,
  EMPTY_GUARD,
  foldGuard,
  type GuardRecord,
  type GuardView,
  signRecord,
} from '../../../../core/guard/index.ts'
import { VALID, type Validator } from '../../../../core/params/index.ts'
import {
  createDriver,
  type DriverState,
  type Effect,
  heldBlock,
  type Input,
  proposerIndex,
  step,
  viewStart,
} from '../../../../core/pbft/index.ts'
import { equalBytes, sha256, toHex } from '../../../../crypto/index.ts'
import {
  blockOf,
  fakeSuite,
  GENESIS_HASH,
  hashOf,
  proposalBy,
  SLOT_MS,
  signerOf,
  validatorsOf,
  viewChangeBy,
  voteBy,
} from './fixtures.ts'

const GENESIS_SLOT = 1000
/** For each pair of nodes; more is a timer that is set again at once, for ever. */
const MOST_TASKS_PER_SECOND = 1_250
const GENESIS_PARENT = sha256(Uint8Array.of(9))

/** A seeded generator (mulberry32): numbers in [0, 1). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export interface NetworkOptions {
  readonly seed: number
  readonly n: number
  readonly powers?: readonly number[]
  /** Largest delay of a message. */
  readonly delayMs?: number
  readonly loss?: number
  /** Of Commits and committed blocks: many lock, few commit. */
  readonly commitLoss?: number
  readonly doubled?: number
  /** Crashes per node and second, each followed by a restart. */
  readonly crashes?: number
  /** Positions that send nothing. */
  readonly silent?: readonly number[]
  /** Positions that sign whatever they like. */
  readonly liars?: readonly number[]
  /** Clock offset by position. */
  readonly skewMs?: readonly number[]
  /** When messages stop being lost and nodes stop crashing. */
  readonly healAtMs?: number
  /** Whether a message passes at all: partitions. */
  readonly passes?: (from: number, to: number, nowMs: number) => boolean
  /** Told of each message to each peer. */
  readonly sent?: (message: ConsensusMessage) => void
}

interface Committed {
  readonly block: Block
  readonly certificate: QuorumCertificate
}

class Node {
  readonly index: number
  state: DriverState
  /** Durable: survives a crash. */
  guard: GuardView = EMPTY_GUARD
  chain: Committed[] = []
  /** Rises with each crash; what an earlier life asked for does not answer. */
  life = 0
  up = true
  wakeId = 0
  /** Signing is serial. */
  signFreeAtMs = 0
  halted = false

  constructor(index: number, state: DriverState) {
    this.index = index
    this.state = state
  }

  get height(): number {
    return this.chain.length
  }
}

interface Heard {
  height: number
  readonly hashes: Map<string, Uint8Array>
  certificates: QuorumCertificate[]
}

type Task = { atMs: number; order: number; run: () => void }

export class Network {
  nowMs: number
  readonly nodes: Node[]
  /** Keys that evidence was found against. */
  readonly evidence = new Set<string>()
  /** Positions that an honest node blames for a forged message. */
  readonly blamed = new Set<number>()
  readonly views = new Map<number, number>()
  messages = 0
  readonly #options: NetworkOptions
  readonly #random: () => number
  readonly #validators: Validator[]
  readonly #heap: Task[] = []
  readonly #committed = new Map<number, string>()
  readonly #signed = new Map<string, string>()
  /** What a liar has heard of: hashes and certificates of its height. */
  readonly #heard: Heard[]
  #order = 0
  #salt = 1

  constructor(options: NetworkOptions) {
    this.#options = options
    this.#random = createRandom(options.seed)
    this.#validators = validatorsOf(options.n, options.powers)
    this.nowMs = GENESIS_SLOT * SLOT_MS + Math.floor(this.#random() * SLOT_MS)
    this.nodes = this.#validators.map((validator, index) => {
      return new Node(index, this.#createDriver(validator))
    })
    this.#heard = this.nodes.map(() => ({ hashes: new Map(), certificates: [], height: 0 }))
    for (const node of this.nodes) this.#startHeight(node)
    if (options.crashes) for (const node of this.nodes) this.#planCrash(node)
    for (const liar of options.liars ?? []) this.#planLie(this.nodes[liar] as Node)
  }

  get heights(): number[] {
    return this.nodes.map(({ height }) => height)
  }

  /** Heights of those who are neither silent nor lying. */
  get honestHeights(): number[] {
    const { silent = [], liars = [] } = this.#options
    return this.nodes
      .filter(({ index }) => !silent.includes(index) && !liars.includes(index))
      .map(({ height }) => height)
  }

  runFor(durationMs: number): void {
    const untilMs = this.nowMs + durationMs
    let left = (MOST_TASKS_PER_SECOND * this.nodes.length ** 2 * durationMs) / 1_000
    while (this.#heap[0] !== undefined && this.#heap[0].atMs <= untilMs) {
      if (left-- <= 0) throw new Error(`time stands still at ${this.nowMs}`)
      const task = this.#pop()
      this.nowMs = Math.max(this.nowMs, task.atMs)
      task.run()
    }
    this.nowMs = untilMs
  }

  crash(index: number, downMs: number): void {
    const node = this.nodes[index] as Node
    if (!node.up) return
    node.up = false
    node.life += 1
    this.#at(downMs, () => {
      node.up = true
      node.state = this.#createDriver(this.#validators[index] as Validator)
      node.signFreeAtMs = 0
      this.#startHeight(node)
      for (const other of this.nodes) {
        if (other.up && other !== node) {
          this.#tell(other, { kind: 'peerConnected', peer: String(index) })
        }
      }
    })
  }

  #createDriver(validator: Validator): DriverState {
    return createDriver({
      genesisHash: GENESIS_HASH,
      slotMs: SLOT_MS,
      self: validator.blsKey,
      suite: fakeSuite,
    })
  }

  #at(delayMs: number, run: () => void): void {
    const task = { atMs: this.nowMs + delayMs, order: this.#order++, run }
    const heap = this.#heap
    let at = heap.length
    heap.push(task)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(task, heap[parent] as Task)) break
      heap[at] = heap[parent] as Task
      at = parent
    }
    heap[at] = task
  }

  #pop(): Task {
    const heap = this.#heap
    const top = heap[0] as Task
    const last = heap.pop() as Task
    if (heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Task, heap[child] as Task))
        child += 1
      if (!before(heap[child] as Task, last)) break
      heap[at] = heap[child] as Task
      at = child
    }
    heap[at] = last
    return top
  }

  /** Runs later, unless the node has crashed in between. */
  #later(node: Node, delayMs: number, run: () => void): void {
    const { life } = node
    this.#at(delayMs, () => {
      if (node.up && node.life === life) run()
    })
  }

  #clock(node: Node): number {
    return this.nowMs + (this.#options.skewMs?.[node.index] ?? 0)
  }

  #healed(): boolean {
    const { healAtMs } = this.#options
    return healAtMs !== undefined && this.nowMs >= GENESIS_SLOT * SLOT_MS + healAtMs
  }

  #startHeight(node: Node): void {
    const parent = node.chain.at(-1)?.block
    const context = {
      height: node.height + 1,
      parentHash: parent === undefined ? GENESIS_PARENT : hashOf(parent),
      parentSlot: parent?.header.slot ?? GENESIS_SLOT,
      validators: this.#validators,
    }
    this.#tell(node, { kind: 'startHeight', context, guard: node.guard, nowMs: this.#clock(node) })
  }

  #tell(node: Node, input: Input): void {
    const { state, effects } = step(node.state, input)
    node.state = state
    for (const effect of effects) this.#perform(node, effect)
  }

  #perform(node: Node, effect: Effect): void {
    switch (effect.kind) {
      case 'build':
        this.#build(node, effect.view, effect.slot, effect.parentHash)
        break
      case 'validate': {
        const hash = hashOf(effect.block)
        this.#later(node, this.#random() * 30, () => {
          this.#tell(node, { kind: 'validated', hash, verdict: VALID, objects: false })
        })
        break
      }
      case 'sign':
        this.#sign(node, effect.record)
        break
      case 'broadcast':
        // At every second height a liar keeps its honest proposals back and makes others (see #lie).
        if (this.#lies(node) && effect.message.kind === 'prePrepare' && node.height % 2) break
        for (const other of this.nodes) if (other !== node) this.#send(node, other, effect.message)
        break
      case 'sendTo':
        this.#send(node, this.nodes[Number(effect.peer)] as Node, effect.message)
        break
      case 'answerCommitted': {
        const value = node.chain[effect.height - 1]
        const peer = this.nodes[Number(effect.peer)] as Node
        if (value !== undefined) this.#send(node, peer, { kind: 'committedBlock', value })
        break
      }
      case 'commit':
        this.#commit(node, effect)
        break
      case 'fetchBlock':
        for (const peer of effect.peers) {
          if (peer !== '') this.#fetch(node, this.nodes[Number(peer)] as Node, effect.hash)
        }
        break
      case 'wake': {
        node.wakeId += 1
        const { wakeId } = node
        const delayMs = Math.max(0, effect.atMs - this.#clock(node))
        this.#later(node, delayMs, () => {
          if (node.wakeId === wakeId) this.#tell(node, { kind: 'clock', nowMs: this.#clock(node) })
        })
        break
      }
      case 'behind':
        this.#sync(node)
        break
      case 'evidence':
        this.evidence.add(toHex(effect.evidence.validator))
        break
      case 'punish':
        if (!this.#lies(node)) this.blamed.add(Number(effect.peer))
        break
      case 'halt':
        throw new Error(`${effect.reason} at node ${node.index}`)
      case 'viewEntered':
        this.views.set(effect.view, (this.views.get(effect.view) ?? 0) + 1)
        break
      case 'locked':
        break
    }
  }

  #build(node: Node, view: number, slot: number, parentHash: Uint8Array): void {
    const height = node.height + 1
    const fields = { height, slot, parentHash, author: node.index }
    const block = blockOf({ ...fields, salt: this.#salt++ })
    this.#later(node, 5 + this.#random() * 30, () => {
      this.#tell(node, { kind: 'built', height, view, block })
    })
  }

  #sign(node: Node, record: GuardRecord): void {
    node.signFreeAtMs = Math.max(node.signFreeAtMs, this.nowMs) + this.#random() * 8
    const durableInMs = node.signFreeAtMs - this.nowMs
    this.#later(node, durableInMs, () => {
      const decision = decideGuard(node.guard, record)
      if (typeof decision === 'object') {
        this.#tell(node, { kind: 'signRefused', record, code: decision.refuse })
        return
      }
      if (decision === 'sign') node.guard = foldGuard(node.guard, record)
      // The record is durable now; the message comes a little later, and a crash may fall between.
      this.#later(node, this.#random() * 2, () => {
        const message = signRecord(GENESIS_HASH, record, signerOf(node.index))
        this.#noteSigned(node, record, message)
        this.#tell(node, { kind: 'signed', message })
      })
    })
  }

  /** 2.8: over all lives, one message per (h, v, phase), one own block per slot. */
  #noteSigned(node: Node, record: GuardRecord, message: ConsensusMessage): void {
    if (record.kind === 'viewChange') return
    const content = message.kind === 'committedBlock' ? '' : toHex(message.value.signature)
    this.#once(`${node.index} ${record.kind} ${record.height} ${record.view}`, content)
    if (record.kind === 'propose' && record.fresh) {
      this.#once(`${node.index} slot ${record.slot}`, toHex(record.hash))
    }
  }

  #once(place: string, content: string): void {
    const held = this.#signed.get(place)
    if (held !== undefined && held !== content) throw new Error(`signed twice: ${place}`)
    this.#signed.set(place, content)
  }

  #send(from: Node, to: Node, message: ConsensusMessage): void {
    const {
      silent = [],
      loss = 0,
      commitLoss = 0,
      doubled = 0,
      delayMs = 40,
      passes,
    } = this.#options
    if (silent.includes(from.index)) return
    this.messages += 1
    this.#options.sent?.(message)
    const copies = this.#random() < doubled ? 2 : 1
    const lost = decides(message) ? Math.max(loss, commitLoss) : loss
    for (let copy = 0; copy < copies; copy++) {
      if (!this.#healed() && this.#random() < lost) continue
      const limitMs = this.#healed() ? Math.min(delayMs, 50) : delayMs
      const delay = 1 + this.#random() * limitMs
      this.#at(delay, () => {
        if (!to.up || passes?.(from.index, to.index, this.nowMs) === false) return
        this.#hear(to, message)
        const input = { message, from: String(from.index), nowMs: this.#clock(to) }
        this.#tell(to, { kind: 'message', ...input })
      })
    }
  }

  #fetch(node: Node, peer: Node, hash: Uint8Array): void {
    this.#later(node, 10 + this.#random() * 20, () => {
      const { silent = [], passes } = this.#options
      if (!peer.up || silent.includes(peer.index)) return
      if (passes?.(peer.index, node.index, this.nowMs) === false) return
      const block =
        heldBlock(peer.state, hash) ??
        peer.chain.findLast((one) => equalBytes(hashOf(one.block), hash))?.block
      if (block !== undefined) {
        this.#tell(node, { kind: 'blockFetched', block, from: String(peer.index) })
      }
    })
  }

  #commit(node: Node, { block, certificate }: Committed): void {
    const { height } = block.header
    if (height !== node.height + 1) throw new Error(`node ${node.index} commits out of order`)
    const hash = toHex(hashOf(block))
    const held = this.#committed.get(height)
    if (held !== undefined && held !== hash) throw new Error(`fork at height ${height}`)
    this.#committed.set(height, hash)
    // Durable after a while; a crash before that forgets the commit, and the node catches up.
    this.#later(node, 2 + this.#random() * 6, () => {
      if (node.height + 1 === height) this.#persist(node, { block, certificate })
    })
  }

  #persist(node: Node, committed: Committed): void {
    node.chain.push(committed)
    node.guard = foldGuard(node.guard, { kind: 'floor', floor: node.height + 1, slot: -1 })
    this.#startHeight(node)
  }

  /** Block by block from whoever has more, as the Sync actor would. */
  #sync(node: Node): void {
    this.#later(node, 50, () => {
      const best = this.nodes.reduce((most, one) => (one.height > most.height ? one : most), node)
      const next = best.chain[node.height]
      if (next === undefined) return
      while (best.chain[node.height + 1] !== undefined) {
        node.chain.push(best.chain[node.height] as Committed)
      }
      this.#persist(node, best.chain[node.height] as Committed)
    })
  }

  #planCrash(node: Node): void {
    const { crashes = 0 } = this.#options
    this.#at((-Math.log(1 - this.#random()) * 1000) / crashes, () => {
      if (this.#healed()) return
      this.crash(node.index, 50 + this.#random() * 2500)
      this.#planCrash(node)
    })
  }

  #lies(node: Node): boolean {
    return this.#options.liars?.includes(node.index) === true
  }

  // Liars run the driver as well, but sign beside it, whatever may do harm.

  #hear(node: Node, message: ConsensusMessage): void {
    if (!this.#lies(node)) return
    const heard = this.#heard[node.index] as Heard
    const height = node.height + 1
    if (heard.height !== height) {
      heard.height = height
      heard.hashes.clear()
      heard.certificates = []
    }
    if (message.kind === 'committedBlock') return
    const { value } = message
    if (value.height !== height) return
    if (message.kind === 'prePrepare') {
      const hash = hashOf(message.value.block)
      heard.hashes.set(toHex(hash), hash)
    }
    if (message.kind === 'vote') {
      heard.hashes.set(toHex(message.value.blockHash), message.value.blockHash)
    }
    const named = 'certificate' in value ? value.certificate[0] : undefined
    const certificate = message.kind === 'prepareCertificate' ? message.value : named
    if (certificate !== undefined) heard.certificates.push(certificate)
  }

  #planLie(node: Node): void {
    this.#at(this.#random() * 120, () => {
      this.#lie(node)
      this.#planLie(node)
    })
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random() * items.length)]
  }

  #lie(node: Node): void {
    const height = node.height + 1
    const parent = node.chain.at(-1)?.block
    const parentSlot = parent?.header.slot ?? GENESIS_SLOT
    const { n } = this.#options
    const view = Math.max(0, (node.state.height?.view ?? 0) - 1 + Math.floor(this.#random() * 3))
    const heard = this.#heard[node.index] as Heard
    const send = (message: ConsensusMessage) => {
      for (const other of this.nodes) {
        if (other !== node && this.#random() < 0.6) this.#send(node, other, message)
      }
    }
    const dice = this.#random()
    if (dice < 0.45) {
      const hash = this.#pick([...heard.hashes.values()])
      const phase = this.#random() < 0.5 ? 'prepare' : 'commit'
      if (hash !== undefined) send(voteBy(node.index, phase, height, view, hash))
    } else if (dice < 0.6) {
      const certificate = this.#pick(heard.certificates)
      const shown = this.#random() < 0.5 ? certificate : undefined
      send(viewChangeBy(node.index, height, view + Math.floor(this.#random() * 4), shown))
    } else if (proposerIndex(parentSlot, view, n) === node.index) {
      const slot = viewStart(parentSlot, view, n)
      const parentHash = parent === undefined ? GENESIS_PARENT : hashOf(parent)
      const fields = { height, slot, parentHash, author: node.index }
      // Mostly the same block to everybody, past all locks; sometimes another one, or an older certificate's.
      const salt = this.#random() < 0.8 ? 0 : this.#salt++
      const block = blockOf({ ...fields, salt })
      heard.hashes.set(toHex(hashOf(block)), hashOf(block))
      const old = this.#pick(heard.certificates.filter((one) => one.view < view))
      const oldBlock = old && heldBlock(node.state, old.blockHash)
      if (oldBlock !== undefined && this.#random() < 0.3) {
        send(proposalBy(node.index, view, oldBlock, old))
      } else {
        send(proposalBy(node.index, view, block))
        send(voteBy(node.index, 'prepare', height, view, hashOf(block)))
        send(voteBy(node.index, 'commit', height, view, hashOf(block)))
      }
    }
  }
}

function decides(message: ConsensusMessage): boolean {
  if (message.kind === 'vote') return VOTE_PHASES[message.value.phase] === 'commit'
  return message.kind === 'committedBlock'
}

function before(left: Task, right: Task): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}
