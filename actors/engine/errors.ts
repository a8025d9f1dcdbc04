import type { FaultClass } from '../../supervisor/index.ts'

/** Faults of this room; the class decides what the supervisor does. */
export const ENGINE_FAULTS = {
  /** The state in the data directory belongs to another genesis. */
  GenesisMismatch: 'configuration',
  /** The state was written by another version of the program. */
  LayoutMismatch: 'configuration',
  /** The engine's store is unreadable or contradicts itself: it is made again from a checkpoint, or all blocks are executed again. */
  StateDamaged: 'corruption',
  /** The engine's state is not the one of the stored blocks: it is made again from a checkpoint, or they are all executed again. */
  StateDiverged: 'corruption',
  /** The execution client of another make cannot run this chain: methods, fork or secret. */
  ClientUnsuitable: 'configuration',
  /** The engine's thread died or its store failed: it is opened again at its durable head. */
  EngineUnavailable: 'service',
} as const satisfies Record<string, FaultClass>
