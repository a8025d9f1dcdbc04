/** Who takes part in the throughput rounds: our kernel, nact, and xstate without actors around it. All handlers count, and do nothing else. */
import { dispatch, type Ref, spawn as spawnNact, start, stop } from 'nact'
import { createActor, createMachine } from 'xstate'
import {
  createIds,
  createSystemClock,
  createSystemRandom,
} from '../../node/adapters/system/index.ts'
import {
  type ActorDefinition,
  type ChildSpec,
  childSpec,
  createSystem,
  type KernelPorts,
  type Message,
  type MessageSpec,
  type Step,
  type System,
  tell,
} from '../../supervisor/index.ts'

export interface Contender {
  readonly name: string
  /** Ends when the last of `count` messages was handled. */
  run(count: number): Promise<void>
  close(): Promise<void>
}

export type Count = Message<'count', { readonly by: number }>
export type Other = Message<'pass', { readonly left: number }> | Message<'question', number>
export type Note = Count | Other | Message<'answer', number> | Message<'crash', null>

export const ROWS: readonly MessageSpec[] = [
  { type: 'count', priority: 'peg', overflow: 'blockProducer' },
  { type: 'pass', priority: 'peg', overflow: 'blockProducer' },
  { type: 'question', priority: 'peg', overflow: 'returnError', reply: 'answer' },
  { type: 'answer', priority: 'peg', overflow: 'returnError' },
  { type: 'crash', priority: 'peg', overflow: 'blockProducer' },
]

/** Messages sent before the sender waits for the last of them: below the mailbox's capacity. */
const BURST = 1_000
const CAPACITY = 20_000

export const STEADY = createMachine({ id: 'steady', initial: 'Running', states: { Running: {} } })
const flipping = createMachine({
  id: 'flipping',
  initial: 'On',
  states: { On: { on: { FLIP: 'Off' } }, Off: { on: { FLIP: 'On' } } },
})

/** The ports of a real node; logs go nowhere, for none is written about a message that is handled. */
export function realPorts(): KernelPorts {
  const random = createSystemRandom()
  return {
    clock: createSystemClock(),
    random,
    ids: createIds(random),
    log: { write: () => {} },
    metrics: { count: () => {}, observe: () => {} },
  }
}

export type Small = ActorDefinition<number, Note, never, null>

export const small = (
  name: string,
  handle: Small['handle'],
  changes: Partial<Small> = {},
): Small => ({
  name,
  machine: STEADY,
  mailbox: { capacity: CAPACITY },
  init: async () => ({ context: 0 }),
  handle,
  perform: async () => undefined,
  ...changes,
})

export async function running(
  children: readonly ChildSpec[],
  ports: KernelPorts = realPorts(),
): Promise<System> {
  const system = createSystem({ ports, registry: ROWS, children })
  const started = await system.start()
  if (!started.ok) throw new Error(started.reason.why)
  return system
}

/** Told when as many messages were handled as were sent. */
class Goal {
  #left = 0
  #reached: () => void = () => {}

  next(count: number): Promise<void> {
    this.#left = count
    return new Promise((resolve) => {
      this.#reached = resolve
    })
  }

  one(): void {
    this.#left -= 1
    if (this.#left === 0) this.#reached()
  }
}

async function inBursts(count: number, burst: (size: number) => Promise<void>): Promise<void> {
  for (let sent = 0; sent < count; sent += BURST) await burst(Math.min(BURST, count - sent))
}

/** Tells from outside; with `flips`, each message takes a transition of the actor's machine; `sampled` is the share of traced flows. */
export async function ourTells({
  flips = false,
  sampled = 0,
}: {
  readonly flips?: boolean
  readonly sampled?: number
}): Promise<Contender> {
  const goal = new Goal()
  const plain = (context: number, message: Note): Step<number, never> => {
    const by = (message as Count).payload.by
    goal.one()
    return { context: context + by }
  }
  const flip = (context: number, message: Note): Step<number, never> => {
    const by = (message as Count).payload.by
    goal.one()
    return { context: context + by, event: 'FLIP' }
  }
  const actor = flips ? small('counter', flip, { machine: flipping }) : small('counter', plain)
  const ports = realPorts()
  const tracer = { rate: sampled, record: () => {} }
  const system = await running([childSpec(actor, null)], sampled > 0 ? { ...ports, tracer } : ports)
  return {
    name: 'millrace',
    run: (count) =>
      inBursts(count, (size) => {
        const done = goal.next(size)
        for (let n = 0; n < size; n++)
          void system.tell('counter', { type: 'count', payload: { by: n } })
        return done
      }),
    close: async () => void (await system.stop()),
  }
}

export async function nactTells(): Promise<Contender> {
  const goal = new Goal()
  const system = start()
  const counter = spawnNact(
    system,
    (context: number = 0, message: Count) => {
      goal.one()
      return context + message.payload.by
    },
    'counter',
  )
  return {
    name: 'nact',
    run: (count) =>
      inBursts(count, (size) => {
        const done = goal.next(size)
        for (let n = 0; n < size; n++) dispatch(counter, { type: 'count', payload: { by: n } })
        return done
      }),
    close: async () => stop(system),
  }
}

/** An interpreter with nothing around it: the floor below which an actor with a machine of xstate cannot be. */
export async function rawXstate(): Promise<Contender> {
  const actor = createActor(flipping)
  actor.start()
  return {
    name: 'xstate',
    run: async (count) => {
      for (let n = 0; n < count; n++) actor.send({ type: 'FLIP' })
    },
    close: async () => void actor.stop(),
  }
}

/** Balls that two actors throw to each other, all at once. */
const BALLS = 100

export async function ourPasses(): Promise<Contender> {
  const goal = new Goal()
  const passTo =
    (other: string) =>
    (context: number, message: Note): Step<number, never> => {
      const { left } = (message as Extract<Note, { type: 'pass' }>).payload
      if (left === 0) {
        goal.one()
        return { context: context + 1 }
      }
      const next: Note = { type: 'pass', payload: { left: left - 1 } }
      return { context: context + 1, effects: [tell(other, next)] }
    }
  const system = await running([
    childSpec(small('ping', passTo('pong')), null),
    childSpec(small('pong', passTo('ping')), null),
  ])
  return {
    name: 'millrace',
    run: (count) => {
      const done = goal.next(BALLS)
      const left = Math.round(count / BALLS) - 1
      for (let n = 0; n < BALLS; n++) void system.tell('ping', { type: 'pass', payload: { left } })
      return done
    },
    close: async () => void (await system.stop()),
  }
}

export async function nactPasses(): Promise<Contender> {
  const goal = new Goal()
  const system = start()
  type Pass = { readonly type: 'pass'; readonly payload: { readonly left: number } }
  const passer = (name: string, other: () => Ref<Pass>): Ref<Pass> =>
    spawnNact(
      system,
      (context: number = 0, message: Pass) => {
        const { left } = message.payload
        if (left === 0) goal.one()
        else dispatch(other(), { type: 'pass', payload: { left: left - 1 } })
        return context + 1
      },
      name,
    )
  const ping = passer('ping', () => pong)
  const pong = passer('pong', () => ping)
  return {
    name: 'nact',
    run: (count) => {
      const done = goal.next(BALLS)
      const left = Math.round(count / BALLS) - 1
      for (let n = 0; n < BALLS; n++) dispatch(ping, { type: 'pass', payload: { left } })
      return done
    },
    close: async () => stop(system),
  }
}
