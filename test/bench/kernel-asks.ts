/** Asks and their replies, at half of the load that is possible: among the children of one actor, and across a tree as wide as a node's. */
import { ask, childSpec, reply, type Step, spawn } from '../../supervisor/index.ts'
import { type OwnClock, ownClock } from './clocks.ts'
import { type Figure, median, quantile } from './figures.ts'
import { type Note, running, type Small, small } from './kernel-contenders.ts'

const AIMS_MS = { children: 1, across: 5 } as const
/** Asks in flight of one asker while the most that is possible is found. */
const IN_FLIGHT = 64
const FULL_LOAD_ASKS = 50_000
const HALF_LOAD_MS = 2_000
/** Room for what is due while another process has the processor: an ask that came too late is late, and not lost. */
const PATIENCE = 1_000_000

/** Actors that ask one another: children of one parent, or one level of a tree as wide as a node's. */
interface Askers {
  ask(id: number): void
  /** The asker has handled the reply to the ask of that id. */
  answered: (id: number) => void
  close(): Promise<void>
}

const askingActor = (name: string, others: readonly string[], answered: (id: number) => void) => {
  let next = 0
  const handle: Small['handle'] = (context, message, { envelope }): Step<number, never> => {
    switch (message.type) {
      case 'count': {
        next += 1
        const id = message.payload.by
        const request: Note = { type: 'question', payload: id }
        const to = others[next % others.length] as string
        const onReply = (): Note => ({ type: 'answer', payload: id })
        return { context, effects: [ask(to, request, { timeoutMs: 10_000, onReply })] }
      }
      case 'question': {
        const answer: Note = { type: 'answer', payload: message.payload }
        return { context: context + 1, effects: [reply(envelope, answer)] }
      }
      case 'answer':
        answered(message.payload)
        return { context }
      default:
        return { context }
    }
  }
  return small(name, handle, { mailbox: { capacity: PATIENCE } })
}

/** The seven of a node are as many; two children are an asker and its answerer. */
const ACROSS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const
const CHILDREN = ['asker', 'answerer'] as const

async function askers(where: 'children' | 'across'): Promise<Askers> {
  const answered = (id: number): void => group.answered(id)
  const specs = (names: readonly string[], prefix: string) =>
    names.map((name) => {
      const others = names.filter((other) => other !== name).map((other) => prefix + other)
      return childSpec(askingActor(name, others, answered), null)
    })
  const parent = small('parent', (context) => ({ context }), {
    init: async () => ({ context: 0, effects: specs(CHILDREN, 'parent/').map(spawn) }),
  })
  const isAcross = where === 'across'
  const system = await running(isAcross ? specs(ACROSS, '') : [childSpec(parent, null)])
  const paths: readonly string[] = isAcross ? ACROSS : ['parent/asker']
  const group: Askers = {
    ask(id) {
      const to = paths[id % paths.length] as string
      void system.tell(to, { type: 'count', payload: { by: id } })
    },
    answered: () => {},
    close: async () => void (await system.stop()),
  }
  return group
}

/** Answers at once: what is left of the latency is the machine's. */
function bare(): Askers {
  const group: Askers = {
    ask: (id) => queueMicrotask(() => group.answered(id)),
    answered: () => {},
    close: async () => {},
  }
  return group
}

export async function asks(rounds: number): Promise<readonly Figure[]> {
  const figures: Figure[] = []
  const clock = ownClock()
  for (const where of ['children', 'across'] as const) {
    const group = await askers(where)
    await fullLoad(group, clock)
    const mostPerSecond = await fullLoad(group, clock)
    const p99s: number[] = []
    const p50s: number[] = []
    const floors: number[] = []
    for (let round = 0; round < rounds; round++) {
      floors.push(quantile(await paced(bare(), mostPerSecond / 2, clock), 0.99))
      const latencies = await paced(group, mostPerSecond / 2, clock)
      p99s.push(quantile(latencies, 0.99))
      p50s.push(quantile(latencies, 0.5))
    }
    await group.close()
    figures.push({
      metric: `ask_roundtrip_${where}_p99`,
      unit: 'ms',
      better: 'lower',
      ours: median(p99s),
      peers: { floor: median(floors) },
      note:
        `${Math.round(mostPerSecond / 2_000)}k asks/s, half of what is possible; median ${median(p50s).toFixed(4)}; ` +
        `${rounds} rounds, worst ${Math.max(...p99s).toFixed(2)}; aim ${AIMS_MS[where]}`,
    })
  }
  clock.close()
  return figures
}

/** Asks each second when a new one begins as soon as another ended. */
async function fullLoad(group: Askers, clock: OwnClock): Promise<number> {
  const started = clock.read()
  await new Promise<void>((resolve) => {
    let begun = 0
    let left = FULL_LOAD_ASKS
    group.answered = () => {
      left -= 1
      if (left === 0) resolve()
      else if (begun < FULL_LOAD_ASKS) group.ask(begun++)
    }
    while (begun < IN_FLIGHT) group.ask(begun++)
  })
  return (FULL_LOAD_ASKS * 1_000) / (clock.read() - started)
}

/**
 * Latencies, in ms, of asks that are due at even intervals, whether or not the earlier ones are answered. Each counts from when
 * it was due: what a slow answer kept waiting is its fault.
 */
async function paced(
  group: Askers,
  perSecond: number,
  clock: OwnClock,
): Promise<readonly number[]> {
  const total = Math.floor((perSecond * HALF_LOAD_MS) / 1_000)
  const latencies: number[] = []
  const started = clock.read()
  const due = (id: number): number => started + (id * 1_000) / perSecond
  await new Promise<void>((resolve) => {
    let begun = 0
    group.answered = (id) => {
      latencies.push(clock.nowMs() - due(id))
      if (latencies.length === total) resolve()
    }
    const step = (): void => {
      for (const until = clock.read(); begun < total && due(begun) <= until; ) group.ask(begun++)
      if (begun < total) setImmediate(step)
    }
    step()
  })
  return latencies
}
