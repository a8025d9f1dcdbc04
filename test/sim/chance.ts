/** Seeded chance: independent streams of one seed, so that one more draw here moves nothing there. */
import { createHash } from 'node:crypto'
import type { Random } from '../../supervisor/index.ts'

export class Chance {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number, stream: string) {
    const start = createHash('sha256').update(`${seed} ${stream}`).digest()
    this.#a = start.readUInt32LE(0)
    this.#b = start.readUInt32LE(4)
    this.#c = start.readUInt32LE(8)
  }

  /** 32 bits (sfc32). */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) >>> 0
    this.#counter = (this.#counter + 1) >>> 0
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0
    this.#b = (this.#c + (this.#c << 3)) >>> 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0
    return sum
  }

  /** In [0, 1). */
  fraction(): number {
    return this.next() / 2 ** 32
  }

  happens(probability: number): boolean {
    return this.fraction() < probability
  }

  /** An integer from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1))
  }

  /** Mostly little, rarely much: the time until something that comes about every `meanMs`. */
  untilNext(meanMs: number): number {
    return Math.ceil(-Math.log(1 - this.fraction()) * meanMs)
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.fraction() * items.length)]
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.next() & 0xff)
  }

  asPort(): Random {
    return { bytes: (length) => this.bytes(length) }
  }
}
