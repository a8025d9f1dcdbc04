/** A federation node of the world: the real tree on simulated ports, over a disk that outlives its incarnations. */
import { ENGINE_FAULTS, type EnginePort } from '../../actors/engine/index.ts'
import type { NetworkPort } from '../../actors/network/index.ts'
import type { StoredBlock } from '../../actors/storage/index.ts'
import type { Ledger } from '../../core/ledger/index.ts'
import type { OwnAddress } from '../../core/peg/index.ts'
import { equalBytes, type Signer, toHex } from '../../crypto/index.ts'
import { createNodeTree, type NodeTree, type NodeTuning } from '../../node/tree.ts'
import { faultError } from '../../supervisor/index.ts'
import {
  decodeTransaction,
  evmGenesisOf,
  isTransaction,
  loadEngineCore,
  loadPrecompiles,
  nextBaseFee,
  recoverSender,
} from '../../vm/evm/index.ts'
import { AddressDisk } from './addresses.ts'
import type { SimulatedBitcoin } from './bitcoin.ts'
import { byzantinePort } from './byzantine.ts'
import type { Chance } from './chance.ts'
import type { KnobKind, TreasonKind } from './coverage.ts'
import { Disk } from './disk.ts'
import type { Federation } from './federation.ts'
import { Hoarder } from './hoarder.ts'
import { type Fuse, Life, type Skew } from './life.ts'
import { addressOf, type Network } from './network.ts'
import type { Streams } from './streams.ts'
import type { ValidatorBook } from './validator-book.ts'
import type { World } from './world.ts'

/** Base58 letters. */
export const NODE_NAMES = [
  'Aa',
  'Bb',
  'Cc',
  'Dd',
  'Ee',
  'Ff',
  'Gg',
  'Hh',
  'Jj',
  'Kk',
  'Mm',
  'Nn',
  'Pp',
  'Qq',
  'Rr',
] as const

export const MOST_NODES = NODE_NAMES.length

/** To so many peers gossip goes where the fan-out is small. */
const SMALL_FAN_OUT = 1

export interface Surroundings {
  readonly world: World
  readonly federation: Federation
  readonly book: ValidatorBook
  readonly network: Network
  readonly bitcoin: SimulatedBitcoin
  readonly streams: Streams
  readonly wrap?: NodeTuning['wrap']
  /**
   * Blocks that nodes keep with their bodies; absent: all. More than a third of them keep all, so that one of those is in every quorum:
   * whoever was away for longer has what it missed from them.
   */
  readonly keepBlocks?: number
  /** What the members say for a key reaches the nodes [it is lost: points are dear, and the key stays the first one]. */
  readonly makesKey?: boolean
}

export interface NodeObserver {
  /** A block became durable on a node. */
  stored(node: SimulatedNode, block: StoredBlock): void
}

let loaded: ReturnType<typeof loadPrecompiles> | undefined

/** Native code keeps nothing from one call to the next: all nodes of all worlds of this process have the same. */
function precompiles(): ReturnType<typeof loadPrecompiles> {
  loaded ??= loadPrecompiles()
  return loaded
}

export class SimulatedNode {
  readonly index: number
  readonly name: string
  readonly disk: Disk
  readonly addresses: AddressDisk
  readonly skew: Skew = { offsetMs: 0 }
  /** What it does against the rules; nothing, if it is correct. */
  readonly treason = new Set<TreasonKind>()
  readonly knobs = new Set<KnobKind>()
  readonly #around: Surroundings
  readonly #chance: Chance
  #life: Life | undefined
  #tree: NodeTree | undefined
  #hoards: Hoarder | undefined
  incarnations = 0
  startedAtMs = 0
  /** Its guard was older than its chain at some time. */
  hasForgotten = false

