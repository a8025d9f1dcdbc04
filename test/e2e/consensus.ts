/**
 * Agreement under faults (issue 5): real nodes are killed, stopped, cut off, held up, split in halves, all but a quorum taken away, and
 * one clock set wrong. After each fault: every height has one hash on all nodes, no height that a node told of is gone, and the chain
 * goes on within three views of the healing. In the end the sign guards show no validator that voted twice for one phase of a view.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { quorum, slotAt, viewAtSlot } from '../../core/pbft/index.ts'
import { seededRandom } from '../../devnet/launcher/chaos.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { Cables } from './cables.ts'
import { type BlockAnswer, PATIENCE_MS, TestFederation } from './federation.ts'
import { signedRecords } from './guard-records.ts'
import type { Outcome, ScenarioOptions } from './scenario.ts'

const SHIFTED_NODE = join(import.meta.dirname, 'shifted-node.ts')
const MOST_VIEWS_TO_RESUME = 3
/** Blocks that must come while a fault that the protocol bears lasts. */
const BLOCKS_MEANWHILE = 3
/** Blocks after a healing, with all nodes at them, before the next fault. */
const BLOCKS_AFTER = 2
const STANDSTILL_SLOTS = 4
const LOOK_MS = 50
const CLOCK_OFFSETS_MS = [5_000, -5_000, 30_000, -30_000] as const

export interface ConsensusPlan {
  /** Each fault of the list once; `short`: one of each sort. */
  readonly short: boolean
}

type Fault = (run: ConsensusRun) => Promise<void>

export function consensus(options: ScenarioOptions): Promise<Outcome> {
  return runConsensus(options, { short: false })
}

