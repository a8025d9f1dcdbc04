/** What every scenario is given and gives back. */
export interface ScenarioOptions {
  readonly json: boolean
  readonly nodes: number
  readonly members: number
  readonly bitcoin: string
  /** All that is random in a scenario follows from it. */
  readonly seed: number
  readonly random: number
  /** Nothing else. */
  readonly onlyRandom?: boolean
  tell(line: string): void
}

export interface Outcome {
  /** Whether everything that the scenario promises held. */
  readonly ok: boolean
  readonly figures: Readonly<Record<string, unknown>>
}
