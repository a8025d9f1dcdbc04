/**
 * One world from its seed to its verdict: a federation of real trees on simulated ports, users, faults; then everything heals, and
 * the chain must go on, the nodes must meet, and every peg operation must reach its end.
 */
import type { ChainHead } from '../../core/chain/index.ts'
import { heightKey, OUTPUT_KIND, type OutputRow } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { oldestOutput } from '../../core/peg/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { Auditor } from './auditor.ts'
import { Changes } from './changes.ts'
import type { Coverage, Invariant } from './coverage.ts'
import { Faults } from './faults.ts'
import { createFederation, type Federation } from './federation.ts'
import { KeyCalls } from './key-calls.ts'
import { Load } from './load.ts'
import { SimulatedMember } from './member.ts'
import type { SimulatedNode, Surroundings } from './node.ts'
import { drawPlan, type Fault, seatsTaken } from './plan.ts'
import { PROFILES, type Profile } from './profiles.ts'
import { startAll, watchedNodes } from './watched-nodes.ts'
import { START_MS, type Violation, World } from './world.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly federation: Federation
  readonly profile?: Profile
  /** Instead of the faults that the seed gives. */
  readonly plan?: readonly Fault[]
  readonly keepLog?: boolean
  /** Between the kernel of each node and its actors. */
  readonly wrap?: Surroundings['wrap']
}

export interface WorldReport {
  readonly seed: number
  readonly plan: readonly Fault[]
  readonly violations: readonly Violation[]
  readonly events: number
  readonly virtualSeconds: number
  readonly logHash: string
  readonly lines: readonly string[]
  readonly coverage: Coverage
}

export { createFederation, type Federation }

const START_SPREAD_MS = { nodes: 500, members: 800 } as const
/** How long a supervisor's circuit breaker stays open (SU-2): whoever opened one just before the healing rests for so long. */
const BREAKER_SLOTS = 60
/** After healing: slots until the chain goes on, until all correct nodes are together, until the peg has nothing open. */
export const PROGRESS_SLOTS = BREAKER_SLOTS + 30
export const TOGETHER_SLOTS = BREAKER_SLOTS + 40
export const PEG_SLOTS = BREAKER_SLOTS + 100
/** Until a key is made that was being made: who says nothing is waited for, for 600 blocks and for 150 more in each later stage. */
export const KEY_SLOTS = BREAKER_SLOTS + 1_100
/** Of its recovery delay, when an output is to be renewed (protocol §5.7). */
const DUE_PERCENT = 45
/** Of so many worlds one makes the federation's key. */
const KEY_MAKING_SEEDS = 8
/** Once all are together: slots until the evidence that waits is in blocks. */
export const EVIDENCE_SLOTS = 30

