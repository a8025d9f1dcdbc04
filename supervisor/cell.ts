/**
 * One actor at run time. A cell lives as long as its place in the tree; an incarnation of it from one
 * initialisation to the next fault or stop. What belongs to an incarnation (context, timers, effects under
 * way, children) dies with it; mailbox, history and counters belong to the cell and survive.
 */
import type { AnyActor, ChildSpec, Fact, InitResult, Step } from './actor.ts'
import { runStopHook } from './aftermath.ts'
import { withDeadline } from './deadline.ts'
import { isKernelEffect, type KernelEffect } from './effects.ts'
import type { DeadLetterReason } from './events.ts'
import { type Fault, faultError, type RestartPolicy, toFault } from './fault.ts'
import type { Group } from './group.ts'
import { HEALTHY, type Health, PROBE_ROW } from './health.ts'
import { Incarnation } from './incarnation.ts'
import type { Kernel, Stamp } from './kernel.ts'
import type { Letter } from './letter.ts'
import type { Life, LifeEvent } from './life.ts'
import { Mailbox } from './mailbox.ts'
import type { ActorPath, AskResult, Message, SendError, SendResult } from './message.ts'
import type { Mode } from './mode.ts'
import { answerProbe } from './probes.ts'
import { Run } from './run.ts'
import type { StopPlan } from './stop-plan.ts'
import { Tally } from './tally.ts'
import { type Cause, startTimer, startWork } from './work.ts'

const eventsOf = (event: string | readonly string[] | undefined): readonly string[] =>
  event === undefined ? [] : typeof event === 'string' ? [event] : event

export class Cell {
  readonly kernel: Kernel
  readonly group: Group
  readonly spec: ChildSpec
  readonly actor: AnyActor
  readonly path: ActorPath
  readonly policy: RestartPolicy
  readonly mailbox: Mailbox
  readonly initialMode: Mode
  /** Paths of siblings whose service this actor needs and that are away. */
  readonly missing = new Set<ActorPath>()
  /** Of the dispatcher. */
  queued = false
  mode: Mode
  context: unknown = undefined
  incarnation: Incarnation
  children: Group | undefined = undefined
  retries = 0
  restartsMs: number[] = []
  restarts = 0
  runningSinceMs: number | undefined = undefined
  lastFault: (Fault & { readonly atMs: number }) | undefined = undefined
  deadLetters = 0
  /** Letters that the actor put aside, oldest first. */
  readonly stash: Letter[] = []
  private readonly stashLimit: number
  health: Health = HEALTHY
  /** What a recovery stage runs as; ended with the actor. */
  recovering: Incarnation | undefined = undefined
  /** A restart after a fault is under way whose outcome nobody has counted yet. */
  retrying = false
  private completed = false
  private lifeMode: Mode
  readonly tally = new Tally()
  /** The type that is being handled since; for the time it took. */
  private busyWith: { readonly letter: Letter; readonly sinceMs: number } | undefined = undefined

  constructor(
    kernel: Kernel,
    group: Group,
    spec: ChildSpec,
    path: ActorPath,
    policy: RestartPolicy,
  ) {
    this.kernel = kernel
    this.group = group
    this.spec = spec
    this.actor = spec.actor
    this.path = path
    this.policy = policy
    this.initialMode = kernel.modeOf(spec.actor.machine)
    this.mode = this.initialMode
    this.lifeMode = kernel.lifeMode
    this.incarnation = new Incarnation(0)
    this.stashLimit = spec.actor.mailbox.stash ?? kernel.limits.stash
    const { starvationBound, maxWaiting } = kernel.limits
    this.mailbox = new Mailbox(spec.actor.mailbox.capacity, starvationBound, maxWaiting, (level) =>
      kernel.pressureChanged(path, level),
    )
  }

  get life(): Life {
    return this.lifeMode.name as Life
  }

