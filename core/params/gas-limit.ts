/** The gas limit after `parentLimit`: at most floor(parent / 1024) − 1 nearer to the parameter (protocol §6.2, C-4). */
export function nextGasLimit(parentLimit: number, target: number): number {
  const step = Math.floor(parentLimit / 1024) - 1
  if (target > parentLimit) return Math.min(target, parentLimit + step)
  return Math.max(target, parentLimit - step)
}
