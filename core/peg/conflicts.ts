/**
 * Deposits that can never come back (protocol §4.5): a reorg took one away, and a transaction that is buried deep spends what it, or one
 * that it descends from, would spend. Shown by raw transactions alone, each of which is named by its txid in an input of the one before it.
 */
import { equalBytes, toDisplayHash } from '../../crypto/index.ts'
import { type BitcoinInput, type BitcoinTransaction, isCoinbase, txid } from '../bitcoin/index.ts'
import type { PegConflict } from '../block/index.ts'
import { type LedgerDraft, outpointKey, SPEND_STATE } from '../ledger/index.ts'
import type { PegContext } from './context.ts'
import { noteConflict } from './effects.ts'
import { fault, type PegError } from './errors.ts'
import { type ProvenTransaction, parseStripped } from './proofs.ts'
import { conflictOf, isMissing } from './releases.ts'

/** Marks what the proven transaction keeps from ever coming back, or says why it does not and leaves the draft unchanged. */
export function applyConflict(
  draft: LedgerDraft,
  context: PegContext,
  proven: ProvenTransaction,
  ancestry: PegConflict['ancestry'],
): PegError | undefined {
  const name = toDisplayHash(proven.txid)
  const dead = lineOf(ancestry)
  const last = dead?.at(-1)
  if (dead === undefined || last === undefined) return fault('ConflictAncestryBroken', name)
  const isOther = !equalBytes(txid(last), proven.txid)
  if (!isOther || !sharesInput(last, proven.transaction)) return fault('ConflictWithout', name)
  if (proven.confirmations < context.params.conflictDepth) {
    return fault('ConflictTooYoung', `${proven.confirmations} confirmations`)
  }
  const lost = dead.flatMap((transaction) => lostDeposits(draft, transaction))
  if (lost.length === 0) return fault('ConflictUnrelated', name)
  // What releases a batch must be known to pay none of its requests from the reserve: such a transaction has its row first.
  if (spendsUnbooked(draft, proven)) return fault('ConflictUnbooked', name)
  for (const key of lost) {
    draft.put('conflicts', key, {
      txid: proven.txid,
      bitcoinHash: proven.blockHash,
      bitcoinHeight: proven.height,
      released: [],
    })
    noteConflict(draft, proven.blockHash, key)
  }
  return undefined
}

/** The deposit's own transaction first, each an ancestor of the one before; undefined for anything else. */
function lineOf(ancestry: PegConflict['ancestry']): BitcoinTransaction[] | undefined {
  const line: BitcoinTransaction[] = []
  for (const bytes of ancestry) {
    const transaction = parseStripped(bytes)
    const child = line.at(-1)
    if (transaction === undefined) return undefined
    const id = txid(transaction)
    if (child !== undefined && !child.inputs.some((input) => equalBytes(input.txid, id))) {
      return undefined
    }
    line.push(transaction)
  }
  return line
}

/** Coinbases share the outpoint that is none. */
function sharesInput(left: BitcoinTransaction, right: BitcoinTransaction): boolean {
  if (isCoinbase(left) || isCoinbase(right)) return false
  const spent = new Set(right.inputs.map(nameOfInput))
  return left.inputs.some((input) => spent.has(nameOfInput(input)))
}

function nameOfInput({ txid, vout }: BitcoinInput): string {
  return `${toDisplayHash(txid)}:${vout}`
}

/** Keys of the deposits of a transaction that a reorg took away and of which no conflict is known. */
function lostDeposits(draft: LedgerDraft, transaction: BitcoinTransaction): Uint8Array[] {
  const id = txid(transaction)
  return transaction.outputs
    .map((_, vout) => outpointKey(id, vout))
    .filter((key) => isMissing(draft.get('outputs', key)) && conflictOf(draft, key) === undefined)
}

function spendsUnbooked(draft: LedgerDraft, { transaction, txid }: ProvenTransaction): boolean {
  const spendsReserve = transaction.inputs.some(
    (input) => draft.get('outputs', outpointKey(input.txid, input.vout)) !== undefined,
  )
  return spendsReserve && draft.get('spends', txid)?.state !== SPEND_STATE.booked
}
