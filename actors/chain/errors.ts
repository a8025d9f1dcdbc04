import type { FaultClass } from '../../supervisor/index.ts'

/** Faults of this room; the class decides what the supervisor does. */
export const CHAIN_FAULTS = {
  /** The store holds another chain than the genesis file names. */
  ForeignChain: 'configuration',
  /** The ledger's rows do not give the root that the head commits to: Storage is told, and makes them again from a checkpoint. */
  LedgerDamaged: 'corruption',
  /** A block below the head is not in the store. */
  BlocksMissing: 'corruption',
  /** The engine's state is not the one of the stored blocks: it is told to go back to a checkpoint or genesis, and what is above is replayed. */
  EngineRolledBack: 'service',
  /** The engine cannot follow the chain: a block that was committed does not execute, not even from genesis on. */
  EngineDiverged: 'corruption',
  /** The engine restarted beside us and lacks blocks that it had executed. */
  EngineLost: 'service',
  /** Storage or engine did not answer in time. */
  DependencyTimeout: 'service',
} as const satisfies Record<string, FaultClass>
export type ChainFaultCode = keyof typeof CHAIN_FAULTS