  /** Takes one edge of the life machine; there are no others (SU-1). */
  advanceLife(event: LifeEvent, fault?: Fault): void {
    const next = this.lifeMode.on.get(event)
    if (next === undefined) throw new Error(`${this.path}: life ${this.life} has no ${event}`)
    const from = this.life
    this.lifeMode = next
    const to = this.life
    this.runningSinceMs = to === 'Running' ? this.kernel.ports.clock.nowMs() : undefined
    this.kernel.log(to === 'Failed' ? 'warn' : 'debug', this.path, `life: ${to}`, undefined, {
      from,
      ...(fault === undefined ? {} : { code: fault.code, class: fault.faultClass }),
    })
    this.kernel.emit({
      kind: 'life',
      path: this.path,
      from,
      to,
      ...(fault === undefined ? {} : { fault }),
    })
    const fact = { path: this.path, life: to, ...(fault === undefined ? {} : { fault }) }
    for (const watcher of this.kernel.watchersOf(this.path, to === 'Terminated')) {
      watcher.notice({ kind: 'watched', ...fact })
    }
    this.group.owner?.notice({ kind: 'child', ...fact })
    this.followLife(event)
  }

  /** Initializing: makes a new incarnation and waits for its init. */
  async initialise(): Promise<void> {
    const incarnation = this.begin()
    const { clock } = this.kernel.ports
    const outcome = await withDeadline(
      clock,
      this.kernel.limits.initTimeoutMs,
      () => this.initOf(incarnation),
      incarnation.deadlines,
    )
    if (incarnation.dead) return
    if (outcome.kind !== 'done') {
      const thrown =
        outcome.kind === 'failed'
          ? outcome.thrown
          : faultError('InitTimeout', 'service', 'init took too long')
      this.crash(toFault(thrown, 'InitFailed'), undefined)
      return
    }
    const { value } = outcome
    try {
      this.mode = this.modeAfter(this.initialMode, value.event)
    } catch (thrown) {
      this.crash(toFault(thrown, 'InitFailed'), undefined)
      return
    }
    this.context = value.context
    incarnation.initialised = true
    this.advanceLife('INITIALIZED')
    this.endRetry('ok')
    this.showEdges(this.initialMode, value.event)
    const stamp = this.stamp(undefined, 0)
    const first = (value.messages ?? []).map((message) =>
      this.kernel.letter(message, stamp, undefined, incarnation.number),
    )
    for (const letter of first.reverse()) this.mailbox.putBack(letter)
    for (const path of this.missing) this.notice({ kind: 'dependency', path, up: false })
    this.applyAll(value, undefined)
    if (incarnation.dead) return
    this.group.isUp(this)
    if (this.mode.done) this.group.complete(this)
    this.wake()
  }

  /** What an aborted init opened all the same is closed again. */
  private async initOf(incarnation: Incarnation): Promise<InitResult<unknown, Message, unknown>> {
    incarnation.performing += 1
    try {
      const result = await this.actor.init(new Run(this, incarnation, undefined, 0))
      if (incarnation.dead) await runStopHook(this, incarnation, result.context)
      return result
    } finally {
      incarnation.performing -= 1
      incarnation.checkIdle()
    }
  }

  wake(): void {
    if (this.mailbox.depth > 0 && (this.life === 'Running' || this.life === 'Stopping')) {
      this.kernel.dispatcher.wake(this)
    }
  }

