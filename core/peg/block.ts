/** The peg's part of a block up to its execution, in the order of protocol §4.0. */
import { equalBytes, putOffChecks, type SignatureSuite } from '../../crypto/index.ts'
import {
  type PegConflict,
  type TransactionProof,
  TransactionProofType,
  type Withdrawal,
} from '../block/index.ts'
import { type Ledger, LedgerDraft } from '../ledger/index.ts'
import { err, ok, type Result } from '../params/index.ts'
import { applyBooking } from './bookings.ts'
import { applyConflict } from './conflicts.ts'
import type { PegBody, PegContext } from './context.ts'
import { fault, type PegError } from './errors.ts'
import { applyHeaders } from './headers.ts'
import { PegInRun } from './peg-ins.ts'
import { checkProof, MAX_PROOF_BYTES, type ProvenTransaction } from './proofs.ts'
import { applyRecords } from './records.ts'
import { applyReleases } from './releases.ts'
import { applyWithdrawals } from './withdrawals.ts'

export interface BegunPeg {
  /** After the withdrawals; `finishBlock` adds what the execution did. */
  readonly ledger: Ledger
  /** What the payload must carry, exactly. */
  readonly withdrawals: readonly Withdrawal[]
}

/**
 * Headers, proofs with their bookings and conflicts, releases, peg-ins one by one, records, withdrawals. The signatures under the peg-ins are checked
 * together; the verdict is that of checking each in its place.
 */
export function beginBlock(
  ledger: Ledger,
  context: PegContext,
  body: PegBody,
): Result<BegunPeg, PegError> {
  const { hold, suite } = putOffChecks(context.genesis.signatures)
  const begun = tryBlock(ledger, context, body, suite)
  if (begun.ok && hold()) return begun
  // Which rule it breaks is what its first wrong item breaks, by whose signature or otherwise.
  return tryBlock(ledger, context, body, context.genesis.signatures)
}

function tryBlock(
  ledger: Ledger,
  context: PegContext,
  body: PegBody,
  signatures: SignatureSuite,
): Result<BegunPeg, PegError> {
  const draft = new LedgerDraft(ledger)
  const refused = applyBody(draft, ledger, context, body, signatures)
  if (refused !== undefined) return err(refused)
  const withdrawals = applyWithdrawals(draft, context)
  return ok({ ledger: draft.finish(), withdrawals })
}

function applyBody(
  draft: LedgerDraft,
  parent: Ledger,
  context: PegContext,
  body: PegBody,
  signatures: SignatureSuite,
): PegError | undefined {
  if (context.slot !== context.viewZeroSlot && carriesAnything(body)) {
    return fault('PegOutsideViewZero')
  }
  const unconnected = applyHeaders(draft, context, body.bitcoinHeaders)
  if (unconnected !== undefined) return unconnected
  const proven = checkProofs(draft, body)
  if (!proven.ok) return proven.error
  const unused = unusedProof(body)
  if (unused !== undefined) return unused
  for (const { proofIndex } of body.bookings) {
    const refused = applyBooking(draft, context, proven.value[proofIndex] as ProvenTransaction)
    if (refused !== undefined) return refused
  }
  for (const { ancestry, proofIndex } of body.conflicts) {
    const shown = proven.value[proofIndex] as ProvenTransaction
    const refused = applyConflict(draft, context, shown, ancestry)
    if (refused !== undefined) return refused
  }
  applyReleases(draft, context)
  const run = new PegInRun(draft, context, signatures)
  for (const { approval, proofIndex, ...fields } of body.pegIns) {
    const claim = { ...fields, proof: body.proofs[proofIndex] as TransactionProof }
    const refused = run.apply(claim, proven.value[proofIndex] as ProvenTransaction, approval)
    if (refused !== undefined) return refused
  }
  return applyRecords(draft, parent, context, body.records)
}

function carriesAnything(body: PegBody): boolean {
  const { bitcoinHeaders, bookings, conflicts, pegIns, proofs, records } = body
  const lists = [bitcoinHeaders, proofs, bookings, conflicts, pegIns, records]
  return lists.some((list) => list.length > 0)
}

function checkProofs(
  draft: LedgerDraft,
  { conflicts, proofs }: PegBody,
): Result<readonly ProvenTransaction[], PegError> {
  const ancestryBytes = conflicts.reduce((sum, conflict) => sum + sizeOfAncestry(conflict), 0)
  if (proofBytes(proofs) + ancestryBytes > MAX_PROOF_BYTES) return err(fault('ProofsTooLarge'))
  const proven: ProvenTransaction[] = []
  for (const [at, proof] of proofs.entries()) {
    const checked = checkProof(draft, proof, proofs[at - 1])
    if (!checked.ok) return checked
    const { blockHash, index } = checked.value
    const isKnown = proven.some(
      (other) => other.index === index && equalBytes(other.blockHash, blockHash),
    )
    if (isKnown) return err(fault('ProofDuplicate'))
    proven.push(checked.value)
  }
  return ok(proven)
}

/** Bytes that proofs take in a block. */
export function proofBytes(proofs: readonly TransactionProof[]): number {
  return proofs.reduce((sum, proof) => sum + TransactionProofType.value_serializedSize(proof), 0)
}

/** Raw transactions count as proofs do. */
export function sizeOfAncestry({ ancestry }: Pick<PegConflict, 'ancestry'>): number {
  return ancestry.reduce((sum, { length }) => sum + length, 0)
}

/** Each index names a proof, and each proof is named. */
function unusedProof(body: PegBody): PegError | undefined {
  const items = [...body.bookings, ...body.conflicts, ...body.pegIns]
  const named = new Set(items.map(({ proofIndex }) => proofIndex))
  for (const index of named) {
    if (index >= body.proofs.length) return fault('ProofIndexUnknown', `${index}`)
  }
  return named.size < body.proofs.length ? fault('ProofUnused') : undefined
}
