/** From the faults of a failed world to few of them that still break the same invariant (delta debugging, Zeller 1999). */

/** Tries at most `budget` times; the result is a sublist of `items` in its order. */
export async function shrink<T>(
  items: readonly T[],
  budget: number,
  stillFails: (part: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let left = budget
  const fails = async (part: readonly T[]) => {
    left -= 1
    return stillFails(part)
  }
  let failing = items
  if (left > 0 && (await fails([]))) return []
  let parts = 2
  while (failing.length > 1 && left > 0) {
    const size = Math.ceil(failing.length / parts)
    let smaller: readonly T[] | undefined
    for (let at = 0; at < failing.length && smaller === undefined && left > 0; at += size) {
      const without = [...failing.slice(0, at), ...failing.slice(at + size)]
      if (await fails(without)) smaller = without
    }
    if (smaller !== undefined) {
      failing = smaller
      parts = Math.max(2, parts - 1)
    } else if (size === 1) {
      break
    } else {
      parts = Math.min(failing.length, parts * 2)
    }
  }
  return failing
}
