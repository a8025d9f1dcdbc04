/**
 * Evidence in blocks (protocol §2.9, §7, BP-17): each place where a validator signed twice is carried once, while it is fresh. What
 * is taken depends on the parent's ledger alone, and stands in one order, so that a proposer chooses only how soon.
 */
import { compareBytes, toHex } from '../../crypto/index.ts'
import type { Evidence } from '../block/index.ts'
import { MAX_EVIDENCE } from '../block/index.ts'
import { type Ledger, LedgerDraft, rowOf } from '../ledger/index.ts'
import type { Genesis } from '../params/index.ts'
import { evidenceKey, offenceHeight, verifyEvidence } from '../pbft/index.ts'
import { validatorsAt } from '../validators/index.ts'

/** Why evidence cannot stand in a block. One code per rule (C-2). */
export const EVIDENCE_CODES = {
  EvidenceMalformed: '2.9: two different hashes, the lower one first, of one phase and height',
  EvidenceKnown: '§7: a block carried it already',
  EvidenceTooOld: '§7: the offence is more than evidenceMaxAgeBlocks before the block',
  EvidenceTooEarly: '§7: the offence is at a height above the block',
  EvidenceOfStranger: '2.9: the key is one of the validators of the height',
  EvidenceBadSignature: '2.9: both signatures are by the key, over the place and the hash',
  EvidenceNotInOrder: '§7: by ascending key, each once',
} as const satisfies Readonly<Record<string, string>>
export type EvidenceCode = keyof typeof EVIDENCE_CODES

/** Heights above the block to come whose evidence is kept until it may be carried. */
const HEIGHTS_AHEAD = 2

/** What does not hold of evidence for the block after `ledger`, short of its signatures. */
export function evidenceFault(
  genesis: Genesis,
  ledger: Ledger,
  evidence: Evidence,
  latest = ledger.state.height + 1,
): EvidenceCode | undefined {
  const height = ledger.state.height + 1
  const oldest = Math.max(1, height - genesis.params.evidenceMaxAgeBlocks)
  const heights = [evidence.first.height, evidence.second.height]
  if (heights.some((at) => at > latest)) return 'EvidenceTooEarly'
  if (heights.some((at) => at < oldest)) return 'EvidenceTooOld'
  if (rowOf(ledger, 'evidence', evidenceKey(evidence)) !== undefined) return 'EvidenceKnown'
  const key = toHex(evidence.validator)
  const isValidatorOf = (at: number) =>
    validatorsAt(ledger, Math.min(at, height + 1)).some(({ blsKey }) => toHex(blsKey) === key)
  return heights.every(isValidatorOf) ? undefined : 'EvidenceOfStranger'
}

function signatureFault(genesis: Genesis, evidence: Evidence): EvidenceCode | undefined {
  const verdict = verifyEvidence(genesis.signatures, genesis.hash, evidence)
  if (verdict.kind === 'valid') return undefined
  return verdict.code === 'BadSignature' ? 'EvidenceBadSignature' : 'EvidenceMalformed'
}

/** Whether a block after `ledger` may carry the list. */
export function evidenceListFault(
  genesis: Genesis,
  ledger: Ledger,
  list: readonly Evidence[],
): EvidenceCode | undefined {
  let before: Uint8Array | undefined
  for (const evidence of list) {
    const key = evidenceKey(evidence)
    if (before !== undefined && compareBytes(before, key) >= 0) return 'EvidenceNotInOrder'
    before = key
    const fault = evidenceFault(genesis, ledger, evidence) ?? signatureFault(genesis, evidence)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** The ledger with the evidence of the block of `height`, whose other effects up to the execution it has already. */
export function ledgerWithEvidence(
  ledger: Ledger,
  height: number,
  list: readonly Evidence[],
): Ledger {
  if (list.length === 0) return ledger
  const draft = new LedgerDraft(ledger, true)
  for (const evidence of list) {
    const { phase, round, validator } = evidence
    const row = { phase, validator, round, offenceHeight: offenceHeight(evidence), height }
    draft.put('evidence', evidenceKey(evidence), row)
  }
  return draft.finish()
}

const keyOf = (evidence: Evidence): string => toHex(evidenceKey(evidence))

/** What the next block carries of verified evidence that waits: the oldest offences first, in the block's order. */
export function dueEvidence(
  genesis: Genesis,
  ledger: Ledger,
  waiting: readonly Evidence[],
): Evidence[] {
  const due = new Map<string, Evidence>()
  const byAge = (left: Evidence, right: Evidence) => offenceHeight(left) - offenceHeight(right)
  for (const evidence of [...waiting].sort(byAge)) {
    if (due.size === MAX_EVIDENCE) break
    if (evidenceFault(genesis, ledger, evidence) === undefined) due.set(keyOf(evidence), evidence)
  }
  return [...due].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, one]) => one)
}

