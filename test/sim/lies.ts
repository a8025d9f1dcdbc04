/** What a lying member says instead of the truth: decisions turned round, signatures of nothing, answers to other questions. */
import { PEG_IN_KINDS, type PegInClaim, PegInClaimType } from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { approvalMessage } from '../../core/peg/index.ts'
import { partsHash } from '../../core/signing/index.ts'
import { schnorrSign, toDisplayHash } from '../../crypto/index.ts'
import type { MemberKeys } from '../../governance/tree.ts'
import type { MemberBody, MemberMessage, NodeBody, NodeMessage } from '../../proto/index.ts'
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
  'sealedWrong',
] as const
/** Of its other lies about parts so many are such that name it. */
const SEALED = 0.4
/** Of a false node's questions for parts so many are asked twice. */
const REPEATED = 0.3
/** Questions of a false node that it may repeat. */
const MAX_SAID = 32
const APPROVED = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const

/** One member that lies. It has its own key and no other. */
export class Liar {
  readonly #chance: Chance
  readonly #genesis: Genesis
  readonly #keys: MemberKeys
  /** What it was asked to approve, by outpoint. */
  readonly #asked = new Map<string, { readonly epoch: number; readonly claim: PegInClaim }>()

  constructor(chance: Chance, genesis: Genesis, keys: MemberKeys) {
    this.#chance = chance
    this.#genesis = genesis
    this.#keys = keys
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
        lie === 'otherMessage'
          ? this.#keys.approver.sign(this.#chance.bytes(32))
          : this.#approve(body)
      if (lie === 'otherMessage' || (lie === 'turned' && body.decision !== 'APPROVED')) {
        return { ...message, body: { ...body, ...APPROVED, signature } }
      }
    }
    const isSealed = lie === 'sealedWrong' || this.#chance.happens(SEALED)
    if (body.kind === 'partsResponse' && isSealed) {
      return { ...message, body: this.#sealed(body) }
    }
    return { ...message, body: bend(this.#chance, lie, body) }
  }

  /** Parts that are wrong, under its own word that they are its parts: that names it. */
  #sealed(body: Extract<Answer, { readonly kind: 'partsResponse' }>): Answer {
    const parts = body.parts.map((part) => flipped(this.#chance, part))
    const word = partsHash(body.listHash, parts)
    const signature = schnorrSign(this.#keys.schnorrSecret, word, this.#chance.bytes(32))
    return { ...body, parts, signature }
  }

  /** A genuine signature under what it never checked, or found to be false. */
  #approve({ outpoint }: { readonly outpoint: string }): Uint8Array {
    const asked = this.#asked.get(outpoint)
    if (asked === undefined) return this.#chance.bytes(96)
    const { epoch, claim } = asked
    return this.#keys.approver.sign(approvalMessage(this.#genesis, 'pegIn', epoch, claim))
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
    case 'sealedWrong':
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

/** A node that asks members for what no block carries, and shows them what no header proves. */
export class FalseNode {
  readonly #chance: Chance
  /** What it was to ask before. */
  readonly #said: NodeMessage[] = []

  constructor(chance: Chance) {
    this.#chance = chance
  }

  /** In place of a message; about every second time the true one, as it is. */
  say(message: NodeMessage): readonly NodeMessage[] {
    const { body } = message
    // Parts twice under one offer would give its nonces away.
    if (body.kind === 'partsRequest' && this.#chance.happens(REPEATED)) return [message, message]
    const bent = this.#bend(body)
    if (bent === undefined || this.#chance.happens(0.5)) return [message]
    const old = this.#chance.pick(this.#said)
    if (this.#said.length < MAX_SAID) this.#said.push(message)
    const asked = { ...message, body: bent }
    if (old !== undefined && this.#chance.happens(0.2)) return [old, asked]
    return this.#chance.happens(0.5) ? [asked] : [asked, message]
  }

  #bend(body: NodeBody): NodeBody | undefined {
    const chance = this.#chance
    switch (body.kind) {
      case 'requestFederationApproval': {
        const claim = this.#bendClaim(PegInClaimType.deserialize(Uint8Array.from(body.claim)))
        const outpoint = `${toDisplayHash(claim.txid)}:${claim.vout}`
        return { ...body, outpoint, claim: PegInClaimType.serialize(claim) }
      }
      case 'signatureRequest':
        return chance.happens(0.5)
          ? { ...body, batchId: chance.bytes(32) }
          : { ...body, version: body.version + chance.between(0, 1), attempt: 0, height: 1 }
      case 'partsRequest': {
        const [first, ...others] = body.offers
        if (first === undefined) return body
        if (chance.happens(0.5)) return { ...body, offers: body.offers.map(() => first) }
        const commitments = first.commitments.map((pair) => flipped(chance, pair))
        return { ...body, offers: [{ ...first, commitments }, ...others] }
      }
      case 'ledgerProof': {
        if (chance.happens(0.3)) return { ...body, height: body.height + 1 }
        const at = chance.between(0, Math.max(0, body.rows.length - 1))
        const rows = body.rows.map((row, index) =>
          index === at ? { ...row, row: flipped(chance, row.row) } : row,
        )
        return { ...body, rows }
      }
      default:
        return undefined
    }
  }

  #bendClaim(claim: PegInClaim): PegInClaim {
    const other = this.#chance.bytes(20)
    const bent: readonly PegInClaim[] = [
      { ...claim, evmAddress: other },
      { ...claim, amountSat: claim.amountSat * 2n },
      { ...claim, vout: claim.vout + 1 },
      { ...claim, refundScript: Uint8Array.of(0, 20, ...other) },
      { ...claim, kind: (claim.kind + 1) % PEG_IN_KINDS.length },
      { ...claim, txid: this.#chance.bytes(32) },
    ]
    return this.#chance.pick(bent) ?? claim
  }
}

/** One bit is another. */
function flipped(chance: Chance, bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes)
  const at = chance.between(0, Math.max(0, bytes.length - 1))
  if (bytes.length > 0) changed[at] = (bytes[at] as number) ^ (1 << chance.between(0, 7))
  return changed
}
