/**
 * Questions to a signer and its answers as fields of signer.proto, both ways. Fields have the types of the schema, for protobuf decoded them;
 * what they hold may be anything, and is undefined here where it is no question or answer. What the chain defines stays in its SSZ form, so
 * that the signer decides by the bytes that were proven.
 */
import type { ApprovalRequest, ProvenRow } from '../../bridge/index.ts'
import {
  decodeCertificate,
  decodeHeader,
  decodeValidators,
  encodeCertificate,
  encodeHeader,
  encodeValidators,
} from '../../core/block/index.ts'
import { decodeRow, encodeRow, type KeygenItemRow } from '../../core/ledger/index.ts'
import type { CertifiedHeader } from '../../core/light/index.ts'
import type { NonceOffer } from '../../core/signing/index.ts'
import { concatBytes, fromHex, toHex } from '../../crypto/index.ts'
import type { CertifiedHeaderBytes, SignerFields } from '../../proto/index.ts'
import type { ConfirmedKey, Evidence } from '../evidence.ts'
import {
  type Approval,
  type ApprovalQuestion,
  type Belief,
  KEYGEN_WORDS,
  type KeygenQuestion,
  type KeygenSaid,
  type OfferGiven,
  type OfferQuestion,
  type PartsGiven,
  type PartsQuestion,
  type VaultVerdict,
} from '../port.ts'

const NOTHING = new Uint8Array(0)
const HASH_BYTES = 32

/** One side's encoder, the other's decoder. */
export interface Codec<T> {
  encode(value: T): SignerFields
  decode(fields: SignerFields): T | undefined
}

function codec<Fields, T>(
  encode: (value: T) => Fields,
  decode: (fields: Fields) => T | undefined,
): Codec<T> {
  return {
    encode: (value) => encode(value) as SignerFields,
    decode: (fields) => decode(fields as Fields),
  }
}

interface VerdictFields {
  readonly kind: string
  readonly code: string
  readonly detail: string
  readonly retryAfterMs: number
}
const SIGNS: VerdictFields = { kind: 'sign', code: '', detail: '', retryAfterMs: 0 }

/** An answer of `value`, or why there is none. */
function verdicts<Fields extends object, T>(
  encode: (value: T) => Fields,
  decode: (fields: Fields) => T | undefined,
): Codec<VaultVerdict<T>> {
  type Answer = Fields & { readonly verdict: VerdictFields }
  return codec<object, VaultVerdict<T>>(
    (verdict) => {
      if (verdict.kind === 'sign') return { verdict: SIGNS, ...encode(verdict.value) }
      const { code, kind } = verdict
      const detail = (verdict.kind === 'refuse' && verdict.detail) || ''
      const retryAfterMs = verdict.kind === 'unknown' ? verdict.retryAfterMs : 0
      return { verdict: { kind, code, detail, retryAfterMs } }
    },
    (fields) => {
      const { verdict } = fields as Answer
      const { code, detail, kind, retryAfterMs } = verdict
      if (kind === 'refuse') return { kind, code, ...(detail !== '' && { detail }) }
      if (kind === 'unknown') return { kind, code, retryAfterMs }
      const value = kind === 'sign' ? decode(fields as Answer) : undefined
      return value === undefined ? undefined : { kind: 'sign', value }
    },
  )
}

function encodeCertified({ certificate, header, nextValidators }: CertifiedHeader) {
  return {
    header: encodeHeader(header),
    certificate: encodeCertificate(certificate),
    nextValidators: nextValidators === undefined ? NOTHING : encodeValidators(nextValidators),
  }
}

function decodeCertified(bytes: CertifiedHeaderBytes): CertifiedHeader | undefined {
  const header = decodeHeader(bytes.header)
  const certificate = decodeCertificate(bytes.certificate)
  if (!header.ok || !certificate.ok) return undefined
  const certified = { header: header.value, certificate: certificate.value }
  if (bytes.nextValidators.length === 0) return certified
  const validators = decodeValidators(bytes.nextValidators)
  return validators.ok ? { ...certified, nextValidators: validators.value } : undefined
}

/** All, or undefined when one of them is none. */
function each<From, To>(
  items: readonly From[],
  decode: (item: From) => To | undefined,
): readonly To[] | undefined {
  const decoded = items.map(decode)
  return decoded.includes(undefined) ? undefined : (decoded as To[])
}

