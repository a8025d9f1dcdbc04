/**
 * Bench `kernel`: what the actor kernel costs on the ports of a real node. Tells beside nact and raw xstate, asks at half of what is possible,
 * the restart of an actor with a full mailbox, and what stays in memory.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ask, childSpec, faultError, reply, type Step, spawn } from '../../supervisor/index.ts'
import { type Bench, type BenchOptions, type Figure, median, quantile, slope } from './figures.ts'
import {
  type Note,
  nactPasses,
  nactTells,
  ourPasses,
  ourTells,
  rawXstate,
  running,
  small,
} from './kernel-contenders.ts'
import { race } from './rounds.ts'

const MESSAGES = 200_000
const AIMS = { nact: 1.5, xstate: 0.8, childrenMs: 1, acrossMs: 5, restartMs: 50 } as const

export const kernel: Bench = async (options) => {
  const { rounds, tell } = options
  const figures: Figure[] = []
  const add = (figure: Figure): void => {
    figures.push(figure)
    tell(`${figure.metric} is measured`)
  }
  add(
    await race({
      metric: 'tell_throughput',
      count: MESSAGES,
      rounds,
      aim: `aim ${AIMS.nact} × nact`,
      contenders: [await ourTells({ flips: false }), await nactTells()],
    }),
  )
  add(
    await race({
      metric: 'tell_throughput_machine',
      count: MESSAGES,
      rounds,
      aim: `a transition each; aim ${AIMS.xstate} × xstate`,
      contenders: [await ourTells({ flips: true }), await rawXstate()],
    }),
  )
  add(
    await race({
      metric: 'tell_between_actors',
      count: MESSAGES,
      rounds,
      aim: `two actors, 100 messages under way; aim ${AIMS.nact} × nact`,
      contenders: [await ourPasses(), await nactPasses()],
    }),
  )
  for (const figure of await asks(options)) add(figure)
  add(await restarts(rounds))
  for (const figure of await memory()) add(figure)
  return figures
}

/** Asks in flight of one asker while the most that is possible is found. */
const IN_FLIGHT = 64
const FULL_LOAD_ASKS = 100_000
const HALF_LOAD_MS = 3_000

/** Actors that ask one another: children of one parent, or one level of a tree as wide as a node's. */
interface Askers {
  /** Begins one ask; `done` is called when its reply was handled by the asker. */
  ask(done: () => void): void
  close(): Promise<void>
}

const askingActor = (name: string, others: readonly string[], done: (ask: number) => void) => {
  let next = 0
  return small(name, (context: number, message: Note, { envelope }): Step<number, never> => {
    switch (message.type) {
      case 'count': {
        next += 1
        const request: Note = { type: 'question', payload: message.payload.by }
        const to = others[next % others.length] as string
        const onReply = (): Note => ({ type: 'answer', payload: message.payload.by })
        return { context, effects: [ask(to, request, { timeoutMs: 10_000, onReply })] }
      }
      case 'question': {
        const answer: Note = { type: 'answer', payload: message.payload }
        return { context: context + 1, effects: [reply(envelope, answer)] }
      }
      case 'answer':
        done(message.payload)
        return { context }
      default:
        return { context }
    }
  })
}

/** The seven of a node are as many; two children are an asker and its answerer. */
const ACROSS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const
const CHILDREN = ['asker', 'answerer'] as const

async function askers(where: 'children' | 'across'): Promise<Askers> {
  const open = new Map<number, () => void>()
  const done = (id: number): void => {
    const settle = open.get(id)
    open.delete(id)
    settle?.()
  }
  const specs = (names: readonly string[], prefix: string) =>
    names.map((name) => {
      const others = names.filter((other) => other !== name).map((other) => prefix + other)
      return childSpec(askingActor(name, others, done), null)
    })
  const parent = small('parent', (context) => ({ context }), {
    init: async () => ({ context: 0, effects: specs(CHILDREN, 'parent/').map(spawn) }),
  })
  const isAcross = where === 'across'
  const system = await running(isAcross ? specs(ACROSS, '') : [childSpec(parent, null)])
  const paths: readonly string[] = isAcross ? ACROSS : ['parent/asker']
  let last = 0
  return {
    ask(settle) {
      last += 1
      open.set(last, settle)
      const to = paths[last % paths.length] as string
      void system.tell(to, { type: 'count', payload: { by: last } })
    },
    close: async () => void (await system.stop()),
  }
}

