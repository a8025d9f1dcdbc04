/**
 * The circuit breaker of one supervisor (SU-2): when three different actors fail within ten seconds, restarts
 * make it worse. It opens for a minute, then lets actors back one at a time; three that come up close it, one
 * that fails opens it again. Times are given, so this is a plain state machine.
 */

export interface BreakerPolicy {
  readonly actors: number
  readonly windowMs: number
  readonly openMs: number
  readonly probes: number
}

export const DEFAULT_BREAKER: BreakerPolicy = {
  actors: 3,
  windowMs: 10_000,
  openMs: 60_000,
  probes: 3,
}

export type BreakerState = 'closed' | 'open' | 'halfOpen'

export class Breaker {
  state: BreakerState = 'closed'
  private readonly policy: BreakerPolicy
  private faults: { readonly name: string; readonly atMs: number }[] = []
  private probesUp = 0

  constructor(policy: BreakerPolicy) {
    this.policy = policy
  }

  /** Notes a fault; true when the breaker opens by it. */
  fault(name: string, nowMs: number, forced: boolean): boolean {
    if (this.state === 'open') return false
    this.faults = this.faults.filter((fault) => nowMs - fault.atMs < this.policy.windowMs)
    this.faults.push({ name, atMs: nowMs })
    const distinct = new Set(this.faults.map((fault) => fault.name)).size
    if (!forced && this.state === 'closed' && distinct < this.policy.actors) return false
    this.state = 'open'
    this.faults = []
    return true
  }

  /** The open time is over. */
  halfOpen(): void {
    this.state = 'halfOpen'
    this.probesUp = 0
  }

  /** A probe is up, or nothing is left to probe; true when the breaker closes by it. */
  probeUp(nothingLeft: boolean): boolean {
    if (this.state !== 'halfOpen') return false
    this.probesUp += 1
    if (this.probesUp < this.policy.probes && !nothingLeft) return false
    this.state = 'closed'
    return true
  }
}