/** Bounds of the pool: what one validator, and all together, may fill of it. */
export const MAX_POOLED_PER_VALIDATOR = 32
export const MAX_POOLED_EVIDENCE = 512

/** Verified evidence that no block carried yet, by its key in hex. */
export type EvidencePool = ReadonlyMap<string, Evidence>

export const EMPTY_EVIDENCE_POOL: EvidencePool = new Map()

export interface PoolChange {
  readonly pool: EvidencePool
  /** `forged`: whoever sent it is to blame. Of the rest some may be late or early in good faith. */
  readonly outcome: 'taken' | 'known' | 'notNow' | 'full' | 'forged'
  /** Keys that left. */
  readonly dropped: readonly string[]
}

/**
 * Takes evidence in, once per place, after its signatures are checked; they are checked last. A full pool makes room at the cost of
 * the validator that fills most of it, so that one liar keeps no evidence against another out.
 */
export function poolEvidence(
  genesis: Genesis,
  ledger: Ledger,
  pool: EvidencePool,
  evidence: Evidence,
): PoolChange {
  const unchanged = (outcome: PoolChange['outcome']): PoolChange => ({ pool, outcome, dropped: [] })
  const key = keyOf(evidence)
  if (pool.has(key)) return unchanged('known')
  const latest = ledger.state.height + 1 + HEIGHTS_AHEAD
  const fault = evidenceFault(genesis, ledger, evidence, latest)
  if (fault === 'EvidenceKnown') return unchanged('known')
  if (fault === 'EvidenceTooOld' || fault === 'EvidenceTooEarly') return unchanged('notNow')
  // Who joins there this node cannot know yet.
  const isAhead = Math.max(evidence.first.height, evidence.second.height) >= latest
  if (fault === 'EvidenceOfStranger' && isAhead) return unchanged('notNow')
  if (fault !== undefined) return unchanged('forged')
  const fullest = fullestOf(pool)
  const own = countOf(pool, toHex(evidence.validator))
  if (own >= MAX_POOLED_PER_VALIDATOR) return unchanged('full')
  const isFull = pool.size >= MAX_POOLED_EVIDENCE
  if (isFull && fullest.count <= own + 1) return unchanged('full')
  if (signatureFault(genesis, evidence) !== undefined) return unchanged('forged')
  const next = new Map(pool)
  const dropped = isFull ? [fullest.newest] : []
  for (const gone of dropped) next.delete(gone)
  return { pool: next.set(key, evidence), outcome: 'taken', dropped }
}

function countOf(pool: EvidencePool, validator: string): number {
  return [...pool.values()].filter((one) => toHex(one.validator) === validator).length
}

/** The validator with most evidence in the pool: how much, and the last of it. */
function fullestOf(pool: EvidencePool): { readonly count: number; readonly newest: string } {
  const counts = new Map<string, { count: number; newest: string }>()
  let fullest = { count: 0, newest: '' }
  for (const [key, { validator }] of pool) {
    const count = (counts.get(toHex(validator))?.count ?? 0) + 1
    counts.set(toHex(validator), { count, newest: key })
    if (count >= fullest.count) fullest = { count, newest: key }
  }
  return fullest
}

/** The pool after a block: without what blocks carried, and without what no block may carry any more. */
export function settleEvidence(
  genesis: Genesis,
  ledger: Ledger,
  pool: EvidencePool,
): { readonly pool: EvidencePool; readonly dropped: readonly string[] } {
  const dropped = [...pool].flatMap(([key, evidence]) => {
    const fault = evidenceFault(genesis, ledger, evidence)
    return fault === undefined || fault === 'EvidenceTooEarly' ? [] : [key]
  })
  if (dropped.length === 0) return { pool, dropped }
  const next = new Map(pool)
  for (const key of dropped) next.delete(key)
  return { pool: next, dropped }
}
