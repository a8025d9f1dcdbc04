/** The pressure of several actors as one question: may a reader of sockets go on? (SU-9) */
import type { ActorRun } from './actor.ts'
import { isOverloaded } from './mailbox.ts'
import type { ActorPath } from './message.ts'

/**
 * Calls `changed` when the first of these actors is overloaded, and when none is any more; `path` is the one that made the
 * difference. Ends with the incarnation.
 */
export function watchOverload(
  run: Pick<ActorRun<never, unknown>, 'pressure'>,
  paths: readonly ActorPath[],
  changed: (overloaded: boolean, path: ActorPath) => void,
): void {
  const overloaded = new Set<ActorPath>()
  for (const path of paths) {
    run.pressure(path, (level) => {
      const before = overloaded.size > 0
      if (isOverloaded(level)) overloaded.add(path)
      else overloaded.delete(path)
      const now = overloaded.size > 0
      if (now !== before) changed(now, path)
    })
  }
}
