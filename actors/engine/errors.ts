import type { FaultClass } from '../../supervisor/index.ts'

/** Faults of this room; the class decides what the supervisor does. */
export const ENGINE_FAULTS = {
  /** The state in the data directory belongs to another genesis. */
  GenesisMismatch: 'configuration',
  /** The engine's thread died or its store failed: it is opened again at its durable head. */
  EngineUnavailable: 'service',
} as const satisfies Record<string, FaultClass>
