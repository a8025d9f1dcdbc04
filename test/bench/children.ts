/** Processes of a bench that talk with it over Node's own channel: orders to them, what they tell back. */
import { type ChildProcess, fork } from 'node:child_process'

const STEP_MS = 60_000
/** As the processes of a development federation have it. */
const NODE_OPTIONS = ['--max-semi-space-size=8']

export class Children<Order extends object, Told extends { readonly kind: string }> {
  readonly #children: readonly ChildProcess[]

  /** `heard` gets all that they tell, with who tells it. */
  constructor(
    program: string,
    settings: readonly (readonly string[])[],
    heard: (told: Told, index: number) => void,
  ) {
    this.#children = settings.map((args, index) => {
      const child = fork(program, args, { execArgv: NODE_OPTIONS })
      return child.on('message', (told) => heard(told as Told, index))
    })
  }

  get pids(): readonly number[] {
    return this.#children.flatMap(({ pid }) => pid ?? [])
  }

  order(order: Order, to: readonly number[] = this.#children.keys().toArray()): void {
    for (const index of to) this.#children[index]?.send(order)
  }

  signal(index: number, signal: NodeJS.Signals): void {
    this.#children[index]?.kill(signal)
  }

  /** The next such word of each; rejects when one ends, or says nothing for too long. */
  all<Kind extends Told['kind']>(
    kind: Kind,
    deadlineMs = STEP_MS,
  ): Promise<Extract<Told, { kind: Kind }>[]> {
    return Promise.all(
      this.#children.map((child) => wordOf<Extract<Told, { kind: Kind }>>(child, kind, deadlineMs)),
    )
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGTERM')
  }
}

function wordOf<Told extends { readonly kind: string }>(
  child: ChildProcess,
  kind: string,
  deadlineMs: number,
): Promise<Told> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(new Error(`nothing of ${kind}`)), deadlineMs)
    const exited = (code: number | null) => end(new Error(`a process ended with ${code}`))
    const told = (word: unknown) => {
      if ((word as Told).kind === kind) end(word as Told)
    }
    function end(result: Told | Error): void {
      clearTimeout(timer)
      child.off('exit', exited).off('message', told)
      if (result instanceof Error) reject(result)
      else resolve(result)
    }
    child.on('exit', exited).on('message', told)
  })
}

/** The machine's monotonic clock, which all processes share. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6
