/**
 * A member's own view of Millrace (protocol §5.6): every header from the genesis file on, linked by parent hashes and believed by
 * `followHeader` of core/light. Pure; nodes are untrusted relays. What is signed by q of a set fixes all blocks below it, so a
 * run of headers under one set needs one certificate, that of its last.
 */
import { type BlockHeader, blockHash, type QuorumCertificate } from '../core/block/index.ts'
import {
  type CertifiedHeader,
  followHeader,
  type LightCode,
  type Trusted,
} from '../core/light/index.ts'
import { err, type Genesis, ok, type Result, type Validator } from '../core/params/index.ts'
import { verifyCertificate } from '../core/pbft/index.ts'
import { validatorsHash } from '../core/validators/index.ts'
import { equalBytes } from '../crypto/index.ts'

/** Roots that are kept below the head, for proofs that come late. */
const RECENT_BLOCKS = 256
/** Sets that are remembered, to recognise a contradiction (2.7). */
const RECENT_SETS = 16

export interface FollowedHeader {
  readonly height: number
  readonly hash: Uint8Array
  readonly ledgerRoot: Uint8Array
  /** With its certificate, where that was verified: one whose child fixes it was not looked at, and may be any node's word. */
  readonly certified?: CertifiedHeader
}

/** What a member keeps on disk: the highest header that it verified, and the set that decides the height after it. */
export interface StoredHead extends Pick<Trusted, 'header' | 'nextValidators'> {
  /** Absent in files from before it was kept. */
  readonly certificate?: QuorumCertificate
}

export interface LightClient {
  readonly genesis: Genesis
  readonly head: BlockHeader
  readonly headHash: Uint8Array
  readonly certificate?: QuorumCertificate
  readonly nextValidators: readonly Validator[]
  /** The last headers up to the head, oldest first, without gaps. */
  readonly recent: readonly FollowedHeader[]
  readonly recentSets: readonly (readonly Validator[])[]
}

export type FollowCode = LightCode | 'HeightGap'

export interface FollowError {
  readonly code: FollowCode
  readonly height: number
  readonly detail?: string
}

/** At block 0, which follows from the genesis file alone, or at a header that this member verified before and stored. */
export function resumeLightClient(
  genesis: Genesis,
  { certificate, header, nextValidators }: StoredHead,
): LightClient {
  const headHash = blockHash(header)
  const certified = certificate && { header, certificate, nextValidators }
  return {
    genesis,
    head: header,
    headHash,
    ...(certificate && { certificate }),
    nextValidators,
    recent: [followed(header, headHash, certified)],
    recentSets: [nextValidators],
  }
}

/** What is kept of it on disk. */
export function storedHead({ certificate, head, nextValidators }: LightClient): StoredHead {
  return { header: head, nextValidators, ...(certificate && { certificate }) }
}

function followed(
  { height, ledgerRoot }: BlockHeader,
  hash: Uint8Array,
  certified: CertifiedHeader | undefined,
): FollowedHeader {
  return { height, hash, ledgerRoot, ...(certified && { certified }) }
}

/** Whether a header names another set than the one that signs it. */
export function announcesSet({ header }: CertifiedHeader): boolean {
  return !equalBytes(header.validatorsHash, header.nextValidatorsHash)
}

/** The client after these consecutive headers, the first of which follows its head. All or nothing. */
export function followHeaders(
  client: LightClient,
  items: readonly CertifiedHeader[],
): Result<LightClient, FollowError> {
  const { genesis } = client
  let trusted: Trusted = {
    header: client.head,
    hash: client.headHash,
    nextValidators: client.nextValidators,
  }
  let parent = client.head
  let parentHash = client.headHash
  const added: FollowedHeader[] = []
  let sets = client.recentSets
  for (const [index, item] of items.entries()) {
    const { header } = item
    const fault = linkFault(parent, parentHash, header)
    if (fault !== undefined) return err({ code: fault, height: header.height })
    const next = items[index + 1]?.header
    const isLast = next === undefined || !equalBytes(next.validatorsHash, header.validatorsHash)
    if (isLast) {
      const step = followHeader(genesis, trusted, item)
      if (!step.ok) return step
      if (step.value.nextValidators !== trusted.nextValidators) {
        sets = [...sets, step.value.nextValidators].slice(-RECENT_SETS)
      }
      trusted = step.value
    }
    parent = header
    parentHash = blockHash(header)
    added.push(followed(header, parentHash, isLast ? item : undefined))
  }
  const { hash, header, nextValidators } = trusted
  const recent = [...client.recent, ...added].slice(-RECENT_BLOCKS)
  const certificate = items.at(-1)?.certificate ?? client.certificate
  const head = { head: header, headHash: hash, ...(certificate && { certificate }) }
  return ok({ genesis, ...head, nextValidators, recent, recentSets: sets })
}

function linkFault(
  parent: BlockHeader,
  parentHash: Uint8Array,
  header: BlockHeader,
): FollowCode | undefined {
  if (header.height !== parent.height + 1) return 'HeightGap'
  if (!equalBytes(header.parentHash, parentHash)) return 'ParentMismatch'
  if (!equalBytes(header.validatorsHash, parent.nextValidatorsHash)) return 'ValidatorSetMismatch'
  return header.slot > parent.slot ? undefined : 'SlotNotRising'
}

/** Whether a certified header contradicts what this client follows: more than f of the validators signed two blocks (2.7). */
export function contradicts(
  client: LightClient,
  { header, certificate }: CertifiedHeader,
): boolean {
  const ours = client.recent.find(({ height }) => height === header.height)
  if (ours === undefined || header.height === 0) return false
  const hash = blockHash(header)
  if (equalBytes(ours.hash, hash)) return false
  const { genesis } = client
  const validators = client.recentSets.find((set) =>
    equalBytes(validatorsHash(genesis, set), header.validatorsHash),
  )
  return (
    validators !== undefined &&
    certificate.height === header.height &&
    equalBytes(certificate.blockHash, hash) &&
    verifyCertificate(genesis.signatures, genesis.hash, 'commit', validators, certificate).kind ===
      'valid'
  )
}
