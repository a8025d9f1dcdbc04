/** Approved changes of the validators that wait for a block (protocol §1.4): few, and only for the next place in the chain. */
import type { ValidatorChangeItem } from '../../core/block/index.ts'
import type { Ledger } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import {
  checkValidatorChange,
  nextSequence,
  type ValidatorChangeFault,
  validatorChangeId,
} from '../../core/validators/index.ts'
import { MAX_WAITING_CHANGES } from './limits.ts'

/** By what they change; at most one of them can ever act. */
export type WaitingChanges = ReadonlyMap<string, ValidatorChangeItem>

export type TakenChange =
  | { readonly kind: 'taken'; readonly id: string; readonly waiting: WaitingChanges }
  | { readonly kind: 'known'; readonly id: string }
  | { readonly kind: 'refused'; readonly fault: WaitingFault }

export type WaitingFault =
  | ValidatorChangeFault
  | { readonly code: 'ValidatorChangesFull'; readonly detail?: string }

export function takeChange(
  genesis: Genesis,
  ledger: Ledger,
  waiting: WaitingChanges,
  item: ValidatorChangeItem,
): TakenChange {
  const id = validatorChangeId(item)
  if (waiting.has(id)) return { kind: 'known', id }
  if (waiting.size >= MAX_WAITING_CHANGES) {
    return { kind: 'refused', fault: { code: 'ValidatorChangesFull' } }
  }
  const checked = checkValidatorChange(genesis, ledger, item)
  return checked.ok
    ? { kind: 'taken', id, waiting: new Map(waiting).set(id, item) }
    : { kind: 'refused', fault: checked.error }
}

/** What still can act on this ledger. */
export function standingChanges(ledger: Ledger, waiting: WaitingChanges): WaitingChanges {
  if (waiting.size === 0) return waiting
  const wanted = nextSequence(ledger)
  return new Map([...waiting].filter(([, { sequence }]) => sequence === wanted))
}
