/** What a member says in a session: content, signature, and where it stands in the ledger. */
import type { Type } from '@chainsafe/ssz'
import {
  concatBytes,
  type DkgComplaint,
  type DkgPackage,
  schnorrSign,
  schnorrVerify,
  taggedHash,
  uint32be,
  uint64be,
} from '../../crypto/index.ts'
import {
  KEYGEN_KINDS,
  KeygenCallType,
  KeygenComplaintType,
  KeygenConfirmationType,
  type KeygenItem,
  type KeygenKind,
  KeygenPackageType,
  KeygenSharesType,
  type KeygenStatement,
  KeygenStatementType,
} from '../block/index.ts'
import { KEYGEN_STAGE } from '../ledger/index.ts'
import type { Genesis } from '../params/index.ts'

/** By kind. Ciphertexts stand in the order of the session's other signers. */
export interface KeygenContents {
  readonly package: DkgPackage
  readonly shares: { readonly ciphertexts: readonly Uint8Array[] }
  readonly complaint: DkgComplaint
  readonly confirmation: { readonly signature: Uint8Array }
  readonly call: { readonly untilHeight: number }
}

const CONTENT_TYPES: { readonly [K in KeygenKind]: Type<unknown> } = {
  package: KeygenPackageType as Type<unknown>,
  shares: KeygenSharesType as Type<unknown>,
  complaint: KeygenComplaintType as Type<unknown>,
  confirmation: KeygenConfirmationType as Type<unknown>,
  call: KeygenCallType as Type<unknown>,
}

/** The stage in which each kind is said. */
export const STAGE_OF_KIND: { readonly [K in KeygenKind]: number } = {
  package: KEYGEN_STAGE.packages,
  shares: KEYGEN_STAGE.shares,
  complaint: KEYGEN_STAGE.confirmations,
  confirmation: KEYGEN_STAGE.confirmations,
  call: KEYGEN_STAGE.calls,
}

export function encodeKeygenContent<K extends KeygenKind>(
  kind: K,
  content: KeygenContents[K],
): Uint8Array {
  return CONTENT_TYPES[kind].serialize(content)
}

/** Undefined for bytes that are no content of the kind. */
export function decodeKeygenContent<K extends KeygenKind>(
  kind: K,
  bytes: Uint8Array,
): KeygenContents[K] | undefined {
  try {
    return CONTENT_TYPES[kind].deserialize(Uint8Array.from(bytes)) as KeygenContents[K]
  } catch {
    return undefined
  }
}

/** The key of what a signer said in a stage. */
export function keygenItemKey(sessionId: Uint8Array, stage: number, signer: number): Uint8Array {
  return concatBytes(sessionId, Uint8Array.of(stage), uint32be(signer))
}

/** A session's name: another one for every attempt and every set of signers. */
export function keygenSessionId(
  genesis: Genesis,
  epoch: number,
  attempt: number,
  signers: readonly number[],
): Uint8Array {
  const numbers = signers.map(uint32be)
  return taggedHash('millrace/keygen', genesis.hash, uint64be(epoch), uint32be(attempt), ...numbers)
}

/** What a member's own key signs about an item: genesis, epoch, session, kind, signer and content. */
export function keygenItemMessage(genesis: Genesis, statement: KeygenStatement): Uint8Array {
  const { content, epoch, kind, sessionId, signer } = statement
  const root = KeygenStatementType.hashTreeRoot({ content, epoch, kind, sessionId, signer })
  return taggedHash('millrace/keygen-item', genesis.hash, root)
}

/** What a share of the new key signs, so that everybody sees that its member holds it. */
export function keygenConfirmationMessage(
  genesis: Genesis,
  epoch: number,
  sessionId: Uint8Array,
  publicKey: Uint8Array,
): Uint8Array {
  return taggedHash(
    'millrace/keygen-confirmation',
    genesis.hash,
    uint64be(epoch),
    sessionId,
    publicKey,
  )
}

/** `auxiliary` is 32 bytes of fresh randomness. */
export function signKeygenItem(
  genesis: Genesis,
  statement: KeygenStatement,
  secretKey: Uint8Array,
  auxiliary: Uint8Array,
): KeygenItem {
  const signature = schnorrSign(secretKey, keygenItemMessage(genesis, statement), auxiliary)
  return { ...statement, signature }
}

/** Whether the member whom an item names said it. */
export function isKeygenItemSigned(genesis: Genesis, item: KeygenItem): boolean {
  const member = genesis.members[item.signer - 1]
  if (member === undefined) return false
  return schnorrVerify(member.schnorrKey, keygenItemMessage(genesis, item), item.signature)
}

export function keygenKind(item: Pick<KeygenItem, 'kind'>): KeygenKind | undefined {
  return KEYGEN_KINDS[item.kind]
}