async function asks({ rounds }: BenchOptions): Promise<readonly Figure[]> {
  const figures: Figure[] = []
  for (const [where, aimMs] of [
    ['children', AIMS.childrenMs],
    ['across', AIMS.acrossMs],
  ] as const) {
    const group = await askers(where)
    await fullLoad(group)
    const mostPerSecond = await fullLoad(group)
    const perRound: number[] = []
    const middles: number[] = []
    for (let round = 0; round < Math.ceil(rounds / 3); round++) {
      const latencies = await paced(group, mostPerSecond / 2)
      perRound.push(quantile(latencies, 0.99))
      middles.push(quantile(latencies, 0.5))
    }
    await group.close()
    const load = `at ${Math.round(mostPerSecond / 2_000)}k asks/s, half of what is possible`
    figures.push(
      {
        metric: `ask_roundtrip_${where}_p99`,
        unit: 'ms',
        better: 'lower',
        ours: median(perRound),
        note: `${load}; worst round ${Math.max(...perRound).toFixed(2)}; aim ${aimMs}`,
      },
      {
        metric: `ask_roundtrip_${where}_p50`,
        unit: 'ms',
        better: 'lower',
        ours: median(middles),
        note: load,
      },
    )
  }
  return figures
}

/** Asks each second when a new one begins as soon as another ended. */
async function fullLoad(group: Askers): Promise<number> {
  const startedMs = performance.now()
  await new Promise<void>((resolve) => {
    let begun = 0
    let ended = 0
    const one = (): void => {
      begun += 1
      group.ask(() => {
        ended += 1
        if (ended === FULL_LOAD_ASKS) resolve()
        else if (begun < FULL_LOAD_ASKS) one()
      })
    }
    for (let n = 0; n < IN_FLIGHT; n++) one()
  })
  return (FULL_LOAD_ASKS * 1_000) / (performance.now() - startedMs)
}

/**
 * Latencies, in ms, of asks that are due at even intervals, whether or not the earlier ones are answered. Each counts from when
 * it was due: what a slow answer kept waiting is its fault.
 */
async function paced(group: Askers, perSecond: number): Promise<readonly number[]> {
  const latencies: number[] = []
  const total = Math.floor((perSecond * HALF_LOAD_MS) / 1_000)
  const startedMs = performance.now()
  await new Promise<void>((resolve) => {
    let begun = 0
    const step = (): void => {
      const due = Math.min(total, ((performance.now() - startedMs) * perSecond) / 1_000)
      for (; begun < due; begun++) {
        const dueMs = startedMs + (begun * 1_000) / perSecond
        group.ask(() => {
          latencies.push(performance.now() - dueMs)
          if (latencies.length === total) resolve()
        })
      }
      if (begun < total) setImmediate(step)
    }
    step()
  })
  return latencies
}

const WAITING = 10_000

/** From the fault of a leaf with a full mailbox to the first of its messages that the next incarnation handles. */
async function restarts(rounds: number): Promise<Figure> {
  const tookMs: number[] = []
  const drainedMs: number[] = []
  for (let round = -1; round < rounds; round++) {
    let crashedMs = 0
    let restartedMs = 0
    let left = WAITING
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const leaf = small('leaf', (context, message) => {
      if (message.type === 'crash' && crashedMs === 0) {
        crashedMs = performance.now()
        throw faultError('Planted', 'network', 'of the bench')
      }
      if (message.type !== 'count') {
        restartedMs = performance.now()
        return { context }
      }
      left -= 1
      if (left === 0) resolve()
      return { context: context + 1 }
    })
    const system = await running([childSpec(leaf, null)])
    void system.tell('leaf', { type: 'crash', payload: null })
    for (let n = 0; n < WAITING; n++) {
      void system.tell('leaf', { type: 'count', payload: { by: n } })
    }
    await done
    if (round >= 0) {
      tookMs.push(restartedMs - crashedMs)
      drainedMs.push(performance.now() - crashedMs)
    }
    await system.stop()
  }
  return {
    metric: 'restart',
    unit: 'ms',
    better: 'lower',
    ours: median(tookMs),
    note:
      `${WAITING} waiting, ${rounds} restarts, worst ${Math.max(...tookMs).toFixed(2)}; ` +
      `all handled after ${median(drainedMs).toFixed(1)}; aim ${AIMS.restartMs}`,
  }
}

/** One line of the child process. */
interface HeapSample {
  readonly messages: number
  readonly heapBytes: number
}

const MEMORY_PROCESS = fileURLToPath(new URL('./kernel-memory.ts', import.meta.url))
const MIB = 2 ** 20

/** In a process of its own, whose garbage can be collected on demand. */
async function memory(): Promise<readonly Figure[]> {
  const args = ['--expose-gc', MEMORY_PROCESS]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const samples = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as HeapSample)
  const points = samples.map(({ messages, heapBytes }) => ({ x: messages, y: heapBytes }))
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined) throw new Error('the child measured nothing')
  const mib = ({ heapBytes }: HeapSample) => (heapBytes / MIB).toFixed(2)
  return [
    {
      metric: 'memory_growth',
      unit: 'B/message',
      better: 'lower',
      ours: slope(points),
      note: `slope over ${last.messages / 1e6}M messages, heap ${mib(first)} to ${mib(last)} MiB; aim 0`,
    },
  ]
}