  turn(nowMs: number): boolean {
    if (this.busyWith !== undefined) this.account(nowMs)
    const life = this.lifeMode.name
    if ((life !== 'Running' && life !== 'Stopping') || this.incarnation.dead) return false
    const letter = this.mailbox.take(this.throttled())
    if (letter === undefined) return false
    if (this.isObsolete(letter)) {
      this.checkIdle()
      return true
    }
    if (this.completed) {
      if (letter.incarnation === 0) this.kernel.deadLetter(this.path, letter, 'Stopped')
      this.checkIdle()
      return true
    }
    if (letter.ask !== undefined) this.kernel.asks.taken(letter.ask, this.incarnation)
    this.busyWith = { letter, sinceMs: nowMs }
    let step: Step<unknown, unknown>
    let mode: Mode
    try {
      step = this.actor.handle(this.context, letter.message, {
        envelope: letter,
        state: this.mode.name,
        nowMs,
      })
      mode = this.modeAfter(this.mode, step.event)
    } catch (thrown) {
      const fault = toFault(thrown, 'HandlerThrew')
      if (this.kernel.tracer !== undefined) this.kernel.trace(letter, this.path, nowMs, fault.code)
      this.crash(fault, letter)
      return true
    }
    this.context = step.context
    this.tally.handled += 1
    if (step.event !== undefined) {
      const before = this.mode
      this.mode = mode
      this.showEdges(before, step.event)
    }
    if (step.effects !== undefined) this.applyAll(step, letter)
    if (this.kernel.tracing) this.trace(letter, nowMs)
    if (this.kernel.tracer !== undefined) this.kernel.trace(letter, this.path, nowMs, 'ok')
    if (mode.done && this.life === 'Running') this.group.complete(this)
    this.checkIdle()
    return true
  }

  rest(nowMs: number): void {
    if (this.busyWith !== undefined) this.account(nowMs)
  }

  /** Turns a fact into a message of the actor's own, if it wants to hear of it. */
  notice(fact: Fact): void {
    if (this.actor.notice === undefined || this.incarnation.dead) return
    if (this.life !== 'Running' && this.life !== 'Stopping') return
    const message = this.actor.notice(fact)
    if (message === undefined) return
    this.toSelf(message, this.stamp(undefined, 0), this.incarnation.number)
  }

  /** A fault of this actor: its incarnation ends, and its supervisor decides what follows. */
  crash(fault: Fault, letter: Letter | undefined): void {
    this.report(fault, letter)
    if (this.incarnation.dead) return
    if (this.life === 'Stopping') {
      // The last stretch has no way back (SU-1): the drain goes on without this message.
      if (letter !== undefined) this.kernel.deadLetter(this.path, letter, 'FaultWhileStopping')
      this.checkIdle()
      return
    }
    if (letter !== undefined) {
      letter.crashes += 1
      if (letter.crashes >= this.kernel.limits.poisonAfter) {
        this.kernel.deadLetter(this.path, letter, 'Poisoned')
      } else {
        this.mailbox.putBack(letter)
      }
    }
    this.endRetry('failed')
    this.lastFault = { ...fault, atMs: this.kernel.ports.clock.nowMs() }
    const healthyMs = this.lastFault.atMs - (this.runningSinceMs ?? this.lastFault.atMs)
    if (healthyMs >= this.policy.healthyMs) this.retries = 0
    this.takeDown(fault)
    this.group.faulted(this, fault)
  }

  /** The outcome of the restart that followed a fault (SU-15). */
  private endRetry(result: 'ok' | 'failed'): void {
    if (!this.retrying || this.lastFault === undefined) return
    this.retrying = false
    this.kernel.recovered(this.path, 'retry', result, this.lastFault)
  }

  /** Ends the incarnation and leaves the actor Failed. */
  takeDown(fault: Fault): void {
    this.advanceLife('FAULT', fault)
    this.endIncarnation('ActorRestarted')
  }

  /** Aborts what the incarnation has under way; requests that it took are answered with `code`. */
  endIncarnation(code: 'ActorRestarted' | 'Stopped'): void {
    const { incarnation } = this
    if (incarnation.dead) return
    incarnation.end()
    this.unstash()
    this.kernel.unwatchAll(this)
    this.kernel.asks.abandon(incarnation, code)
    if (this.children === undefined) return
    incarnation.childrenDown = this.children.abandon()
    this.children = undefined
  }

  /** Running → Stopping → Terminated. `completed`: its machine is done, so no message can matter to it. */
  async stop(plan: StopPlan, completed: boolean): Promise<void> {
    this.advanceLife('SHUTDOWN')
    this.incarnation.cancelTimers((timer) => completed || timer.repeat)
    this.completed = completed
    if (completed) this.discardMail('Stopped')
    else this.notice({ kind: 'stopping' })
    await this.children?.stopAll(plan)
    await this.drain(plan)
    const { incarnation } = this
    this.endIncarnation('Stopped')
    incarnation.initialised = false
    await plan.orForced(runStopHook(this, incarnation, this.context, plan.hookMs()))
    this.terminate('STOPPED')
  }

