/** Health probes (SU-11): one timer is the beat for all actors, one finds the answers that are missing. */
import type { Cell } from './cell.ts'
import { afterProbe, probeLetter } from './health.ts'
import type { Kernel } from './kernel.ts'
import type { Letter } from './letter.ts'
import type { TimerHandle } from './ports.ts'

export class Probes {
  private readonly kernel: Kernel
  private beat: TimerHandle | undefined
  private deadline: TimerHandle | undefined

  constructor(kernel: Kernel) {
    this.kernel = kernel
  }

  start(): void {
    const { probePeriodMs } = this.kernel.limits
    this.beat = this.kernel.ports.clock.setTimer(probePeriodMs, () => {
      this.start()
      this.probeAll()
    })
  }

  stop(): void {
    this.beat?.cancel()
    this.deadline?.cancel()
  }

  private probeAll(): void {
    const { clock } = this.kernel.ports
    const nowMs = clock.nowMs()
    const asked: { readonly cell: Cell; readonly probe: Letter }[] = []
    for (const cell of this.kernel.cells.values()) {
      if (cell.life !== 'Running') continue
      asked.push({ cell, probe: sendProbe(cell, nowMs) })
    }
    this.deadline = clock.setTimer(this.kernel.limits.probeTimeoutMs, () => {
      for (const { cell, probe } of asked) {
        if (cell.life === 'Running' && cell.incarnation.probe === probe) probed(cell, 'not taken')
      }
    })
  }
}

/** Puts a probe into the mailbox: who does not come to take it is stuck. */
const sendProbe = (cell: Cell, nowMs: number): Letter => {
  const letter = probeLetter(cell.incarnation.number, nowMs)
  cell.incarnation.probe = letter
  cell.mailbox.push(letter)
  cell.wake()
  return letter
}

/** The probe was taken from the mailbox; one whose time was up says nothing any more. */
export const answerProbe = (cell: Cell, letter: Letter): void => {
  if (cell.incarnation.probe !== letter || cell.life !== 'Running') return
  let failed: string | undefined
  try {
    if (cell.actor.healthy?.(cell.context) === false) failed = 'says so itself'
  } catch (thrown) {
    failed = String(thrown)
  }
  probed(cell, failed)
}

/** The outcome of a probe: why it failed, or undefined. */
const probed = (cell: Cell, failed: string | undefined): void => {
  const { kernel, path, health: before } = cell
  cell.incarnation.probe = undefined
  cell.health = afterProbe(before, failed === undefined, kernel.limits)
  const { healthy, failures } = cell.health
  if (failed !== undefined) {
    kernel.ports.metrics.count('actor_probe_failures_total', { actor: path })
    kernel.log('warn', path, 'health probe failed', undefined, { why: failed, failures })
  }
  if (healthy !== before.healthy) kernel.emit({ kind: 'health', path, healthy })
  if (failures < kernel.limits.probeFailures) return
  const reason = `probes failed: ${failed}`
  cell.crash({ code: 'Unhealthy', faultClass: 'service', reason }, undefined)
}
