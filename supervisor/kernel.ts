/** What the actors of one system share: ports, registry, post office, open asks, listeners. */
import type { AnyStateMachine } from 'xstate'
import { type Ask, Asks } from './asks.ts'
import type { Cell } from './cell.ts'
import { Dispatcher } from './dispatcher.ts'
import type { DeadLetterReason, DropReason, KernelEvent, UnstampedEvent } from './events.ts'
import type { Fault } from './fault.ts'
import type { Incarnation } from './incarnation.ts'
import { Letter } from './letter.ts'
import { lifeMachine } from './life.ts'
import type { KernelLimits } from './limits.ts'
import type { Pressure, Waiter } from './mailbox.ts'
import type { ActorPath, AskResult, Message, SendErrorCode, SendResult } from './message.ts'
import { compileMachine, type Mode } from './mode.ts'
import type { KernelPorts, LogLevel, Span, TimerHandle, Tracer } from './ports.ts'
import type { RecoveryKind, RecoveryResult } from './recovery.ts'
import type { Registry } from './registry.ts'
import { isSampled } from './sampling.ts'

export const ADMITTED: SendResult = { ok: true }

export const refused = (code: SendErrorCode, to: ActorPath): SendResult => ({
  ok: false,
  error: { code, to },
})

/** What a new letter carries besides its message. */
export interface Stamp {
  readonly sender: ActorPath
  readonly correlationId: string
  readonly causationId: number
  readonly nowMs: number
}

export type PressureListener = (level: Pressure) => void

/** What an operator reads of a recovery, in one line. An alert has its own. */
const RECOVERED: Readonly<Record<RecoveryKind, { readonly ok: string; readonly failed: string }>> =
  {
    retry: { ok: 'runs again after a fault', failed: 'a restart did not help' },
    rollback: {
      ok: 'went back to its last good state',
      failed: 'could not go back to a good state',
    },
    resync: { ok: 'fetched its state anew', failed: 'could not fetch its state anew' },
    failover: { ok: 'changed to its fallback', failed: 'has no fallback that works' },
    alert: { ok: 'alert', failed: 'alert' },
  }

export class Kernel {
  readonly ports: KernelPorts
  readonly registry: Registry
  readonly limits: KernelLimits
  readonly dispatcher: Dispatcher
  readonly asks: Asks
  readonly cells = new Map<ActorPath, Cell>()
  /** Absent unless some flows are sampled. */
  readonly tracer: Tracer | undefined
  readonly lifeMode: Mode = compileMachine(lifeMachine)
  /** Somebody listens to every single message. */
  tracing = false
  private readonly modes = new WeakMap<AnyStateMachine, Mode>()
  private readonly listeners = new Map<(event: KernelEvent) => void, boolean>()
  private readonly pressureListeners = new Map<ActorPath, Set<PressureListener>>()
  private readonly watchers = new Map<ActorPath, Set<Cell>>()
  private readonly quietDrops = new Map<string, number>()
  private readonly dropTimers = new Set<TimerHandle>()
  private sequence = 0

  constructor(ports: KernelPorts, registry: Registry, limits: KernelLimits) {
    this.ports = ports
    this.tracer = ports.tracer !== undefined && ports.tracer.rate > 0 ? ports.tracer : undefined
    this.registry = registry
    this.limits = limits
    this.dispatcher = new Dispatcher(ports.clock, limits)
    this.asks = new Asks(ports.clock)
  }

  modeOf(machine: AnyStateMachine): Mode {
    const known = this.modes.get(machine)
    if (known !== undefined) return known
    const mode = compileMachine(machine)
    this.modes.set(machine, mode)
    return mode
  }

  /** A number in [0, 1) from the random port. */
  chance(): number {
    const bytes = this.ports.random.bytes(4)
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32
  }

