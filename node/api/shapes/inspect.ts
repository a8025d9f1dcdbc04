/** Actors as `millrace_inspect` tells them: all figures of the kernel, of a fault no more than its code and class. */
import { type ActorStatus, DURATION_BOUNDS_MS } from '../../../supervisor/index.ts'

export function actorRowToJson(actor: ActorStatus): Record<string, unknown> {
  const { path, life, state, degraded, healthy, depth, capacity, pressure } = actor
  const { handled, deadLetters, stashed, inFlight, restarts, runningSinceMs, lastFault } = actor
  return {
    path,
    life,
    mode: state,
    degraded,
    healthy,
    depth,
    capacity,
    pressure,
    handled,
    dropped: Object.values(actor.dropped).reduce((sum, count) => sum + count, 0),
    deadLetters,
    stashed,
    inFlight,
    restarts,
    runningSinceMs,
    ...(lastFault !== undefined && {
      lastFault: { code: lastFault.code, class: lastFault.faultClass, atMs: lastFault.atMs },
    }),
  }
}

/** The same with the figures of each message type. */
export function actorToJson(actor: ActorStatus): Record<string, unknown> {
  return {
    ...actorRowToJson(actor),
    restartsByClass: actor.restartsByClass,
    drops: actor.drops,
    /** Upper bounds of `waited` and `took` of a type, which count what lies within each, and above the last. */
    boundsMs: DURATION_BOUNDS_MS,
    types: actor.types,
  }
}
