/**
 * Changes of the validators (protocol §1.4). What neighbouring sets must have in common: nothing for safety, since each height is
 * decided by one set alone that all who know its parent's parent agree on, and its parent is committed before it begins. The bound
 * on a step is for liveness: with three or more of power, an added key that never comes up leaves the others a quorum, and any quorum
 * of a set shares a validator with any of the next, so somebody who decides has the block that is built on.
 */
import { equalBytes, taggedHash, toHex, uint64be, verifyPossession } from '../../crypto/index.ts'
import {
  approvalFault,
  MAX_VALIDATORS,
  type ValidatorChange,
  type ValidatorChangeItem,
  ValidatorChangeType,
} from '../block/index.ts'
import { heightKey, isZero, type Ledger, LedgerDraft } from '../ledger/index.ts'
import { err, type Genesis, ok, type Result, type Validator } from '../params/index.ts'
import type { ValidatorChangeCode, ValidatorChangeFault } from './codes.ts'
import { CHANGE_DELAY, nextSequence, validatorsRowAt } from './sets.ts'

export const MAX_POWER = 1_000_000

/** What a member signs to approve a change: a domain of its own, bound to the genesis, the members' epoch and all fields. */
export function validatorChangeMessage(
  genesis: Genesis,
  membersEpoch: number,
  change: ValidatorChange,
): Uint8Array {
  return taggedHash(
    'millrace/validator-change',
    genesis.hash,
    uint64be(membersEpoch),
    ValidatorChangeType.hashTreeRoot(fieldsOf(change)),
  )
}

/** The name of a change, whoever approved it. */
export function validatorChangeId(change: ValidatorChange): string {
  return toHex(ValidatorChangeType.hashTreeRoot(fieldsOf(change)))
}

function fieldsOf(change: ValidatorChange): ValidatorChange {
  const { sequence, blsKey, power, address, proofOfPossession } = change
  return { sequence, blsKey, power, address, proofOfPossession }
}

/** How much power one change may move: a third of the total, but at least 1. */
export function largestStep(validators: readonly Pick<Validator, 'power'>[]): number {
  const total = validators.reduce((sum, { power }) => sum + power, 0)
  return Math.max(1, Math.floor(total / 3))
}

/** The latest set that is decided, whether or not it acts yet. */
export function latestValidators(ledger: Ledger): readonly Validator[] {
  return validatorsRowAt(ledger, ledger.state.validatorsHeight).row.validators
}

/** The set after a change, or the rule that it breaks. Approvals are checked apart. */
export function changedValidators(
  genesis: Genesis,
  ledger: Ledger,
  change: ValidatorChange,
): Result<readonly Validator[], ValidatorChangeFault> {
  const { sequence, blsKey, power, address, proofOfPossession } = change
  const wanted = nextSequence(ledger)
  if (sequence !== wanted) return refuse('ValidatorSequenceWrong', `${sequence}, not ${wanted}`)
  const before = latestValidators(ledger)
  const position = before.findIndex((validator) => equalBytes(validator.blsKey, blsKey))
  const present = before[position]
  if (power > MAX_POWER) return refuse('ValidatorPowerTooLarge', `${power}`)
  if (power === 0) {
    if (present === undefined) return refuse('ValidatorKeyUnknown', toHex(blsKey))
    if (!isZero(address)) return refuse('ValidatorAddressWrong')
  }
  const step = Math.abs(power - (present?.power ?? 0))
  const largest = largestStep(before)
  if (step > largest) return refuse('ValidatorStepTooLarge', `${step}, at most ${largest}`)
  if (present !== undefined) {
    if (!isZero(proofOfPossession)) return refuse('ValidatorPossessionWrong')
    if (power === present.power && equalBytes(address, present.address)) {
      return refuse('ValidatorChangeEffectless')
    }
  } else {
    if (before.length >= MAX_VALIDATORS) return refuse('ValidatorSetFull')
    if (genesis.members.some((member) => equalBytes(member.blsKey, blsKey))) {
      return refuse('ValidatorKeyOfMember')
    }
    if (!verifyPossession(genesis.signatures, blsKey, proofOfPossession)) {
      return refuse('ValidatorPossessionWrong')
    }
  }
  const changed = { blsKey, power, address }
  const after =
    present === undefined
      ? [...before, changed]
      : before.flatMap((validator) => {
          if (validator !== present) return [validator]
          return power === 0 ? [] : [changed]
        })
  return after.length === 0 ? refuse('ValidatorSetEmpty') : ok(after)
}

/** The set after an approved change, or why it cannot stand in a block on this ledger. */
export function checkValidatorChange(
  genesis: Genesis,
  ledger: Ledger,
  item: ValidatorChangeItem,
): Result<readonly Validator[], ValidatorChangeFault> {
  const { membersEpoch } = ledger.state
  const changed = changedValidators(genesis, ledger, item)
  if (!changed.ok) return changed
  const message = validatorChangeMessage(genesis, membersEpoch, item)
  const fault = approvalFault(genesis, membersEpoch, message, item.approval)
  return fault === undefined ? changed : err(fault)
}

/**
 * The ledger with the change of a block of `height`, whose other effects up to the execution it has already. The row before is
 * closed with the height at which it ends, so that one row proves its set for every height.
 */
export function applyValidatorChange(
  genesis: Genesis,
  ledger: Ledger,
  height: number,
  item: ValidatorChangeItem,
): Result<Ledger, ValidatorChangeFault> {
  const changed = checkValidatorChange(genesis, ledger, item)
  if (!changed.ok) return changed
  const activation = height + CHANGE_DELAY
  const previous = ledger.state.validatorsHeight
  const { row } = validatorsRowAt(ledger, previous)
  const draft = new LedgerDraft(ledger, true)
  draft.put('validators', heightKey(previous), { ...row, next: activation })
  draft.put('validators', heightKey(activation), {
    sequence: item.sequence,
    previous,
    next: 0,
    validators: [...changed.value],
  })
  draft.update({ validatorsHeight: activation })
  return ok(draft.finish())
}

function refuse(code: ValidatorChangeCode, detail?: string): Result<never, ValidatorChangeFault> {
  return err(detail === undefined ? { code } : { code, detail })
}
