/**
 * The bounded mailbox of one actor: one ring per priority class, each with the actor's capacity, so that a
 * flood in one class leaves the others their room. What does not fit follows the policy of its type (SU-6).
 * Order: classes from control to api, first in first out within a class, and no class waits longer than the
 * starvation bound (SU-7).
 */
import type { Letter } from './letter.ts'
import { WATERMARKS } from './limits.ts'
import { PRIORITIES, type Priority } from './message.ts'
import { Ring } from './ring.ts'

/** Room for each class, or one number for all. */
export type Capacity = number | Readonly<Partial<Record<Priority, number>> & { default: number }>

export type Pressure = 'Normal' | 'Warning' | 'Critical' | 'Blocked'

/** A producer that can pause (a socket reader) should, until this is false again: from 80 % down to below 70 %. */
export const isOverloaded = (level: Pressure): boolean =>
  level === 'Critical' || level === 'Blocked'

/** What became of an offered letter. */
export type Admission = 'admitted' | 'coalesced' | 'evicted' | 'dropped' | 'refused' | 'full'

/** A producer that waits for room. */
export interface Waiter {
  readonly letter: Letter
  admitted(): void
  /** The actor ended, or the time was up. */
  refused(reason: 'Stopped' | 'BlockedTooLong'): void
}

const CLASSES = PRIORITIES.length

const capacityOf = (capacity: Capacity, priority: Priority): number => {
  const given = typeof capacity === 'number' ? capacity : (capacity[priority] ?? capacity.default)
  if (!Number.isInteger(given) || given < 1) {
    throw new Error(`mailbox capacity of ${priority}: expected a positive integer, got ${given}`)
  }
  return given
}

const LEVELS: readonly Pressure[] = ['Normal', 'Warning', 'Critical', 'Blocked']
const STARTS = [0, WATERMARKS.warning, WATERMARKS.critical, WATERMARKS.blocked]

export class Mailbox {
  /** Letters that wait, of all classes. */
  depth = 0
  /** The letter that was pushed out or replaced last. */
  evicted: Letter | undefined = undefined
  private readonly rings: Ring[] = []
  private readonly capacities: number[]
  private readonly waiters: Waiter[][]
  private waiting = 0
  /** Letters of higher classes taken while this class waited. */
  private readonly passedOver: number[] = new Array(CLASSES).fill(0)
  private readonly levels: number[] = new Array(CLASSES).fill(0)
  private readonly latest = new Map<string, Letter>()
  private readonly bound: number
  private readonly maxWaiting: number
  private readonly onPressure: (level: Pressure) => void
  private level = 0

  constructor(
    capacity: Capacity,
    starvationBound: number,
    maxWaiting: number,
    onPressure: (level: Pressure) => void,
  ) {
    this.capacities = PRIORITIES.map((priority) => capacityOf(capacity, priority))
    this.waiters = PRIORITIES.map(() => [])
    for (let rank = 0; rank < CLASSES; rank += 1) this.rings.push(new Ring())
    // Up to five lower classes may come due at once; each is still served within the bound.
    this.bound = Math.max(1, starvationBound - (CLASSES - 1))
    this.maxWaiting = maxWaiting
    this.onPressure = onPressure
  }

  get pressure(): Pressure {
    return LEVELS[this.level] as Pressure
  }

  depthOf(rank: number): number {
    return (this.rings[rank] as Ring).count
  }

  capacityOf(rank: number): number {
    return this.capacities[rank] as number
  }

  /** Letters beyond the capacity of the class that has most of them; negative while every class has room. */
  get excess(): number {
    let most = Number.NEGATIVE_INFINITY
    for (let rank = 0; rank < CLASSES; rank += 1) {
      most = Math.max(most, this.depthOf(rank) - this.capacityOf(rank))
    }
    return most
  }

  waitersOf(rank: number): number {
    return (this.waiters[rank] as Waiter[]).length
  }

  /** Offers a letter under the policy of its type. `full`: its producer blocks, see `wait`. */
  offer(letter: Letter): Admission {
    const row = letter.row
    if (row.coalesce && this.supersede(letter)) return 'coalesced'
    const ring = this.ring(row.rank)
    const blocked = this.waiting > 0 && this.waitersOf(row.rank) > 0
    if (!blocked && ring.count < this.capacityOf(row.rank)) {
      this.push(letter)
      return 'admitted'
    }
    switch (row.overflow) {
      case 'blockProducer':
        return 'full'
      case 'returnError':
        return 'refused'
      case 'dropNewest':
        return 'dropped'
      case 'dropOldest': {
        if (blocked) return 'dropped'
        const evicted = ring.evictOldest()
        if (evicted === undefined) return 'dropped'
        this.depth -= 1
        this.evicted = evicted
        this.push(letter)
        return 'evicted'
      }
    }
  }

