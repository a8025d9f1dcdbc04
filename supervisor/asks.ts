/** The questions that are open. Each ends exactly once: by its reply, its deadline or its answerer's death. */
import type { ActorPath, AskErrorCode, AskResult, Message } from './message.ts'
import type { Clock, TimerHandle } from './ports.ts'

interface OpenAsk {
  readonly to: ActorPath
  readonly timer: TimerHandle
  readonly settle: (result: AskResult) => void
  /** The set of the actor that took the request and has not answered. */
  takenBy: Set<number> | undefined
  /** Its request still waits for room; called when nobody needs it any more. */
  withdraw: (() => void) | undefined
}

/** SU-10: no question waits longer, whatever hangs on it. */
const MAX_ASK_MS = 10 * 60_000

export class Asks {
  private readonly clock: Clock
  private readonly open = new Map<number, OpenAsk>()
  private lastId = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  get size(): number {
    return this.open.size
  }

  begin(to: ActorPath, timeoutMs: number, settle: (result: AskResult) => void): number {
    if (!(timeoutMs > 0 && timeoutMs <= MAX_ASK_MS)) {
      throw new Error(`a question needs a deadline of 1 to ${MAX_ASK_MS} ms, got ${timeoutMs}`)
    }
    this.lastId += 1
    const id = this.lastId
    const timer = this.clock.setTimer(timeoutMs, () => this.fail(id, 'Timeout'))
    this.open.set(id, { to, timer, settle, takenBy: undefined, withdraw: undefined })
    return id
  }

  /** What to do with the blocked request when the ask ends before it was admitted. */
  onEnd(id: number, withdraw: () => void): void {
    const found = this.open.get(id)
    if (found !== undefined) found.withdraw = withdraw
  }

  /** The request was taken from the mailbox: from now on it depends on this actor's life. */
  taken(id: number, by: Set<number>): void {
    const found = this.open.get(id)
    if (found === undefined) return
    found.takenBy = by
    by.add(id)
  }

  /** The request is put aside unhandled: a death of its taker leaves it in the mailbox. */
  untaken(id: number, by: Set<number>): void {
    const found = this.open.get(id)
    if (found !== undefined) found.takenBy = undefined
    by.delete(id)
  }

  /** False: nobody waits for it any more (C-6). */
  answer(id: number, message: Message): boolean {
    return this.end(id, { ok: true, value: message })
  }

  fail(id: number, code: AskErrorCode): void {
    const found = this.open.get(id)
    if (found !== undefined) this.end(id, { ok: false, error: { code, to: found.to } })
  }

  /** The system is down: nothing will answer any more. */
  close(): void {
    for (const id of [...this.open.keys()]) this.fail(id, 'Stopped')
  }

  private end(id: number, result: AskResult): boolean {
    const found = this.open.get(id)
    if (found === undefined) return false
    this.open.delete(id)
    found.takenBy?.delete(id)
    found.timer.cancel()
    found.withdraw?.()
    found.settle(result)
    return true
  }
}
