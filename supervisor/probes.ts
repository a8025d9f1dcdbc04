/** The beat of the health probes (SU-11): one timer for all actors, one for the answers that are missing. */
import type { Cell } from './cell.ts'
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
      asked.push({ cell, probe: cell.probe(nowMs) })
    }
    this.deadline = clock.setTimer(this.kernel.limits.probeTimeoutMs, () => {
      for (const { cell, probe } of asked) {
        if (cell.life === 'Running' && cell.incarnation.probe === probe) cell.probed('not taken')
      }
    })
  }
}