export async function runConsensus(
  options: ScenarioOptions,
  { short }: ConsensusPlan,
): Promise<Outcome> {
  const { nodes, bitcoin, seed, tell, random } = options
  if (nodes < 4) throw new Error('fewer than four nodes bear no fault')
  tell(`seed ${seed}`)
  const federation = await TestFederation.prepare({ nodes, members: 1, bitcoin })
  let cables: Cables | undefined
  let outcome: Outcome
  let orphans: number[] = []
  try {
    cables = await Cables.lay(federation)
    const run = new ConsensusRun(federation, cables, options)
    await run.begin()
    const list = short ? shortList(nodes) : wholeList(nodes)
    for (const fault of options.onlyRandom === true ? [] : list) await fault(run)
    await run.atRandom(short ? 0 : random)
    outcome = await run.conclude()
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${federation.logTails()}`)
  } finally {
    orphans = await federation.stop()
    cables?.close()
  }
  return {
    ok: outcome.ok && orphans.length === 0,
    figures: { ...outcome.figures, orphans: orphans.length, seed },
  }
}

const indices = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

function wholeList(nodes: number): Fault[] {
  const all = indices(nodes)
  const half = all.slice(0, Math.floor(nodes / 2))
  const tooMany = all.slice(0, nodes - quorumOf(nodes) + 1)
  return [
    ...all.map(
      (node): Fault =>
        (run) =>
          run.killed([node]),
    ),
    ...all.map(
      (node): Fault =>
        (run) =>
          run.stopped([node]),
    ),
    ...all.map(
      (node): Fault =>
        (run) =>
          run.cutOff([node]),
    ),
    ...all.map(
      (node): Fault =>
        (run) =>
          run.heldUp([node]),
    ),
    (run) => run.restarted([0]),
    (run) => run.cutOff(half),
    (run) => run.heldUp(half),
    (run) => run.killed(tooMany),
    (run) => run.stopped(tooMany),
    (run) => run.killed(all),
    (run) => run.restarted(all),
    ...CLOCK_OFFSETS_MS.map(
      (offsetMs): Fault =>
        (run) =>
          run.clockWrong(offsetMs),
    ),
    // Then a fault of another node makes two.
    (run) => run.clockWrong(5_000, [0]),
    (run) => run.clockWrong(-5_000, [0]),
  ]
}

function shortList(nodes: number): Fault[] {
  const all = indices(nodes)
  return [
    (run) => run.killed([0]),
    (run) => run.stopped([1]),
    (run) => run.cutOff(all.slice(0, Math.floor(nodes / 2))),
    (run) => run.clockWrong(5_000),
    (run) => run.killed(all.slice(0, nodes - quorumOf(nodes) + 1)),
  ]
}

function quorumOf(nodes: number): number {
  return quorum(indices(nodes).map(() => ({ power: 1 })))
}

interface Seen {
  readonly node: number
  readonly height: number
  readonly hash: string
}

class ConsensusRun {
  readonly #federation: TestFederation
  readonly #cables: Cables
  readonly #options: ScenarioOptions
  readonly #nodes: readonly number[]
  readonly #slotMs: number
  /** The one whose clock can be set. */
  readonly #clockNode: number
  readonly #random: () => number
  readonly #counts = { kills: 0, stops: 0, cuts: 0, holds: 0, restarts: 0, clocks: 0 }
  readonly #seen: Seen[] = []
  readonly #hashes: string[] = []
  readonly #votes = new Map<string, string>()
  readonly #violations: string[] = []
  #scenarios = 0
  #mostViews = 0
  #mostConnectMs = 0
  #highestView = 0

  constructor(federation: TestFederation, cables: Cables, options: ScenarioOptions) {
    this.#federation = federation
    this.#cables = cables
    this.#options = options
    this.#nodes = indices(options.nodes)
    this.#slotMs = federation.genesis.params.slotMs
    this.#clockNode = options.nodes - 1
    this.#random = seededRandom(options.seed)
  }

  async begin(): Promise<void> {
    for (const node of this.#nodes) this.#start(node)
    await Promise.all(this.#nodes.map((node) => this.#federation.answers(node)))
    await this.#allAt(1)
    this.#options.tell(`${this.#nodes.length} nodes make blocks`)
  }

  // Faults. Each ends when the chain goes on and all nodes are there.

  /** SIGKILL, and started again. */
  killed(nodes: readonly number[]): Promise<void> {
    this.#counts.kills += nodes.length
    return this.#through(`killed ${nodes}`, nodes, {
      strike: () =>
        Promise.all(nodes.map((node) => this.#federation.kill('node', node))).then(() => {
          for (const node of nodes) this.#readGuard(node)
        }),
      heal: () => this.#startAgain(nodes),
    })
  }

  /** SIGTERM, and started again. */
  restarted(nodes: readonly number[]): Promise<void> {
    this.#counts.restarts += nodes.length
    return this.#through(`restarted ${nodes}`, nodes, {
      strike: () =>
        Promise.all(nodes.map((node) => this.#federation.stopNode(node))).then(() => {
          for (const node of nodes) this.#readGuard(node)
        }),
      heal: () => this.#startAgain(nodes),
    })
  }

  /** SIGSTOP, then SIGCONT. */
  stopped(nodes: readonly number[]): Promise<void> {
    this.#counts.stops += nodes.length
    const signal = (name: NodeJS.Signals) => {
      for (const node of nodes) this.#federation.signal('node', node, name)
    }
    return this.#through(`stopped ${nodes}`, nodes, {
      strike: async () => signal('SIGSTOP'),
      heal: async () => signal('SIGCONT'),
    })
  }

  /** No connections with the others. */
  cutOff(nodes: readonly number[]): Promise<void> {
    this.#counts.cuts += nodes.length
    return this.#through(`cut off ${nodes}`, nodes, {
      strike: async () => this.#cables.cut(nodes, this.#without(nodes)),
      heal: async () => this.#cables.mend(),
    })
  }

  /** Connections with the others that carry nothing, then everything at once. */
  heldUp(nodes: readonly number[]): Promise<void> {
    this.#counts.holds += nodes.length
    return this.#through(`held up ${nodes}`, nodes, {
      strike: async () => this.#cables.hold(nodes, this.#without(nodes)),
      heal: async () => this.#cables.mend(),
    })
  }

  /** One clock is wrong while it runs, and `killed` are dead meanwhile. */
  clockWrong(offsetMs: number, killed: readonly number[] = []): Promise<void> {
    this.#counts.clocks += 1
    this.#counts.kills += killed.length
    const faulty = [this.#clockNode, ...killed]
    const and = killed.length === 0 ? '' : `, killed ${killed}`
    return this.#through(`clock of ${this.#clockNode} ${offsetMs} ms off${and}`, faulty, {
      strike: async () => {
        this.#setClock(offsetMs)
        await Promise.all(killed.map((node) => this.#federation.kill('node', node)))
        for (const node of killed) this.#readGuard(node)
      },
      heal: async () => {
        this.#setClock(0)
        await this.#startAgain(killed)
      },
    })
  }

  /** Faults, whom they hit and how bad they are follow from the seed. */
  async atRandom(count: number): Promise<void> {
    const random = this.#random
    const below = (limit: number) => Math.floor(random() * limit)
    const mostBorne = this.#nodes.length - quorumOf(this.#nodes.length)
    for (let at = 0; at < count; at++) {
      const shuffled = this.#nodes.map((node) => [random(), node] as const).sort()
      // One in four is more than the protocol bears.
      const most = random() < 0.25 ? this.#nodes.length - 1 : mostBorne
      const victims = shuffled.slice(0, 1 + below(most)).map(([, node]) => node)
      const offsetMs = (1 + below(60)) * (random() < 0.5 ? 500 : -500)
      const faults: readonly (() => Promise<void>)[] = [
        () => this.killed(victims),
        () => this.stopped(victims),
        () => this.cutOff(victims),
        () => this.heldUp(victims),
        () => this.clockWrong(offsetMs),
      ]
      await (faults[below(faults.length)] as () => Promise<void>)()
    }
  }

  async conclude(): Promise<Outcome> {
    await this.#compareHashes()
    for (const { node, height, hash } of this.#seen) {
      if (this.#hashes[height - 1] !== hash) {
        this.#violated(`block ${height} ${hash} that node ${node} told of is lost`)
      }
    }
    // Stopped first: what lies in a file is all that was signed.
    await Promise.all(this.#nodes.map((node) => this.#federation.stopNode(node)))
    for (const node of this.#nodes) this.#readGuard(node)
    const of = (word: string) => this.#violations.filter((text) => text.includes(word)).length
    const figures = {
      scenarios: this.#scenarios,
      ...this.#counts,
      heights: this.#hashes.length,
      signed: this.#votes.size,
      viewsToResume: this.#mostViews,
      msToConnect: this.#mostConnectMs,
      highestView: this.#highestView,
      forks: of('fork'),
      lost: of('lost'),
      doubleVotes: of('twice'),
      violations: this.#violations,
    }
    const ok = this.#violations.length === 0 && this.#votes.size > 0
    return { ok, figures }
  }

  /** Fault and healing, and what must hold in between and afterwards. */
  async #through(
    what: string,
    faulty: readonly number[],
    fault: { strike(): Promise<unknown>; heal(): Promise<unknown> },
  ): Promise<void> {
    this.#scenarios += 1
    const before = await this.#note()
    const healthy = this.#without(faulty)
    await fault.strike()
    if (healthy.length >= quorumOf(this.#nodes.length)) {
      await this.#allAt(before + BLOCKS_MEANWHILE, healthy)
    } else {
      await pause(STANDSTILL_SLOTS * this.#slotMs)
    }
    // The rest of a slot, so that healings come at all times of one.
    await pause(this.#random() * this.#slotMs)
    await fault.heal()
    const undoneMs = Date.now()
    await until(
      `connections after: ${what}`,
      PATIENCE_MS,
      async () => this.#cables.areConnected(this.#nodes) || undefined,
      LOOK_MS,
    )
    const connectMs = Date.now() - undoneMs
    const { views, height } = await this.#resume(what)
    await this.#allAt(height + BLOCKS_AFTER)
    // Nobody is banned for what the fault made of it.
    await until(`all peers after: ${what}`, PATIENCE_MS, () => this.#allPeers())
    await this.#compareHashes()
    this.#mostViews = Math.max(this.#mostViews, views)
    this.#mostConnectMs = Math.max(this.#mostConnectMs, connectMs)
    if (views > MOST_VIEWS_TO_RESUME) this.#violated(`${views} views to resume after: ${what}`)
    this.#options.tell(
      `${what}: on in ${views} views, connected in ${connectMs} ms, height ${height}`,
    )
  }

  /** From the view that the clock gives at the healing to the one that decides the next height. */
  async #resume(what: string): Promise<{ readonly views: number; readonly height: number }> {
    const healedSlot = slotAt(Date.now(), this.#slotMs)
    const heads = await Promise.all(this.#nodes.map((node) => this.#head(node)))
    const head = heads.reduce((left, right) => (left.height >= right.height ? left : right))
    const height = head.height + 1
    const next = await until(`block ${height} after: ${what}`, PATIENCE_MS, () =>
      Promise.any(this.#nodes.map((node) => this.#block(node, height))),
    )
    const atHealing = viewAtSlot(head.slot, healedSlot, this.#nodes.length) ?? 0
    return { views: Math.max(0, next.certificate.view - atHealing), height }
  }

  #start(node: number): void {
    if (node === this.#clockNode) this.#federation.startNodeOf(SHIFTED_NODE, node)
    else this.#federation.startNode(node)
  }

  async #startAgain(nodes: readonly number[]): Promise<void> {
    for (const node of nodes) this.#start(node)
    await Promise.all(nodes.map((node) => this.#federation.answers(node)))
  }

  #setClock(offsetMs: number): void {
    const directory = this.#federation.files.nodeDirectory(this.#clockNode)
    writeFileSync(join(directory, 'clock-offset'), String(offsetMs))
  }

  #without(nodes: readonly number[]): number[] {
    return this.#nodes.filter((node) => !nodes.includes(node))
  }

  #head(node: number): Promise<BlockAnswer> {
    return this.#federation.head(this.#federation.node(node))
  }

  #block(node: number, height: number): Promise<BlockAnswer> {
    return this.#federation.node(node).call<BlockAnswer>('getblockbyheight', [height])
  }

  async #allAt(height: number, nodes = this.#nodes): Promise<void> {
    await Promise.all(
      nodes.map((node) => this.#federation.heightAtLeast(height, this.#federation.node(node))),
    )
  }

  async #allPeers(): Promise<true | undefined> {
    const counts = await Promise.all(
      this.#nodes.map((node) => this.#federation.node(node).call<string>('net_peerCount')),
    )
    return counts.every((count) => Number(count) === this.#nodes.length - 1) || undefined
  }

  /** What each node says that it has: it must be there in the end. Gives the highest. */
  async #note(): Promise<number> {
    const heads = await Promise.all(this.#nodes.map((node) => this.#head(node)))
    for (const [node, { height, hash }] of heads.entries()) this.#seen.push({ node, height, hash })
    return Math.max(...heads.map(({ height }) => height))
  }

  /** All heights that all nodes have by now and that were not compared yet. */
  async #compareHashes(): Promise<void> {
    const heads = await Promise.all(this.#nodes.map((node) => this.#head(node)))
    const common = Math.min(...heads.map(({ height }) => height))
    for (let height = this.#hashes.length + 1; height <= common; height++) {
      const blocks = await Promise.all(this.#nodes.map((node) => this.#block(node, height)))
      const hashes = new Set(blocks.map(({ hash }) => hash))
      if (hashes.size > 1) this.#violated(`fork at ${height}: ${[...hashes]}`)
      this.#hashes.push((blocks[0] as BlockAnswer).hash)
      this.#highestView = Math.max(
        this.#highestView,
        ...blocks.map(({ certificate }) => certificate.view),
      )
    }
  }

  /** Of a node that does not run. Its file may be written anew at the start: whatever stood there was signed. */
  #readGuard(node: number): void {
    const path = join(this.#federation.files.nodeDirectory(node), 'data', 'sign-guard')
    if (!existsSync(path)) return
    for (const { phase, height, view, hash } of signedRecords(readFileSync(path))) {
      const place = `node ${node} ${phase} height ${height} view ${view}`
      const before = this.#votes.get(place)
      if (before !== undefined && before !== hash) this.#violated(`${place}: signed twice`)
      this.#votes.set(place, hash)
    }
  }

  #violated(what: string): void {
    this.#violations.push(what)
    this.#options.tell(`VIOLATION ${what}`)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
