/** The questions that are open. Each ends exactly once: by its reply, its deadline or its answerer's death. */
import type { Incarnation } from './incarnation.ts'
import { MAX_ASK_MS } from './limits.ts'
import type { ActorPath, AskErrorCode, AskResult, Message } from './message.ts'
import type { Clock, TimerHandle } from './ports.ts'

/** Its request's letter holds it, so that nothing has to be looked up. */
export interface Ask {
  readonly to: ActorPath
  /** Whose question it is: when that incarnation ends, nobody waits for the reply. */
  readonly asker: Incarnation | undefined
  /** Undefined once it is over. */
  settle: ((result: AskResult) => void) | undefined
  timer: TimerHandle | undefined
  /** The incarnation that took the request and has not answered. */
  takenBy: Incarnation | undefined
  /** Its request still waits for room; called when nobody needs it any more. */
  withdraw: (() => void) | undefined
  older: Ask | undefined
  newer: Ask | undefined
}

export class Asks {
  private readonly clock: Clock
  /** Those that are open hang together by age: a table of thousands that come and go would keep the dead ones alive. */
  private oldest: Ask | undefined = undefined
  private newest: Ask | undefined = undefined

  constructor(clock: Clock) {
    this.clock = clock
  }

  begin(
    to: ActorPath,
    timeoutMs: number,
    asker: Incarnation | undefined,
    settle: (result: AskResult) => void,
  ): Ask {
    if (!(timeoutMs > 0 && timeoutMs <= MAX_ASK_MS)) {
      throw new Error(`a question needs a deadline of 1 to ${MAX_ASK_MS} ms, got ${timeoutMs}`)
    }
    const ask: Ask = {
      to,
      asker,
      settle,
      timer: undefined,
      takenBy: undefined,
      withdraw: undefined,
      older: this.newest,
      newer: undefined,
    }
    if (this.newest === undefined) this.oldest = ask
    else this.newest.newer = ask
    this.newest = ask
    ask.timer = this.clock.setTimer(timeoutMs, () => this.fail(ask, 'Timeout'))
    return ask
  }

  /** What to do with the blocked request when the ask ends before it was admitted. */
  onEnd(ask: Ask, withdraw: () => void): void {
    if (ask.settle !== undefined) ask.withdraw = withdraw
  }

  /** The request was taken from the mailbox: from now on it depends on this incarnation's life. */
  taken(ask: Ask, by: Incarnation): void {
    if (ask.settle !== undefined) ask.takenBy = by
  }

  /** The request is put aside unhandled: a death of its taker leaves it in the mailbox. */
  untaken(ask: Ask): void {
    ask.takenBy = undefined
  }

  /** False: nobody waits for it any more (C-6). */
  answer(ask: Ask, message: Message): boolean {
    return this.end(ask, { ok: true, value: message })
  }

  fail(ask: Ask, code: AskErrorCode): void {
    this.end(ask, { ok: false, error: { code, to: ask.to } })
  }

  /** An incarnation is dead: what it took is answered with `code`, what it asked is withdrawn. */
  abandon(incarnation: Incarnation, code: AskErrorCode): void {
    for (const ask of this.open()) if (ask.takenBy === incarnation) this.fail(ask, code)
    for (const ask of this.open()) if (ask.asker === incarnation) this.fail(ask, 'Stopped')
  }

  /** The system is down: nothing will answer any more. */
  close(): void {
    for (const ask of this.open()) this.fail(ask, 'Stopped')
  }

  /** Oldest first. */
  private open(): Ask[] {
    const open: Ask[] = []
    for (let ask = this.oldest; ask !== undefined; ask = ask.newer) open.push(ask)
    return open
  }

  private end(ask: Ask, result: AskResult): boolean {
    const { settle, timer, withdraw } = ask
    if (settle === undefined) return false
    if (ask.older === undefined) this.oldest = ask.newer
    else ask.older.newer = ask.newer
    if (ask.newer === undefined) this.newest = ask.older
    else ask.newer.older = ask.older
    ask.settle = ask.timer = ask.takenBy = ask.withdraw = ask.older = ask.newer = undefined
    timer?.cancel()
    withdraw?.()
    settle(result)
    return true
  }
}
