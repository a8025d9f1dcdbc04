/**
 * The life of evidence in a node (protocol §2.9, BP-17): found by the own driver or told by a peer, verified, kept over a restart,
 * passed on once, and gone when a block carried it or none may any more. Pure; the rules are core/chain's.
 */
import { decodeEvidence, type Evidence } from '../../core/block/index.ts'
import {
  EMPTY_EVIDENCE_POOL,
  type EvidencePool,
  type PoolChange,
  poolEvidence,
  settleEvidence,
} from '../../core/chain/index.ts'
import type { Ledger } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import type { EvidenceRecord } from '../../messages/index.ts'

export interface EvidenceHolding {
  readonly pool: EvidencePool
  /** The pool's changes are durable or being written; else the next slot writes all of it again. */
  readonly isStored: boolean
}

export type EvidenceEffect =
  /** The pool's changes become durable. */
  | {
      readonly kind: 'recordEvidence'
      readonly put: readonly Evidence[]
      readonly drop: readonly string[]
    }
  /** Readers and the operator are told. `found`: what is new, and from whom. */
  | {
      readonly kind: 'tellEvidence'
      readonly pool: EvidencePool
      readonly found?: { readonly evidence: Evidence; readonly source: 'own' | 'gossip' }
    }

export interface Held {
  readonly holding: EvidenceHolding
  readonly effects: readonly EvidenceEffect[]
}

/** Takes in what convicts somebody and is not known yet. */
export function holdEvidence(
  genesis: Genesis,
  ledger: Ledger,
  holding: EvidenceHolding,
  evidence: Evidence,
  source: 'own' | 'gossip',
): Held & { readonly outcome: PoolChange['outcome'] } {
  const { dropped, outcome, pool } = poolEvidence(genesis, ledger, holding.pool, evidence)
  if (outcome !== 'taken') return { holding, outcome, effects: [] }
  return {
    holding: { ...holding, pool },
    outcome,
    effects: [
      { kind: 'recordEvidence', put: [evidence], drop: dropped },
      { kind: 'tellEvidence', pool, found: { evidence, source } },
    ],
  }
}

/** After a block. */
export function settleHolding(genesis: Genesis, ledger: Ledger, holding: EvidenceHolding): Held {
  const { dropped, pool } = settleEvidence(genesis, ledger, holding.pool)
  if (dropped.length === 0) return { holding, effects: [] }
  return {
    holding: { ...holding, pool },
    effects: [
      { kind: 'recordEvidence', put: [], drop: dropped },
      { kind: 'tellEvidence', pool },
    ],
  }
}

/** Once per slot: what could not be written is written again. */
export function storeAgain(holding: EvidenceHolding): Held {
  if (holding.isStored) return { holding, effects: [] }
  return {
    holding: { ...holding, isStored: true },
    effects: [{ kind: 'recordEvidence', put: [...holding.pool.values()], drop: [] }],
  }
}

/** The pool as the store had it, checked as if a peer had sent it. What a crash left behind is dropped. */
export function restoreEvidence(
  genesis: Genesis,
  ledger: Ledger,
  records: readonly EvidenceRecord[],
): Held {
  let pool = EMPTY_EVIDENCE_POOL
  for (const { bytes } of records) {
    const decoded = decodeEvidence(bytes)
    if (decoded.ok) pool = poolEvidence(genesis, ledger, pool, decoded.value).pool
  }
  const drop = records.flatMap(({ key }) => (pool.has(key) ? [] : [key]))
  const effects: EvidenceEffect[] = [{ kind: 'tellEvidence', pool }]
  if (drop.length > 0) effects.push({ kind: 'recordEvidence', put: [], drop })
  return { holding: { pool, isStored: true }, effects }
}
