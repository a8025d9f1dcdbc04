import type { FaultClass } from '../../supervisor/index.ts'

/** Faults of this room; the class decides what the supervisor does. */
export const STREAM_FAULTS = {
  /** The address for the members' streams cannot be had. */
  GovernancePortUnavailable: 'configuration',
} as const satisfies Record<string, FaultClass>
