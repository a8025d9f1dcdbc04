/**
 * The recovery pipeline of seed 000 (SU-15) as a pure decision: error → logged → classified → an action, whose
 * outcome is fed back as history. A transient fault is retried (a restart, see `decideRestart`); network faults that
 * go on are cured by a resync, service faults that go on by a failover, corruption by a rollback to the last
 * checkpoint. What none of them cures, and what nobody may retry, raises an alert and ends the actor.
 */

import type { RestartPolicy } from './fault.ts'
import { decideRestart, type Fault, type RestartDecision, type RestartHistory } from './fault.ts'

/** Stages that an actor may offer, see `ActorDefinition.recover`. */
export type RecoveryStage = 'rollback' | 'resync' | 'failover'

export type RecoveryKind = 'retry' | RecoveryStage | 'alert'

/** `raised`: of an alert, which has no other outcome. */
export type RecoveryResult = 'ok' | 'failed' | 'raised'

export interface RecoveryPlan {
  /** Tried one after another until one succeeds. */
  readonly stages: readonly RecoveryStage[]
  /** Without a stage that succeeded the actor must not run again. */
  readonly required: boolean
  /** Somebody should look at it, whatever becomes of it. */
  readonly alert: boolean
  /** What follows the stages. */
  readonly restart: RestartDecision
}

/** Stages by fault class, in order; `always`: also for the first fault of a row. */
const LADDER: Readonly<
  Partial<Record<Fault['faultClass'], { stages: readonly RecoveryStage[]; always: boolean }>>
> = {
  network: { stages: ['resync', 'failover'], always: false },
  service: { stages: ['failover'], always: false },
  corruption: { stages: ['rollback', 'resync'], always: true },
}

/** Each `escalateAfter`-th fault in a row is no longer taken to be transient. */
export const planRecovery = (
  fault: Fault,
  history: RestartHistory,
  policy: RestartPolicy,
  offered: ReadonlySet<RecoveryStage>,
  nowMs: number,
  chance: number,
): RecoveryPlan => {
  const restart = decideRestart(fault, history, policy, nowMs, chance)
  const required = fault.faultClass === 'corruption'
  if (restart.kind === 'terminate') return { stages: [], required, alert: true, restart }
  const rung = LADDER[fault.faultClass]
  const goesOn = history.retries > 0 && history.retries % policy.escalateAfter === 0
  const stages = rung !== undefined && (rung.always || goesOn) ? rung.stages : []
  return {
    stages: stages.filter((stage) => offered.has(stage)),
    required,
    alert: required,
    restart,
  }
}
