/** What a world is made of, as data: how often what goes wrong, what users do, how long. */
import { Chance } from './chance.ts'
import {
  BRIDGE_INVARIANTS,
  type Count,
  EFFECTS,
  type FaultKind,
  INVARIANTS,
  type Invariant,
  KEYGEN_LIES,
  KEYGEN_TURNS,
  ORDER_TURNS,
  PEG_TURNS,
  PLANNED,
  type PlannedKind,
  STAGED_INVARIANTS,
  type TreasonKind,
  TURNS,
} from './coverage.ts'
import type { ChangedParams } from './federation.ts'

export interface LoadRates {
  readonly deposits: number
  readonly transferMs: number
  readonly callMs: number
  readonly burnMs: number
  readonly bitcoinBlockMs: number
  /** Deposits come in this share of the time that faults come in [the first half]. */
  readonly depositsUntil?: number
  /** The share of deposits that go to an address of their user's own [none]. */
  readonly ownShare?: number
  /** The share of deposits that name nobody, or that are given to the fund; with them members order [none]. */
  readonly oddShare?: number
  /** Mean time between two claims of such deposits [never]. */
  readonly claimMs?: number
  /** Mean time until members call for another key [never]; only where they make keys. */
  readonly handoverMs?: number
  /** Mean time between two requests that a burner wants back [never]; where there are such, some burns cannot be paid. */
  readonly takeBackMs?: number
}

export interface Profile {
  /** Mean time between two faults of a kind, or the chance of those that hold for the whole world. */
  readonly faults: Readonly<Partial<Record<PlannedKind, FaultRate>>>
  /** Instead of rates for them: one of these for each of the f validators, or rarely two; as often as it stands here. */
  readonly roles?: readonly Role[]
  /** When a role is played, where it is not from the beginning. */
  readonly roleRates?: Readonly<Partial<Record<Role, FaultRate>>>
  readonly load: LoadRates
  /** Mean time between two changes of the validators, and the share of worlds that have any [none]. */
  readonly changes?: { readonly everyMs: number; readonly inWorlds: number }
  /** The share of worlds whose validators begin with uneven power [none]. */
  readonly uneven?: number
  /** Members of the federation, where nobody says how many [4]. */
  readonly members?: number
  /** Nodes look at what waits for a block of Bitcoin [they do not]. */
  readonly seesMempool?: boolean
  /** Of so many worlds one has seven members, five of which sign [none]. */
  readonly manyMembersSeeds?: number
  /** Of so many worlds one makes the federation's key [8]. */
  readonly keyMakingSeeds?: number
  /** In those worlds nothing goes wrong so long, so that the key is there when things do [0]. */
  readonly keyQuietMs?: number
  /** The most blocks that a reorg takes away [2]. */
  readonly reorgDepth?: number
  /** Parameters of its own genesis file. */
  readonly params?: ChangedParams
  /** What some worlds have beside them, each list as often as the others, and as `params` alone [none]. */
  readonly variants?: readonly ChangedParams[]
  /** Below so many worlds a zero in the coverage is chance [50]. */
  readonly enoughWorlds?: number
  /** What it does not count [nothing]. */
  readonly without?: readonly Count[]
  /** Blocks that nodes keep with their bodies, but for those that keep all [all]. */
  readonly keepBlocks?: number
  /** The longest time that a node is away [4 s]. */
  readonly downMs?: number
  /** Faults and load come in this time; then all heals. */
  readonly faultsMs: number
  /** No world ends before, unless an invariant is broken. */
  readonly worldMs: number
  /** Kinds and invariants that a run of many worlds has to meet. */
  readonly covers: readonly FaultKind[]
  readonly invariants: readonly Invariant[]
}

/** What one of the f is, for a whole world. */
export type Role = TreasonKind | 'clockFar' | 'guardRestored' | 'none'

export type FaultRate = { readonly everyMs: number } | { readonly inWorlds: number }

/** Later than any world ends. */
const NEVER_MS = 1e9

const every = (everyMs: number): FaultRate => ({ everyMs })
const inWorlds = (share: number): FaultRate => ({ inWorlds: share })

