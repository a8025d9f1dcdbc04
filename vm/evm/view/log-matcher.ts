/** What a query for logs asks, worked out once for all blocks that it looks at. */
import { equalBytes } from '../../../crypto/index.ts'
import { keccak256 } from '../keccak.ts'
import { BLOOM_BYTES, type Log } from '../receipt.ts'
import { markOf, type ReceiptIndex } from '../receipt-index.ts'

/** One of several values at one position: 0 for the address, then the topics. */
type Criterion = {
  readonly position: number
  readonly items: readonly Uint8Array[]
  readonly marks: ReadonlySet<number>
  readonly hashes: readonly Uint8Array[]
}

export class LogMatcher {
  readonly #criteria: readonly Criterion[]
  readonly #topics: number

  /** `addresses`: any of them; none: any address. `topics`: by position, each null or a list of which any fits. */
  constructor(addresses: readonly Uint8Array[], topics: readonly (readonly Uint8Array[] | null)[]) {
    this.#topics = topics.length
    this.#criteria = [addresses, ...topics].flatMap((items, position) =>
      items === null || items.length === 0
        ? []
        : [
            {
              position,
              items,
              marks: new Set(items.map((item) => markOf(item))),
              hashes: items.map(keccak256),
            },
          ],
    )
  }

  /** False when no log of the block can be asked for. */
  mayBeIn(bloom: Uint8Array): boolean {
    return this.#criteria.every(({ hashes }) => hashes.some((hash) => hasBits(bloom, hash)))
  }

  /** Numbers of the logs of a block that may fit: `fits` decides. */
  candidates(index: ReceiptIndex): number[] {
    const found: number[] = []
    for (let log = 0; log < index.logCount; log++) {
      if (this.#topics > 0 && index.mark(log, Math.min(this.#topics, 4)) === 0) continue
      if (this.#criteria.every(({ position, marks }) => marks.has(index.mark(log, position)))) {
        found.push(log)
      }
    }
    return found
  }

  fits({ address, topics }: Log): boolean {
    if (this.#topics > topics.length) return false
    return this.#criteria.every(({ position, items }) => {
      const value = position === 0 ? address : (topics[position - 1] as Uint8Array)
      return items.some((item) => equalBytes(item, value))
    })
  }
}

/** The three bits that an item sets (yellow paper, 4.3.1). */
function hasBits(bloom: Uint8Array, hash: Uint8Array): boolean {
  for (let pair = 0; pair < 6; pair += 2) {
    const bit = (((hash[pair] as number) << 8) | (hash[pair + 1] as number)) & 2047
    const byte = bloom[BLOOM_BYTES - 1 - (bit >> 3)] as number
    if ((byte & (1 << (bit & 7))) === 0) return false
  }
  return true
}
