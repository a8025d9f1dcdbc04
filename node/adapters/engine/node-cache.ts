/**
 * Nodes of the tries as the only writer knows them: what it reads and what it writes stays at hand, so that the upper nodes, over which
 * every block walks, are not read from the disk each time. Two generations within a budget of bytes: what was not asked for while one
 * filled up goes with it.
 */

/** What an entry costs beside its path and bytes. */
const ENTRY_BYTES = 250

export class NodeCache {
  readonly #mostBytes: number
  #young = new Map<string, Uint8Array>()
  #old = new Map<string, Uint8Array>()
  #youngBytes = 0
  #oldBytes = 0

  /** Both generations together hold at most so much. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  get bytes(): number {
    return this.#youngBytes + this.#oldBytes
  }

  get(path: string): Uint8Array | undefined {
    const young = this.#young.get(path)
    if (young !== undefined) return young
    const old = this.#old.get(path)
    if (old !== undefined) this.set(path, old)
    return old
  }

  set(path: string, node: Uint8Array): void {
    this.delete(path)
    const bytes = costOf(path, node)
    if ((this.#youngBytes + bytes) * 2 > this.#mostBytes) {
      this.#old = this.#young
      this.#oldBytes = this.#youngBytes
      this.#young = new Map()
      this.#youngBytes = 0
    }
    if (bytes * 2 > this.#mostBytes) return
    this.#young.set(path, node)
    this.#youngBytes += bytes
  }

  delete(path: string): void {
    const young = this.#young.get(path)
    if (young !== undefined) {
      this.#young.delete(path)
      this.#youngBytes -= costOf(path, young)
    }
    const old = this.#old.get(path)
    if (old !== undefined) {
      this.#old.delete(path)
      this.#oldBytes -= costOf(path, old)
    }
  }
}

function costOf(path: string, node: Uint8Array): number {
  return path.length + node.length + ENTRY_BYTES
}
