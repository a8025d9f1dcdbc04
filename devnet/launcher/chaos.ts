/**
 * Chaos: processes of a federation are killed (SIGKILL) and started again, at times and in an order that follow from a seed. Never more
 * are away at once than the protocol bears: a process counts as away from its kill until it works again, not until it runs again.
 */
import { memberThreshold } from '../../core/params/index.ts'
import { quorum } from '../../core/pbft/index.ts'

export type Role = 'node' | 'member'

export interface Victim {
  readonly role: Role
  readonly index: number
}

/** How chaos reaches the processes. */
export interface ChaosTargets {
  /** SIGKILL; resolves when it is gone. */
  kill(victim: Victim): Promise<void>
  start(victim: Victim): void
  /** Resolves when it works as before; rejects when it does not within its deadline. */
  isBack(victim: Victim): Promise<unknown>
  tell(line: string): void
}

export interface ChaosOptions {
  readonly seed: number
  readonly nodes: number
  readonly members: number
  readonly targets: ChaosTargets
  /** Most processes that may be away at once, of either role; default what the protocol bears. */
  readonly mostAway?: number
  /** Ends by itself after so many kills; without it, it goes on until `end`. */
  readonly kills?: number
  pause?(ms: number): Promise<void>
}

export interface ChaosFigures {
  readonly seed: number
  readonly kills: number
  readonly nodeKills: number
  readonly memberKills: number
  /** Of those, so many while the process was still starting. */
  readonly whileStarting: number
  readonly slowestBackMs: number
}

/** How long a process stays dead, how long all live until the next kill, and how often it dies once more while it starts. */
const MOST_DEAD_MS = 4_000
const MOST_QUIET_MS = 3_000
const MOST_STARTING_MS = 4_000
const KILLED_WHILE_STARTING = 0.3
/** Of each role; a run that ends sooner has shown nothing. */
const LEAST_KILLS = 2

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** How many of each role may be away at once: the others are a quorum of validators and t members. */
export function tolerated(nodes: number, members: number): Readonly<Record<Role, number>> {
  const needed = quorum(Array.from({ length: nodes }, () => ({ power: 1 })))
  return { node: nodes - needed, member: members - memberThreshold(members) }
}

export interface Strike {
  readonly victim: Victim
  readonly quietMs: number
  readonly deadMs: number
  /** Killed again so long after its start. */
  readonly againMs?: number
}

/** What a seed does to the processes of one role: the same strikes in the same order on every run. */
export function* strikesOf(seed: number, role: Role, count: number): Generator<Strike, never> {
  const random = seededRandom(role === 'node' ? seed : ~seed)
  for (;;) {
    // Each strike draws as often as every other one.
    const draws = Array.from({ length: 5 }, random) as [number, number, number, number, number]
    const [which, quiet, dead, luck, starting] = draws
    yield {
      victim: { role, index: Math.floor(which * count) },
      quietMs: Math.round(quiet * MOST_QUIET_MS),
      deadMs: Math.round(dead * MOST_DEAD_MS),
      ...(luck < KILLED_WHILE_STARTING && { againMs: Math.round(starting * MOST_STARTING_MS) }),
    }
  }
}

export function nameOf({ role, index }: Victim): string {
  return `${role}-${index}`
}

export class Chaos {
  /** Rejects when a process did not come back. */
  readonly failed: Promise<never>
  readonly #options: ChaosOptions
  readonly #pause: (ms: number) => Promise<void>
  readonly #mostAway: Readonly<Record<Role, number>>
  readonly #away = new Map<string, { readonly role: Role; readonly back: Promise<void> }>()
  #fail: (error: Error) => void = () => {}
  /** Kills that were decided. */
  #taken = 0
  #isEnding = false
  #isCancelled = false
  #running: Promise<void> | undefined
  #kills: Record<Role, number> = { node: 0, member: 0 }
  #whileStarting = 0
  #slowestBackMs = 0

  constructor(options: ChaosOptions) {
    this.#options = options
    this.#pause = options.pause ?? pause
    this.#mostAway = tolerated(options.nodes, options.members)
    this.failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    // Whoever waits for it hears of it; nobody has to.
    this.failed.catch(() => {})
  }

