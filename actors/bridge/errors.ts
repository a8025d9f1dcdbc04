import type { FaultClass } from '../../supervisor/index.ts'

/** Faults of this room; the class decides what the supervisor does. */
export const BRIDGE_FAULTS = {
  /** The endpoint serves another network than the genesis file names. */
  ForeignBitcoin: 'configuration',
} as const satisfies Record<string, FaultClass>
