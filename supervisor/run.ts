/** What init, perform and stop are given: ports, identity and the way back to other actors. */
import type { ActorRun, AskOptions, Log, SendOptions } from './actor.ts'
import type { Cell } from './cell.ts'
import { pathOf } from './effects.ts'
import type { Incarnation } from './incarnation.ts'
import { refused, type Stamp } from './kernel.ts'
import type { Pressure } from './mailbox.ts'
import type {
  ActorPath,
  ActorRef,
  AskResult,
  Message,
  ReplyOf,
  Request,
  SendResult,
  Target,
} from './message.ts'
import type { Clock, Ids, Random } from './ports.ts'

export class Run implements ActorRun<Message, unknown> {
  readonly self: ActorRef
  readonly ports: unknown
  readonly clock: Clock
  readonly random: Random
  readonly ids: Ids
  readonly correlationId: string
  readonly log: Log
  private readonly cell: Cell
  private readonly incarnation: Incarnation
  /** Undefined: no flow, each message begins its own. */
  private readonly flow: string | undefined
  private readonly causationId: number

  constructor(cell: Cell, incarnation: Incarnation, flow: string | undefined, causationId: number) {
    const { clock, random, ids } = cell.kernel.ports
    this.self = { path: cell.path }
    this.ports = cell.spec.ports
    this.clock = clock
    this.random = random
    this.ids = ids
    this.flow = flow
    this.correlationId = flow ?? ids.next()
    this.causationId = causationId
    this.cell = cell
    this.incarnation = incarnation
    this.log = (level, event, fields) =>
      cell.kernel.log(level, cell.path, event, this.correlationId, fields)
  }

  get signal(): AbortSignal {
    return this.incarnation.signal
  }

  tell<M extends Message>(
    to: Target<M>,
    message: M,
    options: SendOptions = {},
  ): Promise<SendResult> {
    const path = pathOf(to)
    if (this.incarnation.dead) return Promise.resolve(refused('Stopped', path))
    const { kernel } = this.cell
    return new Promise((resolve) => {
      const letter = kernel.letter(message, this.stamp(options), undefined, 0)
      const result = kernel.send(path, letter, resolve)
      if (result !== undefined) resolve(result)
    })
  }

  ask<R extends Request>(
    to: Target<R>,
    request: R,
    options: AskOptions,
  ): Promise<AskResult<ReplyOf<R>>> {
    const path = pathOf(to)
    if (this.incarnation.dead) {
      return Promise.resolve({ ok: false, error: { code: 'Stopped', to: path } })
    }
    return new Promise((resolve) => {
      const end = (result: AskResult): void => resolve(result as AskResult<ReplyOf<R>>)
      const { timeoutMs } = options
      this.cell.kernel.ask(path, request, timeoutMs, this.stamp({}), end, this.incarnation)
    })
  }

  pressure(of: ActorPath, listener: (level: Pressure) => void): () => void {
    const { incarnation } = this
    if (incarnation.dead) return () => {}
    const end = this.cell.kernel.onPressure(of, listener)
    incarnation.signal.addEventListener('abort', end, { once: true })
    return () => {
      incarnation.signal.removeEventListener('abort', end)
      end()
    }
  }

  private stamp(options: SendOptions): Stamp {
    return {
      sender: this.cell.path,
      correlationId: options.correlationId ?? this.flow ?? this.ids.next(),
      causationId: this.causationId,
      nowMs: this.clock.nowMs(),
    }
  }
}
