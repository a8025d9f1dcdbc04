/** What comes after an incarnation's end: its effects come to rest, its stop hook runs, recovery stages follow. */
import type { AnyActor } from './actor.ts'
import type { Cell } from './cell.ts'
import { withDeadline } from './deadline.ts'
import type { Fault } from './fault.ts'
import { Incarnation } from './incarnation.ts'
import type { RecoveryStage } from './recovery.ts'
import { Run } from './run.ts'

const STAGES: readonly RecoveryStage[] = ['rollback', 'resync', 'failover']

/** The recovery stages that the actor offers. */
export const stagesOf = (actor: AnyActor): ReadonlySet<RecoveryStage> =>
  new Set(STAGES.filter((stage) => actor.recover?.[stage] !== undefined))

/** After a fault: waits, within bounds, for effects under way, for children and for the stop hook. */
export const settle = async (cell: Cell, incarnation: Incarnation): Promise<void> => {
  const { context } = cell
  if (incarnation.performing > 0) {
    const { settleMs } = cell.kernel.limits
    await withDeadline(cell.kernel.ports.clock, settleMs, () => incarnation.whenIdle())
  }
  await incarnation.childrenDown
  if (!incarnation.initialised) return
  incarnation.initialised = false
  await runStopHook(cell, incarnation, context)
}

export const runStopHook = async (
  cell: Cell,
  incarnation: Incarnation,
  context: unknown,
  timeoutMs: number = cell.kernel.limits.settleMs,
): Promise<void> => {
  const { actor, kernel } = cell
  if (actor.stop === undefined) return
  const ending = new Incarnation(incarnation.number)
  const run = new Run(cell, ending, undefined, 0)
  const outcome = await withDeadline(kernel.ports.clock, timeoutMs, async () =>
    actor.stop?.(context, run),
  )
  ending.end()
  if (outcome.kind === 'done') return
  kernel.log('error', cell.path, 'stop hook failed', undefined, {
    reason: outcome.kind === 'late' ? 'took too long' : String(outcome.thrown),
  })
}

/**
 * Tries the stages in order until one succeeds; false when none did, or when the actor ended meanwhile. They begin
 * when the dead incarnation is at rest, so that nothing of it writes beside them.
 */
export const recover = async (
  cell: Cell,
  fault: Fault,
  stages: readonly RecoveryStage[],
): Promise<boolean> => {
  const { kernel } = cell
  await settle(cell, cell.incarnation)
  for (const stage of stages) {
    if (cell.life !== 'Failed') return false
    const recovering = new Incarnation(cell.incarnation.number)
    cell.recovering = recovering
    const work = withDeadline(
      kernel.ports.clock,
      kernel.limits.recoveryMs,
      async () => cell.actor.recover?.[stage]?.(fault, new Run(cell, recovering, undefined, 0)),
      recovering.deadlines,
    )
    const outcome = await Promise.race([work, ended(recovering)])
    cell.recovering = undefined
    recovering.end()
    if (cell.life !== 'Failed') return false
    kernel.recovered(cell.path, stage, outcome.kind === 'done' ? 'ok' : 'failed', fault)
    if (outcome.kind === 'done') return true
    kernel.log('error', cell.path, 'recovery stage failed', undefined, {
      stage,
      reason: outcome.kind === 'late' ? 'took too long' : String(outcome.thrown),
    })
  }
  return false
}

/** The actor ended, so nobody waits for the stage any more. */
const ended = ({ signal }: Incarnation): Promise<{ readonly kind: 'late' }> =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve({ kind: 'late' }), { once: true })
  })
