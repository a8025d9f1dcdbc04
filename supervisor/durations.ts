/** Durations as a histogram: how many fell into each class. Cheap enough to be counted for every message. */

/** Upper bounds of the classes, in milliseconds, inclusive; above the last one there is one more class. */
export const DURATION_BOUNDS_MS: readonly number[] = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 30_000,
]

/** Counts by class, none of them cumulative. */
export const createDurations = (): number[] => DURATION_BOUNDS_MS.map(() => 0).concat(0)

export const countDuration = (counts: number[], ms: number): void => {
  let at = 0
  while (at < DURATION_BOUNDS_MS.length && ms > (DURATION_BOUNDS_MS[at] as number)) at += 1
  counts[at] = (counts[at] as number) + 1
}
