/** The middle of the rates, of two the mean, rounded down (PO-8); undefined of none. */
export function medianRate(rates: readonly number[]): number | undefined {
  const sorted = [...rates].sort((left, right) => left - right)
  const low = sorted[Math.floor((sorted.length - 1) / 2)]
  const high = sorted[Math.floor(sorted.length / 2)]
  return low === undefined || high === undefined ? undefined : Math.floor((low + high) / 2)
}
