/**
 * Worlds with one fault that is written down, for rules that others make up for a little later, so that no other invariant sees them
 * broken: one node is kept from hearing something, and it is looked at what the others tell it, and what it asks for.
 *
 *   node test/sim/stages.ts [NAME] [SEED]
 */

import type { ConsensusMessage } from '../../core/block/index.ts'
import { decodeConsensusMessage, VOTE_PHASES } from '../../core/block/index.ts'
import type { Auditor } from './auditor.ts'
import type { TreasonKind } from './coverage.ts'
import { createFederation, type Federation } from './federation.ts'
import type { Tap } from './network.ts'
import type { SimulatedNode } from './node.ts'
import { startAll, watchedNodes } from './watched-nodes.ts'
import { START_MS, type Violation, World } from './world.ts'

const NODES = 4
/** Who is kept from hearing something. */
const VICTIM = 3
const LONG_MS = 120_000
const START_SPREAD_MS = 300
/** Frames that tell a head begin with this bit. */
const NO_CONSENSUS = 0x80

/** What one node sends another. */
type Heard = ConsensusMessage | 'head' | 'other'

class Stage implements Tap {
  readonly world: World
  readonly auditor: Auditor
  readonly nodes: readonly SimulatedNode[]
  /** What is dropped. */
  drops: (from: SimulatedNode, to: SimulatedNode, heard: Heard) => boolean = () => false
  /** Who sent the victim which committed blocks, and when. */
  readonly told: { readonly from: string; readonly height: number; readonly atMs: number }[] = []
  /** The protocols of its requests. */
  readonly asked: { readonly protocol: string; readonly atMs: number }[] = []

  constructor(seed: number, federation: Federation) {
    const world = new World(seed)
    const { around, auditor, nodes } = watchedNodes(world, federation)
    this.world = world
    this.auditor = auditor
    this.nodes = nodes
    around.network.tap = this
    startAll(world, world.chance('start'), nodes, START_SPREAD_MS)
  }

  get victim(): SimulatedNode {
    return this.nodes[VICTIM] as SimulatedNode
  }

  get others(): readonly SimulatedNode[] {
    return this.nodes.filter((node) => node !== this.victim)
  }

  message(from: string, to: string, bytes: Uint8Array): 'pass' | 'drop' {
    const heard = heardIn(bytes)
    const [sender, receiver] = [from, to].map((name) => this.nodes.find((one) => one.name === name))
    if (sender === undefined || receiver === undefined) return 'pass'
    if (this.drops(sender, receiver, heard)) return 'drop'
    if (receiver === this.victim && typeof heard === 'object' && heard.kind === 'committedBlock') {
      const { height } = heard.value.block.header
      this.told.push({ from, height, atMs: this.world.nowMs })
    }
    return 'pass'
  }

  request(from: string, _: string, protocol: string): void {
    if (from === this.victim.name) this.asked.push({ protocol, atMs: this.world.nowMs })
  }

  async until(done: () => boolean, mostMs = LONG_MS): Promise<boolean> {
    await this.world.run(this.world.nowMs - START_MS + mostMs, done)
    return done()
  }

  /** All correct nodes are at one height, and it is this node's turn, or at least not the victim's. Gives the next height. */
  async together(turn?: SimulatedNode): Promise<number> {
    const correct = this.nodes.filter(({ isCorrect }) => isCorrect)
    await this.until(() => {
      const heights = new Set(correct.map(heightOf))
      const slot = this.victim.tree?.live.head?.head.header.slot ?? 0
      const next = this.nodes[(slot + 1) % NODES]
      const isTurn = turn === undefined ? next !== this.victim : next === turn
      return heights.size === 1 && heightOf(this.victim) >= 2 && isTurn
    })
    return heightOf(this.victim) + 1
  }

  /** Before it starts. */
  betray(node: SimulatedNode, act: TreasonKind): void {
    node.treason.add(act)
    this.auditor.betrays(node)
  }

  end(): readonly Violation[] {
    for (const node of this.nodes) node.crash()
    return this.world.violations
  }
}

function heardIn(bytes: Uint8Array): Heard {
  if (((bytes[0] as number) & NO_CONSENSUS) !== 0) return 'head'
  const decoded = decodeConsensusMessage(bytes)
  return decoded.ok ? decoded.value : 'other'
}

function heightOf(node: SimulatedNode): number {
  return node.tree?.live.head?.head.header.height ?? -1
}

