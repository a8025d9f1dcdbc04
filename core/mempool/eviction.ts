/**
 * Who goes from a full pool first (MP-2): what cannot run now or is beyond its sender's first slots, before what can; then the
 * lowest rate; of equal ones the newest. Ranks change as lanes do, so that each is looked at again when its turn comes.
 */
import { Heap } from './heap.ts'
import type { Entry } from './lane.ts'
import { REPLACEMENT_PERCENT } from './limits.ts'

export interface Rank {
  readonly isSure: boolean
  readonly rateWei: bigint
}

interface Ranked extends Rank {
  readonly entry: Entry
}

export class EvictionOrder {
  readonly #heap: Heap<Ranked>
  /** Undefined: it is no longer in the pool. */
  readonly #rankOf: (entry: Entry) => Rank | undefined

  constructor(rankOf: (entry: Entry) => Rank | undefined, entries: Iterable<Entry>) {
    this.#rankOf = rankOf
    const ranked: Ranked[] = []
    for (const entry of entries) {
      const rank = rankOf(entry)
      if (rank !== undefined) ranked.push({ entry, ...rank })
    }
    this.#heap = new Heap(goesBefore, ranked)
  }

  /** A newcomer, or one whose rank fell. */
  push(entry: Entry): void {
    const rank = this.#rankOf(entry)
    if (rank !== undefined) this.#heap.push({ entry, ...rank })
  }

  /** Whoever is to go first, not to be asked for again unless it is pushed. */
  pop(): (Rank & { readonly entry: Entry }) | undefined {
    for (let first = this.#heap.pop(); first !== undefined; first = this.#heap.pop()) {
      const rank = this.#rankOf(first.entry)
      if (rank === undefined) continue
      if (rank.isSure === first.isSure && rank.rateWei === first.rateWei) return first
      this.#heap.push({ entry: first.entry, ...rank })
    }
    return undefined
  }
}

function goesBefore(left: Ranked, right: Ranked): boolean {
  if (left.isSure !== right.isSure) return right.isSure
  if (left.rateWei !== right.rateWei) return left.rateWei < right.rateWei
  return left.entry.arrival > right.entry.arrival
}

/** Is the newcomer worth the place of the one in it: of a better kind, or of the same and at least a tenth more? */
export function isWorthMore(newcomer: Rank, held: Rank): boolean {
  if (newcomer.isSure !== held.isSure) return newcomer.isSure
  return isBumped(held.rateWei, newcomer.rateWei) && newcomer.rateWei > held.rateWei
}

/** At least a tenth more, rounded up. */
export function bumped(fee: bigint): bigint {
  return fee <= 0n ? fee : (fee * BigInt(100 + REPLACEMENT_PERCENT) + 99n) / 100n
}

export function isBumped(before: bigint, after: bigint): boolean {
  return after >= bumped(before)
}
