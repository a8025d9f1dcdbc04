import type { FaultClass } from '../../supervisor/index.ts'

/** Faults of this room; the class decides what the supervisor does. */
export const STORAGE_FAULTS = {
  /** The stored block does not decode: the data is damaged, and only an operator can decide. */
  StoreDamaged: 'corruption',
  /** A write failed (disk full, I/O): the actor restarts and the writer's ask fails. */
  WriteFailed: 'service',
} as const satisfies Record<string, FaultClass>
