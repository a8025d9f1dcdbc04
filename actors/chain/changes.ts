/** Decisions of the members that wait for a block: changes of the validators (protocol §1.4) and orders about the peg (4.9, 5.9). Few. */
import type { PegOrderItem, ValidatorChangeItem } from '../../core/block/index.ts'
import type { Ledger } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { checkPegOrder, orderFault, type PegError, pegOrderId } from '../../core/peg/index.ts'
import {
  checkValidatorChange,
  nextSequence,
  type ValidatorChangeFault,
  validatorChangeId,
} from '../../core/validators/index.ts'
import { MAX_WAITING_CHANGES, MAX_WAITING_ORDERS } from './limits.ts'

/** By what they change; at most one of them can ever act. */
export type WaitingChanges = ReadonlyMap<string, ValidatorChangeItem>
/** By what they order. */
export type WaitingOrders = ReadonlyMap<string, PegOrderItem>

export type Taken<Item, Fault> =
  | { readonly kind: 'taken'; readonly id: string; readonly waiting: ReadonlyMap<string, Item> }
  | { readonly kind: 'known'; readonly id: string }
  | { readonly kind: 'refused'; readonly fault: Fault | FullFault }

/** As many as may wait do. */
interface FullFault {
  readonly code: 'ValidatorChangesFull' | 'PegOrdersFull'
  readonly detail?: string
}

export type WaitingFault = ValidatorChangeFault | FullFault

export function takeChange(
  genesis: Genesis,
  ledger: Ledger,
  waiting: WaitingChanges,
  item: ValidatorChangeItem,
): Taken<ValidatorChangeItem, ValidatorChangeFault> {
  const room = { id: validatorChangeId(item), most: MAX_WAITING_CHANGES }
  return take(waiting, item, { ...room, full: 'ValidatorChangesFull' }, () => {
    const checked = checkValidatorChange(genesis, ledger, item)
    return checked.ok ? undefined : checked.error
  })
}

export function takeOrder(
  genesis: Genesis,
  ledger: Ledger,
  waiting: WaitingOrders,
  item: PegOrderItem,
): Taken<PegOrderItem, PegError> {
  const room = { id: pegOrderId(item), most: MAX_WAITING_ORDERS }
  return take(waiting, item, { ...room, full: 'PegOrdersFull' }, () =>
    checkPegOrder(genesis, ledger, item),
  )
}

/** The check costs a pairing: it comes last. */
function take<Item, Fault>(
  waiting: ReadonlyMap<string, Item>,
  item: Item,
  {
    full,
    id,
    most,
  }: { readonly id: string; readonly most: number; readonly full: FullFault['code'] },
  check: () => Fault | undefined,
): Taken<Item, Fault> {
  if (waiting.has(id)) return { kind: 'known', id }
  if (waiting.size >= most) return { kind: 'refused', fault: { code: full } }
  const fault = check()
  return fault === undefined
    ? { kind: 'taken', id, waiting: new Map(waiting).set(id, item) }
    : { kind: 'refused', fault }
}

/** What still can act on this ledger. */
export function standingChanges(ledger: Ledger, waiting: WaitingChanges): WaitingChanges {
  if (waiting.size === 0) return waiting
  const wanted = nextSequence(ledger)
  return new Map([...waiting].filter(([, { sequence }]) => sequence === wanted))
}

export function standingOrders(ledger: Ledger, waiting: WaitingOrders): WaitingOrders {
  if (waiting.size === 0) return waiting
  return new Map([...waiting].filter(([, order]) => orderFault(ledger, order) === undefined))
}
