/** The member's keys, from an encrypted key file with the secrets `bls` and `schnorr` (crypto/keystore). */
import type { Genesis } from '../core/params/index.ts'
import {
  blsSigner,
  equalBytes,
  type KeyFileError,
  openKeyFile,
  type Signer,
  schnorrPublicKey,
} from '../crypto/index.ts'

export interface MemberKeys {
  /** Signs approvals. */
  readonly approver: Signer
  /** For inputs of the reserve. */
  readonly schnorrSecret: Uint8Array
}

export type MemberKeysError =
  | KeyFileError
  | { readonly code: 'KeysIncomplete'; readonly reason: string }
  | { readonly code: 'KeysOfNoMember' }

/** Opens a key file and finds the member of the genesis file that its keys belong to. */
export function openMemberKeys(
  genesis: Genesis,
  file: unknown,
  password: string,
):
  | { readonly ok: true; readonly memberIndex: number; readonly keys: MemberKeys }
  | { readonly ok: false; readonly error: MemberKeysError } {
  const opened = openKeyFile(file, password)
  if (!opened.ok) return opened
  const { bls, schnorr } = opened.value
  if (bls?.length !== 32 || schnorr?.length !== 32) {
    return { ok: false, error: { code: 'KeysIncomplete', reason: 'expected bls and schnorr' } }
  }
  const keys = { approver: blsSigner(bls), schnorrSecret: schnorr }
  const schnorrKey = schnorrPublicKey(schnorr)
  const memberIndex = genesis.members.findIndex(
    (member) =>
      equalBytes(member.blsKey, keys.approver.publicKey) &&
      equalBytes(member.schnorrKey, schnorrKey),
  )
  if (memberIndex < 0) return { ok: false, error: { code: 'KeysOfNoMember' } }
  return { ok: true, memberIndex, keys }
}
