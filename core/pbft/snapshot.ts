import { toHex } from '../../crypto/index.ts'
import type { QuorumCertificate } from '../block/index.ts'
import { signersOf } from './certificate.ts'
import type { ViewFailure } from './io.ts'
import { proposer } from './pacemaker.ts'
import { positionOf } from './power.ts'
import type { DriverState, HeightState } from './state.ts'

export interface CertificateSnapshot {
  readonly view: number
  readonly hash: string
  /** Keys of the signers. */
  readonly signers: readonly string[]
}

export interface ConsensusSnapshot {
  readonly height: number
  /** -1 before the height's first slot. */
  readonly view: number
  readonly enteredAtMs: number
  readonly proposer: string | undefined
  readonly role: 'validator' | 'observer'
  readonly quorum: number
  readonly halted: string | undefined
  readonly decided: boolean
  /** The present view's proposal and what is thought of it. */
  readonly proposal: { readonly hash: string; readonly status: string } | undefined
  /** Why this node has not prepared it. */
  readonly abstention: string | undefined
  readonly lock: { readonly view: number; readonly hash: string } | undefined
  readonly highestPrepared: CertificateSnapshot | undefined
  /** Keys that voted, by view. */
  readonly votes: readonly {
    readonly view: number
    readonly prepare: readonly string[]
    readonly commit: readonly string[]
  }[]
  readonly heldForLater: number
  /** Views that were left without a decision, the last ones, oldest first. */
  readonly failures: readonly ViewFailure[]
}

/** The state as plain data, for `millrace_consensusState` and the status page. */
export function snapshot(state: DriverState): ConsensusSnapshot | undefined {
  const { height } = state
  if (height === undefined) return undefined
  const { context, view, guard, highest } = height
  const { validators, parentSlot } = context
  const proposal = height.proposals.get(view)
  const status = proposal && height.candidates.get(toHex(proposal.hash))?.status.kind
  const self = state.config.self
  const isValidator = self !== undefined && positionOf(height.set, self) !== undefined
  return {
    height: context.height,
    view,
    enteredAtMs: height.enteredAtMs,
    proposer: view < 0 ? undefined : toHex(proposer(validators, parentSlot, view).blsKey),
    role: isValidator ? 'validator' : 'observer',
    quorum: height.set.quorum,
    halted: state.halted,
    decided: height.decidedInSlot !== undefined,
    proposal: proposal && { hash: toHex(proposal.hash), status: status ?? 'missing' },
    abstention: height.abstention,
    lock: guard.lock && { view: guard.lock.view, hash: toHex(guard.lock.hash) },
    highestPrepared: highest && certificateSnapshot(height, highest),
    votes: [...height.votes.views].map(([votesView, { prepare, commit }]) => ({
      view: votesView,
      prepare: keysAt(height, prepare.keys()),
      commit: keysAt(height, commit.keys()),
    })),
    heldForLater: state.future.held.size,
    failures: state.failures,
  }
}

function certificateSnapshot(
  height: HeightState,
  certificate: QuorumCertificate,
): CertificateSnapshot {
  const { view, blockHash } = certificate
  return { view, hash: toHex(blockHash), signers: keysAt(height, signersOf(certificate)) }
}

function keysAt(height: HeightState, positions: Iterable<number>): string[] {
  return [...positions].map((position) =>
    toHex(height.set.validators[position]?.blsKey as Uint8Array),
  )
}
