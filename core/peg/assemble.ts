/**
 * What a proposer puts into a block (C-4): the same functions that check a block, over its own queue, one entry after the other.
 * What they refuse is left out, so `beginBlock` accepts what comes out.
 */
import { toHex } from '../../crypto/index.ts'
import {
  MAX_CONFLICTS,
  MAX_PEG_INS,
  MAX_PROOFS,
  type MemberApproval,
  type PegConflict,
  type PegInClaim,
  type TransactionProof,
  TransactionProofType,
} from '../block/index.ts'
import { type Ledger, LedgerDraft } from '../ledger/index.ts'
import { proofBytes, sizeOfAncestry } from './block.ts'
import { applyBooking } from './bookings.ts'
import { applyConflict } from './conflicts.ts'
import { emptyPegBody, type PegBody, type PegContext } from './context.ts'
import { fault, isTransient, type PegCode, type PegError } from './errors.ts'
import { applyHeaderPrefix } from './headers.ts'
import { checkIdentity } from './identity.ts'
import { PegInRun } from './peg-ins.ts'
import { checkProof, MAX_PROOF_BYTES, type ProvenTransaction } from './proofs.ts'
import { applyRecords, dueRecords } from './records.ts'
import { applyReleases } from './releases.ts'

/** A deposit with the approval of its claim. */
export interface QueuedPegIn {
  readonly claim: PegInClaim
  readonly approval: MemberApproval
}

/** What shows that a deposit cannot come back. */
export interface QueuedConflict {
  readonly proof: TransactionProof
  readonly ancestry: PegConflict['ancestry']
}

/** What waits for a block. */
export interface PegQueue {
  /** The best headers known: an extension of the tip or a whole branch; leading ones that the ledger has are passed over. */
  readonly headers: readonly Uint8Array[]
  readonly pegIns: readonly QueuedPegIn[]
  /** Of transactions that spend reserve. */
  readonly bookings: readonly TransactionProof[]
  readonly conflicts?: readonly QueuedConflict[]
  /** Batches whose newest version our own Bitcoin has had for a while and has not mined. */
  readonly unconfirmed?: readonly Uint8Array[]
}

/** An entry that was not taken: by its place in the queue. `permanent`: it never will be. */
export interface Refused {
  readonly kind: 'header' | 'pegIn' | 'booking' | 'conflict'
  readonly index: number
  readonly code: PegCode
  readonly detail?: string
  readonly permanent: boolean
}

export interface Assembled {
  readonly items: PegBody
  readonly refused: readonly Refused[]
}