function isCommit(heard: Heard): boolean {
  return (
    typeof heard === 'object' &&
    heard.kind === 'vote' &&
    VOTE_PHASES[heard.value.phase] === 'commit'
  )
}

/** 2.6: a node misses how a height ends; when it speaks of it again, it is told. */
async function answered(stage: Stage): Promise<void> {
  const { victim, others } = stage
  const height = await stage.together()
  let isOver = false
  stage.drops = (_, to, heard) => {
    if (isOver || to !== victim) return false
    return (
      heard === 'head' ||
      isCommit(heard) ||
      (typeof heard === 'object' && heard.kind === 'committedBlock')
    )
  }
  await stage.until(() => others.every((node) => heightOf(node) >= height))
  isOver = true
  const fromMs = stage.world.nowMs
  const isTold = () => stage.told.some((one) => one.height === height && one.atMs >= fromMs)
  const wasTold = await stage.until(isTold, 2_500)
  stage.world.check('Answered', wasTold, () => {
    return `${victim.name} speaks of ${height}, which is decided, and nobody tells it`
  })
}

/** 2.6: who connects is sent the tip, though it says nothing of its own. */
async function greeted(stage: Stage): Promise<void> {
  const { victim, others } = stage
  await stage.together()
  victim.crash()
  stage.drops = (from, _, heard) => from === victim && heard !== 'head'
  stage.world.at(200, 'the victim comes back', () => victim.start())
  await stage.until(() => victim.alive)
  const tips = others.map((node) => ({ name: node.name, height: heightOf(node) }))
  const isGreeted = () =>
    tips.every(({ name, height }) =>
      stage.told.some((one) => one.from === name && one.height >= height),
    )
  const wasGreeted = await stage.until(isGreeted, 4_000)
  stage.world.check('Greeted', wasGreeted, () => {
    return `${victim.name} comes back and is sent ${stage.told.length} blocks by those whom it connects with`
  })
}

/** 2.5, BF-6: a node hears the votes for a block that it does not have, and asks for it by its hash. */
async function fetched(stage: Stage): Promise<void> {
  const { victim, others } = stage
  const height = await stage.together()
  stage.drops = (_, to, heard) => {
    if (to !== victim || heightOf(victim) >= height) return false
    return (
      heard === 'head' ||
      (typeof heard === 'object' &&
        (heard.kind === 'prePrepare' || heard.kind === 'committedBlock'))
    )
  }
  await stage.until(() => others.every((node) => heightOf(node) >= height))
  const isAsked = () => stage.asked.some(({ protocol }) => protocol.endsWith('/block/1'))
  const has = await stage.until(() => heightOf(victim) >= height, 2_000)
  stage.world.check('Fetched', has && isAsked(), () => {
    const how = isAsked() ? 'asks for it' : 'never asks for it'
    return `${victim.name} knows block ${height} by its certificate and ${how}`
  })
}

/** 2.3, 2.8: a node dies as it is about to prepare, is back in the same view, and may be told another block then. */
async function keptWord(stage: Stage): Promise<void> {
  const { nodes, victim, world } = stage
  const proposer = nodes[0] as SimulatedNode
  stage.betray(proposer, 'turnsCoat')
  await stage.together(proposer)
  // In view 0 its first signature is a Prepare.
  victim.light({ calls: 1, side: 'after', only: /^sync guard$/ })
  await stage.until(() => !victim.alive, 3_000)
  world.at(20, 'the victim comes back', () => victim.start())
  await stage.until(() => false, 2_500)
}

const STAGES = { answered, greeted, fetched, keptWord }

export type StageName = keyof typeof STAGES

export const STAGE_NAMES = Object.keys(STAGES) as readonly StageName[]

export function stageNamed(name: string): StageName | undefined {
  return Object.hasOwn(STAGES, name) ? (name as StageName) : undefined
}

let kept: Federation | undefined

export async function runStage(name: StageName, seed: number): Promise<readonly Violation[]> {
  kept ??= createFederation(NODES, 1)
  const stage = new Stage(seed, kept)
  await STAGES[name](stage)
  return stage.end()
}

if (import.meta.main) {
  const [name = '', seed = '1'] = process.argv.slice(2)
  const one = stageNamed(name)
  for (const each of one === undefined ? STAGE_NAMES : [one]) {
    const violations = await runStage(each, Number(seed))
    process.stdout.write(`${each}: ${JSON.stringify(violations)}\n`)
    if (violations.length > 0) process.exitCode = 1
  }
}
