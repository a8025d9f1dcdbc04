/** How members that do not lie sign, seen on their streams: nonces are used once (protocol §5.4), and who is told to sign nothing does not. */
import { toHex } from '../../crypto/index.ts'
import type { MemberMessage, NodeMessage } from '../../proto/index.ts'
import type { SimulatedMember } from './member.ts'
import type { World } from './world.ts'

/** Questions that may still be answered. */
const MOST_OPEN = 512

export class SigningWatch {
  readonly #world: World
  #members: readonly SimulatedMember[] = []
  /** The member's own offer in the list that it is asked to sign under, by node, member and request. */
  readonly #asked = new Map<string, string>()
  readonly #used = new Set<string>()

  constructor(world: World) {
    this.#world = world
  }

  watch(members: readonly SimulatedMember[]): void {
    this.#members = members
  }

  asked(node: number, member: number, { body, requestId }: NodeMessage): void {
    if (body.kind !== 'partsRequest') return
    const own = body.offers.find((offer) => offer.member === member)
    if (own === undefined) return
    this.#asked.set(`${node} ${member} ${requestId}`, toHex(own.signature))
    const [oldest] = this.#asked.keys()
    if (this.#asked.size > MOST_OPEN && oldest !== undefined) this.#asked.delete(oldest)
  }

  answered(node: number, member: number, { body, requestId }: MemberMessage): void {
    const isSigned =
      (body.kind === 'approvalResponse' && body.decision === 'APPROVED') ||
      (body.kind === 'signatureResponse' && body.offers.length > 0) ||
      (body.kind === 'partsResponse' && body.parts.length > 0)
    if (!isSigned) return
    this.#world.check('PauseKept', this.#members[member]?.policy.hold !== true, () => {
      return `member${member} gives a signature while its operator holds it back`
    })
    if (body.kind !== 'partsResponse') return
    const offer = this.#asked.get(`${node} ${member} ${requestId}`)
    if (offer === undefined) return
    this.#world.check('NonceOnce', !this.#used.has(offer), () => {
      return `member${member} uses the nonces of an offer twice`
    })
    this.#used.add(offer)
  }
}
