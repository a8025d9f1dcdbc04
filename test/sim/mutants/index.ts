/**
 * Planted bugs, each of which the simulator has to find (`npm run sim -- --mutants`). A mutant is data: what is replaced in which file.
 * Product code has no switch for any of them.
 */
import { BRIDGE_MUTANTS } from './bridge.ts'
import { CONSENSUS_MUTANTS } from './consensus.ts'
import { KERNEL_MUTANTS } from './kernel.ts'
import type { Mutant } from './mutant.ts'
import { PEG_MUTANTS } from './peg.ts'
import { PROTOCOL_MUTANTS } from './protocol.ts'
import { STORAGE_MUTANTS } from './storage.ts'
import { SYNC_MUTANTS } from './sync.ts'

export { type Mutant, type Place, placesOf, planted, type Room } from './mutant.ts'

/** Names the mutant of a process, for the hook. */
export const MUTANT_VARIABLE = 'MILLRACE_SIM_MUTANT'

export const MUTANTS: readonly Mutant[] = [
  ...KERNEL_MUTANTS,
  ...CONSENSUS_MUTANTS,
  ...PROTOCOL_MUTANTS,
  ...STORAGE_MUTANTS,
  ...PEG_MUTANTS,
  ...BRIDGE_MUTANTS,
  ...SYNC_MUTANTS,
]

export function mutantNamed(name: string): Mutant | undefined {
  return MUTANTS.find((mutant) => mutant.name === name)
}
