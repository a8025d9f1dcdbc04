/**
 * A member's own view of Millrace (protocol §5.6): from the genesis file along parent hashes, the committed validator sets and
 * commit certificates. Pure; nodes are untrusted relays. What is signed by q of a set fixes all blocks below it, so a
 * run of headers under one set needs one certificate, that of its last.
 */

import type { QuorumCertificate } from '../core/block/index.ts'
import {
  type BlockHeader,
  blockHash,
  genesisHeader,
  genesisValidatorsHash,
} from '../core/block/index.ts'
import { genesisLedger, ledgerRoot } from '../core/ledger/index.ts'
import { err, type Genesis, ok, type Result, type Validator } from '../core/params/index.ts'
import { verifyCertificate } from '../core/pbft/index.ts'
import { equalBytes } from '../crypto/index.ts'

/** Roots that are kept below the head, for proofs that come late. */
const RECENT_BLOCKS = 256

export interface FollowedHeader {
  readonly height: number
  readonly hash: Uint8Array
  readonly ledgerRoot: Uint8Array
}

export interface LightClient {
  readonly genesis: Genesis
  readonly head: BlockHeader
  readonly headHash: Uint8Array
  /** The last headers up to the head, oldest first, without gaps. */
  readonly recent: readonly FollowedHeader[]
}

export interface CertifiedHeader {
  readonly header: BlockHeader
  readonly certificate: QuorumCertificate
}

export type FollowCode =
  | 'HeightGap'
  | 'ParentMismatch'
  | 'ValidatorSetMismatch'
  /** The set of a later height is none that this member knows. */
  | 'ValidatorSetUnknown'
  | 'SlotNotRising'
  | 'CertificateMismatch'
  | 'CertificateInvalid'

export interface FollowError {
  readonly code: FollowCode
  readonly height: number
  readonly detail?: string
}

/** At block 0, which follows from the genesis file alone. */
export function startLightClient(genesis: Genesis): LightClient {
  return clientAt(genesis, genesisHeader(genesis, ledgerRoot(genesisLedger(genesis))))
}

/** At a header that this member verified before and stored. */
export function resumeLightClient(genesis: Genesis, head: BlockHeader): LightClient {
  return clientAt(genesis, head)
}

function clientAt(genesis: Genesis, head: BlockHeader): LightClient {
  const headHash = blockHash(head)
  return { genesis, head, headHash, recent: [followed(head, headHash)] }
}

function followed(header: BlockHeader, hash: Uint8Array): FollowedHeader {
  return { height: header.height, hash, ledgerRoot: header.ledgerRoot }
}

/** The client after these consecutive headers, the first of which follows its head. All or nothing. */
export function followHeaders(
  client: LightClient,
  items: readonly CertifiedHeader[],
): Result<LightClient, FollowError> {
  const { genesis } = client
  let parent = client.head
  let parentHash = client.headHash
  const added: FollowedHeader[] = []
  for (const [index, { header, certificate }] of items.entries()) {
    const fault = linkFault(parent, parentHash, header)
    if (fault !== undefined) return refuse(fault, header)
    const hash = blockHash(header)
    const next = items[index + 1]?.header
    const endsRun = next === undefined || !equalBytes(next.validatorsHash, header.validatorsHash)
    if (endsRun) {
      const validators = validatorSet(genesis, header.validatorsHash)
      if (validators === undefined) return refuse('ValidatorSetUnknown', header)
      const bad = certificateFault(genesis, validators, header, hash, certificate)
      if (bad !== undefined) return refuse(bad.code, header, bad.detail)
    }
    added.push(followed(header, hash))
    parent = header
    parentHash = hash
  }
  const recent = [...client.recent, ...added].slice(-RECENT_BLOCKS)
  return ok({ genesis, head: parent, headHash: parentHash, recent })
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

/** The validators with that hash. Only the genesis set is known: sets do not change yet by any rule of the chain. */
function validatorSet(genesis: Genesis, hash: Uint8Array): readonly Validator[] | undefined {
  return equalBytes(genesisValidatorsHash(genesis), hash) ? genesis.validators : undefined
}

function certificateFault(
  genesis: Genesis,
  validators: readonly Validator[],
  header: BlockHeader,
  hash: Uint8Array,
  certificate: QuorumCertificate,
): { readonly code: FollowCode; readonly detail?: string } | undefined {
  if (certificate.height !== header.height || !equalBytes(certificate.blockHash, hash)) {
    return { code: 'CertificateMismatch' }
  }
  const verdict = verifyCertificate(
    genesis.signatures,
    genesis.hash,
    'commit',
    validators,
    certificate,
  )
  return verdict.kind === 'valid' ? undefined : { code: 'CertificateInvalid', detail: verdict.code }
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
  const validators = validatorSet(genesis, header.validatorsHash)
  if (validators === undefined) return false
  return certificateFault(genesis, validators, header, hash, certificate) === undefined
}

function refuse(
  code: FollowCode,
  header: BlockHeader,
  detail?: string,
): Result<never, FollowError> {
  const { height } = header
  return err(detail === undefined ? { code, height } : { code, height, detail })
}
