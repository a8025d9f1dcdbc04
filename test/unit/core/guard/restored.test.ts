import fc from 'fast-check'
import {
  decideGuard,
  EMPTY_GUARD,
  foldGuard,
  type GuardRecord,
  restoredFloor,
} from '../../../../core/guard/index.ts'

describe('restoredFloor (OP-6, 2.8)', () => {
  it('refuses every vote and slot that the lost node may have signed until now', () => {
    const nat = fc.nat({ max: 10_000 })
    fc.assert(
      fc.property(nat, nat, nat, nat, fc.nat({ max: 8 }), (height, slot, later, blocks, view) => {
        const nowSlot = slot + later
        // At most one block in each slot, up to ten slots ahead of the clock, and votes about the one after.
        const lastCommitted = height + Math.min(blocks, later + 10)
        const hash = new Uint8Array(32)
        const voted = { height: lastCommitted + 1, view, hash, block: Uint8Array.of(1) }
        const prepare: GuardRecord = { kind: 'prepare', ...voted }
        const floor = restoredFloor(EMPTY_GUARD, { height, slot }, nowSlot)
        const guard = foldGuard(EMPTY_GUARD, floor)
        expect(decideGuard(guard, prepare)).toEqual({ refuse: 'BelowFloor' })
        const proposal: GuardRecord = {
          kind: 'propose',
          height: floor.floor,
          view,
          slot: nowSlot + 10,
          hash,
          fresh: true,
          bytes: Uint8Array.of(1),
        }
        expect(decideGuard(guard, proposal)).toEqual({ refuse: 'SlotUsed' })
        expect(decideGuard(guard, { ...proposal, slot: nowSlot + 11 })).toBe('sign')
      }),
    )
  })

  it('keeps what the backup knows above that', () => {
    const known = foldGuard(EMPTY_GUARD, { kind: 'floor', floor: 5_000, slot: 9_000 })
    const floor = restoredFloor(known, { height: 7, slot: 8 }, 10)
    expect(floor).toEqual({ kind: 'floor', floor: 5_000, slot: 9_000 })
    const signed = foldGuard(EMPTY_GUARD, {
      kind: 'viewChange',
      height: 6_000,
      view: 3,
      certificate: undefined,
    })
    expect(restoredFloor(signed, { height: 7, slot: 8 }, 10).floor).toBe(6_001)
  })
})