  /**
   * Puts a letter of a coalescing type in the place of the one that waits; false when none does. A result of
   * one incarnation and a message from elsewhere do not replace each other, for only the latter survives a restart.
   */
  supersede(letter: Letter): boolean {
    const { row } = letter
    const old = this.latest.get(row.type)
    if (old === undefined || old.incarnation !== letter.incarnation) return false
    this.ring(row.rank).replace(old, letter)
    this.latest.set(row.type, letter)
    this.evicted = old
    return true
  }

  /** Lets a producer wait for room, in order; false when too many wait already. */
  wait(waiter: Waiter): boolean {
    const queue = this.waiters[waiter.letter.row.rank] as Waiter[]
    if (queue.length >= this.maxWaiting) return false
    queue.push(waiter)
    this.waiting += 1
    return true
  }

  /** The producer gives up. */
  unwait(waiter: Waiter): void {
    const queue = this.waiters[waiter.letter.row.rank] as Waiter[]
    const at = queue.indexOf(waiter)
    if (at < 0) return
    queue.splice(at, 1)
    this.waiting -= 1
  }

  /** Admits regardless of capacity: results of the actor's own effects, whose number is bounded elsewhere. */
  push(letter: Letter): void {
    const rank = letter.row.rank
    const ring = this.ring(rank)
    ring.push(letter)
    this.depth += 1
    if (letter.row.coalesce) this.latest.set(letter.row.type, letter)
    this.rise(rank, ring.count)
  }

  /** Puts the letter that was being handled back to where it came from. */
  putBack(letter: Letter): void {
    const rank = letter.row.rank
    const ring = this.ring(rank)
    ring.pushFront(letter)
    this.depth += 1
    if (letter.row.coalesce && !this.latest.has(letter.row.type)) {
      this.latest.set(letter.row.type, letter)
    }
    this.rise(rank, ring.count)
  }

  /** The next letter; with `controlOnly`, of the control class alone. */
  take(controlOnly: boolean): Letter | undefined {
    if (this.depth === 0) return undefined
    const rank = controlOnly ? (this.depthOf(0) > 0 ? 0 : -1) : this.nextRank()
    if (rank < 0) return undefined
    const ring = this.ring(rank)
    const letter = ring.shift() as Letter
    this.depth -= 1
    if (letter.row.coalesce && this.latest.get(letter.row.type) === letter) {
      this.latest.delete(letter.row.type)
    }
    if (this.waiting > 0) this.admitWaiters(rank)
    this.fall(rank, ring.count)
    return letter
  }

  /** Empties it: letters in order of class, then the producers that still wait. */
  drain(): { readonly letters: Letter[]; readonly waiters: Waiter[] } {
    const letters = this.rings.flatMap((ring) => ring.drain())
    const waiters = this.waiters.flatMap((queue) => queue.splice(0))
    this.depth = 0
    this.waiting = 0
    this.latest.clear()
    this.levels.fill(0)
    this.relevel()
    return { letters, waiters }
  }

  private ring(rank: number): Ring {
    return this.rings[rank] as Ring
  }

  private nextRank(): number {
    let first = 0
    while (this.depthOf(first) === 0) first += 1
    let chosen = first
    for (let rank = first + 1; rank < CLASSES; rank += 1) {
      if (this.depthOf(rank) === 0) continue
      const passed = (this.passedOver[rank] as number) + 1
      this.passedOver[rank] = passed
      if (passed > this.bound) chosen = rank
    }
    this.passedOver[chosen] = 0
    return chosen
  }

  private admitWaiters(rank: number): void {
    const queue = this.waiters[rank] as Waiter[]
    while (queue.length > 0 && this.depthOf(rank) < this.capacityOf(rank)) {
      const waiter = queue.shift() as Waiter
      this.waiting -= 1
      this.push(waiter.letter)
      waiter.admitted()
    }
  }

  private rise(rank: number, count: number): void {
    const percent = (count * 100) / this.capacityOf(rank)
    let level = this.levels[rank] as number
    const before = level
    while (level < 3 && percent >= (STARTS[level + 1] as number)) level += 1
    if (level === before) return
    this.levels[rank] = level
    this.relevel()
  }

  private fall(rank: number, count: number): void {
    let level = this.levels[rank] as number
    if (level === 0) return
    const percent = (count * 100) / this.capacityOf(rank)
    while (level > 0 && percent < (STARTS[level] as number) - WATERMARKS.hysteresis) level -= 1
    if (level === this.levels[rank]) return
    this.levels[rank] = level
    this.relevel()
  }

  private relevel(): void {
    const level = Math.max(...this.levels)
    if (level === this.level) return
    this.level = level
    this.onPressure(LEVELS[level] as Pressure)
  }
}
