/** What is counted of one actor over all its incarnations. */
import { countDuration, createDurations } from './durations.ts'
import type { DropReason, DropStatus, TypeStatus } from './events.ts'
import type { FaultClass } from './fault.ts'

/** A TypeStatus that is still counted. */
interface TypeCounts {
  handled: number
  waitedMs: number
  tookMs: number
  readonly waited: number[]
  readonly took: number[]
}

export class Tally {
  handled = 0
  private readonly byType = new Map<string, TypeCounts>()
  private readonly byDrop = new Map<string, { -readonly [K in keyof DropStatus]: DropStatus[K] }>()
  private readonly byClass: Partial<Record<FaultClass, number>> = {}

  took(messageType: string, waitedMs: number, tookMs: number): void {
    let counts = this.byType.get(messageType)
    if (counts === undefined) {
      counts = {
        handled: 0,
        waitedMs: 0,
        tookMs: 0,
        waited: createDurations(),
        took: createDurations(),
      }
      this.byType.set(messageType, counts)
    }
    counts.handled += 1
    counts.waitedMs += waitedMs
    counts.tookMs += tookMs
    countDuration(counts.waited, waitedMs)
    countDuration(counts.took, tookMs)
  }

  drop(messageType: string, reason: DropReason): void {
    const key = `${messageType} ${reason}`
    const row = this.byDrop.get(key)
    if (row === undefined) this.byDrop.set(key, { messageType, reason, count: 1 })
    else row.count += 1
  }

  restart(faultClass: FaultClass): void {
    this.byClass[faultClass] = (this.byClass[faultClass] ?? 0) + 1
  }

  types(): Record<string, TypeStatus> {
    const types: Record<string, TypeStatus> = {}
    for (const [type, counts] of this.byType) {
      types[type] = { ...counts, waited: [...counts.waited], took: [...counts.took] }
    }
    return types
  }

  drops(): DropStatus[] {
    return [...this.byDrop.values()].map((row) => ({ ...row }))
  }

  restartsByClass(): Partial<Record<FaultClass, number>> {
    return { ...this.byClass }
  }
}
