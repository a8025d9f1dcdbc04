/** Evidence that a validator signed twice where it may sign once: its form and its check (protocol §2.9). */
import {
  compareBytes,
  concatBytes,
  type SignatureSuite,
  sha256,
  uint64be,
} from '../../crypto/index.ts'
import {
  authorMessage,
  EVIDENCE_PHASES,
  type Evidence,
  type EvidencePhase,
  type SignedHash,
  voteMessage,
} from '../block/index.ts'
import { invalid, VALID, type Verdict } from '../params/index.ts'

/** Two hashes of one validator for one place, the lower one first. `round`: the view of votes, the slot of blocks. */
export function createEvidence(
  phase: EvidencePhase,
  validator: Uint8Array,
  round: number,
  one: SignedHash,
  other: SignedHash,
): Evidence {
  const inOrder = compareBytes(one.hash, other.hash) <= 0
  const [first, second] = inOrder ? [one, other] : [other, one]
  const signed = ({ height, hash, signature }: SignedHash) => ({ height, hash, signature })
  return {
    phase: EVIDENCE_PHASES.indexOf(phase),
    validator,
    round,
    first: signed(first),
    second: signed(second),
  }
}

/** The height that evidence is about: of two blocks the lower one. */
export function offenceHeight({ first, second }: Pick<Evidence, 'first' | 'second'>): number {
  return Math.min(first.height, second.height)
}

/**
 * What one validator can be convicted of once: a phase of a height and view, or a slot. The same for every pair of hashes, so
 * whoever signs three for one place is still convicted once.
 */
export function evidenceKey(evidence: Evidence): Uint8Array {
  const { phase, validator, round } = evidence
  const height = EVIDENCE_PHASES[phase] === 'block' ? 0 : offenceHeight(evidence)
  return sha256(concatBytes(Uint8Array.of(phase), validator, uint64be(height), uint64be(round)))
}

export type EvidenceFault = 'BadPhase' | 'NotOneHeight' | 'NotTwoHashes' | 'BadSignature'

/** Whether the two signatures convict the key. Who holds it, and when, is not asked here. One form only. */
export function verifyEvidence(
  suite: SignatureSuite,
  genesisHash: Uint8Array,
  evidence: Evidence,
): Verdict<EvidenceFault> {
  const { first, round, second, validator } = evidence
  const phase = EVIDENCE_PHASES[evidence.phase]
  if (phase === undefined) return invalid('BadPhase')
  if (phase !== 'block' && first.height !== second.height) return invalid('NotOneHeight')
  if (compareBytes(first.hash, second.hash) >= 0) return invalid('NotTwoHashes')
  const signed = ({ hash, height, signature }: SignedHash) => {
    const message =
      phase === 'block'
        ? authorMessage(genesisHash, { height, slot: round }, hash)
        : voteMessage(genesisHash, phase, height, round, hash)
    return suite.verify(validator, message, signature)
  }
  return signed(first) && signed(second) ? VALID : invalid('BadSignature')
}