const FAULTS: Readonly<Record<(typeof PLANNED)[number], FaultRate>> = {
  equivocatesVotes: inWorlds(0.15),
  equivocatesProposals: inWorlds(0.15),
  withholds: inWorlds(0.15),
  staleViews: inWorlds(0.15),
  badBlocks: inWorlds(0.15),
  forgesPegIns: inWorlds(0.15),
  votesUnknown: inWorlds(0.15),
  replays: inWorlds(0.15),
  badAnswers: inWorlds(0.15),
  smallMailboxes: inWorlds(0.2),
  shortDeadlines: inWorlds(0.2),
  smallBatches: inWorlds(0.2),
  smallFanOut: inWorlds(0.2),
  crash: every(15_000),
  crashBeforeCall: every(15_000),
  crashAfterCall: every(15_000),
  stop: every(20_000),
  freeze: every(12_000),
  writesFail: every(30_000),
  syncsFail: every(30_000),
  engineFails: every(30_000),
  memberCrash: every(20_000),
  memberSlow: inWorlds(0.2),
  memberSilent: inWorlds(0.15),
  memberLies: inWorlds(0.3),
  streamBreak: every(8_000),
  partition: every(15_000),
  partitionOneWay: every(20_000),
  linkFlaps: every(25_000),
  linkClogs: every(20_000),
  loss: every(12_000),
  doubling: every(12_000),
  delay: every(15_000),
  reordering: every(15_000),
  clockSkew: inWorlds(0.5),
  clockJump: every(12_000),
  reorg: every(20_000),
  feeSpike: every(20_000),
  staleTip: every(20_000),
  bitcoinOutage: every(20_000),
}

const LOAD: LoadRates = {
  deposits: 4,
  transferMs: 500,
  callMs: 4_000,
  burnMs: 3_000,
  bitcoinBlockMs: 1_500,
}

/** What it takes long splits to see. */
const OF_VIEWS: ReadonlySet<Invariant> = new Set(['ProposesLock', 'TellsLock', 'LockHeld'])

const OF_LIARS: ReadonlySet<FaultKind> = new Set(KEYGEN_LIES)

const OF_CONVICTIONS: ReadonlySet<Invariant> = new Set(['NoCorrectConvicted', 'ConvictedOnce'])

const everything = {
  faults: FAULTS,
  load: LOAD,
  faultsMs: 36_000,
  worldMs: 60_000,
  covers: [...PLANNED, ...EFFECTS],
  invariants: INVARIANTS,
} satisfies Profile

/** What a seat of a faulty validator is taken by, each as often as it stands here. */
const ROLES = [
  'none',
  'none',
  'equivocatesVotes',
  'equivocatesProposals',
  'equivocatesProposals',
  'withholds',
  'staleViews',
  'badBlocks',
  'badBlocks',
  'votesUnknown',
  'replays',
  'silent',
  'silentProposer',
  'delaysProposals',
  'hoards',
  'hoards',
  'hoards',
  'hoards',
  'directoryRestored',
  'guardDamaged',
  'guardRestored',
  'guardRestored',
  'clockFar',
  'turnsCoat',
  'usurps',
] as const satisfies readonly Role[]

const ROLE_RATES = {
  directoryRestored: every(5_000),
  guardDamaged: every(5_000),
  guardRestored: every(4_000),
} satisfies Profile['roleRates']

const CONSENSUS_FAULTS = {
  crash: every(7_000),
  crashBeforeCall: every(9_000),
  crashAfterCall: every(9_000),
  crashAtSign: every(12_000),
  blackout: every(16_000),
  stop: every(25_000),
  freeze: every(15_000),
  writesFail: every(20_000),
  syncsFail: every(20_000),
  halves: every(9_000),
  partition: every(10_000),
  partitionOneWay: every(12_000),
  linkClogs: every(20_000),
  loss: every(10_000),
  steadyLoss: inWorlds(0.1),
  doubling: every(20_000),
  delay: every(10_000),
  reordering: every(12_000),
  clockSkew: inWorlds(0.3),
  clockJump: every(10_000),
} satisfies Partial<Record<PlannedKind, FaultRate>>