  constructor(index: number, around: Surroundings, observer: NodeObserver) {
    this.index = index
    this.name = NODE_NAMES[index] as string
    this.#around = around
    this.#chance = around.world.chance(`node ${index}`)
    this.addresses = new AddressDisk(around.world.chance(`addresses ${index}`))
    this.disk = new Disk(around.world, this.#chance, (block) => observer.stored(this, block))
  }

  get alive(): boolean {
    return this.#life?.alive === true
  }

  get isCorrect(): boolean {
    return this.treason.size === 0
  }

  /** It stands still, or did and has not caught up. */
  get isFrozen(): boolean {
    return this.#life?.isAwake === false
  }

  get tree(): NodeTree | undefined {
    return this.alive ? this.#tree : undefined
  }

  start(): void {
    if (this.alive) return
    const { world, federation, bitcoin, streams, wrap, keepBlocks } = this.#around
    this.incarnations += 1
    this.startedAtMs = world.nowMs
    world.log(`${this.name} starts ${this.incarnations}`)
    const life = new Life(world, this.name, this.skew, () => this.#ended(life))
    this.#life = life
    const { genesis } = federation
    const keys = federation.validators[this.index]
    const entry = genesis.validators[this.index]
    if (keys === undefined || entry === undefined) throw new Error('no such validator')
    const names = NODE_NAMES.slice(0, genesis.validators.length)
    streams.nodeIs(this.index, this.treason.has('asksFalsely'))
    const tree = createNodeTree(
      {
        kernel: life.kernel(`${this.name}${this.incarnations}`),
        openStore: () => this.disk.openStore(life),
        openEngine: () => this.#openEngine(life),
        rollbackEngine: () => this.#rollbackEngine(life),
        openGuard: (height) => this.disk.openGuard(life, genesis.hash, entry.blsKey, height),
        bitcoin: bitcoin.port(this.index, life),
        depositAddresses: this.addresses.book(life),
        network: this.#network(life, keys),
        stream: streams.server(this.index, life),
      },
      {
        genesis,
        validator: {
          blsKey: entry.blsKey,
          sign: (message) => keys.sign(message),
        },
        listen: [addressOf(this.name)],
        staticPeers: names.filter((name) => name !== this.name).map(addressOf),
        tuning: { ...tuningOf(this.knobs), ...(wrap && { wrap }) },
        ...(keepBlocks !== undefined && this.index * 3 >= names.length && { keepBlocks }),
        bitcoinPollMs: 500,
        minFeeCapWei: 0n,
        onTerminated: (reason) => {
          if (life.alive) this.#terminated(life, JSON.stringify(reason))
        },
      },
    )
    this.#tree = tree
    void tree.system.start().then((started) => {
      if (life.alive && !started.ok) this.#terminated(life, JSON.stringify(started.reason))
    })
  }

  #network(life: Life, signer: Signer): NetworkPort {
    const { world, federation, network } = this.#around
    const fanOut = this.knobs.has('smallFanOut') ? SMALL_FAN_OUT : Number.POSITIVE_INFINITY
    const port = network.create(this.name, life, fanOut)
    if (this.isCorrect) return port
    const chance = world.chance(`treason ${this.index} ${this.incarnations}`)
    const { genesis } = federation
    return byzantinePort(port, {
      world,
      chance,
      genesis,
      signer,
      hoarder: this.#hoarder(signer),
      acts: this.treason,
    })
  }

  #hoarder(signer: Signer): Hoarder | undefined {
    const { world, book, federation } = this.#around
    if (!this.treason.has('hoards')) return undefined
    this.#hoards ??= new Hoarder({
      world,
      book,
      chance: world.chance(`hoarder ${this.index}`),
      genesis: federation.genesis,
      signer,
      stranger: federation.stranger,
    })
    return this.#hoards
  }

  /** It is asked for a deposit address. */
  tell(scriptPubKey: Uint8Array, address: OwnAddress): void {
    if (this.#life !== undefined) void this.addresses.book(this.#life).watch(scriptPubKey, address)
  }

  crash(): void {
    this.#life?.end()
  }

  /** As on SIGTERM: it drains, then exits; `then` is called when it did. */
  stop(then: () => void): void {
    const life = this.#life
    const system = this.tree?.system
    if (life === undefined || system === undefined) return
    const { world } = this.#around
    world.log(`${this.name} is told to stop`)
    void system.stop().then(({ forced, tookMs }) => {
      if (!life.alive) return
      world.log(`${this.name} stopped after ${tookMs} ms ${forced ? 'by force' : ''}`)
      life.end()
      then()
    })
  }

  /** It stands still for a while: a pause of its machine. */
  freeze(forMs: number): void {
    const life = this.#life
    if (life === undefined) return
    // What waits already keeps its turn: a second pause never shortens the first.
    life.frozenUntilMs = Math.max(life.frozenUntilMs, this.#around.world.nowMs + forMs)
  }

  /** It dies at one of its next port calls. */
  light(fuse: Fuse | undefined): void {
    if (this.#life !== undefined) this.#life.fuse = fuse
  }

  /** A critical actor gave up: the process exits, and whoever runs it starts it again. */
  #terminated(life: Life, reason: string): void {
    const { world } = this.#around
    world.fault('actorGaveUp')
    world.log(`${this.name} terminated: ${reason}`)
    // What only a person can repair must not come of crashes alone.
    const isFinal = /LedgerDamaged|EngineDiverged|GuardDamaged|GuardUnreadable|Foreign/.test(reason)
    if (isFinal && this.treason.has('guardDamaged')) {
      // Its operator takes the file away.
      world.fault('guardRefused')
      life.end()
      this.disk.restoreGuard(true)
      world.at(1_000, `${this.name} is started again`, () => this.start())
      return
    }
    world.check('StartsAgain', !isFinal, () => `${this.name}: ${reason}`)
    life.end()
    world.at(1_000, `${this.name} is started again`, () => this.start())
  }

  #ended(life: Life): void {
    const { world, network, streams } = this.#around
    world.log(`${this.name} is dead`)
    this.disk.crash()
    network.crashed(this.name)
    streams.crashed(life)
  }

  /** Nothing in this world damages an engine's state: what makes a node distrust its own is found here. */
  #rollbackEngine(life: Life): Promise<void> {
    this.#around.world.check('StartsAgain', false, () => `${this.name}: its engine is rolled back`)
    return this.disk.rollbackEngine(life)
  }

  async #openEngine(life: Life): Promise<EnginePort> {
    const { world, federation } = this.#around
    const { genesis } = federation
    const store = this.disk.engineStore(life)
    await life.io(this.#chance.between(5, 60), 'open engine', () => {})
    // Not the opening itself: it waits for the disk, whose events the world would not take meanwhile.
    const evmGenesis = evmGenesisOf(genesis)
    const core = await world.compute(loadEngineCore(evmGenesis.chainId, precompiles()))
    const { engine, reply } = await core.open(store, evmGenesis, () => life.nowMs())
    if (reply.status !== 'OPEN') {
      throw faultError(reply.code, ENGINE_FAULTS[reply.code], reply.reason)
    }
    const { state } = this.disk.engine
    let queue: Promise<unknown> = Promise.resolve()
    /** The worker takes one task at a time. */
    let gone = false
    const task = <T>(mostMs: number, label: string, work: () => Promise<T>): Promise<T> => {
      const delayMs = this.#chance.between(1, mostMs)
      if (!gone && this.#chance.happens(this.disk.troubles.chance('engine'))) {
        world.fault('engineDied')
        gone = true
      }
      const done = queue.then(() =>
        life.io(delayMs, label, () => {
          if (gone) throw new Error('the worker is gone')
          return work()
        }),
      )
      queue = done.catch(() => undefined)
      return done
    }
    return {
      head: () => store.head() as { number: number; hash: Uint8Array },
      build: (request) => task(60, 'build', () => world.compute(engine.build(request))),
      execute: (request) => task(40, 'execute', () => world.compute(engine.execute(request))),
      commit: (hash) => task(4, 'commit evm', () => engine.commit(hash)),
      recoverSenders: (raws) =>
        life.io(this.#chance.between(1, 5), 'recover', () => raws.map(senderOf)),
      accounts: async (addresses) =>
        addresses.map((address) => {
          const account = state.account(toHex(address))
          return { nonce: account?.nonce ?? 0n, balanceWei: account?.balance ?? 0n }
        }),
      nextBaseFeeWei: () => {
        const head = store.head()
        const payload = head && store.payloadAt(head.number)
        return payload === undefined ? 0n : nextBaseFee(payload)
      },
      close: () => life.io(1, 'close engine', () => {}),
    }
  }

  /** The node's own state of the EVM. */
  balanceWei(address: Uint8Array): bigint {
    return this.disk.engine.state.account(toHex(address))?.balance ?? 0n
  }

  nonce(address: Uint8Array): number {
    return Number(this.disk.engine.state.account(toHex(address))?.nonce ?? 0n)
  }

  hasEvmBlock(height: number, hash: Uint8Array): boolean {
    const held = this.disk.engine.hashAt(height)
    return held === undefined || equalBytes(held, hash)
  }
}

/** A node that runs, with the ledger that it shows. */
export interface Showing {
  readonly node: SimulatedNode
  readonly ledger: Ledger
}

export function pickShowing(chance: Chance, nodes: readonly SimulatedNode[]): Showing | undefined {
  const showing = nodes.flatMap((node) => {
    const ledger = node.tree?.live.head?.head.ledger
    return ledger === undefined ? [] : [{ node, ledger }]
  })
  return chance.pick(showing)
}

function tuningOf(knobs: ReadonlySet<KnobKind>): NodeTuning {
  const kernel = {
    ...(knobs.has('shortDeadlines') && { effectTimeoutMs: 1_000, settleMs: 20, drainMs: 500 }),
    ...(knobs.has('smallBatches') && { slice: 1, starvationBound: 2, yieldAfterMessages: 1 }),
  }
  return {
    ...(knobs.has('smallMailboxes') && { mailboxCapacity: 1 }),
    ...(knobs.has('smallBatches') && { sync: { rangeLength: 2, requests: 2, rangesAhead: 2 } }),
    kernel,
  }
}

function senderOf(raw: Uint8Array): Uint8Array | undefined {
  const decoded = decodeTransaction(raw)
  return isTransaction(decoded) ? recoverSender(decoded) : undefined
}
