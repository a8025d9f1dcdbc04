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

/** Those of profiles that name them: a proposer that says nothing or too late, a hoarder of prepared blocks, a file of old votes. */
export const STAGED_TREASONS = [
  'silent',
  'silentProposer',
  'delaysProposals',
  'hoards',
  'shortAnswers',
  'directoryRestored',
  'guardDamaged',
  'turnsCoat',
  'usurps',
  'asksFalsely',
] as const
export type TreasonKind = (typeof TREASONS)[number] | (typeof STAGED_TREASONS)[number]

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

/** Faults of profiles that name them; `everything` draws none. */
export const STAGED = [
  ...STAGED_TREASONS,
  'halves',
  'steadyLoss',
  'clockFar',
  'guardRestored',
  'deepReorg',
  'crashAtSign',
  'blackout',
  'memberDiskLost',
  'doubleSpend',
  'creditReorg',
  'creditTaken',
  'membersPause',
] as const
export type PlannedKind = (typeof PLANNED)[number] | (typeof STAGED)[number]

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

/** What consensus lived through, each counted where it is seen. */
export const TURNS = [
  'lock',
  'reproposal',
  /** A block was proposed with a certificate that is older than somebody's lock on another. */
  'olderCertificate',
  'equivocationSeen',
  /** A block carried evidence. */
  'evidence',
  /** A split in halves ended, and a block came of the view that it was then, or of the next one. */
  'resumedInView',
  'resumedInNextView',
  /** A guard that is older than the chain, or damaged, did not sign. */
  'guardRefused',
  // validator-book.ts
  'unevenPowers',
  'validatorJoins',
  'validatorLeaves',
  'powerMoves',
] as const
/** What a lying member does in the making of a key (keygen-lies.ts). */
export const KEYGEN_LIES = [
  'sharesWrong',
  'commitmentsWrong',
  'commitmentsCancel',
  'complaintFalse',
  'complaintInvented',
  'keygenGarbage',
  'packageWithheld',
  'sharesWithheld',
  'confirmationWithheld',
] as const
export type KeygenLieKind = (typeof KEYGEN_LIES)[number]

/** What the federation's keys lived through (keygen-watch.ts). */
export const KEYGEN_TURNS = [
  ...KEYGEN_LIES,
  /** Who was left out of a session, by what it did. */
  'namedMissed',
  'namedWrongShare',
  'namedFalseComplaint',
  /** A member died while a session was in this stage. */
  'diedInPackages',
  'diedInShares',
  'diedInConfirmations',
  /** Fewer than t called for a key; as many did, and it was made. */
  'keyCalled',
  'keyHandedOver',
  /** A deposit to an older key was entered. */
  'depositToOldKey',
  // Sweeps, by their reason.
  'sweptRenewal',
  'sweptHandover',
  'sweptSplit',
] as const
export type KeygenTurnKind = (typeof KEYGEN_TURNS)[number]

/** What members order, and what takes orders (orders.ts, deposits.ts). */
export const ORDER_TURNS = [
  'refundOrdered',
  'lossBooked',
  'orderForged',
  /** What was booked as a loss is there again. */
  'lossReturned',
  'fundGiven',
  /** A buried deposit waits, since the sum of the last credits is at its limit. */
  'creditHeld',
  /** A block carried an order by which t members cancel a payout; a version that pays nobody was booked. */
  'cancelOrdered',
  'cancelBooked',
] as const
export type OrderTurnKind = (typeof ORDER_TURNS)[number]

/** What the peg lived through, each counted where it is seen. */
export const PEG_TURNS = [
  /** A block carried a further version of a payout, and one such was booked. */
  'payoutBumped',
  'bumpBooked',
  'keyMade',
  /** A transaction of the federation entered Bitcoin's mempool, an input signed by the made key, or all by the members' own. */
  'paidByKey',
  'paidByLeaf',
  /** A deposit to an address of its user's own was minted; one was found by its claim only. */
  'ownMinted',
  'depositClaimed',
  /** A deposit entered the books again, of another block. */
  'depositRestored',
  /** A block showed that the coin of a deposit went elsewhere for good, and released what waited for it. */
  'payoutReleased',
  /** A burn was minted back; its owner asked for that, or it could not be paid. */
  'burnReturned',
  /** As many blocks as no confirmation rule of the world covers. */
  'reorgBelowRules',
  /** A member was named by the shares that it signed. */
  'memberNamed',
  /** A node showed a deposit that waits in Bitcoin's mempool. */
  'depositPending',
] as const
export type PegTurnKind = (typeof PEG_TURNS)[number]
export type TurnKind = (typeof TURNS)[number]

/** What may come of others, and need not. */
export type FaultKind =
  | PlannedKind
  | EffectKind
  | TurnKind
  | PegTurnKind
  | KeygenTurnKind
  | OrderTurnKind
  | 'ban'
  | 'resumedLater'

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
  'SignsRecorded',
  'ApprovesDeposits',
  'Progress',
  'Together',
  'PegEnds',
  'RightValidators',
  'GuardFirst',
  // consensus-watch.ts
  'ProperProposal',
  'ProposesLock',
  'TellsLock',
  'NothingBad',
  'ViewNeverFalls',
  'NoLeap',
  'WaitsForOthers',
  // evidence-watch.ts
  'NoCorrectConvicted',
  'ConvictedOnce',
  'EvidenceCarried',
] as const

/** Those of what only some profiles do. */
export const STAGED_INVARIANTS = ['HaltsSplit', 'ResumesSoon', 'RestoredStaysOut'] as const
export const BRIDGE_INVARIANTS = [
  'ReturnedOnce',
  'ShowsDeposits',
  'NoCorrectNamed',
  'OrderedByMembers',
  'CapKept',
  // signing-watch.ts
  'NonceOnce',
  'PauseKept',
  // keygen-watch.ts
  'NoCorrectLeftOut',
  'SpoilerLeftOut',
  'ShareHeld',
  'KeyCalledFor',
  'KeyEnds',
] as const

/** Those of the worlds of stages.ts. */
export const STAGE_INVARIANTS = ['Answered', 'Greeted', 'Fetched'] as const
export type Invariant =
  | (typeof INVARIANTS)[number]
  | (typeof STAGED_INVARIANTS)[number]
  | (typeof BRIDGE_INVARIANTS)[number]
  | (typeof STAGE_INVARIANTS)[number]

/** Those that are about what comes to pass after healing: a world that breaks one is stuck. */
export const LIVENESS: ReadonlySet<string> = new Set([
  'Progress',
  'Together',
  'PegEnds',
  'EvidenceCarried',
])

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

export type Count = 'commits' | 'viewChanges' | 'pegInsDone' | 'pegOutsDone' | 'restarts'

const COUNTS: readonly Count[] = ['commits', 'viewChanges', 'pegInsDone', 'pegOutsDone', 'restarts']

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
export function zeros(coverage: Coverage, without: readonly Count[] = []): string[] {
  const counts = COUNTS.filter((name) => !without.includes(name)).map(
    (name) => [name, coverage[name]] as const,
  )
  const all = [
    ...counts,
    ...Object.entries(coverage.faults),
    ...Object.entries(coverage.invariantChecks),
  ]
  return all.filter(([, count]) => count === 0).map(([name]) => name)
}