/** Invariants of what users do, or of members. */
const OF_THE_PEG: ReadonlySet<Invariant> = new Set<Invariant>([
  'MintedOnce',
  'MintedByDeposit',
  'PaidOnce',
  'PaidIfBurned',
  'Buried',
  'Approved',
  'WithdrawalsInOrder',
  'RowsOnBestChain',
  'JournalFirst',
])

const CONSENSUS: Profile = {
  faults: CONSENSUS_FAULTS,
  roles: ROLES,
  roleRates: ROLE_RATES,
  load: {
    deposits: 0,
    transferMs: NEVER_MS,
    callMs: NEVER_MS,
    burnMs: NEVER_MS,
    bitcoinBlockMs: NEVER_MS,
  },
  members: 1,
  changes: { everyMs: 700, inWorlds: 0.5 },
  uneven: 0.34,
  faultsMs: 14_000,
  worldMs: 14_500,
  covers: [
    ...(Object.keys(CONSENSUS_FAULTS) as PlannedKind[]),
    ...new Set(ROLES.filter((role) => role !== 'none')),
    ...TURNS,
    'messageLost',
    'messageCut',
    'messageDoubled',
    'messageSlow',
    'writeFailed',
    'syncFailed',
    'transactionLost',
    'tailTorn',
    'tailFlipped',
    'actorGaveUp',
  ],
  invariants: [...INVARIANTS.filter((name) => !OF_THE_PEG.has(name)), ...STAGED_INVARIANTS],
  enoughWorlds: 300,
  without: ['pegInsDone', 'pegOutsDone'],
}

const BRIDGE_FAULTS = {
  crash: every(9_000),
  crashBeforeCall: every(10_000),
  crashAfterCall: every(10_000),
  stop: every(25_000),
  freeze: every(15_000),
  writesFail: every(25_000),
  partition: every(15_000),
  loss: every(12_000),
  delay: every(15_000),
  clockJump: every(15_000),
  forgesPegIns: inWorlds(0.15),
  asksFalsely: inWorlds(0.5),
  memberCrash: every(8_000),
  memberSlow: inWorlds(0.2),
  memberSilent: inWorlds(0.25),
  memberLies: inWorlds(0.4),
  memberDiskLost: every(40_000),
  streamBreak: every(6_000),
  reorg: every(3_500),
  deepReorg: every(7_000),
  doubleSpend: every(5_000),
  creditReorg: every(7_000),
  creditTaken: every(5_000),
  membersPause: every(15_000),
  feeSpike: every(4_000),
  staleTip: every(9_000),
  bitcoinOutage: every(12_000),
} satisfies Partial<Record<PlannedKind, FaultRate>>

const KEY_FAULTS = {
  crash: every(12_000),
  memberCrash: every(1_500),
  memberSlow: inWorlds(0.2),
  memberLies: inWorlds(0.9),
  memberDiskLost: every(60_000),
  streamBreak: every(5_000),
  delay: every(15_000),
} satisfies Partial<Record<PlannedKind, FaultRate>>

