/**
 * The supervisor of some actors: starts them in order of their dependencies, decides by the table of SU-2 what
 * follows from a fault, and stops them in reverse order. The root has one, and so has every actor with children.
 */
import type { ChildSpec } from './actor.ts'
import { recover, settle, stagesOf } from './aftermath.ts'
import { Breaker, type BreakerPolicy, DEFAULT_BREAKER } from './breaker.ts'
import { Cell } from './cell.ts'
import type { TerminationReason } from './events.ts'
import { DEFAULT_RESTART, type Fault, type RestartPolicy } from './fault.ts'
import type { Kernel } from './kernel.ts'
import type { ActorPath } from './message.ts'
import type { TimerHandle } from './ports.ts'
import { planRecovery, type RecoveryPlan } from './recovery.ts'
import { StopPlan } from './stop-plan.ts'

/** Who is restarted with the one that failed: nobody, those started after it, or all. */
export type Strategy = 'oneForOne' | 'restForOne' | 'oneForAll'

export interface GroupOptions {
  readonly strategy?: Strategy
  readonly restart?: Partial<RestartPolicy>
  readonly breaker?: Partial<BreakerPolicy>
  /** Called once, when this supervisor gives up. */
  readonly onGiveUp?: (reason: TerminationReason) => void
}

const DEPENDENCY_RESTARTED: Fault = {
  code: 'DependencyRestarted',
  faultClass: 'service',
  reason: 'an actor that this one builds on was restarted',
}

const STOPPED_EARLY: Fault = {
  code: 'StoppedEarly',
  faultClass: 'configuration',
  reason: 'stopped while initialising',
}

const NOT_RECOVERED = 'no way back to a sound state'

const delayOf = ({ restart }: RecoveryPlan): number =>
  restart.kind === 'restart' ? restart.delayMs : 0

/** `patient`: also while one of them fails again; otherwise its fault lets the next one go. */
interface Queue {
  readonly earlier: Set<Cell>
  readonly patient: boolean
}

export class Group {
  readonly kernel: Kernel
  readonly owner: Cell | undefined
  private readonly options: GroupOptions
  private readonly breaker: Breaker
  private readonly breakerPolicy: BreakerPolicy
  /** In start order. */
  private cells: Cell[] = []
  /** Cells that may begin to initialise as soon as those they wait for are up. */
  private readonly ready = new Set<Cell>()
  /** Cells restarted together: whom each waits for beside its dependencies. */
  private readonly behind = new Map<Cell, Queue>()
  /** Restarts that wait for the breaker. */
  private held: Cell[] = []
  /** Cells whose last initialisation is older than a dependency's. */
  private readonly outdated = new Set<Cell>()
  private readonly settling = new Set<Promise<void>>()
  private readonly delays = new Map<Cell, TimerHandle>()
  private readonly firstUp = new Map<Cell, () => void>()
  private readonly downs = new Map<Cell, () => void>()
  private stopping: StopPlan | undefined = undefined
  private breakerTimer: TimerHandle | undefined = undefined
  private gaveUp = false
  /** Ends this supervisor: what falls with it is not the reason. */
  private doomed: Cell | undefined = undefined

  constructor(kernel: Kernel, owner: Cell | undefined, options: GroupOptions) {
    this.kernel = kernel
    this.owner = owner
    this.options = options
    this.breakerPolicy = { ...DEFAULT_BREAKER, ...options.breaker }
    this.breaker = new Breaker(this.breakerPolicy)
  }

  nested(owner: Cell): Group {
    return new Group(this.kernel, owner, {
      onGiveUp: ({ fault, path, why }) =>
        owner.crash(
          {
            code: 'ChildTerminated',
            faultClass: 'service',
            reason: `${path}: ${why}`,
            cause: fault,
          },
          undefined,
        ),
    })
  }

  /** Adds cells without starting them, sorted so that dependencies come first, else in the order given. */
  declare(specs: readonly ChildSpec[]): void {
    const byName = new Map(specs.map((spec) => [spec.name, spec]))
    if (byName.size !== specs.length) throw new Error('two children bear one name')
    const sorted: ChildSpec[] = []
    const visit = (spec: ChildSpec, trail: readonly string[]): void => {
      if (sorted.includes(spec)) return
      if (trail.includes(spec.name)) throw new Error(`dependency cycle: ${trail.join(' → ')}`)
      for (const name of spec.dependsOn ?? []) {
        const needed = byName.get(name)
        if (needed === undefined) throw new Error(`${spec.name} depends on unknown ${name}`)
        visit(needed, [...trail, spec.name])
      }
      sorted.push(spec)
    }
    for (const spec of specs) visit(spec, [])
    for (const spec of sorted) this.create(spec)
  }

