/** Evidence as JSON: hex without prefix, as in the other shapes of ours. */
import { EVIDENCE_PHASES, type Evidence, encodeEvidence } from '../../../core/block/index.ts'
import { toHex } from '../../../crypto/index.ts'
import type { Conviction, EvidencePage } from '../port.ts'

type Json = Record<string, unknown>

/** The place of an offence: a view of a height, or a slot. */
function placeOf(phase: number, round: number): Json {
  const name = EVIDENCE_PHASES[phase]
  return { phase: name, ...(name === 'block' ? { slot: round } : { view: round }) }
}

/** `ssz`: all of it, which anybody can verify. */
export function evidenceToJson(evidence: Evidence): Json {
  const { first, phase, round, second, validator } = evidence
  return {
    validator: toHex(validator),
    ...placeOf(phase, round),
    signed: [first, second].map(({ hash, height, signature }) => ({
      height,
      hash: toHex(hash),
      signature: toHex(signature),
    })),
    ssz: toHex(encodeEvidence(evidence)),
  }
}

function convictionToJson({ height, key, offenceHeight, phase, round, validator }: Conviction) {
  return {
    key: toHex(key),
    validator: toHex(validator),
    ...placeOf(phase, round),
    offenceHeight,
    height,
  }
}

export function evidencePageToJson(page: EvidencePage, from: number): Json {
  const next = from + Math.max(page.waiting.length, page.carried.length)
  return {
    from,
    waitingTotal: page.waitingTotal,
    carriedTotal: page.carriedTotal,
    waiting: page.waiting.map(evidenceToJson),
    carried: page.carried.map(convictionToJson),
    ...(next < Math.max(page.waitingTotal, page.carriedTotal) ? { next } : {}),
  }
}
