/** A token bucket per client and method, filled by the injected clock. */
import type { Clock } from '../../supervisor/index.ts'
import type { ApiLimits, RateClass } from './limits.ts'

interface Bucket {
  tokens: number
  filledAtMs: number
}

export class Rates {
  /** Clients in the order of their last call, each with a bucket per method. */
  private readonly clients = new Map<string, Map<string, Bucket>>()
  private readonly clock: Clock
  private readonly limits: ApiLimits

  constructor(clock: Clock, limits: ApiLimits) {
    this.clock = clock
    this.limits = limits
  }

  /** Undefined when the call may go on, else the milliseconds until it may. */
  take(client: string, method: string, rateClass: RateClass): number | undefined {
    const { perSecond, burst } = this.limits.rates[rateClass]
    const nowMs = this.clock.nowMs()
    const bucket = this.bucketOf(client, method, burst, nowMs)
    const passedMs = Math.max(0, nowMs - bucket.filledAtMs)
    bucket.tokens = Math.min(burst, bucket.tokens + (passedMs * perSecond) / 1_000)
    bucket.filledAtMs = nowMs
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * 1_000) / perSecond)
    bucket.tokens -= 1
    return undefined
  }

  private bucketOf(client: string, method: string, burst: number, nowMs: number): Bucket {
    const buckets = this.clients.get(client) ?? new Map<string, Bucket>()
    this.clients.delete(client)
    this.clients.set(client, buckets)
    if (this.clients.size > this.limits.rateClients) {
      const longestSilent = this.clients.keys().next().value
      if (longestSilent !== undefined) this.clients.delete(longestSilent)
    }
    let bucket = buckets.get(method)
    if (bucket === undefined) {
      bucket = { tokens: burst, filledAtMs: nowMs }
      buckets.set(method, bucket)
    }
    return bucket
  }
}