  /** Starts the declared cells one after the other; ends when each is Running or Terminated. */
  async start(): Promise<void> {
    for (const cell of [...this.cells]) {
      if (this.stopping !== undefined || this.gaveUp) return
      const up = new Promise<void>((resolve) => this.firstUp.set(cell, resolve))
      this.release(cell)
      await up
    }
  }

  /** Adds a child and starts it. */
  add(spec: ChildSpec): void {
    if (this.stopping !== undefined) return
    this.release(this.create(spec))
  }

  stopOne(name: string): void {
    const cell = this.cells.find((each) => each.spec.name === name)
    if (cell === undefined) return
    void this.bringDown(cell, new StopPlan(this.kernel.ports.clock, this.kernel.limits))
  }

  /** The machine of the actor reached a final state. */
  complete(cell: Cell): void {
    if (cell.life !== 'Running') return
    const fault: Fault = {
      code: 'Completed',
      faultClass: 'logic',
      reason: `its machine reached the final state ${cell.mode.name}`,
    }
    void cell
      .stop(new StopPlan(this.kernel.ports.clock, this.kernel.limits), true)
      .then(() => this.escalate(cell, fault, 'completed'))
  }

  /** A cell has failed and is taken down; the table decides. */
  faulted(cell: Cell, fault: Fault): void {
    const { clock } = this.kernel.ports
    const nowMs = clock.nowMs()
    this.dependentsOf(cell).forEach((each) => {
      this.degrade(each, cell, true)
    })
    for (const queue of this.behind.values()) if (!queue.patient) queue.earlier.delete(cell)
    if (this.stopping !== undefined) {
      void this.settle(cell)
      cell.terminate('GIVE_UP', fault)
      return
    }
    if (cell.spec.restart === 'temporary') {
      this.giveUp(cell, fault, 'temporary')
      return
    }
    const offered = stagesOf(cell.actor)
    const plan = planRecovery(fault, cell, cell.policy, offered, nowMs, this.kernel.chance())
    if (plan.restart.kind === 'terminate') {
      this.giveUp(cell, fault, plan.restart.why)
      return
    }
    if (plan.alert) this.kernel.alert(cell.path, fault, 'needs recovery')
    if (plan.required && plan.stages.length === 0) {
      this.giveUp(cell, fault, NOT_RECOVERED)
      return
    }
    if (this.breaker.fault(cell.path, nowMs, plan.restart.kind === 'break')) this.openBreaker()
    cell.retries += 1
    cell.restartsMs = [...cell.restartsMs.filter((at) => nowMs - at < cell.policy.periodMs), nowMs]
    this.restartTogether(cell)
    cell.retrying = true
    if (plan.stages.length === 0) void this.restart(cell, delayOf(plan))
    else void this.recover(cell, fault, plan)
    this.startReady()
  }

  /** A cell is Running. */
  isUp(cell: Cell): void {
    const again = cell.incarnation.number > 1
    if (this.breaker.probeUp(this.held.length === 0)) this.closeBreaker()
    else if (this.breaker.state === 'halfOpen') this.probe()
    const direct = this.dependentsOf(cell)
    direct.forEach((each) => {
      this.degrade(each, cell, false)
    })
    if (again) this.refresh(direct)
    for (const queue of this.behind.values()) queue.earlier.delete(cell)
    this.firstUp.get(cell)?.()
    this.firstUp.delete(cell)
    if (this.outdated.delete(cell)) this.refresh([cell])
    this.startReady()
  }

  /** A cell is Terminated. */
  isDown(cell: Cell): void {
    this.delays.get(cell)?.cancel()
    this.delays.delete(cell)
    this.ready.delete(cell)
    this.held = this.held.filter((each) => each !== cell)
    this.outdated.delete(cell)
    this.firstUp.get(cell)?.()
    this.firstUp.delete(cell)
    this.downs.get(cell)?.()
    this.downs.delete(cell)
    this.dependentsOf(cell).forEach((each) => {
      this.degrade(each, cell, true)
    })
    for (const queue of this.behind.values()) queue.earlier.delete(cell)
    this.behind.delete(cell)
    if (this.owner !== undefined) {
      this.cells = this.cells.filter((each) => each !== cell)
      this.kernel.cells.delete(cell.path)
    }
    if (this.stopping === undefined) this.startReady()
  }

  /** In reverse order of the start: drain, stop hook, end. */
  async stopAll(plan: StopPlan): Promise<void> {
    this.stopping = plan
    this.breakerTimer?.cancel()
    for (const cell of [...this.cells].reverse()) await this.bringDown(cell, plan)
    await plan.orForced(Promise.all(this.settling).then(() => {}))
  }

