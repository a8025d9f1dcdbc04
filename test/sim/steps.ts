/**
 * A crash at each step of a block's life, by construction (BP-7, BF-10): every port call of one node in the life of some blocks is
 * listed once, then the same world is run again for each of them, and the node dies there, before or after its effect. The same for
 * every port call of the start after a crash that tore the guard's tail.
 *
 *   node test/sim/steps.ts [--blocks N] [--first K] [--seed N] [--short] [--json]
 */
import { parseArgs } from 'node:util'
import { decodeConsensusMessage } from '../../core/block/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { Auditor } from './auditor.ts'
import { createFederation, type Federation } from './federation.ts'
import type { Fuse } from './life.ts'
import { NODE_NAMES, type SimulatedNode } from './node.ts'
import { startAll, watchedNodes } from './watched-nodes.ts'
import { type Violation, World } from './world.ts'

const NODES = 4
/** Who dies. */
const VICTIM = 0
/** The process is started again while the view that it died in lasts. */
const RESTART_MS = 60
/** Blocks that must follow on all nodes, and slots that they may take. */
const BLOCKS_AFTER = 3
const MOST_SLOTS_AFTER = 40

/** Longer than anything here takes. */
const LONG_MS = 120_000
const START_SPREAD_MS = 300
const SIDES = ['before', 'after'] as const

/** Port calls that have to do with how a block is agreed on and becomes durable; not what Bitcoin or a member is asked. */
const CONSENSUS_CALL =
  /guard|^(?:publish|send|respond|build|execute|commit evm|writeBlocks|append evm|open)/

export interface StepsOptions {
  readonly seed: number
  readonly federation: Federation
  /** The first height whose life is looked at, and how many heights. */
  readonly first: number
  readonly blocks: number
  /** One crash of each kind of call, in place of all. */
  readonly short?: boolean
}

/** One port call of the victim, by its place among all that it made in the window, or in the start after a crash. */
export interface Step {
  readonly during: 'blocks' | 'restart'
  readonly call: number
  readonly label: string
  readonly side: Fuse['side']
}

export interface StepsReport {
  /** Calls that were listed, and those of the consensus path among them. */
  readonly calls: number
  readonly consensusCalls: number
  /** Crashes that were asked for, and those that took place. */
  readonly steps: number
  readonly crashes: number
  readonly violations: readonly (Violation & { readonly step: Step })[]
  /** Consensus messages of the victim that were sent before the crash and again, byte for byte, after it. */
  readonly resent: number
  /** By what the victim was doing: crashes of each kind. */
  readonly byLabel: Readonly<Record<string, number>>
}

/** All crashes, one world each. */
export async function crashAtEachStep(options: StepsOptions): Promise<StepsReport> {
  const inBlocks = await listCalls(options, undefined)
  // Of a record: the mark comes behind the sync of a floor.
  const isOfRecord = (label: string, at: number) =>
    label === 'sync guard' && inBlocks[at + 1] !== 'write guard mark'
  const tear = inBlocks.findIndex(isOfRecord) + 1
  const torn: Step = { during: 'blocks', call: tear, label: 'sync guard', side: 'before' }
  const inRestart = await listCalls(options, torn)
  const all = [...stepsOf('blocks', inBlocks), ...stepsOf('restart', inRestart)]
  const steps = options.short === true ? lastOfEachKind(all) : all
  const violations: (Violation & { step: Step })[] = []
  const byLabel: Record<string, number> = {}
  let [crashes, resent] = [0, 0]
  for (const step of steps) {
    const outcome = await crashAt(options, step, torn)
    violations.push(...outcome.violations.map((violation) => ({ ...violation, step })))
    crashes += outcome.died ? 1 : 0
    resent += outcome.resent
    byLabel[kindOf(step)] = (byLabel[kindOf(step)] ?? 0) + 1
  }
  return {
    calls: inBlocks.length + inRestart.length,
    consensusCalls: all.length / 2,
    steps: steps.length,
    crashes,
    violations,
    resent,
    byLabel,
  }
}

function stepsOf(during: Step['during'], labels: readonly string[]): Step[] {
  return labels.flatMap((label, index): Step[] => {
    if (!CONSENSUS_CALL.test(label)) return []
    const call = index + 1
    return SIDES.map((side) => ({ during, call, label, side }))
  })
}

function kindOf({ during, label, side }: Step): string {
  return `${during}: ${side} ${label}`
}

function lastOfEachKind(steps: readonly Step[]): Step[] {
  const kinds = new Map(steps.map((step) => [`${step.side} ${step.label}`, step]))
  return [...kinds.values()]
}

class Stage {
  readonly world: World
  readonly auditor: Auditor
  readonly nodes: readonly SimulatedNode[]
  /** What the victim sent: its own signed messages, by place, with the bytes and when. */
  readonly sent = new Map<string, { readonly bytes: string; readonly incarnations: Set<number> }>()
  /** Places at which the victim sent two different messages. */
  readonly contradictions: string[] = []

