/** What a lying member says instead of the truth: decisions turned round, signatures of nothing, answers to other questions. */
import { type PegInClaim, PegInClaimType } from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { approvalMessage } from '../../core/peg/index.ts'
import type { Signer } from '../../crypto/index.ts'
import type { MemberBody, MemberMessage, NodeMessage } from '../../proto/index.ts'
import type { Chance } from './chance.ts'

type Answer = Extract<
  MemberBody,
  { readonly kind: 'approvalResponse' | 'signatureResponse' | 'partsResponse' }
>

const LIES = [
  'truth',
  'turned',
  'badSignature',
  'otherMessage',
  'otherQuestion',
  'garbage',
] as const
const APPROVED = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const

/** One member that lies. It has its own key and no other. */
export class Liar {
  readonly #chance: Chance
  readonly #genesis: Genesis
  readonly #approver: Signer
  /** What it was asked to approve, by outpoint. */
  readonly #asked = new Map<string, { readonly epoch: number; readonly claim: PegInClaim }>()

  constructor(chance: Chance, genesis: Genesis, approver: Signer) {
    this.#chance = chance
    this.#genesis = genesis
    this.#approver = approver
  }

  hear({ body }: NodeMessage): void {
    if (body.kind !== 'requestFederationApproval') return
    const claim = PegInClaimType.deserialize(body.claim)
    this.#asked.set(body.outpoint, { epoch: body.membersEpoch, claim })
  }

  /** Drawn anew for each message: two nodes that asked the same are told different things. */
  say(message: MemberMessage): MemberMessage {
    const { body } = message
    if (!isAnswer(body)) return message
    const lie = this.#chance.pick(LIES) ?? 'truth'
    if (lie === 'truth') return message
    if (body.kind === 'approvalResponse') {
      const signature =
        lie === 'otherMessage' ? this.#approver.sign(this.#chance.bytes(32)) : this.#approve(body)
      if (lie === 'otherMessage' || (lie === 'turned' && body.decision !== 'APPROVED')) {
        return { ...message, body: { ...body, ...APPROVED, signature } }
      }
    }
    return { ...message, body: bend(this.#chance, lie, body) }
  }

  /** A genuine signature under what it never checked, or found to be false. */
  #approve({ outpoint }: { readonly outpoint: string }): Uint8Array {
    const asked = this.#asked.get(outpoint)
    if (asked === undefined) return this.#chance.bytes(96)
    const { epoch, claim } = asked
    return this.#approver.sign(approvalMessage(this.#genesis, 'pegIn', epoch, claim))
  }
}

function isAnswer(body: MemberBody): body is Answer {
  return ['approvalResponse', 'signatureResponse', 'partsResponse'].includes(body.kind)
}

function bend(chance: Chance, lie: Exclude<(typeof LIES)[number], 'truth'>, body: Answer): Answer {
  switch (lie) {
    case 'turned':
      if (body.decision !== 'APPROVED') return approved(chance, body)
      return refused(body)
    case 'badSignature':
    case 'otherMessage':
      return approved(chance, body)
    case 'otherQuestion':
      return body.kind === 'approvalResponse'
        ? { ...body, claimRoot: chance.bytes(32) }
        : { ...body, version: body.version + 1, attempt: body.attempt + 7 }
    case 'garbage':
      return garbage(chance, body)
  }
}

function garbage(chance: Chance, body: Answer): Answer {
  const some = () => chance.bytes(chance.between(0, 200))
  switch (body.kind) {
    case 'approvalResponse':
      return { ...body, outpoint: 'x'.repeat(chance.between(0, 200)), signature: chance.bytes(7) }
    case 'signatureResponse':
      return {
        ...body,
        offers: [
          { member: chance.between(0, 9), serial: 0, commitments: [some()], signature: some() },
        ],
      }
    case 'partsResponse':
      return { ...body, parts: [some()], listHash: some() }
  }
}

/** With signatures of the right form that sign nothing, and parts that are wrong though they are sealed. */
function approved(chance: Chance, body: Answer): Answer {
  switch (body.kind) {
    case 'approvalResponse':
      return { ...body, ...APPROVED, signature: chance.bytes(96) }
    case 'signatureResponse': {
      const offers = body.offers.map((offer) => ({ ...offer, signature: chance.bytes(64) }))
      return { ...body, ...APPROVED, offers }
    }
    case 'partsResponse':
      return { ...body, decision: 'APPROVED', code: '', signature: chance.bytes(64) }
  }
}

function refused(body: Answer): Answer {
  const no = { decision: 'REFUSED', code: 'BadClaim' } as const
  switch (body.kind) {
    case 'approvalResponse':
      return { ...body, ...no, retryAfterMs: 0, signature: new Uint8Array(0) }
    case 'signatureResponse':
      return { ...body, ...no, retryAfterMs: 0, offers: [] }
    case 'partsResponse':
      return { ...body, ...no, parts: [], offers: [] }
  }
}
