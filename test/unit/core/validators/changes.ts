/** Changes of the validators and their approvals, signed with the keys of the tests' members. */
import type {
  MemberApproval,
  ValidatorChange,
  ValidatorChangeItem,
} from '../../../../core/block/index.ts'
import { combineApprovals } from '../../../../core/block/index.ts'
import type { Ledger } from '../../../../core/ledger/index.ts'
import type { Genesis } from '../../../../core/params/index.ts'
import { nextSequence, validatorChangeMessage } from '../../../../core/validators/index.ts'
import { type BlsKeyPair, blsSign, blsSigner, provePossession } from '../../../../crypto/index.ts'
import { addressOf, memberKeys } from '../peg/world.ts'

export function adding(ledger: Ledger, keys: BlsKeyPair, power = 1): ValidatorChange {
  return {
    sequence: nextSequence(ledger),
    blsKey: keys.publicKey,
    power,
    address: addressOf('new validator'),
    proofOfPossession: provePossession(blsSigner(keys.secretKey)),
  }
}

export function removing(ledger: Ledger, blsKey: Uint8Array): ValidatorChange {
  return {
    sequence: nextSequence(ledger),
    blsKey,
    power: 0,
    address: new Uint8Array(20),
    proofOfPossession: new Uint8Array(96),
  }
}

/** The change with the approval of these members, whether or not they are enough. */
export function approved(
  genesis: Genesis,
  change: ValidatorChange,
  signers: readonly number[] = [0, 1, 2],
  epoch = 0,
): ValidatorChangeItem {
  const message = validatorChangeMessage(genesis, epoch, change)
  const signatures = new Map(
    signers.map((index) => [index, blsSign((memberKeys[index] as BlsKeyPair).secretKey, message)]),
  )
  const few = { ...genesis, memberThreshold: 1 }
  return { ...change, approval: combineApprovals(few, epoch, signatures) as MemberApproval }
}