  letter(message: Message, stamp: Stamp, ask: Ask | undefined, incarnation: number): Letter {
    this.sequence += 1
    return new Letter(
      stamp.correlationId,
      stamp.causationId,
      this.sequence,
      stamp.nowMs,
      stamp.sender,
      message,
      this.registry.row(message.type),
      ask,
      incarnation,
    )
  }

  /**
   * Delivers by the policy of the message type. Undefined: the producer blocks, and `later` is called once,
   * when the letter was admitted or its time was up.
   */
  send(to: ActorPath, letter: Letter, later: (result: SendResult) => void): SendResult | undefined {
    const cell = this.cells.get(to)
    if (cell === undefined || cell.life === 'Terminated') {
      const code = cell === undefined ? 'NoSuchActor' : 'Stopped'
      this.deadLetter(to, letter, code)
      return refused(code, to)
    }
    switch (cell.mailbox.offer(letter)) {
      case 'admitted':
        cell.wake()
        return ADMITTED
      case 'coalesced':
        cell.superseded()
        return ADMITTED
      case 'evicted':
        this.dropped(cell, cell.mailbox.evicted as Letter, 'DropOldest')
        cell.wake()
        return ADMITTED
      case 'dropped':
        this.dropped(
          cell,
          letter,
          letter.row.overflow === 'dropOldest' ? 'DropOldest' : 'DropNewest',
        )
        return refused('Dropped', to)
      case 'refused':
        this.dropped(cell, letter, 'Refused')
        return refused('MailboxFull', to)
      case 'full':
        return this.block(cell, letter, later)
    }
  }

  private block(
    cell: Cell,
    letter: Letter,
    later: (result: SendResult) => void,
  ): SendResult | undefined {
    const waiter: Waiter = {
      letter,
      admitted: () => {
        timer.cancel()
        cell.wake()
        later(ADMITTED)
      },
      refused: (reason) => {
        timer.cancel()
        this.deadLetter(cell.path, letter, reason)
        later(refused(reason === 'Stopped' ? 'Stopped' : 'MailboxFull', cell.path))
      },
    }
    if (!cell.mailbox.wait(waiter)) {
      this.dropped(cell, letter, 'Refused')
      return refused('MailboxFull', cell.path)
    }
    const timer = this.ports.clock.setTimer(letter.row.blockMs, () => {
      cell.mailbox.unwait(waiter)
      waiter.refused('BlockedTooLong')
    })
    if (letter.ask !== undefined) {
      this.asks.onEnd(letter.ask, () => {
        timer.cancel()
        cell.mailbox.unwait(waiter)
      })
    }
    return undefined
  }

  /** Sends a request and settles exactly once: reply, deadline, refusal or the answerer's death. */
  ask(
    to: ActorPath,
    request: Message,
    timeoutMs: number,
    stamp: Stamp,
    settle: (result: AskResult) => void,
    /** Undefined: it comes from outside. */
    asker: Incarnation | undefined,
  ): void {
    this.registry.row(request.type)
    const ask = this.asks.begin(to, timeoutMs, asker, settle)
    const letter = this.letter(request, stamp, ask, 0)
    this.send(to, letter, () => {})
  }

  /** A reply to a letter; one that nobody waits for is dropped and counted (C-6). */
  reply(to: Letter, message: Message, from: ActorPath): void {
    this.registry.row(message.type)
    const asked = to.ask !== undefined
    if (asked && this.asks.answer(to.ask, message)) return
    const reason = asked ? 'LateReply' : 'UnknownReply'
    this.ports.metrics.count('actor_late_replies_total', { actor: from, type: message.type })
    this.ports.metrics.count('actor_dead_letters_total', {
      actor: to.sender,
      type: message.type,
      reason,
    })
    this.log('debug', from, 'reply dropped: nobody waits for it', to.correlationId, {
      messageType: message.type,
      to: to.sender,
    })
    this.emit({
      kind: 'deadLetter',
      path: to.sender,
      messageType: message.type,
      reason,
      correlationId: to.correlationId,
    })
  }

