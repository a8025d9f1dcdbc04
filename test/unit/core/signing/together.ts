/** Members that sign a task together, as they should. */
import {
  joinParts,
  makeOffer,
  type NonceOffer,
  type OfferNonces,
  type SignedParts,
  type SigningMember,
  type SigningTask,
  sealParts,
  signMyParts,
} from '../../../../core/signing/index.ts'
import type { KeyShare, Random } from '../../../../crypto/index.ts'
import { seeded } from '../../crypto/frost/fixtures.ts'

export class TestSigner {
  readonly #member: SigningMember
  readonly #random: Random
  #serial = 0
  #nonces: OfferNonces = []

  constructor(
    index: number,
    secretKey: Uint8Array,
    shares: ReadonlyMap<number, KeyShare> = new Map(),
  ) {
    this.#member = { index, secretKey, shares }
    this.#random = seeded(`signer ${index}`)
  }

  offer(task: SigningTask): NonceOffer {
    const made = makeOffer(task, this.#member, this.#serial, this.#random)
    if (made === undefined) throw new Error(`${this.#member.index} has no share`)
    this.#serial += 1
    this.#nonces = made.nonces
    return made.offer
  }

  /** Sealed after `bend`. */
  parts(
    task: SigningTask,
    list: readonly NonceOffer[],
    bend = (parts: readonly Uint8Array[]) => parts,
  ): SignedParts {
    const made = signMyParts(task, this.#member, this.#nonces, list, this.#random)
    if (made === undefined) throw new Error(`${this.#member.index} cannot sign`)
    return sealParts(task, this.#member, list, bend(made.parts), this.#random)
  }
}

/** By input, what the parts of these members come to; they are in ascending order. */
export function signTogether(
  task: SigningTask,
  signers: readonly TestSigner[],
): readonly (readonly Uint8Array[])[] {
  const list = signers.map((signer) => signer.offer(task))
  const all = signers.map((signer) => signer.parts(task, list))
  return task.inputs.map((_, index) => {
    const joined = joinParts(task, list, all, index)
    if (!joined.ok) throw new Error(`wrong parts of ${joined.culprits.join(', ')}`)
    return joined.signatures
  })
}