/** The peg's part of the next block. Empty outside view 0 (4.0). */
export function assemble(ledger: Ledger, context: PegContext, queue: PegQueue): Assembled {
  if (context.slot !== context.viewZeroSlot) return { items: emptyPegBody(), refused: [] }
  let draft = new LedgerDraft(ledger)
  const items = emptyPegBody()
  const refused: Refused[] = []
  const refuse = (kind: Refused['kind'], index: number, error: PegError) => {
    refused.push({ kind, index, ...error, permanent: !isTransient(error.code) })
  }

  const headers = applyHeaderPrefix(draft, context, queue.headers)
  items.bitcoinHeaders.push(...headers.taken)
  if (headers.fault !== undefined) refuse('header', headers.taken.length, headers.fault)

  const proofs = new ProofBasket(items.proofs)
  for (const [index, proof] of queue.bookings.entries()) {
    const error = proofs.use(draft, proof, (proven, proofIndex) => {
      const trial = new LedgerDraft(draft.finish(), true)
      // Books that do not balance would make the whole block invalid, and with it every block of ours that has this booking.
      const faulty = applyBooking(trial, context, proven) ?? checkIdentity(trial)
      if (faulty !== undefined) return faulty
      items.bookings.push({ proofIndex })
      draft = trial
      return undefined
    })
    if (error !== undefined) refuse('booking', index, error)
  }
  for (const [index, conflict] of (queue.conflicts ?? []).entries()) {
    if (items.conflicts.length === MAX_CONFLICTS) break
    const { ancestry, proof } = conflict
    const apply = (proven: ProvenTransaction, proofIndex: number) => {
      const faulty = applyConflict(draft, context, proven, ancestry)
      if (faulty === undefined) items.conflicts.push({ proofIndex, ancestry })
      return faulty
    }
    const error = proofs.use(draft, proof, apply, sizeOfAncestry(conflict))
    if (error !== undefined) refuse('conflict', index, error)
  }
  applyReleases(draft, context)
  const run = new PegInRun(draft, context)
  for (const { index, entry } of inDepositOrder(draft, queue.pegIns)) {
    if (items.pegIns.length === MAX_PEG_INS) break
    const { claim, approval } = entry
    const error = proofs.use(draft, claim.proof, (proven, proofIndex) => {
      const faulty = run.apply(claim, proven, approval)
      const { proof, ...fields } = claim
      if (faulty === undefined) items.pegIns.push({ ...fields, proofIndex, approval })
      return faulty
    })
    if (error !== undefined) refuse('pegIn', index, error)
  }

  for (const record of dueRecords(ledger, context, queue.unconfirmed ?? [])) {
    if (applyRecords(draft, ledger, context, [record]) !== undefined) continue
    items.records.push(record)
    break
  }
  return { items, refused }
}

/** The proofs of a block under assembly: one for all entries of its transaction, within the block's bounds. */
class ProofBasket {
  readonly #proofs: TransactionProof[]
  readonly #known = new Map<
    string,
    { readonly index: number; readonly proven: ProvenTransaction }
  >()
  #bytes = 0

  constructor(proofs: TransactionProof[]) {
    this.#proofs = proofs
  }

  /** Applies an entry with its proof; the proof, and what counts beside it, joins the block only if the entry does. */
  use(
    draft: LedgerDraft,
    proof: TransactionProof,
    apply: (proven: ProvenTransaction, proofIndex: number) => PegError | undefined,
    besideBytes = 0,
  ): PegError | undefined {
    const name = toHex(TransactionProofType.hashTreeRoot(proof))
    const known = this.#known.get(name)
    const size = besideBytes + (known === undefined ? proofBytes([proof]) : 0)
    if (this.#bytes + size > MAX_PROOF_BYTES) return fault('ProofsTooLarge')
    if (known !== undefined) return this.#applied(apply(known.proven, known.index), size)
    if (this.#proofs.length === MAX_PROOFS) return fault('ProofsTooLarge')
    const proven = checkProof(draft, proof, this.#proofs.at(-1))
    if (!proven.ok) return proven.error
    const index = this.#proofs.length
    const faulty = apply(proven.value, index)
    if (faulty !== undefined) return faulty
    this.#proofs.push(proof)
    this.#known.set(name, { index, proven: proven.value })
    return this.#applied(undefined, size)
  }

  #applied(faulty: PegError | undefined, size: number): PegError | undefined {
    if (faulty === undefined) this.#bytes += size
    return faulty
  }
}

/** First in, first out by place in Bitcoin (PI-13); what is in no known block comes last. */
function inDepositOrder(
  draft: LedgerDraft,
  pegIns: readonly QueuedPegIn[],
): { readonly index: number; readonly entry: QueuedPegIn }[] {
  const placed = pegIns.map((entry, index) => {
    const { proof, vout } = entry.claim
    const height = draft.get('headers', proof.blockHash)?.height ?? Number.MAX_SAFE_INTEGER
    return { index, entry, place: [height, proof.transactionIndex, vout, index] as const }
  })
  placed.sort((left, right) => {
    const at = left.place.findIndex((value, depth) => value !== right.place[depth])
    return at < 0 ? 0 : (left.place[at] as number) - (right.place[at] as number)
  })
  return placed
}
