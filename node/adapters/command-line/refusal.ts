import { EXIT } from '../system/index.ts'

/** What a command could not do, thrown to where its exit code is made. */
export class Refusal extends Error {
  readonly code: string
  readonly exitCode: number

  constructor(code: string, message: string, exitCode: number = EXIT.error) {
    super(message)
    this.code = code
    this.exitCode = exitCode
  }
}

export function usage(message: string): Refusal {
  return new Refusal('Usage', message, EXIT.usage)
}
