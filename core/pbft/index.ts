/**
 * PBFT with view changes: how the validators of a height agree on one block (protocol §1, §2; BF-1…BF-14, BP-1…BP-4).
 * Layers of pure code: `view` decides within one view, `vote-keeper` counts, `witness` sees who signs twice,
 * `present` and `future` take messages in,
 * `rules` say what follows, `driver` leads over heights, `io` is all that goes in and out. What may be signed is the
 * room `guard`'s.
 *
 * The caller (actors/chain) does the effects and tells their outcome as inputs. It keeps three promises: `sign` effects
 * are done in order, each durable before its signature exists; `startHeight` comes only after the parent is durable; a
 * `wake` replaces the one before.
 *
 * Invariants: at most one block of a height gets a commit certificate while at most f power lies; nothing conflicting is
 * ever signed, over restarts as well; every store is bounded whatever peers send.
 */
export * from './certificate.ts'
export { heldBlock, neededBlocks, step } from './driver.ts'
export * from './evidence.ts'
export * from './io.ts'
export * from './limits.ts'
export * from './messages.ts'
export * from './pacemaker.ts'
export * from './power.ts'
export * from './snapshot.ts'
export { createDriver, type DriverState } from './state.ts'
