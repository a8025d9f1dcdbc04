/**
 * From the genesis file to any later header, by certificates alone (protocol §1.4, §5.6). `followHeader` is the whole algorithm: it asks
 * nothing of whoever handed the header over.
 */
import { equalBytes } from '../../crypto/index.ts'
import {
  type BlockHeader,
  blockHash,
  genesisHeader,
  hashValidators,
  MAX_VALIDATORS,
  type QuorumCertificate,
} from '../block/index.ts'
import { genesisLedger, type Ledger, ledgerRoot } from '../ledger/index.ts'
import { err, type Genesis, ok, type Result, type Validator } from '../params/index.ts'
import { verifyCertificate } from '../pbft/index.ts'
import { validatorsAt } from '../validators/index.ts'

/** What is believed: a header, and the set that decides the height after it. */
export interface Trusted {
  readonly header: BlockHeader
  readonly hash: Uint8Array
  readonly nextValidators: readonly Validator[]
}

export interface CertifiedHeader {
  readonly header: BlockHeader
  /** Any commit certificate of it. */
  readonly certificate: QuorumCertificate
  /** The set behind nextValidatorsHash, in a header that announces another one; what others carry is not looked at. */
  readonly nextValidators?: readonly Validator[]
}

/** What a node hands over: with the set that the header announces, if it does. The ledger, not older than it, knows all there were. */
export function certifiedHeader(
  header: BlockHeader,
  certificate: QuorumCertificate,
  ledger: Ledger,
): CertifiedHeader {
  const announces = !equalBytes(header.validatorsHash, header.nextValidatorsHash)
  const nextValidators = announces ? validatorsAt(ledger, header.height + 1) : undefined
  return { header, certificate, ...(nextValidators && { nextValidators }) }
}

export const LIGHT_CODES = [
  /** Not above what is believed already. */
  'HeightNotRising',
  'SlotNotRising',
  /** The next height's header names another parent. */
  'ParentMismatch',
  /** It is of another set than the one that is known to follow: a header that announced the change is missing. */
  'ValidatorSetMismatch',
  /** It announces a set and does not show it, or shows another one. */
  'ValidatorSetUnknown',
  'CertificateMismatch',
  'CertificateInvalid',
] as const
export type LightCode = (typeof LIGHT_CODES)[number]

export interface LightFault {
  readonly code: LightCode
  readonly height: number
  readonly detail?: string
}

/** Block 0, which follows from the genesis file. */
export function trustGenesis(genesis: Genesis): Trusted {
  const header = genesisHeader(genesis, ledgerRoot(genesisLedger(genesis)))
  return { header, hash: blockHash(header), nextValidators: genesis.validators }
}

/**
 * What is believed after a header above the one that is believed. Headers in between may be left out as long as they announce no other
 * set: the certificate of the set that decides the height after `trusted` is all that is needed, and the header names that set.
 */
export function followHeader(
  genesis: Genesis,
  trusted: Trusted,
  { certificate, header, nextValidators: shown }: CertifiedHeader,
): Result<Trusted, LightFault> {
  const refuse = (code: LightCode, detail?: string): Result<never, LightFault> =>
    err({ code, height: header.height, ...(detail !== undefined && { detail }) })
  const before = trusted.header
  const validators = trusted.nextValidators
  if (header.height <= before.height) return refuse('HeightNotRising')
  if (header.slot <= before.slot) return refuse('SlotNotRising')
  const isChild = header.height === before.height + 1
  if (isChild && !equalBytes(header.parentHash, trusted.hash)) return refuse('ParentMismatch')
  if (!equalBytes(header.validatorsHash, before.nextValidatorsHash)) {
    return refuse('ValidatorSetMismatch')
  }
  const hash = blockHash(header)
  if (certificate.height !== header.height || !equalBytes(certificate.blockHash, hash)) {
    return refuse('CertificateMismatch')
  }
  const { signatures } = genesis
  const verdict = verifyCertificate(signatures, genesis.hash, 'commit', validators, certificate)
  if (verdict.kind !== 'valid') return refuse('CertificateInvalid', verdict.code)
  if (equalBytes(header.nextValidatorsHash, header.validatorsHash)) {
    return ok({ header, hash, nextValidators: validators })
  }
  if (shown === undefined || shown.length === 0 || shown.length > MAX_VALIDATORS) {
    return refuse('ValidatorSetUnknown')
  }
  return equalBytes(hashValidators(shown), header.nextValidatorsHash)
    ? ok({ header, hash, nextValidators: shown })
    : refuse('ValidatorSetUnknown', 'another set')
}