interface KeyFields {
  readonly epoch: number
  readonly row: Uint8Array
  readonly items: readonly { readonly key: Uint8Array; readonly row: Uint8Array }[]
}

function encodeKey({ epoch, items, row }: ConfirmedKey): KeyFields {
  const said = [...items].map(([hex, item]) => ({
    key: fromHex(hex) as Uint8Array,
    row: encodeRow('keygenItems', item),
  }))
  return { epoch, row: encodeRow('keys', row), items: said }
}

function decodeKey({ epoch, items, row }: KeyFields): ConfirmedKey | undefined {
  const made = decodeRow('keys', row)
  const said = each(items, (item): readonly [string, KeygenItemRow] | undefined => {
    const decoded = decodeRow('keygenItems', item.row)
    return decoded && [toHex(item.key), decoded]
  })
  return made && said && { epoch, row: made, items: new Map(said) }
}

interface EvidenceFields {
  readonly header: CertifiedHeaderBytes
  readonly rows: readonly ProvenRow[]
}

function encodeEvidence({ header, rows }: Evidence): EvidenceFields {
  return { header: encodeCertified(header), rows }
}

function decodeEvidence({ header, rows }: EvidenceFields): Evidence | undefined {
  const certified = decodeCertified(header)
  return certified && { header: certified, rows }
}

export interface Hello {
  readonly genesisHash: Uint8Array
  readonly software: string
}

export const hello = codec<Hello, Hello>(
  (given) => given,
  (given) => given,
)

export interface Welcome {
  readonly genesisHash: Uint8Array
  readonly memberIndex: number
  readonly head: Belief
  readonly software: string
}

interface WelcomeFields extends Omit<Welcome, 'head'> {
  readonly header: Uint8Array
  readonly nextValidators: Uint8Array
  readonly stale: boolean
  readonly trustedHeight: number
  readonly trustedHash: Uint8Array
}

export const welcome = codec<WelcomeFields, Welcome>(
  ({ head, ...rest }) => ({
    ...rest,
    header: encodeHeader(head.header),
    nextValidators: encodeValidators(head.nextValidators),
    stale: head.isStale,
    trustedHeight: head.trustedBlock?.height ?? 0,
    trustedHash: head.trustedBlock?.hash ?? NOTHING,
  }),
  ({ header, nextValidators, stale: isStale, trustedHash: hash, trustedHeight, ...rest }) => {
    const [decoded, validators] = [decodeHeader(header), decodeValidators(nextValidators)]
    const isNamed = hash.length === HASH_BYTES
    if (!decoded.ok || !validators.ok || !(isNamed || hash.length === 0)) return undefined
    if (!Number.isSafeInteger(trustedHeight)) return undefined
    const believed = { header: decoded.value, nextValidators: validators.value, isStale }
    const trustedBlock = { height: trustedHeight, hash }
    return { ...rest, head: isNamed ? { ...believed, trustedBlock } : believed }
  },
)

export const followQuestion = codec<
  { readonly headers: readonly CertifiedHeaderBytes[] },
  readonly CertifiedHeader[]
>(
  (headers) => ({ headers: headers.map(encodeCertified) }),
  ({ headers }) => each(headers, decodeCertified),
)

export const followAnswer = codec<{ readonly followed: boolean }, boolean>(
  (followed) => ({ followed }),
  ({ followed }) => followed,
)

interface SightFields {
  readonly unknownCode: string
  readonly confirmations: number
  readonly txids: Uint8Array
  readonly place: number
  readonly transaction: Uint8Array
  readonly coinbase: Uint8Array
}

const UNSEEN: SightFields = {
  unknownCode: '',
  confirmations: 0,
  txids: NOTHING,
  place: 0,
  transaction: NOTHING,
  coinbase: NOTHING,
}

function encodeSight(sight: ApprovalQuestion['sight']): SightFields {
  if (sight.kind === 'unknown') return { ...UNSEEN, unknownCode: sight.code }
  const { coinbase, confirmations, index, transaction, txids } = sight
  const place = index + 1
  return { ...UNSEEN, confirmations, txids: concatBytes(...txids), place, transaction, coinbase }
}

