/** Orders about the peg with their approval, signed with the keys of the tests' members. */
import type { MemberApproval, PegOrder, PegOrderItem } from '../../../../core/block/index.ts'
import { combineApprovals, PEG_ORDER_KINDS } from '../../../../core/block/index.ts'
import { causeKey, DEFICIT_CAUSE, type Ledger, rowOf } from '../../../../core/ledger/index.ts'
import type { Genesis } from '../../../../core/params/index.ts'
import { pegOrderMessage } from '../../../../core/peg/index.ts'
import { type BlsKeyPair, blsSign } from '../../../../crypto/index.ts'
import { memberKeys } from './world.ts'

export function orderOf(
  kind: (typeof PEG_ORDER_KINDS)[number],
  subject: Uint8Array,
  fields: Partial<Pick<PegOrder, 'scriptPubKey' | 'fundSat' | 'since'>> = {},
): PegOrder {
  const nothing = { scriptPubKey: new Uint8Array(0), fundSat: 0n, since: 0 }
  return { kind: PEG_ORDER_KINDS.indexOf(kind), subject, ...nothing, ...fields }
}

/** About the loss that this ledger has. */
export function lossOf(
  ledger: Ledger,
  kind: 'reorgLoss' | 'strayLoss',
  subject: Uint8Array,
  fundSat = 0n,
): PegOrder {
  const cause = DEFICIT_CAUSE[kind === 'reorgLoss' ? 'reorg' : 'stray']
  const row =
    rowOf(ledger, 'deficits', causeKey(cause, subject)) ?? rowOf(ledger, 'spends', subject)
  return orderOf(kind, subject, { fundSat, since: row?.height ?? 0 })
}

/** The order with the approval of these members, whether or not they are enough. */
export function approvedOrder(
  genesis: Genesis,
  order: PegOrder,
  signers: readonly number[] = [0, 1, 2],
): PegOrderItem {
  const message = pegOrderMessage(genesis, 0, order)
  const signatures = new Map(
    signers.map((index) => [index, blsSign((memberKeys[index] as BlsKeyPair).secretKey, message)]),
  )
  const few = { ...genesis, memberThreshold: 1 }
  return { ...order, approval: combineApprovals(few, 0, signatures) as MemberApproval }
}