export async function simulate(options: SimulationOptions): Promise<WorldReport> {
  const { seed, federation, keepLog = false } = options
  const profile: Profile = options.profile ?? PROFILES.everything
  const { faultsMs, worldMs } = profile
  const { slotMs } = federation.genesis.params
  const makesKey = seed % (profile.keyMakingSeeds ?? KEY_MAKING_SEEDS) === 0
  const plan =
    options.plan ??
    drawPlan(seed, profile, {
      nodes: federation.validators.length,
      powers: federation.genesis.validators.map(({ power }) => power),
      members: federation.members.length,
      ...(profile.reorgDepth !== undefined && { reorgDepth: profile.reorgDepth }),
      ...(makesKey && profile.keyQuietMs !== undefined && { quietMs: profile.keyQuietMs }),
    })
  const world = new World(seed, { keepLog })
  const { around, auditor, nodes } = watchedNodes(world, federation, {
    ...(options.wrap && { wrap: options.wrap }),
    ...(profile.keepBlocks !== undefined && { keepBlocks: profile.keepBlocks }),
    ...(profile.seesMempool !== undefined && { seesMempool: profile.seesMempool }),
    makesKey,
  })
  const members = federation.members.map((_, index) => new SimulatedMember(index, around))
  auditor.watchMembers(members)
  const load = new Load(around, auditor, nodes)
  const calls = new KeyCalls(around, nodes)
  const faults = new Faults(around, auditor, nodes, members, load)

  faults.begin(plan)
  const start = world.chance('start')
  startAll(world, start, nodes, START_SPREAD_MS.nodes)
  startAll(world, start, members, START_SPREAD_MS.members)
  load.begin(profile.load, faultsMs)
  if (profile.load.handoverMs !== undefined) calls.begin(profile.load.handoverMs)
  const changes = new Changes(around, nodes, seatsTaken(plan))
  const rate = profile.changes
  if (rate !== undefined && world.chance('whether validators change').happens(rate.inWorlds)) {
    changes.begin(rate.everyMs)
  }
  await world.run(faultsMs)

  let pegOutsDone = 0
  if (!world.stopped) {
    load.stop()
    calls.stop()
    changes.stop()
    faults.heal()
    const heightAtHeal = auditor.height
    const isTogether = () => {
      const correct = nodes.filter(({ isCorrect }) => isCorrect)
      const heights = correct.map((node) => node.tree?.live.head?.head.header.height ?? -1)
      return Math.min(...heights) > heightAtHeal + 1
    }
    const expect = async (name: Invariant, slots: number, done: () => boolean) => {
      await world.run(faultsMs + slots * slotMs, done)
      if (!world.stopped) world.check(name, done(), () => describe(nodes, auditor, load))
    }
    await expect('Progress', PROGRESS_SLOTS, () => auditor.height > heightAtHeal)
    await expect('Together', TOGETHER_SLOTS, isTogether)
    auditor.evidence.healed(nodes.filter(({ isCorrect }) => isCorrect))
    await expect('EvidenceCarried', TOGETHER_SLOTS + EVIDENCE_SLOTS, () =>
      auditor.evidence.isCarried(),
    )
    const endsKeys = makesKey && profile.load.handoverMs !== undefined
    if (endsKeys) await expect('KeyEnds', KEY_SLOTS, () => !auditor.isMakingKey)
    // What a key takes counts for itself.
    const keySlots = endsKeys ? (world.nowMs - START_MS - faultsMs) / slotMs : 0
    await expect('PegEnds', keySlots + PEG_SLOTS, () =>
      isAtRest(federation.genesis, nodes, auditor, load),
    )
    await world.run(worldMs)
    pegOutsDone = load.checkPayouts()
    const ledger = highestHead(nodes)?.ledger
    // A burn that waited in a pool may have come since.
    if (
      !world.stopped &&
      ledger !== undefined &&
      isAtRest(federation.genesis, nodes, auditor, load)
    ) {
      auditor.atRest(ledger)
      load.checkBurned()
    }
  }
  for (const node of nodes) node.crash()
  for (const member of members) member.crash()
  return {
    seed,
    plan,
    violations: world.violations,
    events: world.events,
    virtualSeconds: (world.nowMs - START_MS) / 1_000,
    logHash: world.logHash(),
    lines: world.lines,
    coverage: {
      commits: auditor.height,
      viewChanges: auditor.viewChanges.size,
      pegInsDone: auditor.mintedCount,
      pegOutsDone,
      restarts: [...nodes, ...members].reduce(
        (sum, { incarnations }) => sum + Math.max(0, incarnations - 1),
        0,
      ),
      signatures: { [federation.signatures]: 1 },
      faults: Object.fromEntries(world.faults),
      invariantChecks: Object.fromEntries(world.checks),
    },
  }
}

/**
 * No credit without its mint, no burn without its payment, no batch without its booking, nothing to be moved to a newer key and nothing to
 * be renewed, by the books of the highest block.
 */
function isAtRest(
  genesis: Genesis,
  nodes: readonly SimulatedNode[],
  auditor: Auditor,
  load: Load,
): boolean {
  const head = highestHead(nodes)
  if (head === undefined || head.header.height < auditor.height) return false
  const { mints, requests, batches } = head.ledger.open
  // Asked after every event of a world that comes to its end: what costs most comes last.
  if (mints.size + requests.size + batches.size > 0) return false
  if (load.openDeposits(head.ledger) + leftBehind(head.ledger) > 0) return false
  const oldest = oldestOutput(genesis, head.ledger, genesis.params.minFeeRateSatPerKvb)
  return (oldest?.percent ?? 0) < DUE_PERCENT
}

/** Coins that a handover has to move: change of an older key, and what was there before the newest. */
function leftBehind({ open, state }: ChainHead['ledger']): number {
  const since = open.keys.get(toHex(heightKey(state.epoch)))?.row.height ?? 0
  const isLeft = ({ row }: { readonly row: OutputRow }) =>
    row.epoch < state.epoch &&
    row.kind !== OUTPUT_KIND.refundable &&
    (row.kind === OUTPUT_KIND.change || row.height <= since)
  return [...open.reserve.values()].filter(isLeft).length
}

/** Of the node that is farthest. */
function highestHead(nodes: readonly SimulatedNode[]): ChainHead | undefined {
  const correct = nodes.filter(({ isCorrect }) => isCorrect)
  const heads = correct.flatMap((node) => node.tree?.live.head?.head ?? [])
  heads.sort((left, right) => right.header.height - left.header.height)
  return heads[0]
}

function describe(nodes: readonly SimulatedNode[], auditor: Auditor, load: Load): string {
  const states = nodes.map((node) => {
    const head = node.tree?.live.head?.head
    const open = head?.ledger.open
    const peg = open && `${open.mints.size}/${open.requests.size}/${open.batches.size}`
    const { reserveSat, unpaidSat } = head?.ledger.state ?? {}
    const view = node.tree?.live.consensus?.view
    const life = node.alive ? '' : ' dead'
    return `${node.name}${life} at ${head?.header.height} view ${view} open ${peg} unpaid ${unpaidSat} of ${reserveSat} sat`
  })
  return `chain ${auditor.height}; ${states.join('; ')}; deposits open ${load.openDeposits(highestHead(nodes)?.ledger)}`
}
