/**
 * The ledger's root and proofs under it (protocol §4.10, §5.6). The root is that of an SSZ container: the state row and the root
 * of each set. A proof carries this container whole, a few hundred bytes, so one proof shows a row, or its absence, and every scalar.
 */
import {
  ByteVectorType,
  ContainerType,
  ListCompositeType,
  type Type,
  type ValueOf,
} from '@chainsafe/ssz'
import { equalBytes, type SparseProof, verifySparseProof } from '../../crypto/index.ts'
import type { Ledger } from './ledger.ts'
import { LEDGER_SETS, type LedgerSet, type StateRow, StateRowType } from './rows.ts'

const Bytes32 = new ByteVectorType(32)

export const LedgerSummaryType = new ContainerType({
  state: StateRowType,
  headers: Bytes32,
  chain: Bytes32,
  outputs: Bytes32,
  requests: Bytes32,
  batches: Bytes32,
  spends: Bytes32,
  effects: Bytes32,
  fund: Bytes32,
  deficits: Bytes32,
  evidence: Bytes32,
  validators: Bytes32,
  keys: Bytes32,
  keygen: Bytes32,
  keygenItems: Bytes32,
  conflicts: Bytes32,
})
export type LedgerSummary = ValueOf<typeof LedgerSummaryType>

const LedgerProofType = new ContainerType({
  summary: LedgerSummaryType,
  siblings: new ListCompositeType(Bytes32, 256),
  /** The entry that stands where an absent key's path ends, if one does. */
  other: new ListCompositeType(new ContainerType({ path: Bytes32, valueHash: Bytes32 }), 1),
})
export type LedgerProof = ValueOf<typeof LedgerProofType>

const MAX_PROOF_BYTES = 16_384

export function ledgerSummary(ledger: Ledger): LedgerSummary {
  const roots = LEDGER_SETS.map((set) => [set, ledger.sets[set].root()])
  return { state: ledger.state, ...Object.fromEntries(roots) } as LedgerSummary
}

/** What a block's header commits to. */
export function ledgerRoot(ledger: Ledger): Uint8Array {
  return LedgerSummaryType.hashTreeRoot(ledgerSummary(ledger))
}

/** A proof of the row of `key`, or of its absence. */
export function proveRow(ledger: Ledger, set: LedgerSet, key: Uint8Array): LedgerProof {
  const { siblings, other } = ledger.sets[set].prove(key)
  return {
    summary: ledgerSummary(ledger),
    siblings: [...siblings],
    other: other === undefined ? [] : [other],
  }
}

/** Whether `proof` shows under `root` that `key` has the encoded row, or none when `encodedRow` is undefined. Total. */
export function verifyRow(
  root: Uint8Array,
  proof: LedgerProof,
  set: LedgerSet,
  key: Uint8Array,
  encodedRow: Uint8Array | undefined,
): boolean {
  // The name may come from whoever sent the proof.
  const isKnown = (LEDGER_SETS as readonly string[]).includes(set)
  if (!isKnown || verifyState(root, proof.summary) === undefined) return false
  const [other] = proof.other
  const sparse: SparseProof = { siblings: proof.siblings, ...(other ? { other } : {}) }
  return verifySparseProof(proof.summary[set], key, encodedRow, sparse)
}

/** The state row of a summary that hashes to `root`; undefined otherwise. */
export function verifyState(root: Uint8Array, summary: LedgerSummary): StateRow | undefined {
  try {
    return equalBytes(LedgerSummaryType.hashTreeRoot(summary), root) ? summary.state : undefined
  } catch {
    return undefined
  }
}

export function encodeLedgerProof(proof: LedgerProof): Uint8Array {
  return LedgerProofType.serialize(proof)
}

/** Undefined for bytes that are no proof. */
export function decodeLedgerProof(bytes: Uint8Array): LedgerProof | undefined {
  if (bytes.length > MAX_PROOF_BYTES) return undefined
  try {
    return (LedgerProofType as Type<LedgerProof>).deserialize(Uint8Array.from(bytes))
  } catch {
    return undefined
  }
}