  private async drain(plan: StopPlan): Promise<void> {
    const { incarnation } = this
    const idle = incarnation.whenIdle(() => this.isIdle())
    this.wake()
    this.checkIdle()
    await plan.drained(idle, () => this.isBusy())
  }

  private isBusy(): boolean {
    return this.actor.busy?.(this.context) === true
  }

  private isIdle(): boolean {
    const { inFlight, blocked } = this.incarnation
    return this.mailbox.depth === 0 && inFlight === 0 && blocked === 0 && !this.isBusy()
  }

  /** The end of the cell. */
  terminate(event: 'GIVE_UP' | 'STOPPED', fault?: Fault): void {
    this.endIncarnation('Stopped')
    this.recovering?.end()
    this.advanceLife(event, fault)
    this.discardMail('Stopped')
    this.group.isDown(this)
  }

  private discardMail(reason: DeadLetterReason): void {
    const { letters, waiters } = this.mailbox.drain()
    for (const letter of letters) {
      if (!this.isObsolete(letter)) this.kernel.deadLetter(this.path, letter, reason)
    }
    for (const waiter of waiters) waiter.refused('Stopped')
  }

  private begin(): Incarnation {
    this.incarnation = new Incarnation(this.incarnation.number + 1)
    this.mode = this.initialMode
    this.context = undefined
    this.health = { ...this.health, failures: 0, successes: 0 }
    return this.incarnation
  }

  /** Too much under way: only control messages are taken until some of it is done. */
  private throttled(): boolean {
    const { inFlight, blocked } = this.incarnation
    const { maxInFlight, maxBlockedSends } = this.kernel.limits
    return inFlight >= maxInFlight || blocked >= maxBlockedSends
  }

  /** Messages of cancelled timers, and results that a dead incarnation asked for. */
  private isObsolete(letter: Letter): boolean {
    if (letter.incarnation === 0) return false
    if (letter.timer !== undefined) {
      this.incarnation.timerTaken(letter.timer)
      if (letter.timer.cancelled) return true
    }
    if (letter.incarnation !== this.incarnation.number) return true
    if (letter.row !== PROBE_ROW) return false
    answerProbe(this, letter)
    return true
  }

  private modeAfter(mode: Mode, event: string | readonly string[] | undefined): Mode {
    if (event === undefined) return mode
    let at = mode
    for (const name of eventsOf(event)) {
      const next = at.on.get(name)
      if (next === undefined) {
        throw faultError('EventRefused', 'logic', `state ${at.name} does not accept ${name}`)
      }
      at = next
    }
    return at
  }

  /** What `modeAfter` walked, edge by edge. */
  private showEdges(before: Mode, event: string | readonly string[] | undefined): void {
    let at = before
    for (const name of eventsOf(event)) {
      const next = at.on.get(name) as Mode
      this.kernel.emit({
        kind: 'state',
        path: this.path,
        from: at.name,
        event: name,
        to: next.name,
      })
      at = next
    }
  }

  private followLife(event: LifeEvent): void {
    const accepted = this.actor.follows?.[event]?.find((name) => this.mode.on.has(name))
    if (accepted === undefined) return
    const before = this.mode
    this.mode = this.modeAfter(before, accepted)
    this.showEdges(before, accepted)
  }

  stamp(letter: Cause | undefined, nowMs: number, correlationId?: string): Stamp {
    return {
      sender: this.path,
      correlationId: correlationId ?? letter?.correlationId ?? this.kernel.ports.ids.next(),
      causationId: letter === undefined ? 0 : letter.sequence,
      nowMs: nowMs === 0 ? this.kernel.ports.clock.nowMs() : nowMs,
    }
  }

