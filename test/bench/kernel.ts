/**
 * Bench `kernel`: what the actor kernel costs on the ports of a real node. Tells beside nact and raw xstate, asks at half of what is possible,
 * the restart of an actor with a full mailbox, and what stays in memory.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { childSpec, faultError } from '../../supervisor/index.ts'
import { type Bench, type Figure, median, slope } from './figures.ts'
import { asks } from './kernel-asks.ts'
import {
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
const AIMS = { nact: 1.5, xstate: 0.8, restartMs: 50 } as const

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
      contenders: [await ourTells({}), await nactTells()],
    }),
  )
  add(
    await race({
      metric: 'tell_throughput_sampled',
      count: MESSAGES,
      rounds,
      aim: 'one flow in a hundred is traced',
      contenders: [await ourTells({ sampled: 0.01 }), await nactTells()],
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
  for (const figure of await asks(Math.ceil(rounds / 3))) add(figure)
  add(await restarts(rounds))
  for (const figure of await memory()) add(figure)
  return figures
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
