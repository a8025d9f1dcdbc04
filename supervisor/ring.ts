/**
 * The letters of one priority class, in order. A ring over a power of two that grows to what is used.
 * Letters leave from the head, or from the middle when `dropOldest` evicts one; the hole is skipped later and
 * squeezed out when the ring is full, so that every operation is constant time on average.
 */
import type { Letter } from './letter.ts'

const FIRST_SIZE = 16

/** Its own type allows it, it is no result of the actor's own doing, and it is not on its second try. */
const isEvictable = (letter: Letter): boolean =>
  letter.row.overflow === 'dropOldest' && letter.incarnation === 0 && letter.crashes === 0

export class Ring {
  /** Letters in it, holes not counted. */
  count = 0
  private slots: (Letter | undefined)[] = new Array(FIRST_SIZE).fill(undefined)
  private head = 0
  private tail = 0
  /** No evictable letter is before this position. */
  private evictFrom = 0

  push(letter: Letter): void {
    if (this.tail - this.head === this.slots.length) this.rebuild()
    letter.position = this.tail
    this.slots[this.tail & (this.slots.length - 1)] = letter
    this.tail += 1
    this.count += 1
  }

  pushFront(letter: Letter): void {
    if (this.tail - this.head === this.slots.length) this.rebuild()
    this.head -= 1
    letter.position = this.head
    this.slots[this.head & (this.slots.length - 1)] = letter
    this.count += 1
    this.evictFrom = this.head
  }

  shift(): Letter | undefined {
    while (this.head < this.tail) {
      const at = this.head & (this.slots.length - 1)
      const letter = this.slots[at]
      this.slots[at] = undefined
      this.head += 1
      if (letter === undefined) continue
      this.count -= 1
      if (this.count === 0) this.head = this.tail = this.evictFrom = 0
      return letter
    }
    return undefined
  }

  /** Puts a letter in the place of another of this ring. */
  replace(old: Letter, letter: Letter): void {
    letter.position = old.position
    this.slots[old.position & (this.slots.length - 1)] = letter
  }

  /** Takes out the oldest letter whose own type allows it to be dropped. */
  evictOldest(): Letter | undefined {
    if (this.evictFrom < this.head) this.evictFrom = this.head
    for (; this.evictFrom < this.tail; this.evictFrom += 1) {
      const at = this.evictFrom & (this.slots.length - 1)
      const letter = this.slots[at]
      if (letter === undefined || !isEvictable(letter)) continue
      this.slots[at] = undefined
      this.count -= 1
      return letter
    }
    return undefined
  }

  /** Removes and returns all letters, in order. */
  drain(): Letter[] {
    const letters: Letter[] = []
    for (let letter = this.shift(); letter !== undefined; letter = this.shift())
      letters.push(letter)
    return letters
  }

  private rebuild(): void {
    const size = this.count * 2 <= this.slots.length ? this.slots.length : this.slots.length * 2
    const slots: (Letter | undefined)[] = new Array(size).fill(undefined)
    let next = 0
    for (let at = this.head; at < this.tail; at += 1) {
      const letter = this.slots[at & (this.slots.length - 1)]
      if (letter === undefined) continue
      letter.position = next
      slots[next] = letter
      next += 1
    }
    this.slots = slots
    this.head = 0
    this.tail = next
    this.evictFrom = 0
  }
}
