/** What an actor has begun beside its handler: effects, alone or in lanes, and timers. */

import type { Cell } from './cell.ts'
import { withDeadline } from './deadline.ts'
import type { KernelEffect } from './effects.ts'
import { faultError, toFault } from './fault.ts'
import type { Incarnation, Work } from './incarnation.ts'
import type { Letter } from './letter.ts'
import type { Message } from './message.ts'
import { Run } from './run.ts'

/** What a letter gives to those that follow from it. */
export type Cause = Pick<Letter, 'correlationId' | 'sequence'>

const causeOf = (letter: Letter | undefined): Cause | undefined =>
  letter && { correlationId: letter.correlationId, sequence: letter.sequence }

/** Starts an effect, or puts it into its lane behind the one that runs. */
export const startWork = (cell: Cell, effect: unknown, letter: Letter | undefined): void => {
  const { incarnation, kernel } = cell
  const lane = cell.actor.lane?.(effect)
  const sinceMs = kernel.tracer === undefined ? 0 : kernel.ports.clock.nowMs()
  const work = { effect, letter, lane, sinceMs }
  incarnation.performing += 1
  if (lane !== undefined) {
    const queue = incarnation.lanes.get(lane)
    if (queue !== undefined) {
      queue.push(work)
      return
    }
    incarnation.lanes.set(lane, [])
  }
  void perform(cell, work, incarnation)
}

const perform = async (cell: Cell, work: Work, incarnation: Incarnation): Promise<void> => {
  const { kernel } = cell
  const { letter, lane } = work
  const run = new Run(cell, incarnation, letter?.correlationId, letter?.sequence ?? 0)
  const startedAtMs = kernel.tracer === undefined ? 0 : kernel.ports.clock.nowMs()
  const outcome = await withDeadline(
    kernel.ports.clock,
    kernel.limits.effectTimeoutMs,
    () => cell.actor.perform(work.effect, run),
    incarnation.deadlines,
  )
  incarnation.performing -= 1
  const fault =
    outcome.kind === 'done'
      ? undefined
      : toFault(outcome.kind === 'failed' ? outcome.thrown : tookTooLong(), 'EffectFailed')
  if (kernel.tracer !== undefined) {
    const code = incarnation.dead ? 'Aborted' : (fault?.code ?? 'ok')
    trace(cell, work, run.correlationId, startedAtMs, code)
  }
  if (incarnation.dead) {
    incarnation.checkIdle()
    return
  }
  if (lane !== undefined) nextInLane(cell, lane, incarnation)
  if (outcome.kind === 'done') {
    const stamp = cell.stamp(letter, 0, run.correlationId)
    for (const message of messagesOf(outcome.value)) {
      cell.toSelf(message, stamp, incarnation.number)
    }
  }
  if (fault !== undefined) cell.crash(fault, undefined)
  cell.resume(incarnation)
}

const tookTooLong = (): Error => faultError('EffectTimeout', 'service', 'an effect took too long')

const messagesOf = (result: unknown): readonly Message[] =>
  result === undefined || result === null ? [] : ([result].flat() as Message[])

const nextInLane = (cell: Cell, lane: string, incarnation: Incarnation): void => {
  const next = incarnation.lanes.get(lane)?.shift()
  if (next === undefined) incarnation.lanes.delete(lane)
  else void perform(cell, next, incarnation)
}

const trace = (
  cell: Cell,
  { effect, letter, sinceMs }: Work,
  correlationId: string,
  startedAtMs: number,
  outcome: string,
): void => {
  const { kernel } = cell
  if (!kernel.isTraced(correlationId)) return
  const { kind } = effect as { readonly kind?: unknown }
  const sequence = letter?.sequence ?? 0
  kernel.record({
    kind: 'effect',
    correlationId,
    actor: cell.path,
    type: typeof kind === 'string' ? kind : 'effect',
    sequence,
    parent: sequence,
    startedAtMs,
    waitedMs: startedAtMs - sinceMs,
    tookMs: kernel.ports.clock.nowMs() - startedAtMs,
    outcome,
  })
}

export const startTimer = (
  cell: Cell,
  effect: Extract<KernelEffect, { kernel: 'timer' }>,
  letter: Letter | undefined,
): void => {
  const { incarnation } = cell
  if (cell.life === 'Stopping' && effect.repeat) return
  incarnation.cancelTimer(effect.key)
  const entry = {
    key: effect.key,
    repeat: effect.repeat,
    cancelled: false,
    waiting: false,
    handle: { cancel: () => {} },
  }
  incarnation.timers.set(effect.key, entry)
  // Not the letter itself: a timer that sets itself anew would hold all that came before it.
  const cause = effect.newFlow ? undefined : causeOf(letter)
  const arm = (): void => {
    entry.handle = cell.kernel.ports.clock.setTimer(effect.delayMs, () => {
      if (entry.cancelled || incarnation.dead) return
      if (effect.repeat) arm()
      if (entry.waiting) return
      entry.waiting = true
      const due = cell.toSelf(effect.message, cell.stamp(cause, 0), incarnation.number)
      due.timer = entry
    })
  }
  arm()
}
