/** One actor as `snapshot()` and `loads()` show it. */
import type { Cell } from './cell.ts'
import type { ActorLoad, ActorStatus } from './events.ts'
import { PRIORITIES, type Priority } from './message.ts'

const perClass = (read: (rank: number) => number): Record<Priority, number> =>
  Object.fromEntries(PRIORITIES.map((priority, rank) => [priority, read(rank)])) as Record<
    Priority,
    number
  >

export const loadOf = (cell: Cell): ActorLoad => ({
  path: cell.path,
  life: cell.life,
  handled: cell.tally.handled,
  waiting: cell.mailbox.depth,
  inFlight: cell.incarnation.inFlight,
  blocked: cell.incarnation.blocked,
  excess: cell.mailbox.excess,
})

export const statusOf = (cell: Cell): ActorStatus => {
  const { mailbox, tally } = cell
  const drops = tally.drops()
  const dropped: Record<string, number> = {}
  for (const { messageType, count } of drops) {
    dropped[messageType] = (dropped[messageType] ?? 0) + count
  }
  return {
    path: cell.path,
    life: cell.life,
    state: cell.mode.name,
    degraded: cell.missing.size > 0,
    depth: perClass((rank) => mailbox.depthOf(rank)),
    capacity: perClass((rank) => mailbox.capacityOf(rank)),
    pressure: mailbox.pressure,
    handled: tally.handled,
    dropped,
    drops,
    deadLetters: cell.deadLetters,
    stashed: cell.stash.length,
    healthy: cell.health.healthy,
    inFlight: cell.incarnation.inFlight,
    restarts: cell.restarts,
    restartsByClass: tally.restartsByClass(),
    runningSinceMs: cell.runningSinceMs,
    lastFault: cell.lastFault,
    types: tally.types(),
  }
}