export const PROFILES = {
  everything,
  /** The first that a new capability is tried in: no fault, all load. */
  calm: {
    ...everything,
    faults: {},
    covers: [],
    invariants: INVARIANTS.filter((name) => name !== 'StartsAgain'),
  },
  /** As everything, in a fourth of the time: for tests that run often. */
  short: {
    ...everything,
    load: { ...LOAD, deposits: 2, burnMs: 1_500, bitcoinBlockMs: 700 },
    faultsMs: 9_000,
    worldMs: 12_000,
  },
  /** Votes under all that a network and a crash can do, with little else: views change all the time. */
  storm: {
    ...everything,
    faults: {
      crash: every(4_000),
      crashBeforeCall: every(5_000),
      crashAfterCall: every(5_000),
      partition: every(4_000),
      partitionOneWay: every(8_000),
      loss: every(4_000),
      delay: every(4_000),
      reordering: every(4_000),
      clockJump: every(6_000),
      writesFail: every(6_000),
      syncsFail: every(10_000),
      smallBatches: inWorlds(0.5),
      smallMailboxes: inWorlds(0.5),
    },
    load: { deposits: 1, transferMs: 4_000, callMs: 30_000, burnMs: 30_000, bitcoinBlockMs: 1_000 },
    faultsMs: 18_000,
    worldMs: 19_000,
    covers: [],
  },
  /**
   * Blocks without content under everything that verification.md and BF-12 name: each validator that may lie does it in its own
   * way, the network is split, loses and delays, clocks are wrong, disks come back from backups.
   */
  consensus: CONSENSUS,
  /** A hoarder at work, and nothing else: every plot of hoarder.ts in a few worlds. */
  hoarder: { ...CONSENSUS, faults: {}, roles: ['hoards'], covers: ['hoards'] },
  /** Short lives within a view, clocks that jump, old guards: what a node knows after a restart. */
  restarts: {
    ...CONSENSUS,
    faults: {
      crash: every(1_500),
      crashBeforeCall: every(2_500),
      crashAfterCall: every(2_500),
      crashAtSign: every(1_500),
      blackout: every(4_000),
      clockJump: every(3_000),
      delay: every(6_000),
      partition: every(6_000),
    },
    roles: [
      'none',
      'equivocatesProposals',
      'turnsCoat',
      'turnsCoat',
      'staleViews',
      'guardRestored',
      'guardRestored',
      'usurps',
      'usurps',
    ],
    downMs: 500,
    covers: [],
  },
  /** Nodes are away for long, and fetch what they missed in small pieces from others, who may serve badly. */
  behind: {
    ...everything,
    faults: {
      crash: every(9_000),
      partition: every(10_000),
      freeze: every(8_000),
      smallBatches: every(2_000),
      badAnswers: inWorlds(0.3),
      shortAnswers: inWorlds(0.5),
      delay: every(6_000),
      loss: every(8_000),
    },
    load: { deposits: 1, transferMs: 4_000, callMs: 30_000, burnMs: 30_000, bitcoinBlockMs: 1_000 },
    downMs: 14_000,
    faultsMs: 24_000,
    worldMs: 25_000,
    covers: [],
  },
  /** Disks that fail, and deaths at any of their calls, under nodes that prune all the time: what is pruned is asked of those that do not. */
  storage: {
    ...everything,
    faults: {
      crash: every(6_000),
      crashBeforeCall: every(6_000),
      crashAfterCall: every(6_000),
      stop: every(12_000),
      freeze: every(10_000),
      writesFail: every(6_000),
      syncsFail: every(12_000),
      engineFails: every(12_000),
      smallBatches: inWorlds(0.5),
    },
    keepBlocks: 12,
    load: { deposits: 2, transferMs: 800, callMs: 8_000, burnMs: 4_000, bitcoinBlockMs: 1_000 },
    downMs: 3_000,
    faultsMs: 40_000,
    worldMs: 42_000,
    covers: [],
    // Nobody lies here.
    invariants: INVARIANTS.filter((name) => !OF_CONVICTIONS.has(name)),
  },
  /** Bitcoin's branches change under deposits and payouts, and nothing else goes wrong. */
  reorgs: {
    ...everything,
    faults: {
      reorg: every(2_500),
      deepReorg: every(5_000),
      feeSpike: every(8_000),
      staleTip: every(10_000),
    },
    load: { deposits: 3, transferMs: 2_000, callMs: 3_000, burnMs: 1_200, bitcoinBlockMs: 700 },
    faultsMs: 20_000,
    worldMs: 21_000,
    covers: [],
  },
  /**
   * Custody under everything that issue and threats name: deposits of both forms, claimed and spent otherwise, burns that are taken back
   * or cannot be paid, reorgs below every rule, members that are silent, lie or lose their disk, nodes that ask for what no block carries.
   */
  bridge: {
    ...everything,
    faults: BRIDGE_FAULTS,
    load: {
      deposits: 9,
      depositsUntil: 0.9,
      oddShare: 0.25,
      ownShare: 0.6,
      claimMs: 2_500,
      takeBackMs: 1_500,
      handoverMs: 8_000,
      transferMs: 3_000,
      callMs: 6_000,
      burnMs: 800,
      bitcoinBlockMs: 600,
    },
    params: { refundAfterBlocks: 5, maxPegInSat: 400_000_000 },
    variants: [{}, { csvBlocks: 96 }, { reorgCapSat: 900_000_000 }],
    keyMakingSeeds: 2,
    keyQuietMs: 10_000,
    manyMembersSeeds: 25,
    seesMempool: true,
    reorgDepth: 10,
    faultsMs: 22_000,
    worldMs: 22_500,
    covers: [
      ...(Object.keys(BRIDGE_FAULTS) as PlannedKind[]),
      ...PEG_TURNS,
      ...ORDER_TURNS,
      // Each lie of its own kind is for the profile that makes key after key.
      ...KEYGEN_TURNS.filter((name) => !OF_LIARS.has(name)),
    ],
    invariants: [
      ...INVARIANTS.filter((name) => !OF_CONVICTIONS.has(name) && !OF_VIEWS.has(name)),
      ...BRIDGE_INVARIANTS,
    ].filter((name) => name !== 'StartsAgain'),
    enoughWorlds: 300,
  },
  /** Key after key in every world, mostly with a liar among the members; little else to do and to go wrong. */
  keys: {
    ...everything,
    faults: KEY_FAULTS,
    load: {
      deposits: 3,
      depositsUntil: 0.9,
      ownShare: 0.5,
      claimMs: 3_000,
      handoverMs: 1_000,
      transferMs: 10_000,
      callMs: 20_000,
      burnMs: 4_000,
      bitcoinBlockMs: 800,
    },
    params: { maxPegInSat: 400_000_000 },
    keyMakingSeeds: 1,
    keyQuietMs: 5_000,
    faultsMs: 30_000,
    worldMs: 30_500,
    covers: [
      ...(Object.keys(KEY_FAULTS) as PlannedKind[]),
      ...KEYGEN_TURNS.filter((name) => name !== 'sweptRenewal' && name !== 'sweptSplit'),
    ],
    invariants: [
      ...INVARIANTS.filter((name) => !OF_CONVICTIONS.has(name) && !OF_VIEWS.has(name)),
      'NoCorrectLeftOut',
      'SpoilerLeftOut',
      'ShareHeld',
      'KeyCalledFor',
      'KeyEnds',
    ],
    enoughWorlds: 100,
  },
} satisfies Readonly<Record<string, Profile>>

