/** Misspelt names. */

/** The known name that was probably meant, if one is near. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.floor(given.length / 4)) + 1
  for (const name of known) {
    const distance = editDistance(given, name)
    if (distance < least) {
      best = name
      least = distance
    }
  }
  return best
}

/** Letters to insert, remove, replace, or swap with the next one. */
function editDistance(left: string, right: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: right.length + 1 }, (_, at) => at)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      const replaced = (last[column - 1] as number) + (same ? 0 : 1)
      const moved = Math.min((last[column] as number) + 1, (current[column - 1] as number) + 1)
      const swaps = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      const swapped = swaps ? (beforeLast[column - 2] as number) + 1 : Number.POSITIVE_INFINITY
      current.push(Math.min(replaced, moved, swapped))
    }
    beforeLast = last
    last = current
  }
  return last[right.length] as number
}