  deadLetter(path: ActorPath, letter: Letter, reason: DeadLetterReason): void {
    const messageType = letter.messageType
    const { correlationId } = letter
    this.ports.metrics.count('actor_dead_letters_total', { actor: path, type: messageType, reason })
    this.log('warn', path, 'dead letter', correlationId, {
      messageType,
      reason,
      sender: letter.sender,
    })
    const cell = this.cells.get(path)
    if (cell !== undefined) cell.deadLetters += 1
    this.emit({ kind: 'deadLetter', path, messageType, reason, correlationId })
    if (letter.ask === undefined) return
    if (reason === 'NoSuchActor' || reason === 'Stopped') this.asks.fail(letter.ask, reason)
    else this.asks.fail(letter.ask, reason === 'Poisoned' ? 'ActorRestarted' : 'MailboxFull')
  }

  /** Counts every drop; the first of a kind is logged at once, the following ones as a sum each second. */
  private dropped(cell: Cell, letter: Letter, reason: DropReason): void {
    const messageType = letter.messageType
    cell.tally.drop(messageType, reason)
    this.ports.metrics.count('actor_messages_dropped_total', {
      actor: cell.path,
      type: messageType,
      reason,
    })
    const key = `${cell.path} ${messageType} ${reason}`
    const quiet = this.quietDrops.get(key)
    if (quiet === undefined) {
      this.quietDrops.set(key, 0)
      this.logDrops(cell.path, messageType, reason, 1, letter.correlationId)
      this.armDropLog(cell.path, messageType, reason, key)
    } else {
      this.quietDrops.set(key, quiet + 1)
    }
    this.emit({
      kind: 'drop',
      path: cell.path,
      messageType,
      reason,
      correlationId: letter.correlationId,
    })
    if (letter.ask !== undefined) this.asks.fail(letter.ask, 'MailboxFull')
  }

  private armDropLog(path: ActorPath, messageType: string, reason: DropReason, key: string): void {
    const timer = this.ports.clock.setTimer(1_000, () => {
      this.dropTimers.delete(timer)
      const count = this.quietDrops.get(key) ?? 0
      if (count === 0) {
        this.quietDrops.delete(key)
        return
      }
      this.quietDrops.set(key, 0)
      this.logDrops(path, messageType, reason, count, undefined)
      this.armDropLog(path, messageType, reason, key)
    })
    this.dropTimers.add(timer)
  }

  /** After the last actor ended. */
  close(): void {
    this.asks.close()
    for (const timer of this.dropTimers) timer.cancel()
    for (const [key, count] of this.quietDrops) {
      const [path = '', messageType = '', reason = ''] = key.split(' ')
      if (count > 0) this.logDrops(path, messageType, reason as DropReason, count, undefined)
    }
    this.dropTimers.clear()
    this.quietDrops.clear()
  }

  private logDrops(
    path: ActorPath,
    messageType: string,
    reason: DropReason,
    count: number,
    correlationId: string | undefined,
  ): void {
    this.log('warn', path, 'message dropped', correlationId, { messageType, reason, count })
  }

  log(
    level: LogLevel,
    actor: ActorPath,
    event: string,
    correlationId?: string,
    fields?: Record<string, unknown>,
  ): void {
    this.ports.log.write({
      level,
      atMs: this.ports.clock.nowMs(),
      actor,
      event,
      ...(correlationId === undefined ? {} : { correlationId }),
      ...(fields === undefined ? {} : { fields }),
    })
  }

  watch(path: ActorPath, watcher: Cell): void {
    this.watchers.set(path, (this.watchers.get(path) ?? new Set()).add(watcher))
  }

  unwatch(path: ActorPath, watcher: Cell): void {
    const set = this.watchers.get(path)
    set?.delete(watcher)
    if (set?.size === 0) this.watchers.delete(path)
  }

  /** Its incarnation is over: the next one watches whom it wants to. */
  unwatchAll(watcher: Cell): void {
    for (const path of [...this.watchers.keys()]) this.unwatch(path, watcher)
  }