/** Of the validators at the start of a world: one each, or from 1 to 4. */
export function powersOf(seed: number, { uneven = 0 }: Profile, nodes: number): readonly number[] {
  const chance = new Chance(seed, 'powers')
  const isUneven = chance.happens(uneven)
  const [first] = isUneven ? UNEVEN.slice(chance.between(0, UNEVEN.length - 1)) : [[1]]
  return Array.from({ length: nodes }, (_, at) => first?.[at % first.length] ?? 1)
}

/** Parameters of a world's genesis file. */
export function paramsOf(seed: number, { params = {}, variants = [] }: Profile): ChangedParams {
  const drawn = new Chance(seed, 'variant').pick([{}, ...variants])
  return { ...params, ...drawn }
}

/** Patterns that repeat: a world shares its federation with others of the same powers. */
const UNEVEN = [
  [3, 2, 2, 1],
  [1, 4, 2],
  [1, 1, 2, 3, 1],
]

const MEMBERS = 4
const MANY_MEMBERS = 7

export function membersOf(
  seed: number,
  { manyMembersSeeds, members = MEMBERS }: Pick<Profile, 'manyMembersSeeds' | 'members'>,
): number {
  // In turn such that make keys and such that sign by leaf A: the number is odd.
  const hasMany = manyMembersSeeds !== undefined && seed % manyMembersSeeds === 2
  return hasMany ? MANY_MEMBERS : members
}

export type ProfileName = keyof typeof PROFILES

export function profileNamed(name: string): Profile | undefined {
  return Object.hasOwn(PROFILES, name) ? PROFILES[name as ProfileName] : undefined
}
