/** What a lying member says instead of the truth: decisions turned round, signatures of nothing, answers to other questions. */
import type { MemberBody, MemberMessage } from '../../proto/index.ts'
import type { Chance } from './chance.ts'

type Answer = Extract<MemberBody, { readonly kind: 'approvalResponse' | 'signatureResponse' }>

const LIES = ['truth', 'turned', 'badSignature', 'otherQuestion', 'garbage'] as const

/** Drawn anew for each message: two nodes that asked the same are told different things. */
export function tellLie(chance: Chance, message: MemberMessage): MemberMessage {
  const { body } = message
  if (body.kind !== 'approvalResponse' && body.kind !== 'signatureResponse') return message
  const lie = chance.pick(LIES) ?? 'truth'
  return lie === 'truth' ? message : { ...message, body: bend(chance, lie, body) }
}

function bend(chance: Chance, lie: Exclude<(typeof LIES)[number], 'truth'>, body: Answer): Answer {
  switch (lie) {
    case 'turned':
      if (body.decision !== 'APPROVED') return approved(chance, body)
      return { ...unsigned(body), decision: 'REFUSED', code: 'BadClaim', retryAfterMs: 0 }
    case 'badSignature':
      return approved(chance, body)
    case 'otherQuestion':
      return body.kind === 'approvalResponse'
        ? { ...body, claimRoot: chance.bytes(32) }
        : { ...body, version: body.version + 1, attempt: body.attempt + 7 }
    case 'garbage':
      return body.kind === 'approvalResponse'
        ? { ...body, outpoint: 'x'.repeat(chance.between(0, 200)), signature: chance.bytes(7) }
        : { ...body, signatures: [chance.bytes(chance.between(0, 200))] }
  }
}

/** With signatures of the right form that sign nothing. */
function approved(chance: Chance, body: Answer): Answer {
  const decided = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const
  return body.kind === 'approvalResponse'
    ? { ...body, ...decided, signature: chance.bytes(96) }
    : { ...body, ...decided, signatures: [chance.bytes(64)] }
}

function unsigned(body: Answer): Answer {
  return body.kind === 'approvalResponse'
    ? { ...body, signature: new Uint8Array(0) }
    : { ...body, signatures: [] }
}