  /** The owner died: its children end at once, without a drain. */
  abandon(): Promise<void> {
    const plan = new StopPlan(this.kernel.ports.clock, this.kernel.limits)
    plan.force()
    this.stopping = plan
    const ends = [...this.cells].reverse().map((cell) => this.bringDown(cell, plan))
    return Promise.all([...ends, ...this.settling]).then(() => {})
  }

  get members(): readonly Cell[] {
    return this.cells
  }

  private create(spec: ChildSpec): Cell {
    const path = this.owner === undefined ? spec.name : `${this.owner.path}/${spec.name}`
    if (this.kernel.cells.has(path)) throw new Error(`an actor ${path} exists already`)
    const policy = { ...DEFAULT_RESTART, ...this.options.restart, ...spec.policy }
    const cell = new Cell(this.kernel, this, spec, path, policy)
    this.cells.push(cell)
    this.kernel.cells.set(path, cell)
    return cell
  }

  private find(name: string): Cell | undefined {
    return this.cells.find((cell) => cell.spec.name === name)
  }

  private dependentsOf(cell: Cell): Cell[] {
    return this.cells.filter((each) => each.spec.dependsOn?.includes(cell.spec.name) === true)
  }

  private degrade(cell: Cell, needed: Cell, missing: boolean): void {
    const before = cell.missing.size
    if (missing) cell.missing.add(needed.path)
    else cell.missing.delete(needed.path)
    if (cell.missing.size === before) return
    cell.notice({ kind: 'dependency', path: needed.path, up: !missing })
  }

  /** Initialises the cell as soon as all it waits for are up. */
  private release(cell: Cell): void {
    this.ready.add(cell)
    this.startReady()
  }

  private startReady(): void {
    for (const cell of [...this.cells]) {
      if (!this.ready.has(cell)) continue
      const lost = (cell.spec.dependsOn ?? []).find(
        (name) => this.find(name)?.life === 'Terminated',
      )
      if (lost !== undefined) {
        this.ready.delete(cell)
        this.loseHope(cell, lost)
        continue
      }
      if (!this.mayStart(cell)) continue
      this.ready.delete(cell)
      this.behind.delete(cell)
      if (cell.life === 'Restarting') {
        cell.advanceLife('ATTEMPT')
        const faultClass = cell.lastFault?.faultClass ?? 'service'
        cell.restarts += 1
        cell.tally.restart(faultClass)
        this.kernel.ports.metrics.count('actor_restarts_total', {
          actor: cell.path,
          class: faultClass,
        })
      }
      void cell.initialise()
    }
  }

  private mayStart(cell: Cell): boolean {
    const needed = cell.spec.dependsOn ?? []
    if (!needed.every((name) => this.find(name)?.life === 'Running')) return false
    const queue = this.behind.get(cell)
    return queue === undefined || queue.earlier.size === 0
  }

  /** What it builds on is gone for good, so it cannot be initialised. */
  private loseHope(cell: Cell, lost: ActorPath): void {
    const fault: Fault = {
      code: 'DependencyTerminated',
      faultClass: 'configuration',
      reason: `${lost} is terminated`,
    }
    if (cell.life === 'Initializing') cell.crash(fault, undefined)
    else this.giveUp(cell, fault, `${lost} is terminated`)
  }

  /** Lets the dead incarnation come to its end. */
  private settle(cell: Cell): Promise<void> {
    return this.awaited(settle(cell, cell.incarnation))
  }

  /** A stop of the whole waits for it. */
  private awaited<T>(work: Promise<T>): Promise<T> {
    const done = work.then(() => {})
    this.settling.add(done)
    void done.then(() => this.settling.delete(done))
    return work
  }

  /** The actor stays Failed until a stage of the plan succeeded, or all of them did not. */
  private async recover(cell: Cell, fault: Fault, plan: RecoveryPlan): Promise<void> {
    const recovered = await this.awaited(recover(cell, fault, plan.stages))
    if (cell.life !== 'Failed') return
    if (plan.required && !recovered) this.giveUp(cell, fault, NOT_RECOVERED)
    else void this.restart(cell, recovered ? 0 : delayOf(plan))
  }

  private async restart(cell: Cell, delayMs: number): Promise<void> {
    cell.advanceLife('RESTART')
    const delay = new Promise<void>((resolve) => {
      if (delayMs === 0) resolve()
      else this.delays.set(cell, this.kernel.ports.clock.setTimer(delayMs, resolve))
    })
    await Promise.all([delay, this.settle(cell)])
    if (cell.life !== 'Restarting') return
    if (this.breaker.state === 'closed') {
      this.release(cell)
      return
    }
    this.held.push(cell)
    if (this.breaker.state === 'halfOpen') this.probe()
  }

