/** One thing that the doctor looked at. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  /** What was found. */
  readonly detail: string
  /** What to do about it. */
  readonly advice?: string
  /** Of the program, when this is what is worst. */
  readonly exitCode: number
}

/** Exit code of damaged data, as in operations.md. */
const DATA = 4

export function good(name: string, detail: string): Check {
  return { name, ok: true, detail, exitCode: 0 }
}

export function bad(name: string, detail: string, advice: string, exitCode = DATA): Check {
  return { name, ok: false, detail, advice, exitCode }
}
