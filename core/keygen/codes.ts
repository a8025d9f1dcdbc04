/** Why a member's part in the making of a key cannot stand in a block. One code per rule (C-2). */

/** Each code with the rule that it stands for. */
export const KEYGEN_CODES = {
  KeygenNotOpen: '5.1: a key is made for the epoch after the current one',
  KeygenSessionWrong: '5.1: an item names the session that runs',
  KeygenStageWrong: '5.1: packages, then shares, then complaints or confirmations',
  KeygenSignerUnknown: '5.1: the signer takes part in the session',
  KeygenDuplicate: '5.1: each signer speaks once in a stage',
  KeygenContentMalformed: '5.1: the content is the container of its kind',
  KeygenSignatureWrong: "5.1: signed by the member's own key",
  KeygenPackageWrong: '5.1: t points, a proof of possession and a key to encrypt to',
  KeygenSharesWrong: '5.1: one ciphertext for each other signer of the session',
  KeygenAccusedWrong: '5.1: a complaint names another signer of the session',
  KeygenCallOver:
    '5.8: a call for the next key is good up to its height, at most 86,400 blocks ahead',
  KeygenConfirmationWrong: "5.1: signed by the member's share of the new key",
} as const

export type KeygenCode = keyof typeof KEYGEN_CODES

export interface KeygenFault {
  readonly code: KeygenCode
  readonly detail?: string
}