  /** Takes the siblings down that the strategy restarts together with the one that failed. */
  private restartTogether(failed: Cell): void {
    const strategy = this.options.strategy ?? 'oneForOne'
    if (strategy === 'oneForOne') return
    const from = strategy === 'oneForAll' ? 0 : this.cells.indexOf(failed)
    const members = this.cells.slice(from)
    const together = members.filter((each) => each.life === 'Running')
    this.takeDown(
      together,
      members.filter((each) => each === failed || together.includes(each)),
      true,
    )
  }

  /** Takes cells down in reverse order; those of the queue, all or more of them, come up one after another. */
  private takeDown(cells: readonly Cell[], queue: readonly Cell[], patient: boolean): void {
    for (const cell of [...cells].reverse()) cell.takeDown(DEPENDENCY_RESTARTED)
    queue.forEach((cell, index) => {
      this.behind.set(cell, { earlier: new Set(queue.slice(0, index)), patient })
    })
    for (const cell of cells) void this.restart(cell, 0)
  }

  /** Initialises again what builds on a restarted actor, and what builds on that, and nothing else (SU-5). */
  private refresh(roots: readonly Cell[]): void {
    const affected = new Set(roots)
    for (const cell of this.cells) {
      if ((cell.spec.dependsOn ?? []).some((name) => affected.has(this.find(name) as Cell))) {
        affected.add(cell)
      }
    }
    const inOrder = this.cells.filter((cell) => affected.has(cell))
    for (const cell of inOrder) if (cell.life === 'Initializing') this.outdated.add(cell)
    const running = inOrder.filter((cell) => cell.life === 'Running')
    this.takeDown(running, running, false)
  }

  private giveUp(cell: Cell, fault: Fault, why: string): void {
    if (cell.spec.restart !== 'temporary') this.kernel.alert(cell.path, fault, why)
    void this.settle(cell)
    if (this.isNeeded(cell)) this.doomed ??= cell
    cell.terminate('GIVE_UP', fault)
    this.escalate(cell, fault, why)
  }

  private isNeeded({ spec }: Cell): boolean {
    return spec.critical === true || this.options.strategy === 'oneForAll'
  }

  /** The end of a critical actor, or of any that the others cannot be without, is the end of this supervisor. */
  private escalate(cell: Cell, fault: Fault, why: string): void {
    if (!this.isNeeded(cell) || this.gaveUp || this.stopping !== undefined) return
    if (this.doomed !== undefined && this.doomed !== cell) return
    this.gaveUp = true
    this.options.onGiveUp?.({
      code: fault.faultClass === 'configuration' ? 'Configuration' : 'Escalated',
      path: cell.path,
      fault,
      why,
    })
  }

  private async bringDown(cell: Cell, plan: StopPlan): Promise<void> {
    switch (cell.life) {
      case 'Terminated':
        return
      case 'Running':
        await cell.stop(plan, false)
        return
      case 'Stopping':
        await plan.orForced(new Promise<void>((resolve) => this.downs.set(cell, resolve)))
        return
      case 'Failed':
      case 'Restarting':
        cell.terminate('GIVE_UP')
        return
      case 'Initializing': {
        // There is no way from here but up or Failed (SU-1): the init is aborted and ends as a fault.
        this.ready.delete(cell)
        cell.takeDown(STOPPED_EARLY)
        await this.settle(cell)
        cell.terminate('GIVE_UP')
        return
      }
    }
  }

  private openBreaker(): void {
    this.sayBreaker()
    this.breakerTimer = this.kernel.ports.clock.setTimer(this.breakerPolicy.openMs, () => {
      if (this.breaker.state !== 'open') return
      this.breaker.halfOpen()
      this.sayBreaker()
      this.probe()
    })
  }

  /** Lets one held restart go; with none held there is nothing to try. */
  private probe(): void {
    // What others build on comes first: they could not come up before it.
    const next = this.cells.find((cell) => this.held.includes(cell))
    this.held = this.held.filter((cell) => cell !== next)
    if (next !== undefined) this.release(next)
    else if (this.breaker.probeUp(true)) this.closeBreaker()
  }

  private closeBreaker(): void {
    this.sayBreaker()
    for (const cell of this.held.splice(0)) this.release(cell)
  }

  private sayBreaker(): void {
    const path = this.owner?.path ?? 'root'
    this.kernel.log('warn', path, `circuit breaker: ${this.breaker.state}`)
    this.kernel.emit({ kind: 'breaker', path, state: this.breaker.state })
  }
}
