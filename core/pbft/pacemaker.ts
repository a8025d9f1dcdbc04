/** Slots, views and proposers: functions of the parent's slot alone (protocol §1.1, §1.2). */
import { invalid, unknown, VALID, type Validator, type Verdict } from '../params/index.ts'

const LONGEST_VIEW_DOUBLINGS = 4

/** Slots a view lasts: 1 for v < 2n, then doubled every n views, at most 16. */
export function viewLength(view: number, n: number): number {
  const doublings = Math.max(0, Math.floor(view / n) - 1)
  return 2 ** Math.min(doublings, LONGEST_VIEW_DOUBLINGS)
}

/** s(v): the slot in which the view starts. */
export function viewStart(parentSlot: number, view: number, n: number): number {
  let start = parentSlot + 1
  let left = view
  for (let doublings = 0; doublings < LONGEST_VIEW_DOUBLINGS; doublings++) {
    const views = Math.min(left, doublings === 0 ? 2 * n : n)
    start += views * 2 ** doublings
    left -= views
  }
  return start + left * 2 ** LONGEST_VIEW_DOUBLINGS
}

/** The view that the clock gives in `slot`; undefined before s(0). */
export function viewAtSlot(parentSlot: number, slot: number, n: number): number | undefined {
  let left = slot - (parentSlot + 1)
  if (left < 0) return undefined
  let view = 0
  for (let doublings = 0; doublings < LONGEST_VIEW_DOUBLINGS; doublings++) {
    const views = doublings === 0 ? 2 * n : n
    const passed = Math.min(views, Math.floor(left / 2 ** doublings))
    view += passed
    left -= passed * 2 ** doublings
    if (passed < views) return view
  }
  return view + Math.floor(left / 2 ** LONGEST_VIEW_DOUBLINGS)
}

/** Position of proposer(h, v) in validators(h). */
export function proposerIndex(parentSlot: number, view: number, n: number): number {
  return (parentSlot + 1 + view) % n
}

export function proposer(
  validators: readonly Validator[],
  parentSlot: number,
  view: number,
): Validator {
  return validators[proposerIndex(parentSlot, view, validators.length)] as Validator
}

/** Who may author a block of `slot`: the proposer of the view that starts there (2.1). None when no view does. */
export function authorOfSlot(
  validators: readonly Validator[],
  parentSlot: number,
  slot: number,
): Validator | undefined {
  const n = validators.length
  const view = viewAtSlot(parentSlot, slot, n)
  if (view === undefined || viewStart(parentSlot, view, n) !== slot) return undefined
  return proposer(validators, parentSlot, view)
}

export function slotAt(nowMs: number, slotMs: number): number {
  return Math.floor(nowMs / slotMs)
}

/** Slots ahead of the clock that a block may be (BP-3): accepted, held until then, dropped. */
const ACCEPTED_SLOTS_AHEAD = 1
const HELD_SLOTS_AHEAD = 10

/** BP-3. Local, never a matter of validity: a block that is held becomes acceptable with time. */
export function checkSlotWindow(
  blockSlot: number,
  nowSlot: number,
  slotMs = 1000,
): Verdict<'SlotTooFarAhead'> {
  const ahead = blockSlot - nowSlot
  if (ahead <= ACCEPTED_SLOTS_AHEAD) return VALID
  if (ahead <= HELD_SLOTS_AHEAD) {
    return unknown('FutureSlot', (ahead - ACCEPTED_SLOTS_AHEAD) * slotMs)
  }
  return invalid('SlotTooFarAhead', `${ahead} slots`)
}
