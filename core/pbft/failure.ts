/** Why a view ended without a decision, as this node saw it: for the operator, never for the protocol. */
import { equalBytes, toHex } from '../../crypto/index.ts'
import type { QuorumPhase } from './certificate.ts'
import type { ViewFailure, ViewFailureReason } from './io.ts'
import { proposer, proposerIndex, viewStart } from './pacemaker.ts'
import { powerOf } from './power.ts'
import { candidateOf, type HeightDraft, type HeightState } from './state.ts'

interface Cause {
  readonly reason: ViewFailureReason
  readonly code?: string
  /** Whose part is missing: the proposer's, or a vote. */
  readonly lacks: 'proposal' | QuorumPhase
}

/** What the present view lacked, at the moment at which it is left. */
export function describeFailure({ state, height }: HeightDraft): ViewFailure {
  const { context, set, view } = height
  const { validators, parentSlot } = context
  const startMs = viewStart(parentSlot, view, validators.length) * state.config.slotMs
  const since = (atMs: number | undefined) => (atMs === undefined ? undefined : atMs - startMs)
  const { lacks, ...why } = causeOf(height)
  const { blsKey } = proposer(validators, parentSlot, view)
  const prepares = votersOf(height, 'prepare')
  const commits = votersOf(height, 'commit')
  const absent = lacks === 'commit' ? commits : prepares
  const missing = validators.filter((_, position) => !absent.includes(position))
  const proposalMs = since(height.proposals.get(view)?.receivedAtMs)
  const preparedMs = since(height.preparedAtMs)
  return {
    height: context.height,
    view,
    proposer: toHex(blsKey),
    ...why,
    quorum: set.quorum,
    prepares: powerOf(set, prepares),
    commits: powerOf(set, commits),
    missing: lacks === 'proposal' ? [toHex(blsKey)] : missing.map((one) => toHex(one.blsKey)),
    ...(proposalMs !== undefined && { proposalMs }),
    ...(preparedMs !== undefined && { preparedMs }),
    lastedMs: state.nowMs - startMs,
  }
}

/** What this node itself lacked comes first: it knows that for sure. Then what the others did not say. */
function causeOf(height: HeightState): Cause {
  const { build, context, guard, highest, proposals, self, set, view } = height
  const isPrepared = highest?.view === view
  const proposal = proposals.get(view)
  const candidate = candidateOf(height, isPrepared ? highest.blockHash : (proposal?.hash ?? NONE))
  const lacks = isPrepared ? 'commit' : 'prepare'
  if (candidate === undefined) {
    if (isPrepared || proposal !== undefined) return { reason: 'BodyMissing', lacks }
    const isOurs = self === proposerIndex(context.parentSlot, view, set.validators.length)
    if (!isOurs) return { reason: 'NoProposal', lacks: 'proposal' }
    const code = build?.view === view && build.state === 'failed' ? build.code : undefined
    return { reason: 'NotBuilt', lacks: 'proposal', ...(code !== undefined && { code }) }
  }
  const { status } = candidate
  if (status.kind === 'invalid') return { reason: 'Invalid', code: status.code, lacks }
  if (status.kind === 'unknown') return { reason: 'NotExecuted', code: status.code, lacks }
  if (status.kind !== 'valid') return { reason: 'NotExecuted', lacks }
  const hasPrepared = guard.view === view && guard.prepare !== undefined
  if (self !== undefined && !hasPrepared && !isPrepared && height.abstention !== undefined) {
    const code = height.abstention
    return OWN_REASONS.has(code)
      ? { reason: code as ViewFailureReason, lacks }
      : { reason: 'NotSigned', code, lacks }
  }
  return { reason: isPrepared ? 'TooFewCommits' : 'TooFewPrepares', lacks }
}

const NONE = new Uint8Array(0)
/** What a node abstains for that is a reason by itself; other codes are the guard's. */
const OWN_REASONS: ReadonlySet<string> = new Set(['Objection', 'Locked', 'FutureSlot'])

/** Positions whose vote for the view's block is here; for any block, where there is none. */
function votersOf({ highest, proposals, view, votes }: HeightState, phase: QuorumPhase): number[] {
  const hash = highest?.view === view ? highest.blockHash : proposals.get(view)?.hash
  const held = votes.views.get(view)?.[phase] ?? new Map()
  return [...held]
    .filter(([, vote]) => hash === undefined || equalBytes(vote.hash, hash))
    .map(([position]) => position)
}
