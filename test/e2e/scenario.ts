/** What every scenario is given and gives back. */
export interface ScenarioOptions {
  readonly json: boolean
  readonly nodes: number
  readonly members: number
  readonly bitcoin: string
  /** All that is random in a scenario follows from it. */
  readonly seed: number
  readonly random: number
  tell(line: string): void
}

export interface Outcome {
  /** Whether everything that the scenario promises held. */
  readonly ok: boolean
  readonly figures: Readonly<Record<string, unknown>>
}

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