  private applyAll(step: Step<unknown, unknown>, letter: Letter | undefined): void {
    const { incarnation } = this
    let failure: Fault | undefined
    try {
      for (const effect of step.effects ?? []) {
        if (!isKernelEffect(effect)) startWork(this, effect, letter)
        else if (effect.kernel === 'fail') failure ??= effect.fault
        else this.apply(effect, letter)
      }
    } catch (thrown) {
      const fault = toFault(thrown, 'EffectRefused')
      failure = { ...fault, faultClass: 'logic' }
    }
    if (failure !== undefined && !incarnation.dead) this.crash(failure, undefined)
  }

  private apply(
    effect: Exclude<KernelEffect, { kernel: 'fail' }>,
    letter: Letter | undefined,
  ): void {
    const nowMs = this.busyWith?.sinceMs ?? 0
    switch (effect.kernel) {
      case 'tell': {
        const stamp = this.stamp(letter, nowMs, effect.correlationId)
        this.tellAs(effect.to, effect.message, stamp, effect.onRefused)
        return
      }
      case 'ask': {
        const stamp = this.stamp(letter, nowMs, effect.correlationId)
        const { number } = this.incarnation
        this.askAs(effect.to, effect.request, effect.timeoutMs, stamp, (result) => {
          if (this.incarnation.number !== number || this.incarnation.dead) return
          this.toSelf(effect.onReply(result), { ...stamp, nowMs: this.now() }, number)
        })
        return
      }
      case 'reply':
        this.kernel.reply(effect.to as Letter, effect.message, this.path)
        return
      case 'timer':
        startTimer(this, effect, letter)
        return
      case 'cancel':
        this.incarnation.cancelTimer(effect.key)
        return
      case 'spawn':
        this.spawn(effect.spec)
        return
      case 'stopChild':
        this.children?.stopOne(effect.name)
        return
      case 'watch':
        this.watch(effect.path)
        return
      case 'unwatch':
        this.kernel.unwatch(effect.path, this)
        return
      case 'stash':
        this.putAside(letter)
        return
      case 'unstash':
        this.unstash()
        return
    }
  }

  private tellAs(
    to: ActorPath,
    message: Message,
    stamp: Stamp,
    onRefused: ((error: SendError) => Message) | undefined,
  ): void {
    const { incarnation } = this
    // An actor that waits for room in its own mailbox must go on: this is not counted as blocked.
    const counts = to === this.path ? 0 : 1
    const refusal = (result: SendResult): void => {
      if (result.ok || onRefused === undefined || incarnation.dead) return
      this.toSelf(onRefused(result.error), { ...stamp, nowMs: this.now() }, incarnation.number)
    }
    const letter = this.kernel.letter(message, stamp, undefined, 0)
    const result = this.kernel.send(to, letter, (late) => {
      incarnation.blocked -= counts
      refusal(late)
      this.resume(incarnation)
    })
    if (result === undefined) incarnation.blocked += counts
    else refusal(result)
  }

  /** Opens an ask and sends its request; the outcome comes exactly once. */
  private askAs(
    to: ActorPath,
    request: Message,
    timeoutMs: number,
    stamp: Stamp,
    settle: (result: AskResult) => void,
  ): void {
    const { incarnation } = this
    incarnation.asking += 1
    const end = (result: AskResult): void => {
      incarnation.asking -= 1
      settle(result)
      this.resume(incarnation)
    }
    this.kernel.ask(to, request, timeoutMs, stamp, end, incarnation)
  }

  private now(): number {
    return this.kernel.ports.clock.nowMs()
  }

  /** Results and timers: past the capacity, for what was begun must be able to end. */
  toSelf(message: Message, stamp: Stamp, incarnation: number): Letter {
    const letter = this.kernel.letter(message, stamp, undefined, incarnation)
    if (letter.row.coalesce && this.mailbox.supersede(letter)) this.superseded()
    else this.mailbox.push(letter)
    this.wake()
    return letter
  }