  /** Those who hear of a change; the end of an actor is the last of it, and ends the watch. */
  watchersOf(path: ActorPath, last: boolean): readonly Cell[] {
    const set = this.watchers.get(path)
    if (set === undefined) return []
    if (last) this.watchers.delete(path)
    return [...set]
  }

  /** The span of a handled message, if its flow is sampled. */
  trace(letter: Letter, actor: ActorPath, startedAtMs: number, outcome: string): void {
    const { correlationId, sequence, causationId } = letter
    if (!this.isTraced(correlationId)) return
    this.record({
      kind: 'message',
      correlationId,
      actor,
      type: letter.messageType,
      sequence,
      parent: causationId,
      startedAtMs,
      waitedMs: startedAtMs - letter.timestamp,
      tookMs: this.ports.clock.nowMs() - startedAtMs,
      outcome,
    })
  }

  isTraced(correlationId: string): boolean {
    return this.tracer !== undefined && isSampled(correlationId, this.tracer.rate)
  }

  record(span: Span): void {
    try {
      this.tracer?.record(span)
    } catch (thrown) {
      this.log('error', 'kernel', 'the tracer threw', undefined, { reason: String(thrown) })
    }
  }

  /** The outcome of a recovery action (SU-15). */
  recovered(path: ActorPath, action: RecoveryKind, result: RecoveryResult, fault: Fault): void {
    const { code } = fault
    this.ports.metrics.count('recovery_actions_total', { kind: action, result })
    if (result !== 'raised') {
      const level = result === 'ok' ? 'info' : 'warn'
      this.log(level, path, RECOVERED[action][result], undefined, { action, result, code })
    }
    this.emit({ kind: 'recovery', path, action, result, fault })
  }

  /** Somebody should look at it. */
  alert(path: ActorPath, fault: Fault, why: string): void {
    const { code, faultClass, reason } = fault
    this.log('error', path, 'alert: somebody should look at this actor', undefined, {
      code,
      class: faultClass,
      reason,
      why,
    })
    this.emit({ kind: 'alert', path, fault, why })
    this.recovered(path, 'alert', 'raised', fault)
  }

  /** Tells the level now and each time it changes. Belongs to the path, so it outlives restarts. */
  onPressure(path: ActorPath, listener: PressureListener): () => void {
    const listeners = this.pressureListeners.get(path) ?? new Set()
    this.pressureListeners.set(path, listeners.add(listener))
    this.tellPressure(listener, this.cells.get(path)?.mailbox.pressure ?? 'Normal')
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.pressureListeners.get(path) === listeners) {
        this.pressureListeners.delete(path)
      }
    }
  }

  pressureChanged(path: ActorPath, level: Pressure): void {
    this.emit({ kind: 'pressure', path, level })
    for (const listener of this.pressureListeners.get(path) ?? [])
      this.tellPressure(listener, level)
  }

  private tellPressure(listener: PressureListener, level: Pressure): void {
    try {
      listener(level)
    } catch (thrown) {
      this.log('error', 'kernel', 'a listener threw', undefined, { reason: String(thrown) })
    }
  }

  subscribe(listener: (event: KernelEvent) => void, messages: boolean): () => void {
    this.listeners.set(listener, messages)
    this.tracing = [...this.listeners.values()].includes(true)
    return () => {
      this.listeners.delete(listener)
      this.tracing = [...this.listeners.values()].includes(true)
    }
  }

  emit(event: UnstampedEvent): void {
    if (this.listeners.size === 0) return
    const stamped = { ...event, atMs: this.ports.clock.nowMs() } as KernelEvent
    for (const [listener, messages] of this.listeners) {
      if (stamped.kind === 'handled' && !messages) continue
      try {
        listener(stamped)
      } catch (thrown) {
        this.log('error', 'kernel', 'a listener threw', undefined, { reason: String(thrown) })
      }
    }
  }
}