  start(): void {
    this.#running ??= this.#run().catch((error) => this.#fail(error as Error))
  }

  /** To the last of the given number of kills, everything back. */
  async run(): Promise<ChaosFigures> {
    this.start()
    await Promise.race([this.#settled(), this.failed])
    return this.figures()
  }

  /** No further kills once there were enough; resolves when everything is back. */
  async end(): Promise<ChaosFigures> {
    this.#isEnding = true
    return this.run()
  }

  /** Touches no process any more; the ones that are away stay away. */
  cancel(): void {
    this.#isCancelled = true
    this.#isEnding = true
  }

  figures(): ChaosFigures {
    const { node, member } = this.#kills
    return {
      seed: this.#options.seed,
      kills: node + member,
      nodeKills: node,
      memberKills: member,
      whileStarting: this.#whileStarting,
      slowestBackMs: this.#slowestBackMs,
    }
  }

  async #settled(): Promise<void> {
    await this.#running
    await Promise.all([...this.#away.values()].map(({ back }) => back))
  }

  async #run(): Promise<void> {
    const { node, member } = this.#mostAway
    if (node + member === 0) throw new Error('chaos: the protocol bears the loss of no process')
    await Promise.all([this.#strikeAt('node', node), this.#strikeAt('member', member)])
  }

  async #strikeAt(role: Role, mostAway: number): Promise<void> {
    if (mostAway === 0) return
    const { seed, nodes, members } = this.#options
    for (const strike of strikesOf(seed, role, role === 'node' ? nodes : members)) {
      await this.#pause(strike.quietMs)
      // Looked at again after each wait, by whom takes the place at once: the other role waits for the same.
      while (!this.#isOver(role) && !this.#isRoom(strike.victim)) {
        await Promise.race([...this.#away.values()].map(({ back }) => back))
      }
      if (this.#isOver(role)) return
      this.#taken += 1
      this.#away.set(nameOf(strike.victim), { role, back: this.#strike(strike) })
    }
  }

  #isOver(role: Role): boolean {
    if (this.#isCancelled) return true
    return (this.#isEnding && this.#kills[role] >= LEAST_KILLS) || !this.#isLeft()
  }

  #isLeft(): boolean {
    return this.#taken < (this.#options.kills ?? Number.POSITIVE_INFINITY)
  }

  /** Whether one more may be away. */
  #isRoom(victim: Victim): boolean {
    const { mostAway = Number.POSITIVE_INFINITY } = this.#options
    const away = [...this.#away.values()]
    const same = away.filter(({ role }) => role === victim.role).length
    const isHere = !this.#away.has(nameOf(victim))
    return isHere && same < this.#mostAway[victim.role] && away.length < mostAway
  }

  async #strike({ victim, deadMs, againMs }: Strike): Promise<void> {
    const { targets } = this.#options
    const killedAtMs = Date.now()
    try {
      await this.#kill(victim, 'killed')
      await this.#pause(deadMs)
      if (this.#isCancelled) return
      targets.start(victim)
      if (againMs !== undefined && this.#isLeft()) {
        this.#taken += 1
        await this.#pause(againMs)
        if (this.#isCancelled) return
        await this.#kill(victim, 'killed again while it came back')
        this.#whileStarting += 1
        targets.start(victim)
      }
      await targets.isBack(victim)
      const tookMs = Date.now() - killedAtMs
      this.#slowestBackMs = Math.max(this.#slowestBackMs, tookMs)
      targets.tell(`${nameOf(victim)} back after ${(tookMs / 1000).toFixed(1)} s`)
      this.#away.delete(nameOf(victim))
    } catch (error) {
      if (this.#isCancelled) return
      const reason = (error as Error).message
      this.#fail(new Error(`chaos: ${nameOf(victim)} did not come back: ${reason}`))
      // What it did for the protocol nobody does now: nothing else may go.
      this.cancel()
    }
  }

  async #kill(victim: Victim, how: string): Promise<void> {
    const { targets } = this.#options
    this.#kills[victim.role] += 1
    await targets.kill(victim)
    targets.tell(`${nameOf(victim)} ${how}`)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
