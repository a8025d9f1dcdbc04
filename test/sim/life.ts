/**
 * One incarnation of a process, from its start to its crash. All its ports pass through here: once it is dead none of them does
 * anything or answers, and what it had under way is never resumed.
 */
import type { Clock, KernelPorts, TimerHandle } from '../../supervisor/index.ts'
import type { TurnKind } from './coverage.ts'
import type { World } from './world.ts'

/** The process dies at the port call that the fuse burns down to, before or after its effect. */
export interface Fuse {
  calls: number
  readonly side: 'before' | 'after'
  /** Calls that it burns by [all]. */
  readonly only?: RegExp
  /** Told when it has burnt down, just before the end. */
  readonly burnt?: () => void
  /** Told of every call that it burns by. */
  readonly passed?: (label: string) => void
}

export interface Skew {
  offsetMs: number
  /** Virtual time at which it last changed. */
  changedAtMs?: number
}

/** What of the chain's own words is counted. */
const COUNTED: Readonly<Record<string, TurnKind>> = {
  locked: 'lock',
  'a validator signed twice': 'equivocationSeen',
  'a block convicts a validator': 'evidence',
  'the sign guard refuses': 'guardRefused',
}

export class Life {
  readonly world: World
  readonly name: string
  alive = true
  fuse: Fuse | undefined
  /** Until then the process stands still, and finds everything that happened meanwhile when it goes on. */
  frozenUntilMs = 0
  readonly #skew: Skew
  readonly #died: () => void
  readonly #asleep: (() => void)[] = []

  constructor(world: World, name: string, skew: Skew, died: () => void) {
    this.world = world
    this.name = name
    this.#skew = skew
    this.#died = died
  }

  get isAwake(): boolean {
    return this.#asleep.length === 0 && this.frozenUntilMs <= this.world.nowMs
  }

  nowMs(): number {
    return this.world.nowMs + this.#skew.offsetMs
  }

  end(): void {
    if (!this.alive) return
    this.alive = false
    this.#died()
  }

  /** Fires unless the process died meanwhile. */
  later(delayMs: number, label: string, fire: () => void): TimerHandle {
    let cancelled = false
    const due = this.world.at(delayMs, `${this.name} ${label}`, () =>
      this.awake(() => {
        if (!cancelled) fire()
      }),
    )
    return {
      cancel: () => {
        cancelled = true
        due.cancel()
      },
    }
  }

  /** Now, or when the process goes on, in the order in which things came; never when it is dead. */
  awake(fire: () => void): void {
    if (!this.alive) return
    if (this.isAwake) {
      fire()
      return
    }
    this.#asleep.push(fire)
    if (this.#asleep.length === 1) this.#goOnLater()
  }

  #goOnLater(): void {
    const waitMs = this.frozenUntilMs - this.world.nowMs
    this.world.at(waitMs, `${this.name} goes on`, () => {
      if (!this.alive) return
      if (this.frozenUntilMs > this.world.nowMs) return this.#goOnLater()
      this.#asleep.shift()?.()
      if (this.#asleep.length > 0) this.#goOnLater()
    })
  }

  /** A port call with an effect on the world. */
  call(label: string, effect: () => void): void {
    if (!this.alive || this.#burns('before', label)) return
    effect()
    this.#burns('after', label)
  }

  /** A port call that is answered later; `work` takes place then. Dead processes get no answer. */
  io<T>(delayMs: number, label: string, work: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.later(delayMs, label, () => {
        if (this.#burns('before', label)) return
        settle(work).then(
          (value) => {
            if (this.alive && !this.#burns('after', label)) resolve(value)
          },
          (thrown: unknown) => {
            if (this.alive) reject(thrown)
          },
        )
      })
    })
  }

  /** The kernel's ports of this life. */
  kernel(ids: string): KernelPorts {
    const clock: Clock = {
      nowMs: () => this.nowMs(),
      setTimer: (delayMs, fire) => this.later(delayMs, 'timer', fire),
      yieldToLoop: (resume) => void this.later(0, 'yield', resume),
    }
    const chance = this.world.chance(`random ${this.name} ${ids}`)
    let last = 0
    return {
      clock,
      random: chance.asPort(),
      ids: {
        next: () => {
          last += 1
          return `${ids}.${last}`
        },
      },
      log: {
        write: ({ level, actor, event, fields }) => {
          const turn = actor === 'chain' ? COUNTED[event] : undefined
          if (turn !== undefined) this.world.fault(turn)
          if (!this.alive || level === 'trace' || level === 'debug') return
          this.world.told(this.name, actor, event, fields ?? {})
          this.world.log(`${this.name} ${level} ${actor}: ${event} ${describe(fields)}`)
        },
      },
      metrics: { count: () => {}, observe: () => {} },
    }
  }

  #burns(side: Fuse['side'], label: string): boolean {
    const { fuse } = this
    if (fuse === undefined || fuse.side !== side || fuse.only?.test(label) === false) return false
    fuse.calls -= 1
    fuse.passed?.(label)
    if (fuse.calls > 0) return false
    this.fuse = undefined
    this.world.log(`${this.name} dies ${side} ${label}`)
    fuse.burnt?.()
    this.end()
    return true
  }
}

async function settle<T>(work: () => T | Promise<T>): Promise<T> {
  return work()
}

function describe(fields: Readonly<Record<string, unknown>> | undefined): string {
  if (fields === undefined) return ''
  // Stacks hold paths, and their depth is the compiler's affair.
  return JSON.stringify(fields, (key, value: unknown) => {
    if (key === 'stack') return undefined
    if (typeof value === 'bigint') return String(value)
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
  })
}
