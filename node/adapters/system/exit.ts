import { exitCauseOf, type TerminationReason } from '../../../supervisor/index.ts'

/** Exit codes of every command of Millrace. 70 is a bug before anything ran. */
export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  configuration: 3,
  /** Damaged, or in use by another process. */
  data: 4,
  /** What it needs does not answer. */
  unreachable: 5,
} as const

/** How a program ends that gave up a critical actor. */
export interface ProgramEnd {
  readonly exitCode: number
  /** One line for who runs it. */
  readonly message: string
}

const CODES = {
  configuration: EXIT.configuration,
  data: EXIT.data,
  unreachable: EXIT.unreachable,
  failure: EXIT.error,
} as const

export function programEnd(reason: TerminationReason): ProgramEnd {
  const { path, fault, why } = reason
  const message = `actor ${path} was given up (${why}): ${fault.code}: ${fault.reason}`
  return { exitCode: CODES[exitCauseOf(reason)], message: message.replaceAll(/\s*\n\s*/g, ' ') }
}
