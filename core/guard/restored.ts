/** The guard of a validator whose data comes from a backup (OP-6). Pure. */
import type { FloorRecord, GuardView } from './rules.ts'

/** A block of a slot farther ahead of the clock is taken by nobody (BP-3). */
const MOST_SLOTS_AHEAD = 10

/**
 * What a backup's guard forgot was signed between the backup and now. A block has a later slot than its parent, so the chain has grown by at
 * most one height in each slot since the backup's head, and votes are about one height more: nothing below that is signed, nor a block of a
 * slot up to now. A validator is back when the chain has passed the floor.
 */
export function restoredFloor(
  view: GuardView,
  head: { readonly height: number; readonly slot: number },
  nowSlot: number,
): FloorRecord {
  const lastSlot = nowSlot + MOST_SLOTS_AHEAD
  const grown = Math.max(0, lastSlot - head.slot)
  const floor = Math.max(view.floor, view.height + 1, head.height + grown + 2)
  return { kind: 'floor', floor, slot: Math.max(view.slot, lastSlot) }
}
