/**
 * What whoever holds the member's secrets believes of Millrace (protocol §5.6): the set of validators that decides, from the genesis file on, and
 * so any header that it certified. Only headers that announced another set move it, and each is on disk before it counts. Nothing here
 * asks the follower, who may be in another process.
 */
import { blockHash } from '../core/block/index.ts'
import {
  type CertifiedHeader,
  followHeader,
  type LightCode,
  type Trusted,
  trustGenesis,
} from '../core/light/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { equalBytes } from '../crypto/index.ts'
import { announcesSet, type StoredHead } from './light-client.ts'
import type { HeadStore } from './port.ts'

/** A proof under an older root is stale. */
export const MAX_PROOF_AGE = 120

export type TrustFault =
  | LightCode
  /** Under a header that is long past, or from before the last change of validators. */
  | 'ProofStale'

export type RootFound =
  | { readonly ok: true; readonly ledgerRoot: Uint8Array }
  | { readonly ok: false; readonly code: TrustFault; readonly detail?: string }

export class Trust {
  readonly #genesis: Genesis
  readonly #store: HeadStore
  #anchor: Trusted | undefined
  /** Of the headers believed since the start; in memory only: after a restart older proofs are taken, back to the last change of validators. */
  #highest = 0

  constructor(genesis: Genesis, store: HeadStore) {
    this.#genesis = genesis
    this.#store = store
  }

  /** The header that announced the set which decides now, or block 0. Rejects when the file is damaged. */
  async anchor(): Promise<Trusted> {
    if (this.#anchor !== undefined) return this.#anchor
    const stored = await this.#store.load()
    this.#anchor ??= stored === undefined ? trustGenesis(this.#genesis) : trusted(stored)
    return this.#anchor
  }

  /** Takes in headers that announced other sets, ascending; those that it knows are passed over. */
  async follow(headers: readonly CertifiedHeader[]): Promise<RootFound | undefined> {
    let fault: RootFound | undefined
    for (const header of headers) {
      const { height } = (await this.anchor()).header
      if (header.header.height <= height) continue
      fault = await this.rootOf(header)
      if (fault?.ok === false) return fault
    }
    return undefined
  }

  /** The ledger's root under a header, if the validators who decided its height certified it. */
  async rootOf(item: CertifiedHeader): Promise<RootFound> {
    const anchor = await this.anchor()
    const { header } = item
    const { height, ledgerRoot } = header
    if (height + MAX_PROOF_AGE < this.#highest) return { ok: false, code: 'ProofStale' }
    if (height === anchor.header.height && equalBytes(blockHash(header), anchor.hash)) {
      return { ok: true, ledgerRoot }
    }
    if (height <= anchor.header.height) return { ok: false, code: 'ProofStale' }
    const step = followHeader(this.#genesis, anchor, item)
    if (!step.ok) {
      const { code, detail } = step.error
      return { ok: false, code, ...(detail !== undefined && { detail }) }
    }
    if (announcesSet(item)) {
      const { header: announced, nextValidators } = step.value
      const { certificate } = item
      await this.#store.save({ header: announced, nextValidators, certificate })
      // Two may have been at it.
      const { height: known } = (await this.anchor()).header
      if (known < height) this.#anchor = step.value
    }
    this.#highest = Math.max(this.#highest, height)
    return { ok: true, ledgerRoot }
  }
}

function trusted({ header, nextValidators }: StoredHead): Trusted {
  return { header, hash: blockHash(header), nextValidators }
}