function decodeSight(fields: SightFields): ApprovalQuestion['sight'] | undefined {
  const { coinbase, confirmations, place, transaction, txids, unknownCode } = fields
  if (unknownCode !== '') return { kind: 'unknown', code: unknownCode }
  if (txids.length % HASH_BYTES !== 0) return undefined
  const ids = Array.from({ length: txids.length / HASH_BYTES }, (_, at) =>
    txids.slice(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  )
  return { kind: 'seen', confirmations, txids: ids, index: place - 1, transaction, coinbase }
}

interface ApprovalFields {
  readonly request: ApprovalRequest
  readonly sight: SightFields
  readonly keys: readonly KeyFields[]
}

export const approvalQuestion = codec<ApprovalFields, ApprovalQuestion>(
  ({ keys, request, sight }) => ({
    request,
    sight: encodeSight(sight),
    keys: keys.map(encodeKey),
  }),
  ({ keys, request, sight }) => {
    const [seen, known] = [decodeSight(sight), each(keys, decodeKey)]
    return seen && known && { request, sight: seen, keys: known }
  },
)

export const approvalAnswer = verdicts<Approval, Approval>(
  (approval) => approval,
  ({ isNew, signature }) => (signature.length > 0 ? { isNew, signature } : undefined),
)

interface OfferFields extends Omit<OfferQuestion, 'evidence' | 'keys'> {
  readonly evidence: EvidenceFields
  readonly keys: readonly KeyFields[]
}

export const offerQuestion = codec<OfferFields, OfferQuestion>(
  ({ evidence, keys, node, request }) => ({
    node,
    request,
    evidence: encodeEvidence(evidence),
    keys: keys.map(encodeKey),
  }),
  ({ evidence, keys, node, request }) => {
    const [shown, known] = [decodeEvidence(evidence), each(keys, decodeKey)]
    return shown && known && { node, request, evidence: shown, keys: known }
  },
)

interface OfferAnswerFields {
  readonly offers: readonly NonceOffer[]
  readonly txid: Uint8Array
  readonly paidSat: number
  readonly minerFeeSat: number
}

export const offerAnswer = verdicts<OfferAnswerFields, OfferGiven>(
  ({ begun, offer }) => ({
    offers: [offer],
    txid: begun?.txid ?? NOTHING,
    paidSat: Number(begun?.paidSat ?? 0),
    minerFeeSat: Number(begun?.minerFeeSat ?? 0),
  }),
  ({ minerFeeSat, offers: [offer], paidSat, txid }) => {
    if (offer === undefined || txid.length === 0) return offer && { offer }
    const begun = { txid, paidSat: BigInt(paidSat), minerFeeSat: BigInt(minerFeeSat) }
    return { offer, begun }
  },
)

export const partsQuestion = codec<PartsQuestion, PartsQuestion>(
  (question) => question,
  (question) => question,
)

interface PartsAnswerFields extends Omit<PartsGiven, 'next'> {
  readonly next: readonly NonceOffer[]
}

export const partsAnswer = verdicts<PartsAnswerFields, PartsGiven>(
  ({ next, ...given }) => ({ ...given, next: next === undefined ? [] : [next] }),
  ({ listHash, next: [next], parts, signature }) => {
    return { listHash, parts, signature, ...(next && { next }) }
  },
)

interface KeygenFields {
  readonly epoch: number
  readonly evidence: EvidenceFields
}

export const keygenQuestion = codec<KeygenFields, KeygenQuestion>(
  ({ epoch, evidence }) => ({ epoch, evidence: encodeEvidence(evidence) }),
  ({ epoch, evidence }) => {
    const shown = decodeEvidence(evidence)
    return shown && { epoch, evidence: shown }
  },
)

interface KeygenAnswerFields {
  readonly word: string
  readonly item: Uint8Array
  readonly isFirst: boolean
  readonly accused: number
}

export const keygenAnswer = verdicts<KeygenAnswerFields, KeygenSaid>(
  ({ accused, isFirst, item, word }) => {
    return { word, item: item ?? NOTHING, isFirst, accused: accused ?? 0 }
  },
  ({ accused, isFirst, item, word: name }) => {
    const word = KEYGEN_WORDS.find((one) => one === name)
    if (word === undefined) return undefined
    const said = { word, isFirst, ...(item.length > 0 && { item }) }
    return accused > 0 ? { ...said, accused } : said
  },
)

export const settleQuestion = codec<{ readonly key: KeyFields }, ConfirmedKey>(
  (key) => ({ key: encodeKey(key) }),
  ({ key }) => decodeKey(key),
)

export const settleAnswer = verdicts<{ readonly settled: boolean }, boolean>(
  (settled) => ({ settled }),
  ({ settled }) => settled,
)
