/** Why a change of the validators is refused. One code per rule (C-2). */
import type { APPROVAL_CODES } from '../block/index.ts'

/** Each code with the rule that it stands for. */
export const VALIDATOR_CHANGE_CODES = {
  ValidatorSequenceWrong: '1.4: the sequence is one more than that of the last change',
  ValidatorKeyUnknown: '1.4: power 0 removes a key that is in the set',
  ValidatorPossessionWrong: '1.4: an added key has a proof of possession, no other change has one',
  ValidatorKeyOfMember: '1.4: a validator has no key of a member',
  ValidatorAddressWrong: '1.4: a removal has the zero address',
  ValidatorPowerTooLarge: '1.4: a power is at most 1,000,000',
  ValidatorStepTooLarge: '1.4: one change moves at most a third of the total power, but at least 1',
  ValidatorChangeEffectless: '1.4: a change changes power or address',
  ValidatorSetEmpty: '1.4: one validator is left',
  ValidatorSetFull: '1.4: at most 1,024 validators',
  ApprovalEpochWrong: "4.2: the members' epoch is the parent ledger's",
  ApprovalBitmapWrong: '4.2: one bit per member',
  ApprovalQuorumMissing: '4.2: t of the members, by count',
  ApprovalSignatureWrong: '4.2: the aggregate of their signatures over the change',
} as const satisfies Readonly<Record<(typeof APPROVAL_CODES)[number], string>> &
  Readonly<Record<string, string>>

export type ValidatorChangeCode = keyof typeof VALIDATOR_CHANGE_CODES

export interface ValidatorChangeFault {
  readonly code: ValidatorChangeCode
  readonly detail?: string
}
