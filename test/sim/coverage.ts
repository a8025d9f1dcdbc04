/** What worlds count. Every kind of fault and every invariant stands here: one that is never met is seen as a zero. */

/** What a Byzantine validator does, each counted whenever it does it. */
export const TREASONS = [
  'equivocatesVotes',
  'equivocatesProposals',
  'withholds',
  'staleViews',
  'badBlocks',
  'forgesPegIns',
  'votesUnknown',
  'replays',
  'badAnswers',
] as const
export type TreasonKind = (typeof TREASONS)[number]

/** Bounds of a node that are drawn small. */
export const KNOBS = ['smallMailboxes', 'shortDeadlines', 'smallBatches', 'smallFanOut'] as const
export type KnobKind = (typeof KNOBS)[number]

/** Faults that a plan holds. */
export const PLANNED = [
  ...TREASONS,
  ...KNOBS,
  'crash',
  'crashBeforeCall',
  'crashAfterCall',
  'stop',
  'freeze',
  'writesFail',
  'syncsFail',
  'engineFails',
  'memberCrash',
  'memberSlow',
  'memberSilent',
  'memberLies',
  'streamBreak',
  'partition',
  'partitionOneWay',
  'linkFlaps',
  'linkClogs',
  'loss',
  'doubling',
  'delay',
  'reordering',
  'clockSkew',
  'clockJump',
  'reorg',
  'feeSpike',
  'staleTip',
  'bitcoinOutage',
] as const
export type PlannedKind = (typeof PLANNED)[number]

/** What planned faults do, each counted where it happens. */
export const EFFECTS = [
  'messageLost',
  'messageCut',
  'messageDoubled',
  'messageSlow',
  'writeFailed',
  'syncFailed',
  'engineDied',
  'transactionLost',
  'tailTorn',
  'tailFlipped',
  'bitcoinUnreachable',
  'bitcoinStale',
  'memberSlowed',
  'memberSilenced',
  'memberLied',
  'actorGaveUp',
] as const
export type EffectKind = (typeof EFFECTS)[number]

/** What may come of others, and need not. */
export type FaultKind = PlannedKind | EffectKind | 'ban'

export const INVARIANTS = [
  'Agreement',
  'HeightNeverFalls',
  'HeadNeverFalls',
  'HeadIsDurable',
  'StoredWhole',
  'NamedRight',
  'NoDoubleVote',
  'NoDoubleProposal',
  'NoDoubleBlock',
  'WellFormed',
  'LedgerIdentity',
  'LedgerRoot',
  'EvmRoot',
  'MintedOnce',
  'MintedByDeposit',
  'PaidOnce',
  'PaidIfBurned',
  'BurnsPaid',
  'MailboxBound',
  'NoCorrectBanned',
  'JournalWhole',
  'JournalFirst',
  'StartsAgain',
  'NoLivelock',
  'NoBug',
  'MailKept',
  'Woken',
  'InOrder',
  'NeverDropped',
  'AsksEnd',
  'StopsInOrder',
  'Prepared',
  'LockHeld',
  'Decided',
  'RightAuthor',
  'Buried',
  'Approved',
  'WithdrawalsInOrder',
  'RowsOnBestChain',
  'ReserveIsReal',
  'Progress',
  'Together',
  'PegEnds',
  // consensus-watch.ts
  'Decided',
  'RightAuthor',
  'Prepared',
  'LockHeld',
  // kernel-watch.ts
  'Woken',
  'InOrder',
  'MailKept',
  'StopsInOrder',
  'NoBug',
  'AsksEnd',
  'NeverDropped',
  // peg-watch.ts
  'Approved',
  'WithdrawalsInOrder',
  'Buried',
  'RowsOnBestChain',
  'ReserveIsReal',
] as const
export type Invariant = (typeof INVARIANTS)[number]

/** Those that are about what comes to pass after healing: a world that breaks one is stuck. */
export const LIVENESS: ReadonlySet<string> = new Set(['Progress', 'Together', 'PegEnds'])

export interface Coverage {
  commits: number
  viewChanges: number
  pegInsDone: number
  pegOutsDone: number
  restarts: number
  /** Worlds by the suite that their keys belong to. */
  signatures: Record<string, number>
  faults: Record<string, number>
  invariantChecks: Record<string, number>
}

const COUNTS = ['commits', 'viewChanges', 'pegInsDone', 'pegOutsDone', 'restarts'] as const

/** Below so many worlds a zero is chance. */
export const WORLDS_FOR_COVERAGE = 50

export function noCoverage(
  faults: readonly FaultKind[],
  invariants: readonly Invariant[],
): Coverage {
  const zeros = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 0]))
  return {
    commits: 0,
    viewChanges: 0,
    pegInsDone: 0,
    pegOutsDone: 0,
    restarts: 0,
    signatures: { fake: 0, real: 0 },
    faults: zeros(faults),
    invariantChecks: zeros(invariants),
  }
}

export function addCoverage(sum: Coverage, one: Coverage): void {
  for (const name of COUNTS) sum[name] += one[name]
  for (const name of ['signatures', 'faults', 'invariantChecks'] as const) {
    for (const [kind, count] of Object.entries(one[name])) {
      sum[name][kind] = (sum[name][kind] ?? 0) + count
    }
  }
}

/** Names of all that never happened. */
export function zeros(coverage: Coverage): string[] {
  const counts = COUNTS.map((name) => [name, coverage[name]] as const)
  const all = [
    ...counts,
    ...Object.entries(coverage.faults),
    ...Object.entries(coverage.invariantChecks),
  ]
  return all.filter(([, count]) => count === 0).map(([name]) => name)
}
