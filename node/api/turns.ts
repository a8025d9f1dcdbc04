/** Work that only a few may do at once: the rest waits in its order, and what finds the line full is told so. */
export class Turns {
  private readonly most: number
  private readonly longest: number
  private taken = 0
  private readonly line: (() => void)[] = []

  /** `most` at once, `longest` in the line. */
  constructor(most: number, longest: number) {
    this.most = most
    this.longest = longest
  }

  /** Undefined when the line is full. */
  async take<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.taken >= this.most) {
      if (this.line.length >= this.longest) return undefined
      await new Promise<void>((resolve) => this.line.push(resolve))
    } else this.taken += 1
    try {
      return await work()
    } finally {
      // The turn goes to the next in the line, if there is one.
      const next = this.line.shift()
      if (next === undefined) this.taken -= 1
      else next()
    }
  }
}

/** Lets everything else that waits for this thread go first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A budget in bytes over all requests. */
export class Budget {
  private leftBytes: number

  constructor(bytes: number) {
    this.leftBytes = bytes
  }

  take(bytes: number): boolean {
    if (bytes > this.leftBytes) return false
    this.leftBytes -= bytes
    return true
  }

  give(bytes: number): void {
    this.leftBytes += bytes
  }
}