  /** A letter was replaced by a newer one of its type before it was taken. */
  superseded(): void {
    const old = this.mailbox.evicted as Letter
    if (old.timer !== undefined) this.incarnation.timerTaken(old.timer)
    if (old.ask !== undefined) this.kernel.asks.fail(old.ask, 'MailboxFull')
  }

  /** Something under way ended: there may be room for the next message, or nothing left to wait for. */
  resume(incarnation: Incarnation): void {
    if (incarnation !== this.incarnation || incarnation.dead) {
      incarnation.checkIdle()
      return
    }
    this.wake()
    this.checkIdle()
  }

  private checkIdle(): void {
    if (this.life === 'Stopping') this.incarnation.checkIdle()
  }

  private spawn(spec: ChildSpec): void {
    this.children ??= this.group.nested(this)
    this.children.add(spec)
  }

  /** One that is not there, or not any more, is told at once: nothing of it will ever be heard (as in OTP). */
  private watch(path: ActorPath): void {
    const life = this.kernel.cells.get(path)?.life ?? 'Terminated'
    if (life !== 'Terminated') this.kernel.watch(path, this)
    else this.notice({ kind: 'watched', path, life })
  }

  /** Puts the letter that is being handled aside. */
  private putAside(letter: Letter | undefined): void {
    if (letter === undefined) throw new Error('nothing to stash: no message is being handled')
    if (this.stash.length < this.stashLimit) {
      if (letter.ask !== undefined) this.kernel.asks.untaken(letter.ask)
      this.stash.push(letter)
      return
    }
    if (letter.row.spec.neverDrop !== true) {
      this.kernel.deadLetter(this.path, letter, 'StashFull')
      return
    }
    const reason = `no room in the stash for ${letter.messageType}, which is never dropped`
    this.crash({ code: 'StashFull', faultClass: 'service', reason }, letter)
  }

  /** All that was put aside goes back to where it came from, in order. */
  private unstash(): void {
    for (const letter of this.stash.splice(0).reverse()) this.mailbox.putBack(letter)
    this.wake()
  }

  private report(fault: Fault, letter: Letter | undefined): void {
    const { code, faultClass, reason } = fault
    const level = faultClass === 'network' ? 'warn' : 'error'
    this.kernel.log(level, this.path, 'actor fault', letter?.correlationId, {
      code,
      class: faultClass,
      reason,
      ...(letter === undefined ? {} : { messageType: letter.messageType }),
      ...(Error.isError(fault.cause) ? { stack: fault.cause.stack } : {}),
    })
    this.kernel.ports.metrics.count('actor_faults_total', { actor: this.path, class: faultClass })
    this.kernel.emit({
      kind: 'fault',
      path: this.path,
      fault,
      ...(letter === undefined ? {} : { correlationId: letter.correlationId }),
    })
  }

  /** The time the last message took; a handler that holds the thread for long is reported (SU-11). */
  private account(nowMs: number): void {
    const { letter, sinceMs } = this.busyWith as { letter: Letter; sinceMs: number }
    this.busyWith = undefined
    const tookMs = nowMs - sinceMs
    this.tally.took(letter.row.type, sinceMs - letter.timestamp, tookMs)
    if (tookMs <= this.kernel.limits.slowHandlerMs) return
    const { messageType, correlationId } = letter
    this.kernel.log('warn', this.path, 'slow handler', correlationId, { messageType, tookMs })
    this.kernel.ports.metrics.count('actor_slow_handlers_total', {
      actor: this.path,
      type: messageType,
    })
    this.kernel.emit({ kind: 'slowHandler', path: this.path, messageType, tookMs, correlationId })
  }

  private trace(letter: Letter, nowMs: number): void {
    this.kernel.emit({
      kind: 'handled',
      path: this.path,
      messageType: letter.messageType,
      sender: letter.sender,
      correlationId: letter.correlationId,
      sequence: letter.sequence,
      causationId: letter.causationId,
      state: this.mode.name,
      waitedMs: nowMs - letter.timestamp,
    })
  }
}
