/**
 * Filters that clients poll: what each is, and up to which block it has told. They live in memory only, are bounded
 * in number, and end when nobody polls. Ids are random, so that one client does not end another's.
 */

import { toHex } from '../../crypto/index.ts'
import type { Clock, Random } from '../../supervisor/index.ts'
import type { ApiLimits } from './limits.ts'
import type { LogFilterParam } from './params.ts'

export interface Filter {
  readonly kind: 'blocks' | 'logs'
  readonly query: LogFilterParam | undefined
  /** The next block to tell of. */
  nextBlock: number
  polledAtMs: number
}

export class Filters {
  private readonly all = new Map<string, Filter>()
  private readonly clock: Clock
  private readonly random: Random
  private readonly limits: ApiLimits

  constructor(clock: Clock, random: Random, limits: ApiLimits) {
    this.clock = clock
    this.random = random
    this.limits = limits
  }

  /** The id of a new filter; undefined when there are too many. */
  add(kind: Filter['kind'], nextBlock: number, query?: LogFilterParam): string | undefined {
    this.expire()
    if (this.all.size >= this.limits.filters) return undefined
    const id = `0x${toHex(this.random.bytes(16)).replace(/^0+/, '') || '1'}`
    this.all.set(id, { kind, query, nextBlock, polledAtMs: this.clock.nowMs() })
    return id
  }

  /** A filter that is still alive; asking for it keeps it so. */
  get(id: string): Filter | undefined {
    this.expire()
    const filter = this.all.get(id)
    if (filter !== undefined) filter.polledAtMs = this.clock.nowMs()
    return filter
  }

  remove(id: string): boolean {
    return this.all.delete(id)
  }

  get size(): number {
    return this.all.size
  }

  private expire(): void {
    const oldest = this.clock.nowMs() - this.limits.filterIdleMs
    for (const [id, filter] of this.all) {
      if (filter.polledAtMs < oldest) this.all.delete(id)
    }
  }
}
