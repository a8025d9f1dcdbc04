/**
 * Processor time that a gas may take at worst, in nanoseconds: above what the bench `worst-gas` measures of any opcode or precompile on
 * the machine that docs/explanation/gas-limit.md names.
 */
export const WORST_NS_PER_GAS = 420
/** Of a new chain, by the rule of the same page. */
export const DEFAULT_GAS_LIMIT = 30_000_000

/** The most gas whose slowest block executes in so many milliseconds (protocol 6.3). */
export function gasWithin(executionMs: number, nsPerGas: number): number {
  return Math.floor(executionMs * (1_000_000 / nsPerGas))
}

/** The gas limit after `parentLimit`: at most floor(parent / 1024) − 1 nearer to the parameter (protocol §6.2, C-4). */
export function nextGasLimit(parentLimit: number, target: number): number {
  const step = Math.floor(parentLimit / 1024) - 1
  if (target > parentLimit) return Math.min(target, parentLimit + step)
  return Math.max(target, parentLimit - step)
}
