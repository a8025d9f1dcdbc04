/**
 * What whoever holds the member's secrets believes of Millrace (protocol §5.6): the set of validators that decides, from the genesis file on, and
 * so any header that it certified. A belief has an age: validators that left long ago may sell their keys, so what is older than the trust window
 * counts for nothing until the operator names a block. What moves the belief is on disk before it counts. Nothing here asks the follower, who
 * may be in another process.
 */
import { type BlockHeader, blockHash, hashValidators } from '../core/block/index.ts'
import {
  type CertifiedHeader,
  followHeader,
  type KnownBlock,
  type LightCode,
  type Trusted,
  trustGenesis,
} from '../core/light/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { equalBytes } from '../crypto/index.ts'
import { announcesSet, type StoredHead } from './light-client.ts'
import type { Belief, HeadStore } from './port.ts'

/** A proof under an older root is stale. */
export const MAX_PROOF_AGE = 120

/** What is on disk may be older by this part of the window, and a header ahead of the clock by as much. */
const WINDOW_PARTS = 16

export const STALE_EVENT =
  'what was believed last is older than the trust window: nothing is signed'

/** What an operator does about a belief that is too old. */
export const STALE_ADVICE =
  'ask f+1 validators for the same recent block, and start with --trusted-block HEIGHT:HASH'

export type TrustFault =
  | LightCode
  /** Under a header that is long past, or from before the last change of validators. */
  | 'ProofStale'
  /** Nothing that was believed is younger than the trust window: a person has to name a block. */
  | 'TrustStale'
  /** Of the height that the operator named, and another block. */
  | 'NotTrustedBlock'
  /** From a time that this clock says is yet to come. */
  | 'HeaderAhead'

export type RootFound =
  | { readonly ok: true; readonly ledgerRoot: Uint8Array }
  | { readonly ok: false; readonly code: TrustFault; readonly detail?: string }

export interface TrustOptions {
  readonly genesis: Genesis
  readonly store: HeadStore
  readonly nowMs: () => number
  /** A block that the operator knows to be of this chain: believed when nothing else is. */
  readonly trustedBlock?: KnownBlock
}

/** When its slot began, in Unix time. */
export function headerMs({ params }: Genesis, { slot }: BlockHeader): number {
  return slot * params.slotMs
}

/** By so much younger than the last one a header is worth showing and keeping. */
export function renewMs({ params }: Genesis): number {
  return (params.trustWindowSeconds * 1_000) / WINDOW_PARTS
}

/** Whether a header is too old to go on from. */
export function isPast(genesis: Genesis, header: BlockHeader, nowMs: number): boolean {
  return nowMs - headerMs(genesis, header) > genesis.params.trustWindowSeconds * 1_000
}

/** Whether it is the block that the operator named, with the validators who decide after it: then it does not matter who showed it. */
export function namedFault(known: KnownBlock, item: CertifiedHeader): TrustFault | undefined {
  const { header, nextValidators = [] } = item
  const isNamed = header.height === known.height && equalBytes(blockHash(header), known.hash)
  if (!isNamed) return 'NotTrustedBlock'
  const isWhole = equalBytes(hashValidators(nextValidators), header.nextValidatorsHash)
  return isWhole ? undefined : 'ValidatorSetUnknown'
}

export class Trust {
  readonly #options: TrustOptions
  /** What is on disk, or block 0. */
  #anchor: Trusted | undefined
  /** Of what was believed since the start. */
  #newest: BlockHeader | undefined
  /** Of the headers believed since the start; in memory only: after a restart older proofs are taken, back to the last change of validators. */
  #highest = 0

  constructor(options: TrustOptions) {
    this.#options = options
  }

  /** The header on disk, under whose validators others are looked at; block 0 without one. Rejects when the file is damaged. */
  async anchor(): Promise<Trusted> {
    if (this.#anchor !== undefined) return this.#anchor
    const { genesis, store } = this.#options
    const stored = await store.load()
    this.#anchor ??= stored === undefined ? trustGenesis(genesis) : trusted(stored)
    return this.#anchor
  }

  async belief(): Promise<Belief> {
    const { header, nextValidators } = await this.anchor()
    const { trustedBlock } = this.#options
    const isStale = await this.isStale()
    return { header, nextValidators, isStale, ...(trustedBlock && { trustedBlock }) }
  }

  async isStale(): Promise<boolean> {
    const { genesis, nowMs } = this.#options
    const { header } = await this.anchor()
    return isPast(genesis, this.#newest ?? header, nowMs())
  }

  /**
   * Takes in headers that announced other sets, ascending, and now and then one that only shows the time; those that it knows are passed over.
   * While the belief is stale, only the block that the operator named.
   */
  async follow(headers: readonly CertifiedHeader[]): Promise<RootFound | undefined> {
    for (const item of headers) {
      const isStale = await this.isStale()
      const { height } = (await this.anchor()).header
      if (!isStale && item.header.height <= height) continue
      const found = isStale ? await this.#confirm(item) : await this.rootOf(item)
      if (!found.ok) return found
    }
    return undefined
  }

  /** The ledger's root under a header, if the validators who decided its height certified it. */
  async rootOf(item: CertifiedHeader): Promise<RootFound> {
    const { genesis, nowMs } = this.#options
    if (await this.isStale()) return stale()
    const anchor = await this.anchor()
    const { header } = item
    const { height, ledgerRoot } = header
    if (height + MAX_PROOF_AGE < this.#highest) return { ok: false, code: 'ProofStale' }
    if (height === anchor.header.height && equalBytes(blockHash(header), anchor.hash)) {
      return { ok: true, ledgerRoot }
    }
    if (height <= anchor.header.height) return { ok: false, code: 'ProofStale' }
    const atMs = headerMs(genesis, header)
    if (atMs > nowMs() + renewMs(genesis)) return { ok: false, code: 'HeaderAhead' }
    const step = followHeader(genesis, anchor, item)
    if (!step.ok) {
      const { code, detail } = step.error
      return { ok: false, code, ...(detail !== undefined && { detail }) }
    }
    if (announcesSet(item) || atMs - headerMs(genesis, anchor.header) > renewMs(genesis)) {
      await this.#keep(step.value, item.certificate)
    }
    this.#highest = Math.max(this.#highest, height)
    const newest = this.#newest?.slot ?? 0
    if (header.slot > newest) this.#newest = header
    return { ok: true, ledgerRoot }
  }

  async #keep(believed: Trusted, certificate: CertifiedHeader['certificate']): Promise<void> {
    const { header, nextValidators } = believed
    await this.#options.store.save({ header, nextValidators, certificate })
    // Two may have been at it.
    const { height: known } = (await this.anchor()).header
    if (known < header.height) this.#anchor = believed
  }

  /** By its hash alone; one that is past itself, in a configuration that nobody looked at for long, confirms nothing. */
  async #confirm(item: CertifiedHeader): Promise<RootFound> {
    const { genesis, nowMs, store, trustedBlock } = this.#options
    const { header, nextValidators = [] } = item
    if (trustedBlock === undefined || isPast(genesis, header, nowMs())) return stale()
    const code = namedFault(trustedBlock, item)
    if (code !== undefined) return { ok: false, code }
    await store.save({ header, nextValidators })
    this.#anchor = { header, hash: trustedBlock.hash, nextValidators }
    this.#newest = header
    this.#highest = header.height
    return { ok: true, ledgerRoot: header.ledgerRoot }
  }
}

function stale(): RootFound {
  return { ok: false, code: 'TrustStale' }
}

function trusted({ header, nextValidators }: StoredHead): Trusted {
  return { header, hash: blockHash(header), nextValidators }
}