  constructor({ seed, federation }: StepsOptions) {
    const world = new World(seed)
    const { auditor, nodes } = watchedNodes(world, federation, {
      sent: (from, bytes) => {
        if (from === NODE_NAMES[VICTIM]) this.#heard(federation, bytes)
      },
    })
    this.world = world
    this.auditor = auditor
    this.nodes = nodes
    startAll(world, world.chance('start'), nodes, START_SPREAD_MS)
  }

  get victim(): SimulatedNode {
    return this.nodes[VICTIM] as SimulatedNode
  }

  /** Until every node has this height, or the time is over. */
  async reach(height: number, slots: number): Promise<boolean> {
    const done = () => Math.min(...this.nodes.map(heightOf)) >= height
    await this.world.run(this.#passedMs() + slots * 1_000, done)
    return done()
  }

  /** To the first event at which the victim works at `height`. */
  async begin(height: number): Promise<void> {
    await this.world.run(LONG_MS, () => heightOf(this.victim) >= height - 1)
  }

  async dieAt({ call, side }: Step): Promise<void> {
    this.victim.light({ calls: call, side })
    await this.world.run(LONG_MS, () => !this.victim.alive)
  }

  /** Soon; with a fuse that burns from its first call on. */
  restart(fuse: Fuse | undefined): void {
    this.world.at(RESTART_MS, 'the victim is started again', () => {
      this.victim.start()
      this.victim.light(fuse)
    })
  }

  end(): void {
    for (const node of this.nodes) node.crash()
  }

  #passedMs(): number {
    return this.world.nowMs - this.#startedMs
  }
  readonly #startedMs = new World(0).nowMs

  #heard(federation: Federation, bytes: Uint8Array): void {
    const decoded = decodeConsensusMessage(bytes)
    if (!decoded.ok) return
    const own = federation.genesis.validators[VICTIM]?.blsKey
    const message = decoded.value
    const key = own && toHex(own)
    let place: string | undefined
    if (message.kind === 'vote' && toHex(message.value.validator) === key) {
      place = `vote ${message.value.phase} ${message.value.height} ${message.value.view}`
    } else if (message.kind === 'prePrepare' && toHex(message.value.block.header.author) === key) {
      place = `proposal ${message.value.height} ${message.value.view}`
    }
    if (place === undefined) return
    const text = toHex(bytes)
    const held = this.sent.get(place)
    if (held === undefined) {
      this.sent.set(place, { bytes: text, incarnations: new Set([this.victim.incarnations]) })
    } else if (held.bytes === text) held.incarnations.add(this.victim.incarnations)
    else this.contradictions.push(place)
  }
}

function heightOf(node: SimulatedNode): number {
  return node.tree?.live.head?.head.header.height ?? -1
}

/** Labels of all port calls of the victim in the window, or of its start after it died at `torn`, in order. */
async function listCalls(
  options: StepsOptions,
  torn: Step | undefined,
): Promise<readonly string[]> {
  const stage = new Stage(options)
  const labels: string[] = []
  const passed = (label: string) => labels.push(label)
  const fuse: Fuse = { calls: Number.POSITIVE_INFINITY, side: 'before', passed }
  await stage.begin(options.first)
  if (torn === undefined) {
    stage.victim.light(fuse)
    await stage.begin(options.first + options.blocks)
  } else {
    await stage.dieAt(torn)
    stage.restart(fuse)
    await stage.world.run(LONG_MS, () => heightOf(stage.victim) >= options.first + 1)
  }
  stage.end()
  return labels
}

interface Outcome {
  readonly died: boolean
  readonly violations: readonly Violation[]
  readonly resent: number
}

async function crashAt(options: StepsOptions, step: Step, torn: Step): Promise<Outcome> {
  const stage = new Stage(options)
  const { auditor, victim, world } = stage
  await stage.begin(options.first)
  if (step.during === 'restart') {
    await stage.dieAt(torn)
    stage.restart({ calls: step.call, side: step.side })
    await world.run(LONG_MS, () => victim.incarnations > 1 && !victim.alive)
  } else await stage.dieAt(step)
  const died = !victim.alive
  const before = auditor.height
  stage.restart(undefined)
  const went = await stage.reach(before + BLOCKS_AFTER, MOST_SLOTS_AFTER)
  if (!world.stopped) world.check('Progress', went, () => `after a crash ${describe(step)}`)
  if (!world.stopped) {
    const [place] = stage.contradictions
    world.check('NoDoubleVote', place === undefined, () => `${place} after ${describe(step)}`)
  }
  stage.end()
  const again = [...stage.sent.values()].filter(({ incarnations }) => incarnations.size > 1)
  return { died, violations: world.violations, resent: again.length }
}

function describe(step: Step): string {
  return `${kindOf(step)}, call ${step.call}`
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      first: { type: 'string', default: '3' },
      blocks: { type: 'string', default: '5' },
      short: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const [seed, first, blocks] = [values.seed, values.first, values.blocks].map(Number) as [
    number,
    number,
    number,
  ]
  const federation = createFederation(NODES, 1)
  const report = await crashAtEachStep({ seed, federation, first, blocks, short: values.short })
  process.stdout.write(`${JSON.stringify(report, undefined, values.json ? undefined : 2)}\n`)
  process.exitCode = report.violations.length > 0 ? 1 : 0
}
